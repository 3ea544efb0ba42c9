#pragma once
// The JSON of the key service's operations for hosts' own keys, from the host's side: what it sends
// and what it reads (docs/api.md). Octets are base64url without padding. Errors of readers are
// those of adapters/json: they name the member. Pure.

#include "adapters/crypto/crypto.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace custos::host {

/// Most ciphertexts of one call to rewrap, and most octets of them with their contexts: a node asks
/// a key server for each where the primary key stays there, and has to answer in time.
inline constexpr std::size_t rewrap_keys_max = 100;
inline constexpr std::size_t rewrap_bytes_max = 256U << 10U;

inline constexpr std::string_view encryption_key_path = "/keys/v1/encryption-key";
inline constexpr std::string_view providers_path = "/keys/v1/providers";
/// The check that a node names when it does not have the key that a JWE was made for.
inline constexpr std::string_view encryption_key_check = "encryption-key";

struct encryption_key {
  crypto::key key; ///< public, P-256
  std::string kid;
};
/// Of the JWK: EC on P-256, use "enc", alg ECDH-ES+A256KW, with a kid.
result<encryption_key> decode_encryption_key(std::string_view jwk);

/// The key as a JWE for the service, and its context.
result<std::string> encode_encrypt(const encryption_key& recipient, const crypto::secret_bytes& key,
                                   byte_view context);
/// The ciphertext, which is of that provider and context.
result<bytes> decode_encrypted(std::string_view body);

struct wrapped_with {
  byte_view ciphertext;
  byte_view context;
};
std::string encode_rewrap(const std::vector<wrapped_with>& keys);
struct rewrapped_key {
  bytes ciphertext;
  bool changed = false;
};
/// One for each key that was sent, in their order.
result<std::vector<std::variant<rewrapped_key, error>>> decode_rewrapped(std::string_view body,
                                                                         std::size_t sent);

/// By provider, the short name of its present primary key; providers without one are left out.
result<std::map<std::string, std::string>> decode_primary_keys(std::string_view body);

} // namespace custos::host
