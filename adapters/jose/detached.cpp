#include "adapters/jose/detached.hpp"

#include "adapters/jose/internal.hpp"

#include <boost/json.hpp>

namespace custos::jose {

namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t type_bytes_max = 128;

/// The algorithms that fit a key; the first is the one to sign with.
std::vector<std::string_view> algorithms_of(const crypto::key& k) {
  switch (k.type()) {
  case crypto::key_type::p256:
    return {"ES256"};
  case crypto::key_type::p384:
    return {"ES384"};
  case crypto::key_type::rsa:
    return {"RS256", "PS256"};
  case crypto::key_type::other:
    break;
  }
  return {};
}

} // namespace

result<std::string> sign_detached(const crypto::key& private_key, std::string_view typ,
                                  byte_view content) {
  const auto algorithms = algorithms_of(private_key);
  if (algorithms.empty())
    return make_error(errc::unsupported, "expected a P-256, P-384 or RSA key");
  CUSTOS_TRY(const auto kid, thumbprint(private_key));
  const auto header = crypto::base64url(as_bytes(boost::json::serialize(boost::json::object{
      {"alg", algorithms.front()}, {"kid", kid}, {"typ", boost::json::string(typ)}})));
  const auto input = header + "." + crypto::base64url(content);
  const auto type = private_key.type();
  CUSTOS_TRY(const auto signature,
             type == crypto::key_type::rsa
                 ? crypto::rsassa_sign(private_key, crypto::hash_alg::sha256, as_bytes(input))
                 : crypto::ecdsa_sign(private_key,
                                      type == crypto::key_type::p384 ? crypto::hash_alg::sha384
                                                                     : crypto::hash_alg::sha256,
                                      as_bytes(input)));
  return header + ".." + crypto::base64url(signature);
}

result<crypto::key> verify_detached(std::string_view jws, byte_view content,
                                    std::span<const crypto::key> trusted, std::string_view typ) {
  using internal::refused;
  if (jws.size() > token_bytes_max)
    return refused("jws-size", "token", "expected a shorter JWS");
  const auto parts = internal::parts_of<3>(jws);
  if (!parts)
    return refused("jws-form", "token", "expected three parts separated by dots (RFC 7515, 7.1)");
  const auto& [encoded_header, payload, encoded_signature] = *parts;
  if (!payload.empty())
    return refused("jws-detached", "payload", "expected a JWS without its payload");
  CUSTOS_TRY(auto header, internal::read_header(encoded_header, "jws"));
  const auto alg = header.string("alg", name_bytes_max);
  if (!alg)
    return refused("jws-algorithm", "alg", alg.failure().message);
  const auto kid = header.string("kid", kid_bytes_max);
  if (!kid)
    return refused("jws-kid", "kid", kid.failure().message);
  const auto type = header.string("typ", type_bytes_max);
  if (!type || *type != typ)
    return refused("jws-type", "typ", "expected the type \"" + std::string(typ) + "\"");
  if (header.has("b64"))
    return refused("jws-critical", "b64", "expected an encoded payload (no RFC 7797 option)");
  const auto signature = crypto::from_base64url(encoded_signature);
  if (!signature)
    return refused("jws-form", "signature", "expected base64url");
  for (const auto& k : trusted) {
    const auto id = thumbprint(k);
    if (!id || *id != *kid)
      continue;
    for (const auto fits : algorithms_of(k)) {
      if (fits != *alg)
        continue;
      const auto input = std::string(encoded_header) + "." + crypto::base64url(content);
      if (internal::signature_holds({*kid, k, *alg}, as_bytes(input), *signature))
        return k;
      return refused("jws-signature", "signature", "the signature does not verify");
    }
    return refused("jws-algorithm", "alg", "expected an algorithm of the trusted key");
  }
  return refused("jws-kid", "kid", "expected the id of a trusted key");
}

} // namespace custos::jose
