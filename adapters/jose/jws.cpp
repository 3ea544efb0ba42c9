#include "adapters/jose/internal.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::jose {

using internal::refused;

namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t type_bytes_max = 128;

/// The media type in lower case without "application/" (RFC 7515, 4.1.9; RFC 2045, 5.1).
std::string plain_type(std::string_view typ) {
  std::string out(typ);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  constexpr std::string_view prefix = "application/";
  if (out.rfind(prefix, 0) == 0)
    out.erase(0, prefix.size());
  return out;
}

/// The one trusted key of that name.
const trusted_key* find_key(std::span<const trusted_key> keys, std::string_view kid) {
  const trusted_key* found = nullptr;
  for (const auto& k : keys) {
    if (k.kid != kid)
      continue;
    if (found != nullptr)
      return nullptr; // two keys of one name: which one was meant is anybody's guess
    found = &k;
  }
  return found;
}

} // namespace

namespace internal {

bool signature_holds(const trusted_key& trusted, byte_view message, byte_view signature) {
  using crypto::hash_alg;
  using crypto::key_type;
  const auto type = trusted.key.type();
  if (trusted.alg == "ES256" && type == key_type::p256)
    return crypto::ecdsa_verify(trusted.key, hash_alg::sha256, message, signature);
  if (trusted.alg == "ES384" && type == key_type::p384)
    return crypto::ecdsa_verify(trusted.key, hash_alg::sha384, message, signature);
  if (trusted.alg == "RS256" && type == key_type::rsa)
    return crypto::rsassa_verify(trusted.key, hash_alg::sha256, message, signature);
  if (trusted.alg == "PS256" && type == key_type::rsa)
    return crypto::rsapss_verify(trusted.key, hash_alg::sha256, message, signature,
                                 crypto::pss_salt::digest_size);
  return false;
}

result<signed_token> verify_signature(std::string_view jws, std::span<const trusted_key> keys) {
  if (jws.size() > token_bytes_max)
    return refused("jws-size", "token",
                   "expected a token of at most " + std::to_string(token_bytes_max) +
                       " characters");
  const auto parts = parts_of<3>(jws);
  if (!parts)
    return refused("jws-form", "token", "expected three parts separated by dots (RFC 7515, 7.1)");
  const auto& [encoded_header, encoded_payload, encoded_signature] = *parts;
  CUSTOS_TRY(auto header, read_header(encoded_header, "jws"));
  const auto alg = header.string("alg", name_bytes_max);
  if (!alg)
    return refused("jws-algorithm", "alg", alg.failure().message);
  auto kid = header.string("kid", kid_bytes_max);
  if (!kid)
    return refused("jws-kid", "kid", kid.failure().message);
  const auto* const trusted = find_key(keys, *kid);
  if (trusted == nullptr)
    return refused("jws-kid", "kid", "expected the id of exactly one trusted key");
  if (*alg != trusted->alg)
    return refused("jws-algorithm", "alg",
                   "expected " + trusted->alg + ", the algorithm of the trusted key");
  // RFC 7797 changes what is signed when b64 is false; such a token must also be critical.
  if (header.has("b64"))
    return refused("jws-critical", "b64", "expected an encoded payload (no RFC 7797 option)");
  auto typ = header.optional_string("typ", type_bytes_max);
  if (!typ)
    return refused("jws-type", "typ", typ.failure().message);
  const auto payload = crypto::from_base64url(encoded_payload);
  const auto signature = crypto::from_base64url(encoded_signature);
  if (!payload || !signature)
    return refused("jws-form", payload ? "signature" : "payload", "expected base64url");
  const auto signing_input =
      jws.substr(0, encoded_header.size() + 1 + encoded_payload.size()); // RFC 7515, 5.2 step 8
  if (!signature_holds(*trusted, as_bytes(signing_input), *signature))
    return refused("jws-signature", "signature", "the signature does not verify");
  return signed_token{std::string(as_text(*payload)), *std::move(kid), *std::move(typ)};
}

} // namespace internal

result<verified> verify_compact(std::string_view jws, std::span<const trusted_key> keys,
                                std::string_view typ) {
  CUSTOS_TRY(auto token, internal::verify_signature(jws, keys));
  // Without an explicit type a token made for one purpose passes for another (RFC 8725, 3.11).
  if (!token.typ || plain_type(*token.typ) != plain_type(typ))
    return refused("jws-type", "typ", "expected the type \"" + std::string(typ) + "\"");
  return verified{std::move(token.payload), std::move(token.kid)};
}

result<std::string> sign_es256(const crypto::key& private_key, std::string_view kid,
                               std::string_view typ, std::string_view payload) {
  if (private_key.type() != crypto::key_type::p256)
    return make_error(errc::invalid_argument, "ES256: expected a P-256 key");
  if (kid.empty() || kid.size() > kid_bytes_max || typ.empty() || typ.size() > type_bytes_max)
    return make_error(errc::invalid_argument, "token: expected a key id and a type");
  boost::json::object header;
  header["alg"] = "ES256";
  header["kid"] = boost::json::string(kid.data(), kid.size());
  header["typ"] = boost::json::string(typ.data(), typ.size());
  std::string out = crypto::base64url(as_bytes(boost::json::serialize(header)));
  out.push_back('.');
  out.append(crypto::base64url(as_bytes(payload)));
  CUSTOS_TRY(const auto signature,
             crypto::ecdsa_sign(private_key, crypto::hash_alg::sha256, as_bytes(out)));
  out.push_back('.');
  out.append(crypto::base64url(signature));
  if (out.size() > token_bytes_max)
    return make_error(errc::too_large,
                      "token: expected at most " + std::to_string(token_bytes_max) + " characters");
  return out;
}

} // namespace custos::jose
