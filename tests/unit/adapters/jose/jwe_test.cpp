#include "adapters/jose/internal.hpp"
#include "adapters/jose/jwe_key.hpp"
#include "tests/unit/adapters/jose/jwk_keys.hpp"

#include <filesystem>

namespace custos::jose {
namespace {

namespace bj = boost::json;
using test::text_of;

const crypto::key& recipient() {
  static const crypto::key key = *crypto::generate_p256();
  return key;
}

std::string rule_of(std::string_view jwe) {
  const auto outcome = decrypt_ecdh_es_a256kw(recipient(), jwe);
  if (outcome)
    return "accepted";
  EXPECT_EQ(outcome.failure().code, errc::token_invalid);
  EXPECT_FALSE(outcome.failure().field.empty());
  return outcome.failure().check;
}

std::vector<std::string> split(const std::string& jwe) {
  std::vector<std::string> out(1);
  for (const char c : jwe)
    if (c == '.')
      out.emplace_back();
    else
      out.back().push_back(c);
  return out;
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts)
    out.append(out.empty() ? "" : ".").append(part);
  return out;
}

std::string sealed() {
  return *encrypt_ecdh_es_a256kw(recipient(), "k1", as_bytes("the secret"));
}

/// The rule that refuses a good token whose header was changed.
template <class Change>
std::string rule_with(Change change) {
  auto parts = split(sealed());
  auto header = bj::parse(std::string(as_text(*crypto::from_base64url(parts[0])))).as_object();
  change(header);
  parts[0] = crypto::base64url(as_bytes(bj::serialize(header)));
  return rule_of(join(parts));
}

TEST(jwe, opens_what_it_sealed) {
  for (const std::size_t size : {0U, 1U, 16U, 32U, 64U, 8192U}) {
    const bytes plaintext(size, 0x5A);
    const auto jwe = encrypt_ecdh_es_a256kw(recipient(), "k1", plaintext);
    ASSERT_TRUE(jwe.ok());
    const auto opened = decrypt_ecdh_es_a256kw(recipient(), *jwe);
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    EXPECT_TRUE(crypto::equal(opened->reveal_secret(), plaintext));
  }
}

TEST(jwe, header_names_algorithms_and_key) {
  const auto parts = split(sealed());
  const auto header =
      bj::parse(std::string(as_text(*crypto::from_base64url(parts[0])))).as_object();
  EXPECT_EQ(text_of(header, "alg"), "ECDH-ES+A256KW");
  EXPECT_EQ(text_of(header, "enc"), "A256GCM");
  EXPECT_EQ(text_of(header, "kid"), "k1");
  EXPECT_EQ(header.at("epk").as_object().size(), 4U);
  EXPECT_NE(split(sealed())[0], parts[0]) << "the ephemeral key must be fresh";
}

TEST(jwe, says_whose_it_is_before_it_is_opened) {
  EXPECT_EQ(*key_id_of_jwe(sealed()), "k1");
  const auto without = encrypt_ecdh_es_a256kw(recipient(), "", as_bytes("x"));
  EXPECT_EQ(*key_id_of_jwe(*without), "");
  EXPECT_EQ(key_id_of_jwe("a.b").failure().check, "jwe-form");
  EXPECT_EQ(key_id_of_jwe(std::string(token_bytes_max + 1, 'x')).failure().check, "jwe-size");
  EXPECT_EQ(key_id_of_jwe("!.a.b.c.d").failure().check, "jwe-form");
  const auto with = [](std::string_view header) {
    return key_id_of_jwe(crypto::base64url(as_bytes(header)) + ".a.b.c.d");
  };
  EXPECT_EQ(with(R"({"kid":1})").failure().check, "jwe-header");
  EXPECT_EQ(with(R"({"kid":")" + std::string(kid_bytes_max + 1, 'k') + "\"}").failure().check,
            "jwe-header");
  EXPECT_EQ(with(R"({"kid":"a","crit":[]})").failure().check, "jwe-critical");
  EXPECT_EQ(*with(R"({"kid":"a"})"), "a");
}

TEST(jwe, refuses_any_changed_character) {
  const auto good = sealed();
  ASSERT_EQ(rule_of(good), "accepted");
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_NE(rule_of(bad), "accepted") << i;
  }
}

TEST(jwe, refuses_another_recipient) {
  const auto other = *crypto::generate_p256();
  EXPECT_EQ(decrypt_ecdh_es_a256kw(other, sealed()).failure().check, "jwe-decryption");
}

TEST(jwe, refuses_other_algorithms) {
  EXPECT_EQ(rule_with([](bj::object& h) { h["alg"] = "ECDH-ES"; }), "jwe-algorithm");
  EXPECT_EQ(rule_with([](bj::object& h) { h["alg"] = "dir"; }), "jwe-algorithm");
  EXPECT_EQ(rule_with([](bj::object& h) { h["alg"] = "RSA1_5"; }), "jwe-algorithm");
  EXPECT_EQ(rule_with([](bj::object& h) { h.erase("alg"); }), "jwe-algorithm");
  EXPECT_EQ(rule_with([](bj::object& h) { h["enc"] = "A128CBC-HS256"; }), "jwe-algorithm");
  EXPECT_EQ(rule_with([](bj::object& h) { h.erase("enc"); }), "jwe-algorithm");
  EXPECT_EQ(rule_with([](bj::object& h) { h["zip"] = "DEF"; }), "jwe-algorithm");
}

TEST(jwe, refuses_critical_extensions_and_keys) {
  EXPECT_EQ(rule_with([](bj::object& h) { h["crit"] = bj::array{"x"}; }), "jwe-critical");
  EXPECT_EQ(rule_with([](bj::object& h) { h["jku"] = "https://example.net"; }), "jwe-embedded-key");
}

TEST(jwe, refuses_bad_ephemeral_keys) {
  const auto epk = [](auto change) {
    return rule_with([&](bj::object& h) { change(h["epk"].as_object()); });
  };
  const std::string rule = "jwe-ephemeral-key";
  EXPECT_EQ(rule_with([](bj::object& h) { h.erase("epk"); }), rule);
  EXPECT_EQ(rule_with([](bj::object& h) { h["epk"] = "x"; }), rule);
  EXPECT_EQ(epk([](bj::object& k) { k["kty"] = "OKP"; }), rule);
  EXPECT_EQ(epk([](bj::object& k) { k["crv"] = "P-384"; }), rule);
  EXPECT_EQ(epk([](bj::object& k) { k["d"] = "AQ"; }), rule);
  EXPECT_EQ(epk([](bj::object& k) { k.erase("y"); }), rule);
  EXPECT_EQ(epk([](bj::object& k) { k["x"] = crypto::base64url(bytes(32, 0)); }), rule);
  // Short forms of a coordinate are another spelling of it.
  EXPECT_EQ(epk([](bj::object& k) { k["x"] = "AQ"; }), rule);
  // A point of another curve with the same field: y changed by one bit.
  EXPECT_EQ(epk([](bj::object& k) {
              auto y = *crypto::from_base64url(text_of(k, "y"));
              y[31] ^= 1U;
              k["y"] = crypto::base64url(y);
            }),
            rule);
}

TEST(jwe, party_information_is_part_of_the_key) {
  EXPECT_EQ(rule_with([](bj::object& h) { h["apu"] = "QWxpY2U"; }), "jwe-decryption");
  EXPECT_EQ(rule_with([](bj::object& h) { h["apv"] = 1; }), "jwe-header");
  EXPECT_EQ(rule_with([](bj::object& h) { h["apu"] = "?"; }), "jwe-header");
}

TEST(jwe, refuses_bad_forms) {
  const auto parts = split(sealed());
  ASSERT_EQ(parts.size(), 5U);
  EXPECT_EQ(rule_of(""), "jwe-form");
  EXPECT_EQ(rule_of("a.b.c.d"), "jwe-form");
  EXPECT_EQ(rule_of("a.b.c.d.e.f"), "jwe-form");
  EXPECT_EQ(rule_of("." + parts[1] + "." + parts[2] + "." + parts[3] + "." + parts[4]),
            "jwe-header");
  EXPECT_EQ(rule_of(std::string(token_bytes_max + 1, 'A')), "jwe-size");
  for (std::size_t i = 1; i < 5; ++i) {
    auto cut = parts;
    cut[i] = cut[i].substr(0, cut[i].size() / 2 / 4 * 4);
    EXPECT_NE(rule_of(join(cut)), "accepted") << i;
    auto padded = parts;
    padded[i] += "=";
    EXPECT_EQ(rule_of(join(padded)), "jwe-form") << i;
  }
}

TEST(jwe, refuses_what_cannot_be_sealed) {
  EXPECT_EQ(encrypt_ecdh_es_a256kw(*crypto::generate_rsa(2048), "k", {}).failure().code,
            errc::invalid_argument);
  EXPECT_EQ(encrypt_ecdh_es_a256kw(recipient(), "k", bytes(token_bytes_max)).failure().code,
            errc::too_large);
  EXPECT_EQ(encrypt_ecdh_es_a256kw(crypto::key(), "k", {}).failure().code, errc::invalid_argument);
  EXPECT_EQ(decrypt_ecdh_es_a256kw(crypto::key(), "k").failure().code, errc::invalid_argument);
}

// ---- public vectors -----------------------------------------------------------------------------

TEST(jwe, concat_kdf_of_rfc7518_appendix_c) {
  const auto alice = test::private_ec_key_of(
      bj::parse(R"({"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",)"
                R"("y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",)"
                R"("d":"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"})")
          .as_object());
  const auto bob =
      key_of_jwk(R"({"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",)"
                 R"("y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"})");
  ASSERT_TRUE(bob.ok());
  const auto z = crypto::ecdh(alice, *bob);
  ASSERT_TRUE(z.ok());
  const auto key =
      internal::concat_kdf(z->reveal_secret(), "A128GCM", as_bytes("Alice"), as_bytes("Bob"), 16);
  EXPECT_EQ(crypto::base64url(key.reveal_secret()), "VqqN6vgjbSBcIijNcacQGg");
}

TEST(jwe, wycheproof_encryption) {
  std::size_t accepted = 0;
  std::size_t refused = 0;
  std::size_t outside = 0;
  for (const auto* const file : {"json_web_encryption", "json_web_crypto"})
    test::each_vector(file, [&](const bj::object& group, const bj::object& vector) {
      const auto* const found = group.if_contains("private");
      const auto token = text_of(vector, "jwe");
      if (found == nullptr || text_of(found->as_object(), "kty") != "EC" || token.empty())
        return;
      const auto& jwk = found->as_object();
      const auto opened = decrypt_ecdh_es_a256kw(test::private_ec_key_of(jwk), token);
      if (text_of(vector, "result") == "invalid") {
        EXPECT_FALSE(opened.ok());
        ++refused;
      } else if (text_of(jwk, "alg") == "ECDH-ES+A256KW" && text_of(vector, "enc") == "A256GCM") {
        ASSERT_TRUE(opened.ok()) << opened.failure().message;
        EXPECT_EQ(crypto::hex(opened->reveal_secret()), text_of(vector, "pt"));
        ++accepted;
      } else {
        EXPECT_FALSE(opened.ok());
        ++outside;
      }
    });
  EXPECT_EQ(accepted, 1U);
  EXPECT_EQ(refused, 35U);
  EXPECT_EQ(outside, 25U); // other ECDH-ES forms, other content encryption
}

TEST(jwe, refuses_every_other_form_of_rfc7520) {
  std::size_t count = 0;
  const auto folder = std::string(CUSTOS_TEST_DATA) + "/crypto/jose-cookbook/jwe";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto example = test::vectors("jose-cookbook/jwe/" + entry.path().filename().string());
    const auto compact = text_of(example.at("output").as_object(), "compact");
    if (compact.empty())
      continue;
    EXPECT_EQ(rule_of(compact), "jwe-algorithm") << entry.path();
    ++count;
  }
  EXPECT_GE(count, 8U);
}

} // namespace
} // namespace custos::jose
