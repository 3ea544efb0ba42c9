#include "actors/host/key_service_wire.hpp"

#include "adapters/http/http.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"
#include "messages/keys.hpp"

#include <boost/json.hpp>

namespace custos::host {

namespace bj = boost::json;

namespace {

constexpr std::size_t text_bytes_max = 4096;
constexpr std::size_t providers_max = 10000;
constexpr std::size_t short_name_chars_max = 64;

/// As http::error_of reads it of a whole answer.
error problem_of(const json::object& document) {
  http::response r;
  r.status = 500;
  r.body = document.text();
  return http::error_of(r);
}

} // namespace

result<encryption_key> decode_encryption_key(std::string_view jwk) {
  CUSTOS_TRY(auto o, json::parse_object(jwk, jose::jwk_bytes_max));
  encryption_key out;
  CUSTOS_TRY(out.kid, o.string("kid", jose::kid_bytes_max));
  CUSTOS_TRY(const auto use, o.string("use", text_bytes_max));
  CUSTOS_TRY(const auto alg, o.string("alg", text_bytes_max));
  if (use != "enc" || alg != "ECDH-ES+A256KW" || out.kid.empty())
    return field_error(errc::unsupported,
                       use != "enc"      ? "/use"
                       : out.kid.empty() ? "/kid"
                                         : "/alg",
                       "expected a key of the key service for ECDH-ES+A256KW");
  CUSTOS_TRY(out.key, jose::key_of_jwk(jwk));
  if (out.key.type() != crypto::key_type::p256)
    return field_error(errc::unsupported, "/crv", "expected P-256");
  return out;
}

result<std::string> encode_encrypt(const encryption_key& recipient, const crypto::secret_bytes& key,
                                   byte_view context) {
  CUSTOS_TRY(auto jwe,
             jose::encrypt_ecdh_es_a256kw(recipient.key, recipient.kid, key.reveal_secret()));
  bj::object o{{"jwe", std::move(jwe)}};
  if (!context.empty())
    o["context"] = crypto::base64url(context);
  return bj::serialize(o);
}

result<bytes> decode_encrypted(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body));
  return o.base64url("ciphertext", kek_ciphertext_bytes_max);
}

std::string encode_rewrap(const std::vector<wrapped_with>& keys) {
  bj::array list;
  for (const auto& k : keys) {
    bj::object o{{"ciphertext", crypto::base64url(k.ciphertext)}};
    if (!k.context.empty())
      o["context"] = crypto::base64url(k.context);
    list.emplace_back(std::move(o));
  }
  return bj::serialize(bj::object{{"keys", std::move(list)}});
}

result<std::vector<std::variant<rewrapped_key, error>>> decode_rewrapped(std::string_view body,
                                                                         std::size_t sent) {
  CUSTOS_TRY(auto o, json::parse_object(body));
  CUSTOS_TRY(const auto items, o.array("keys", sent));
  if (items.size() != sent)
    return field_error(errc::malformed, "/keys",
                       "expected one entry for each of " + std::to_string(sent) + " keys");
  std::vector<std::variant<rewrapped_key, error>> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto entry, item.as_object());
    CUSTOS_TRY(auto failed, entry.optional_child("error"));
    if (failed) {
      out.emplace_back(problem_of(*failed));
      continue;
    }
    rewrapped_key k;
    CUSTOS_TRY(k.ciphertext, entry.base64url("ciphertext", kek_ciphertext_bytes_max));
    CUSTOS_TRY(k.changed, entry.boolean("changed"));
    out.emplace_back(std::move(k));
  }
  return out;
}

result<std::map<std::string, std::string>> decode_primary_keys(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body));
  CUSTOS_TRY(const auto items, o.array("providers", providers_max));
  std::map<std::string, std::string> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto provider, item.as_object());
    CUSTOS_TRY(auto name, provider.string("name", text_bytes_max));
    CUSTOS_TRY(auto key, provider.optional_string("primary_key", short_name_chars_max));
    if (key && !key->empty() && is_object_name(name)) // it becomes part of a path
      out.emplace(std::move(name), *std::move(key));
  }
  return out;
}

} // namespace custos::host
