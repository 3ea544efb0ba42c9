#include "adapters/jose/internal.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::jose {

using internal::refused;

namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t type_bytes_max = 128;
/// Room for the longest signature (RSA of 4096 bits), the dots and the rounding of base64url.
constexpr std::size_t signature_chars_max = 696;

result<bytes> signature_of(const signer& by, byte_view message) {
  using crypto::hash_alg;
  if (by.alg == "ES256")
    return crypto::ecdsa_sign(by.key, hash_alg::sha256, message);
  if (by.alg == "ES384")
    return crypto::ecdsa_sign(by.key, hash_alg::sha384, message);
  if (by.alg == "RS256")
    return crypto::rsassa_sign(by.key, hash_alg::sha256, message);
  return crypto::rsapss_sign(by.key, hash_alg::sha256, message);
}

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

result<unverified> peek(std::string_view jws) {
  if (jws.size() > token_bytes_max)
    return refused("jws-size", "token",
                   "expected a token of at most " + std::to_string(token_bytes_max) +
                       " characters");
  const auto parts = internal::parts_of<3>(jws);
  if (!parts)
    return refused("jws-form", "token", "expected three parts separated by dots (RFC 7515, 7.1)");
  const auto header = crypto::from_base64url((*parts)[0]);
  const auto payload = crypto::from_base64url((*parts)[1]);
  if (!header || !payload || !crypto::from_base64url((*parts)[2]))
    return refused("jws-form", "token", "expected base64url");
  if (const auto read = json::parse_object(as_text(*header), header_bytes_max); !read)
    return refused("jws-header", "header", "protected header: " + read.failure().message);
  return unverified{std::string(as_text(*header)), std::string(as_text(*payload))};
}

result<verified> verify_compact(std::string_view jws, std::span<const trusted_key> keys,
                                std::string_view typ) {
  CUSTOS_TRY(auto token, internal::verify_signature(jws, keys));
  // Without an explicit type a token made for one purpose passes for another (RFC 8725, 3.11).
  if (!token.typ || plain_type(*token.typ) != plain_type(typ))
    return refused("jws-type", "typ", "expected the type \"" + std::string(typ) + "\"");
  return verified{std::move(token.payload), std::move(token.kid)};
}

bool fits(std::string_view alg, crypto::key_type type) {
  using crypto::key_type;
  if (alg == "ES256")
    return type == key_type::p256;
  if (alg == "ES384")
    return type == key_type::p384;
  return (alg == "PS256" || alg == "RS256") && type == key_type::rsa;
}

result<signer> signer_of(crypto::key private_key, std::string_view alg, std::string_view kid,
                         std::string_view typ) {
  if (!fits(alg, private_key.type()))
    return make_error(errc::invalid_argument,
                      "token: expected ES256, ES384, PS256 or RS256 and a key that fits");
  if (kid.empty() || kid.size() > kid_bytes_max || typ.empty() || typ.size() > type_bytes_max)
    return make_error(errc::invalid_argument, "token: expected a key id and a type");
  boost::json::object header;
  header["alg"] = boost::json::string(alg.data(), alg.size());
  header["kid"] = boost::json::string(kid.data(), kid.size());
  header["typ"] = boost::json::string(typ.data(), typ.size());
  return signer{std::move(private_key), std::string(alg), std::string(kid),
                crypto::base64url(as_bytes(boost::json::serialize(header)))};
}

result<std::string> sign(const signer& by, std::string_view payload) {
  if (payload.size() > token_bytes_max)
    return make_error(errc::too_large,
                      "token: expected at most " + std::to_string(token_bytes_max) + " characters");
  std::string out;
  out.reserve(by.encoded_header.size() + payload.size() / 3 * 4 + signature_chars_max);
  out.append(by.encoded_header).push_back('.');
  crypto::append_base64url(out, as_bytes(payload));
  CUSTOS_TRY(const auto signature, signature_of(by, as_bytes(out)));
  out.push_back('.');
  crypto::append_base64url(out, signature);
  if (out.size() > token_bytes_max)
    return make_error(errc::too_large,
                      "token: expected at most " + std::to_string(token_bytes_max) + " characters");
  return out;
}

result<std::string> sign(const crypto::key& private_key, std::string_view alg, std::string_view kid,
                         std::string_view typ, std::string_view payload) {
  CUSTOS_TRY(const auto by, signer_of(private_key, alg, kid, typ));
  return sign(by, payload);
}

} // namespace custos::jose
