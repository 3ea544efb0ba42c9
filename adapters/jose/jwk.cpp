#include "adapters/jose/internal.hpp"

#include <boost/json.hpp>
#include <cassert>
#include <limits>
#include <optional>

namespace custos::jose {

namespace bj = boost::json;

namespace {

/// Octets of the largest modulus (4096 bits) and of the largest exponent we take.
constexpr std::size_t modulus_bytes_max = 512;
constexpr std::size_t exponent_bytes_max = 4;
constexpr std::size_t name_bytes_max = 32;

/// Members of private and symmetric keys (RFC 7518, 6.2.2, 6.3.2, 6.4). A document with one of them
/// leaked a secret: nothing in it is to be used.
constexpr std::array<const char*, 8> private_members{"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

/// The members that make the key, in lexicographic order, as RFC 7638, 3.2 wants them.
result<bj::object> required_members(const crypto::key& key) {
  bj::object out;
  switch (key.type()) {
  case crypto::key_type::p256:
  case crypto::key_type::p384: {
    CUSTOS_TRY(const auto point, crypto::ec_point_of(key));
    out["crv"] = key.type() == crypto::key_type::p256 ? "P-256" : "P-384";
    out["kty"] = "EC";
    out["x"] = crypto::base64url(point.x);
    out["y"] = crypto::base64url(point.y);
    return out;
  }
  case crypto::key_type::rsa: {
    CUSTOS_TRY(const auto numbers, crypto::rsa_numbers_of(key));
    out["e"] = crypto::base64url(numbers.exponent);
    out["kty"] = "RSA";
    out["n"] = crypto::base64url(numbers.modulus);
    return out;
  }
  case crypto::key_type::other:
    break;
  }
  return make_error(errc::unsupported, "JWK: expected a P-256, P-384 or RSA key");
}

result<crypto::key> rsa_key_of(json::object& jwk) {
  CUSTOS_TRY(const auto n, jwk.base64url("n", modulus_bytes_max));
  CUSTOS_TRY(const auto e, jwk.base64url("e", exponent_bytes_max));
  // RFC 7518, 6.3.1: as few octets as possible, so a leading zero is another spelling.
  if (n.empty() || n[0] == 0 || e.empty() || e[0] == 0)
    return field_error(errc::malformed, n.empty() || n[0] == 0 ? "/n" : "/e",
                       "expected a positive number without leading zero octets");
  std::uint32_t exponent = 0;
  for (const auto octet : e)
    exponent = (exponent << 8U) | octet;
  return crypto::rsa_public_key(n, exponent);
}

} // namespace

namespace internal {

result<crypto::key> ec_key_of(json::object& jwk) {
  CUSTOS_TRY(const auto name, jwk.string("crv", name_bytes_max));
  if (name != "P-256" && name != "P-384")
    return field_error(errc::unsupported, jwk.path() + "/crv", "expected P-256 or P-384");
  const auto curve = name == "P-256" ? crypto::key_type::p256 : crypto::key_type::p384;
  const std::size_t size = curve == crypto::key_type::p256 ? 32 : 48;
  CUSTOS_TRY(const auto x, jwk.base64url("x", size));
  CUSTOS_TRY(const auto y, jwk.base64url("y", size));
  // RFC 7518, 6.2.1.2: the full size of a coordinate, always.
  if (x.size() != size || y.size() != size)
    return field_error(errc::malformed, jwk.path() + (x.size() != size ? "/x" : "/y"),
                       "expected " + std::to_string(size) + " octets");
  return crypto::ec_public_key(curve, x, y);
}

} // namespace internal

result<bytes> thumbprint_digest(const crypto::key& key) {
  CUSTOS_TRY(const auto members, required_members(key));
  // Boost.JSON keeps the order of insertion and writes no space: the form RFC 7638, 3.3 hashes.
  const auto digest = crypto::sha256(as_bytes(bj::serialize(members)));
  return bytes(digest.begin(), digest.end());
}

result<std::string> thumbprint(const crypto::key& key) {
  CUSTOS_TRY(const auto digest, thumbprint_digest(key));
  return crypto::base64url(digest);
}

bj::object jwk_of(const crypto::key& key, std::string_view kid, std::string_view use,
                  std::string_view alg) {
  auto members = required_members(key);
  assert(members.ok());
  if (!members)
    return {};
  bj::object out = *std::move(members);
  const auto add = [&](const char* name, std::string_view value) {
    if (!value.empty())
      out[name] = bj::string(value.data(), value.size());
  };
  add("kid", kid);
  add("use", use);
  add("alg", alg);
  return out;
}

result<crypto::key> key_of_jwk(std::string_view text) {
  CUSTOS_TRY(auto jwk, json::parse_object(text, jwk_bytes_max));
  for (const auto* const name : private_members)
    if (jwk.has(name))
      return field_error(errc::invalid_argument, std::string("/") + name,
                         "expected a public key: this member is secret");
  CUSTOS_TRY(const auto kty, jwk.string("kty", name_bytes_max));
  if (kty == "EC")
    return internal::ec_key_of(jwk);
  if (kty == "RSA")
    return rsa_key_of(jwk);
  return field_error(errc::unsupported, "/kty", "expected EC or RSA");
}

std::string jwks_of(const std::vector<published_key>& keys) {
  bj::array list;
  for (const auto& k : keys)
    list.emplace_back(jwk_of(k.key, k.kid, k.use, k.alg));
  bj::object set;
  set["keys"] = std::move(list);
  return bj::serialize(set);
}

namespace {

/// The trusted key of one JWK of a set, nothing if it is not for us.
std::optional<trusted_key> trusted_of(json::object& jwk) {
  const auto kid = jwk.string("kid", kid_bytes_max);
  const auto alg = jwk.string("alg", name_bytes_max);
  const auto use = jwk.optional_string("use", name_bytes_max);
  if (!kid || !alg || !use || use->value_or("sig") != "sig")
    return std::nullopt;
  auto key = key_of_jwk(jwk.text());
  if (!key || !fits(*alg, key->type()))
    return std::nullopt;
  return trusted_key{*kid, *std::move(key), *alg};
}

} // namespace

result<std::vector<trusted_key>> trusted_of_jwks(std::string_view text) {
  CUSTOS_TRY(auto set, json::parse_object(text, jwks_bytes_max));
  CUSTOS_TRY(const auto keys, set.array("keys", jwks_keys_max));
  std::vector<trusted_key> out;
  for (const auto& key : keys) {
    CUSTOS_TRY(auto jwk, key.as_object());
    if (auto one = trusted_of(jwk))
      out.push_back(*std::move(one));
  }
  if (out.empty())
    return field_error(errc::invalid_argument, "/keys",
                       "expected at least one key that verifies ES256, ES384, PS256 or RS256");
  return out;
}

} // namespace custos::jose
