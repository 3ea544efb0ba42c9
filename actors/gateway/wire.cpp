#include "actors/gateway/wire.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::gateway {

namespace bj = boost::json;

namespace {

constexpr std::size_t host_bytes_max = 128;
constexpr std::size_t certificate_bytes_max = 16384;
constexpr std::size_t certificates_max = 5;
constexpr std::size_t structure_bytes_max = 4096;
constexpr std::size_t event_log_bytes_max = 4U << 20U;
constexpr std::size_t ima_log_bytes_max = 4U << 20U;
/// Far above what a kernel can log; keeps arithmetic on counts from overflowing.
constexpr std::int64_t ima_entries_max = 1LL << 40U;
constexpr std::size_t pcr_values_max = 16 * 24;
constexpr std::size_t text_bytes_max = 16384;
constexpr std::size_t providers_max = 4096;
constexpr std::size_t primary_key_name_bytes_max = 64;
constexpr std::size_t small_body_bytes_max = 64U << 10U;
/// Evidence: logs in base64url and everything beside them.
constexpr std::size_t evidence_body_bytes_max = 8U << 20U;

bj::string b64(byte_view data) {
  return bj::string(crypto::base64url(data));
}

result<pcr_value> read_pcr(json::object o) {
  pcr_value p;
  CUSTOS_TRY(const auto bank, o.string("bank", 16));
  const auto alg = crypto::hash_alg_of(bank);
  if (!alg)
    return field_error(errc::invalid_argument, o.path() + "/bank", alg.failure().message);
  p.bank = static_cast<std::uint16_t>(*alg);
  CUSTOS_TRY(const auto pcr, o.integer("pcr", 0, 23));
  p.pcr = static_cast<std::uint32_t>(pcr);
  CUSTOS_TRY(p.value, o.hex("value", 64));
  if (p.value.size() != crypto::digest_size(*alg))
    return field_error(errc::invalid_argument, o.path() + "/value",
                       "expected " + std::to_string(crypto::digest_size(*alg)) +
                           " octets in bank " + bank);
  CUSTOS_CHECK(o.finish());
  return p;
}

/// The members of the JWK are judged by the JOSE adapter.
result<bytes> read_transport_key(const json::object& jwk) {
  auto key = jose::key_of_jwk(jwk.text());
  if (!key)
    return field_error(errc::invalid_argument, jwk.path() + key.failure().field,
                       key.failure().message);
  if (key->type() != crypto::key_type::p256)
    return field_error(errc::invalid_argument, jwk.path(), "expected a P-256 key");
  return key->spki_der();
}

/// The optional members of evidence.
result<void> read_options(json::object& o, evidence& e) {
  CUSTOS_TRY(auto log, o.optional_base64url("ima_log", ima_log_bytes_max));
  e.ima_log = std::move(log).value_or(bytes{});
  CUSTOS_TRY(const auto first, o.optional_integer("ima_first", 0, ima_entries_max));
  e.ima_first = static_cast<std::uint64_t>(first.value_or(0));
  CUSTOS_TRY(const auto reporting, o.optional_boolean("reporting"));
  e.reporting = reporting.value_or(false);
  return {};
}

/// The host sends the token on as a header field: nothing may be in it that ends one (RFC
/// 7515, 3.1).
bool is_compact(std::string_view token) {
  return !token.empty() && std::all_of(token.begin(), token.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

} // namespace

std::string encode_attestation_key_request(const attestation_key_request& r) {
  bj::object o{{"host", r.host}, {"ek_public", b64(r.ek_public)}, {"ak_public", b64(r.ak_public)}};
  if (!r.ek_certificate.empty())
    o["ek_certificate"] = b64(r.ek_certificate);
  if (!r.ek_intermediates.empty()) {
    bj::array list;
    for (const auto& der : r.ek_intermediates)
      list.push_back(b64(der));
    o["ek_intermediates"] = std::move(list);
  }
  return bj::serialize(o);
}

result<attestation_key_request> decode_attestation_key_request(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, 4 * small_body_bytes_max));
  attestation_key_request r;
  CUSTOS_TRY(r.host, o.string("host", host_bytes_max));
  CUSTOS_TRY(r.ek_public, o.base64url("ek_public", structure_bytes_max));
  CUSTOS_TRY(r.ak_public, o.base64url("ak_public", structure_bytes_max));
  CUSTOS_TRY(auto certificate, o.optional_base64url("ek_certificate", certificate_bytes_max));
  r.ek_certificate = std::move(certificate).value_or(bytes{});
  CUSTOS_TRY(const auto items, o.array("ek_intermediates", certificates_max, true));
  for (const auto& item : items) {
    CUSTOS_TRY(const auto text, item.as_string(certificate_bytes_max * 2));
    const auto path = "/ek_intermediates/" + std::to_string(r.ek_intermediates.size());
    auto der = crypto::from_base64url(text);
    if (!der)
      return field_error(errc::invalid_argument, path, der.failure().message);
    if (der->size() > certificate_bytes_max)
      return field_error(errc::too_large, path,
                         "expected a certificate of at most " +
                             std::to_string(certificate_bytes_max) + " bytes");
    r.ek_intermediates.push_back(*std::move(der));
  }
  CUSTOS_CHECK(o.finish());
  return r;
}

result<std::string> encode_evidence(const evidence& e) {
  CUSTOS_TRY(const auto key, crypto::public_key_from_spki(e.transport_key));
  bj::array pcrs;
  for (const auto& p : e.pcrs)
    pcrs.push_back(bj::object{{"bank", crypto::to_string(static_cast<crypto::hash_alg>(p.bank))},
                              {"pcr", p.pcr},
                              {"value", crypto::hex(p.value)}});
  bj::object o{{"host", e.host},
               {"ticket", e.ticket},
               {"ak_certificate", b64(e.ak_certificate)},
               {"quote", b64(e.quote)},
               {"signature", b64(e.signature)},
               {"pcrs", std::move(pcrs)},
               {"event_log", b64(e.event_log)},
               {"transport_key", jose::jwk_of(key, "", "")}};
  if (!e.ima_log.empty())
    o["ima_log"] = b64(e.ima_log);
  if (e.ima_first != 0)
    o["ima_first"] = e.ima_first;
  if (e.reporting)
    o["reporting"] = true;
  return bj::serialize(o);
}

result<evidence> decode_evidence(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, evidence_body_bytes_max));
  evidence e;
  CUSTOS_TRY(e.host, o.string("host", host_bytes_max));
  CUSTOS_TRY(e.ticket, o.string("ticket", 512));
  CUSTOS_TRY(e.ak_certificate, o.base64url("ak_certificate", 8 * certificate_bytes_max));
  CUSTOS_TRY(e.quote, o.base64url("quote", structure_bytes_max));
  CUSTOS_TRY(e.signature, o.base64url("signature", structure_bytes_max));
  CUSTOS_TRY(const auto items, o.array("pcrs", pcr_values_max));
  for (const auto& item : items) {
    CUSTOS_TRY(auto member, item.as_object());
    CUSTOS_TRY(auto p, read_pcr(std::move(member)));
    e.pcrs.push_back(std::move(p));
  }
  CUSTOS_TRY(e.event_log, o.base64url("event_log", event_log_bytes_max));
  CUSTOS_TRY(const auto jwk, o.child("transport_key"));
  CUSTOS_TRY(e.transport_key, read_transport_key(jwk));
  CUSTOS_CHECK(read_options(o, e));
  CUSTOS_CHECK(o.finish());
  return e;
}

std::string encode_generate(std::uint32_t key_bytes, byte_view context) {
  bj::object o{{"bytes", key_bytes}};
  if (!context.empty())
    o["context"] = b64(context);
  return bj::serialize(o);
}

result<generate_key> decode_generate(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, small_body_bytes_max));
  generate_key r;
  CUSTOS_TRY(const auto n, o.optional_integer("bytes", kek_bytes_min, kek_bytes_max));
  r.key_bytes = static_cast<std::uint32_t>(n.value_or(32));
  CUSTOS_TRY(auto context, o.optional_base64url("context", context_bytes_max));
  r.context = std::move(context).value_or(bytes{});
  CUSTOS_CHECK(o.finish());
  return r;
}

std::string encode_decrypt(byte_view ciphertext, byte_view context) {
  bj::object o{{"ciphertext", b64(ciphertext)}};
  if (!context.empty())
    o["context"] = b64(context);
  return bj::serialize(o);
}

result<decrypt_key> decode_decrypt(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, small_body_bytes_max));
  decrypt_key r;
  CUSTOS_TRY(r.ciphertext, o.base64url("ciphertext", kek_ciphertext_bytes_max));
  CUSTOS_TRY(auto context, o.optional_base64url("context", context_bytes_max));
  r.context = std::move(context).value_or(bytes{});
  CUSTOS_CHECK(o.finish());
  return r;
}

std::string encode_challenge(const challenge& c) {
  return bj::serialize(
      bj::object{{"nonce", b64(c.nonce)}, {"ticket", c.ticket}, {"expires", c.expires}});
}

result<challenge> decode_challenge(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, small_body_bytes_max));
  challenge c;
  CUSTOS_TRY(c.nonce, o.base64url("nonce", 64));
  CUSTOS_TRY(c.ticket, o.string("ticket", 512));
  CUSTOS_TRY(c.expires, o.integer("expires", 0, INT64_MAX));
  return c;
}

std::string encode_attestation_key_issued(const attestation_key_issued& i) {
  return bj::serialize(bj::object{{"credential_blob", b64(i.credential_blob)},
                                  {"encrypted_secret", b64(i.encrypted_secret)},
                                  {"encrypted_certificate", b64(i.encrypted_certificate)}});
}

result<attestation_key_issued> decode_attestation_key_issued(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, 4 * small_body_bytes_max));
  attestation_key_issued i;
  CUSTOS_TRY(i.credential_blob, o.base64url("credential_blob", structure_bytes_max));
  CUSTOS_TRY(i.encrypted_secret, o.base64url("encrypted_secret", structure_bytes_max));
  CUSTOS_TRY(i.encrypted_certificate,
             o.base64url("encrypted_certificate", 8 * certificate_bytes_max));
  return i;
}

std::string encode_attestation_granted(const attestation_granted& g) {
  bj::object o{{"token", g.token},
               {"expires", g.expires},
               {"image", bj::object{{"name", g.image}, {"version", g.image_version}}}};
  if (!g.reporting_token.empty())
    o["reporting_token"] = g.reporting_token;
  if (g.ima_entries != 0)
    o["ima_entries"] = g.ima_entries;
  return bj::serialize(o);
}

result<attestation_granted> decode_attestation_granted(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, small_body_bytes_max));
  attestation_granted g;
  CUSTOS_TRY(g.token, o.string("token", text_bytes_max));
  if (!is_compact(g.token))
    return field_error(errc::invalid_argument, "/token", "expected a JWS in compact form");
  CUSTOS_TRY(g.expires, o.integer("expires", 0, INT64_MAX));
  CUSTOS_TRY(auto image, o.child("image"));
  CUSTOS_TRY(g.image, image.string("name", text_bytes_max));
  CUSTOS_TRY(g.image_version, image.string("version", text_bytes_max));
  CUSTOS_TRY(auto reporting, o.optional_string("reporting_token", text_bytes_max));
  if (reporting && !is_compact(*reporting))
    return field_error(errc::invalid_argument, "/reporting_token",
                       "expected a JWS in compact form");
  g.reporting_token = std::move(reporting).value_or(std::string{});
  CUSTOS_TRY(const auto entries, o.optional_integer("ima_entries", 0, ima_entries_max));
  g.ima_entries = static_cast<std::uint64_t>(entries.value_or(0));
  return g;
}

std::string encode_generated(const key_released& r) {
  return bj::serialize(bj::object{{"ciphertext", b64(r.ciphertext)}, {"jwe", r.jwe}});
}
std::string encode_decrypted(const key_released& r) {
  return bj::serialize(bj::object{{"jwe", r.jwe}});
}

result<key_released> decode_released(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, small_body_bytes_max));
  key_released r;
  CUSTOS_TRY(auto ciphertext, o.optional_base64url("ciphertext", kek_ciphertext_bytes_max));
  r.ciphertext = std::move(ciphertext).value_or(bytes{});
  CUSTOS_TRY(r.jwe, o.string("jwe", text_bytes_max));
  return r;
}

std::string encode_providers(const std::vector<provider_status>& list) {
  bj::array out;
  for (const auto& p : list)
    out.push_back(bj::object{{"name", p.name},
                             {"health", p.health},
                             {"detail", p.detail},
                             {"primary_key", p.primary_key}});
  return bj::serialize(bj::object{{"providers", std::move(out)}});
}

result<std::vector<provider_status>> decode_providers(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body));
  CUSTOS_TRY(const auto items, o.array("providers", providers_max));
  std::vector<provider_status> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto member, item.as_object());
    provider_status p;
    CUSTOS_TRY(p.name, member.string("name", text_bytes_max));
    CUSTOS_TRY(p.health, member.string("health", text_bytes_max));
    CUSTOS_TRY(p.detail, member.string("detail", text_bytes_max));
    // Nodes of an earlier version do not say it.
    CUSTOS_TRY(auto primary_key, member.optional_string("primary_key", primary_key_name_bytes_max));
    p.primary_key = std::move(primary_key).value_or(std::string());
    out.push_back(std::move(p));
  }
  return out;
}

} // namespace custos::gateway
