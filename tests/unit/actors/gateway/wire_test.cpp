#include "actors/gateway/wire.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/jose/jose.hpp"

#include <boost/json.hpp>
#include <functional>
#include <gtest/gtest.h>

namespace custos::gateway {

namespace {

namespace bj = boost::json;

attestation_key_request some_key_request() {
  attestation_key_request r;
  r.host = "host-7";
  r.ek_certificate = {0x30, 0x01, 0x00, 0xFF};
  r.ek_intermediates = {{0x30, 0x02}, {0x30, 0x03, 0x04}};
  r.ek_public = crypto::random_bytes(314);
  r.ak_public = crypto::random_bytes(90);
  return r;
}

evidence some_evidence() {
  evidence e;
  e.host = "host-7";
  e.ticket = "dGlja2V0";
  e.ak_certificate = crypto::random_bytes(600);
  e.quote = crypto::random_bytes(129);
  e.signature = crypto::random_bytes(72);
  for (std::uint32_t pcr = 0; pcr < 24; ++pcr) {
    e.pcrs.push_back({0x000B, pcr, crypto::random_bytes(32)});
    e.pcrs.push_back({0x000C, pcr, crypto::random_bytes(48)});
  }
  e.event_log = crypto::random_bytes(65536);
  e.transport_key = crypto::generate_p256().value().spki_der();
  e.ima_log = crypto::random_bytes(512);
  e.ima_first = 70'000;
  e.reporting = true;
  return e;
}

bj::object object_of(const std::string& text) {
  return bj::parse(text).as_object();
}

/// One way to spoil a message, and the field that must be named.
struct spoiled {
  const char* what;
  std::function<void(bj::object&)> change;
  std::string field;
  errc code = errc::invalid_argument;
};

template <class Decode>
void expect_refused(const std::string& good, Decode decode, const std::vector<spoiled>& cases) {
  ASSERT_TRUE(decode(good).ok()) << decode(good).failure().message;
  for (const auto& c : cases) {
    auto o = object_of(good);
    c.change(o);
    const auto read = decode(bj::serialize(o));
    ASSERT_FALSE(read.ok()) << c.what;
    EXPECT_EQ(read.failure().field, c.field) << c.what << ": " << read.failure().message;
    EXPECT_EQ(read.failure().code, c.code) << c.what << ": " << read.failure().message;
    EXPECT_NE(read.failure().message.find("expected"), std::string::npos)
        << c.what << ": " << read.failure().message;
  }
}

/// What is no such document at all: cut anywhere, another type, no JSON.
template <class Decode>
void expect_documents_refused(const std::string& good, Decode decode) {
  for (std::size_t n = 0; n < good.size(); n += 1 + good.size() / 97) {
    const auto read = decode(std::string_view(good).substr(0, n));
    ASSERT_FALSE(read.ok()) << n;
    EXPECT_EQ(read.failure().code, errc::malformed) << n;
  }
  for (const auto* text :
       {"", " ", "null", "[]", "7", "\"x\"", "{\"a\":1}{\"b\":2}", "\xEF\xBB\xBF",
        "{\"host\":\"\xC3\x28\"}", "{'host':1}", "{\"host\":NaN}"}) {
    const auto read = decode(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_TRUE(read.failure().code == errc::malformed || !read.failure().field.empty()) << text;
    EXPECT_FALSE(read.failure().message.empty());
  }
  const std::string deep = "{\"host\":" + std::string(20000, '[') + std::string(20000, ']') + "}";
  EXPECT_EQ(decode(deep).failure().code, errc::malformed);
  const std::string huge = "{\"host\":\"" + std::string(9U << 20U, 'a') + "\"}";
  EXPECT_EQ(decode(huge).failure().code, errc::too_large);
}

template <class T>
bj::value value_of(const T& v) {
  if constexpr (std::is_same_v<T, std::string>)
    return bj::string(v);
  else
    return bj::value(v);
}

template <class T>
auto set(const char* name, const T& v) {
  return [name, v = value_of(v)](bj::object& o) { o[name] = v; };
}
auto drop(const char* name) {
  return [name](bj::object& o) { o.erase(name); };
}

} // namespace

TEST(wire, carries_a_request_for_an_attestation_key) {
  const auto sent = some_key_request();
  const auto read = decode_attestation_key_request(encode_attestation_key_request(sent));
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->host, sent.host);
  EXPECT_EQ(read->ek_certificate, sent.ek_certificate);
  EXPECT_EQ(read->ek_intermediates, sent.ek_intermediates);
  EXPECT_EQ(read->ek_public, sent.ek_public);
  EXPECT_EQ(read->ak_public, sent.ak_public);
}

TEST(wire, carries_a_request_of_a_tpm_without_certificate) {
  auto sent = some_key_request();
  sent.ek_certificate.clear();
  sent.ek_intermediates.clear();
  const auto text = encode_attestation_key_request(sent);
  EXPECT_EQ(text.find("certificate"), std::string::npos);
  const auto read = decode_attestation_key_request(text);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->ek_certificate.empty());
  EXPECT_TRUE(read->ek_intermediates.empty());
}

TEST(wire, names_the_field_of_a_bad_request_for_an_attestation_key) {
  const std::string too_long = crypto::base64url(bytes(16385));
  expect_refused(
      encode_attestation_key_request(some_key_request()), decode_attestation_key_request,
      {
          {"no host", drop("host"), "/host"},
          {"a number", set("host", 7), "/host"},
          {"a long name", set("host", std::string(129, 'h')), "/host"},
          {"no EK", drop("ek_public"), "/ek_public"},
          {"null", set("ek_public", nullptr), "/ek_public"},
          {"padding", set("ek_public", "AA=="), "/ek_public"},
          {"the other alphabet", set("ek_public", "ab+/"), "/ek_public"},
          {"one character over", set("ek_public", "AAAAA"), "/ek_public"},
          {"bits that say nothing", set("ek_public", "AB"), "/ek_public"},
          {"spaces", set("ak_public", "AA AA"), "/ak_public"},
          {"a large AK", set("ak_public", crypto::base64url(bytes(4097))), "/ak_public",
           errc::too_large},
          {"an array", set("ak_public", bj::array{1, 2}), "/ak_public"},
          {"a large certificate", set("ek_certificate", too_long), "/ek_certificate",
           errc::too_large},
          {"no array", set("ek_intermediates", "AA"), "/ek_intermediates"},
          {"six", set("ek_intermediates", bj::array{"AA", "AA", "AA", "AA", "AA", "AA"}),
           "/ek_intermediates", errc::too_large},
          {"a number among them", set("ek_intermediates", bj::array{"AA", 7}),
           "/ek_intermediates/1"},
          {"bad base64 among them", set("ek_intermediates", bj::array{"AA", "AA", "?"}),
           "/ek_intermediates/2"},
          {"a large one among them", set("ek_intermediates", bj::array{"AA", bj::string(too_long)}),
           "/ek_intermediates/1", errc::too_large},
          {"something else", set("admin", true), "/admin"},
      });
}

TEST(wire, refuses_what_is_no_request_for_an_attestation_key) {
  expect_documents_refused(encode_attestation_key_request(some_key_request()),
                           decode_attestation_key_request);
}

TEST(wire, carries_evidence) {
  const auto sent = some_evidence();
  const auto text = encode_evidence(sent);
  ASSERT_TRUE(text.ok()) << text.failure().message;
  const auto read = decode_evidence(*text);
  ASSERT_TRUE(read.ok()) << read.failure().field << read.failure().message;
  EXPECT_EQ(read->host, sent.host);
  EXPECT_EQ(read->ticket, sent.ticket);
  EXPECT_EQ(read->ak_certificate, sent.ak_certificate);
  EXPECT_EQ(read->quote, sent.quote);
  EXPECT_EQ(read->signature, sent.signature);
  EXPECT_EQ(read->event_log, sent.event_log);
  EXPECT_EQ(read->transport_key, sent.transport_key);
  EXPECT_EQ(read->ima_log, sent.ima_log);
  EXPECT_EQ(read->ima_first, sent.ima_first);
  EXPECT_EQ(read->reporting, sent.reporting);
  ASSERT_EQ(read->pcrs.size(), sent.pcrs.size());
  for (std::size_t i = 0; i < sent.pcrs.size(); ++i) {
    EXPECT_EQ(read->pcrs[i].bank, sent.pcrs[i].bank);
    EXPECT_EQ(read->pcrs[i].pcr, sent.pcrs[i].pcr);
    EXPECT_EQ(read->pcrs[i].value, sent.pcrs[i].value);
  }
}

TEST(wire, carries_evidence_without_what_is_optional) {
  auto sent = some_evidence();
  sent.ima_log.clear();
  sent.ima_first = 0;
  sent.reporting = false;
  const auto text = encode_evidence(sent).value();
  for (const char* name : {"ima_log", "ima_first", "reporting"})
    EXPECT_EQ(text.find(name), std::string::npos) << name;
  const auto read = decode_evidence(text);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_TRUE(read->ima_log.empty());
  EXPECT_EQ(read->ima_first, 0U);
  EXPECT_FALSE(read->reporting);
}

TEST(wire, does_not_encode_evidence_for_a_key_that_is_none) {
  auto e = some_evidence();
  e.transport_key.resize(20);
  EXPECT_FALSE(encode_evidence(e).ok());
}

TEST(wire, names_the_field_of_bad_evidence) {
  auto sent = some_evidence();
  sent.pcrs.resize(2);
  sent.event_log.resize(16);
  const auto pcr = [](const char* name, const auto& v) {
    return [name, v = value_of(v)](bj::object& o) {
      o["pcrs"].as_array().at(1).as_object()[name] = v;
    };
  };
  const auto jwk = [](const char* name, const auto& v) {
    return [name, v = value_of(v)](bj::object& o) { o["transport_key"].as_object()[name] = v; };
  };
  bj::array many;
  for (int i = 0; i < 16 * 24 + 1; ++i)
    many.push_back(bj::object{});
  const auto rsa = jose::jwk_of(crypto::generate_rsa(2048).value(), "", "");
  expect_refused(
      encode_evidence(sent).value(), decode_evidence,
      {
          {"no ticket", drop("ticket"), "/ticket"},
          {"a long ticket", set("ticket", std::string(513, 't')), "/ticket"},
          {"no quote", drop("quote"), "/quote"},
          {"bad base64", set("signature", "%%%"), "/signature"},
          {"a large quote", set("quote", crypto::base64url(bytes(4097))), "/quote",
           errc::too_large},
          {"a large event log", set("event_log", crypto::base64url(bytes((4U << 20U) + 1))),
           "/event_log", errc::too_large},
          {"no event log", drop("event_log"), "/event_log"},
          {"a number", set("ak_certificate", 1), "/ak_certificate"},
          {"PCRs as an object", set("pcrs", bj::object{}), "/pcrs"},
          {"too many PCRs", set("pcrs", many), "/pcrs", errc::too_large},
          {"a PCR as text", set("pcrs", bj::array{"0"}), "/pcrs/0"},
          {"another bank", pcr("bank", "md5"), "/pcrs/1/bank"},
          {"no such PCR", pcr("pcr", 24), "/pcrs/1/pcr"},
          {"a negative PCR", pcr("pcr", -1), "/pcrs/1/pcr"},
          {"half a PCR", pcr("pcr", 0.5), "/pcrs/1/pcr"},
          {"no hexadecimal", pcr("value", std::string(96, 'g')), "/pcrs/1/value"},
          {"a digest of another bank", pcr("value", std::string(64, 'a')), "/pcrs/1/value"},
          {"an odd digest", pcr("value", std::string(95, 'a')), "/pcrs/1/value"},
          {"a long digest", pcr("value", std::string(130, 'a')), "/pcrs/1/value"},
          {"another member", pcr("colour", "red"), "/pcrs/1/colour"},
          {"no key", drop("transport_key"), "/transport_key"},
          {"a key as text", set("transport_key", "key"), "/transport_key"},
          {"an RSA key", set("transport_key", rsa), "/transport_key"},
          {"another type of key", jwk("kty", "oct"), "/transport_key/kty"},
          {"a secret member", jwk("d", "AA"), "/transport_key/d"},
          {"a short coordinate", jwk("x", "AA"), "/transport_key/x"},
          {"a large IMA log", set("ima_log", crypto::base64url(bytes((4U << 20U) + 1))), "/ima_log",
           errc::too_large},
          {"a list as IMA log", set("ima_log", bj::array{}), "/ima_log"},
          {"entries before the first", set("ima_first", -1), "/ima_first"},
          {"more entries than a kernel logs", set("ima_first", (1LL << 40) + 1), "/ima_first"},
          {"half an entry", set("ima_first", 0.5), "/ima_first"},
          {"a number for yes", set("reporting", 1), "/reporting"},
          {"something else", set("image", "any"), "/image"},
      });
}

TEST(wire, refuses_evidence_for_a_point_beside_the_curve) {
  auto sent = some_evidence();
  auto o = object_of(encode_evidence(sent).value());
  auto& jwk = o["transport_key"].as_object();
  jwk["x"] = crypto::base64url(bytes(32, 0x11));
  const auto read = decode_evidence(bj::serialize(o));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().field.rfind("/transport_key", 0), 0U) << read.failure().field;
}

TEST(wire, refuses_what_is_no_evidence) {
  auto sent = some_evidence();
  sent.event_log.resize(64);
  expect_documents_refused(encode_evidence(sent).value(), decode_evidence);
}

TEST(wire, carries_requests_for_keys) {
  const auto context = to_bytes("volume 7");
  const auto generate = decode_generate(encode_generate(64, context));
  ASSERT_TRUE(generate.ok());
  EXPECT_EQ(generate->key_bytes, 64U);
  EXPECT_EQ(generate->context, context);
  EXPECT_TRUE(generate->provider.empty());
  EXPECT_TRUE(generate->caller.token.empty());

  const auto ciphertext = crypto::random_bytes(kek_ciphertext_bytes_max);
  const auto decrypt = decode_decrypt(encode_decrypt(ciphertext, context));
  ASSERT_TRUE(decrypt.ok());
  EXPECT_EQ(decrypt->ciphertext, ciphertext);
  EXPECT_EQ(decrypt->context, context);

  EXPECT_EQ(encode_generate(32, {}).find("context"), std::string::npos);
  const auto plain = decode_generate("{}");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->key_bytes, 32U);
  EXPECT_TRUE(plain->context.empty());
}

TEST(wire, names_the_field_of_a_bad_request_for_a_key) {
  const std::string long_context = crypto::base64url(bytes(context_bytes_max + 1));
  expect_refused(encode_generate(32, to_bytes("c")), decode_generate,
                 {
                     {"too short", set("bytes", 15), "/bytes"},
                     {"too long", set("bytes", 65), "/bytes"},
                     {"none", set("bytes", 0), "/bytes"},
                     {"negative", set("bytes", -16), "/bytes"},
                     {"larger than any integer", set("bytes", UINT64_MAX), "/bytes"},
                     {"text", set("bytes", "32"), "/bytes"},
                     {"bad base64", set("context", "a"), "/context"},
                     {"a long context", set("context", long_context), "/context", errc::too_large},
                     {"a provider", set("provider", "other"), "/provider"},
                     {"a caller", set("caller", bj::object{}), "/caller"},
                 });
  expect_refused(encode_decrypt(bytes(60), to_bytes("c")), decode_decrypt,
                 {
                     {"no ciphertext", drop("ciphertext"), "/ciphertext"},
                     {"a long ciphertext",
                      set("ciphertext", crypto::base64url(bytes(kek_ciphertext_bytes_max + 1))),
                      "/ciphertext", errc::too_large},
                     {"bad base64", set("ciphertext", "A*"), "/ciphertext"},
                     {"a long context", set("context", long_context), "/context", errc::too_large},
                     {"a length", set("bytes", 32), "/bytes"},
                 });
  expect_documents_refused(encode_decrypt(bytes(60), to_bytes("c")), decode_decrypt);
  const std::string padded = "{" + std::string(64U << 10U, ' ') + "}";
  EXPECT_EQ(decode_generate(padded).failure().code, errc::too_large);
}

TEST(wire, refuses_a_member_that_comes_twice) {
  const auto twice = decode_generate(R"({"bytes":32,"bytes":16})");
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.failure().field, "/bytes");
}

TEST(wire, carries_a_challenge) {
  const challenge sent{crypto::random_bytes(32), "dGlja2V0", 1'800'000'060};
  const auto read = decode_challenge(encode_challenge(sent));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->nonce, sent.nonce);
  EXPECT_EQ(read->ticket, sent.ticket);
  EXPECT_EQ(read->expires, sent.expires);
  expect_refused(
      encode_challenge(sent), decode_challenge,
      {
          {"no nonce", drop("nonce"), "/nonce"},
          {"a long nonce", set("nonce", crypto::base64url(bytes(65))), "/nonce", errc::too_large},
          {"a long ticket", set("ticket", std::string(513, 't')), "/ticket"},
          {"a time before all times", set("expires", -1), "/expires"},
          {"a time as text", set("expires", "now"), "/expires"},
      });
  expect_documents_refused(encode_challenge(sent), decode_challenge);
}

TEST(wire, carries_an_issued_attestation_key) {
  const attestation_key_issued sent{crypto::random_bytes(70), crypto::random_bytes(258),
                                    crypto::random_bytes(700)};
  const auto read = decode_attestation_key_issued(encode_attestation_key_issued(sent));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->credential_blob, sent.credential_blob);
  EXPECT_EQ(read->encrypted_secret, sent.encrypted_secret);
  EXPECT_EQ(read->encrypted_certificate, sent.encrypted_certificate);
  expect_refused(
      encode_attestation_key_issued(sent), decode_attestation_key_issued,
      {
          {"no blob", drop("credential_blob"), "/credential_blob"},
          {"a large blob", set("credential_blob", crypto::base64url(bytes(4097))),
           "/credential_blob", errc::too_large},
          {"bad base64", set("encrypted_secret", "~"), "/encrypted_secret"},
          {"no certificate", set("encrypted_certificate", nullptr), "/encrypted_certificate"},
      });
}

TEST(wire, carries_a_granted_token) {
  const attestation_granted sent{"eyJ0.eyJo.c2ln-_", 1'800'028'800, "rack", "12.4",
                                 "eyJ0.eyJy.c2ln",   4711};
  const auto read = decode_attestation_granted(encode_attestation_granted(sent));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->token, sent.token);
  EXPECT_EQ(read->expires, sent.expires);
  EXPECT_EQ(read->image, sent.image);
  EXPECT_EQ(read->image_version, sent.image_version);
  EXPECT_EQ(read->reporting_token, sent.reporting_token);
  EXPECT_EQ(read->ima_entries, sent.ima_entries);
  const auto image = [](const char* name) {
    return [name](bj::object& o) { o["image"].as_object().erase(name); };
  };
  expect_refused(encode_attestation_granted(sent), decode_attestation_granted,
                 {
                     {"no token", drop("token"), "/token"},
                     {"an empty token", set("token", ""), "/token"},
                     {"a long token", set("token", std::string(16385, 'a')), "/token"},
                     {"a header field of its own", set("token", "a.b.c\r\nX-Other: 1"), "/token"},
                     {"a space", set("token", "a.b c"), "/token"},
                     {"no expiry", drop("expires"), "/expires"},
                     {"no image", drop("image"), "/image"},
                     {"no name", image("name"), "/image/name"},
                     {"no version", image("version"), "/image/version"},
                     {"an empty second token", set("reporting_token", ""), "/reporting_token"},
                     {"a line in it", set("reporting_token", "a.b.c\n"), "/reporting_token"},
                     {"entries below none", set("ima_entries", -1), "/ima_entries"},
                     {"entries as text", set("ima_entries", "7"), "/ima_entries"},
                 });
  const auto plain = encode_attestation_granted({"a.b.c", 1, "rack", "12", {}, 0});
  EXPECT_EQ(plain.find("reporting_token"), std::string::npos);
  EXPECT_EQ(plain.find("ima_entries"), std::string::npos);
  EXPECT_TRUE(decode_attestation_granted(plain)->reporting_token.empty());
}

TEST(wire, carries_released_keys) {
  const key_released sent{crypto::random_bytes(200), "a.b.c.d.e"};
  const auto generated = decode_released(encode_generated(sent));
  ASSERT_TRUE(generated.ok());
  EXPECT_EQ(generated->ciphertext, sent.ciphertext);
  EXPECT_EQ(generated->jwe, sent.jwe);
  const auto decrypted = decode_released(encode_decrypted(sent));
  ASSERT_TRUE(decrypted.ok());
  EXPECT_TRUE(decrypted->ciphertext.empty());
  EXPECT_EQ(decrypted->jwe, sent.jwe);
  expect_refused(encode_generated(sent), decode_released,
                 {
                     {"no JWE", drop("jwe"), "/jwe"},
                     {"a long JWE", set("jwe", std::string(16385, 'a')), "/jwe"},
                     {"bad base64", set("ciphertext", "="), "/ciphertext"},
                 });
}

TEST(wire, carries_the_list_of_providers) {
  const std::vector<provider_status> sent{{"vault", "ok", "", "0a1b"},
                                          {"old", "error", "no \"answer\""}};
  const auto read = decode_providers(encode_providers(sent));
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].primary_key, "0a1b");
  EXPECT_EQ((*read)[1].primary_key, "");
  EXPECT_EQ((*read)[1].name, "old");
  EXPECT_EQ((*read)[1].health, "error");
  EXPECT_EQ((*read)[1].detail, "no \"answer\"");
  EXPECT_TRUE(decode_providers(encode_providers({}))->empty());
  bj::array many(4097, bj::object{});
  expect_refused(encode_providers(sent), decode_providers,
                 {
                     {"no list", drop("providers"), "/providers"},
                     {"text", set("providers", "vault"), "/providers"},
                     {"a number", set("providers", bj::array{1}), "/providers/0"},
                     {"no name", set("providers", bj::array{bj::object{}}), "/providers/0/name"},
                     {"too many", set("providers", many), "/providers", errc::too_large},
                 });
}

TEST(wire, ignores_in_answers_what_a_later_version_may_add) {
  auto o = object_of(encode_challenge({bytes(32), "t", 1}));
  o["hint"] = "later";
  EXPECT_TRUE(decode_challenge(bj::serialize(o)).ok());
}

} // namespace custos::gateway
