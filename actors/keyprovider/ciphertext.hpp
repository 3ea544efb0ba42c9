#pragma once
// The ciphertext of a key encryption key: versioned, self-describing, canonical; also the key's id.
// Byte layout: docs/ciphertext-format.md. Pure: no CAF, no clock; randomness is passed in.
//
// A key is encrypted with AES-256-GCM under a fresh key that is used once; only that fresh key is
// protected by the primary key, here (AES-KWP) or on the key server. A key server therefore never
// sees a host's key, and a caller that has the fresh key can open nothing but this one body.

#include "adapters/crypto/crypto.hpp"
#include "messages/config.hpp"
#include "messages/keys.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace custos::keyprovider {

inline constexpr std::string_view ciphertext_magic = "CKEK";
inline constexpr std::uint8_t ciphertext_version = 1;
inline constexpr std::size_t provider_name_bytes_max = object_name_bytes_max;
inline constexpr std::size_t primary_key_id_bytes_max = 512;
inline constexpr std::size_t fresh_key_bytes = 32;
inline constexpr std::size_t nonce_bytes = 12;
inline constexpr std::size_t tag_bytes = 16;
/// Initialisation vectors key servers may choose for GCM (SP 800-38D allows any; these occur).
inline constexpr std::size_t gcm_iv_bytes_min = 12;
inline constexpr std::size_t gcm_iv_bytes_max = 16;
inline constexpr std::size_t cbc_iv_bytes = 16;

/// How the fresh key is protected. Stored: append only.
enum class wrap_algorithm : std::uint8_t {
  local_kwp = 1,  ///< AES-KWP (RFC 5649) under the primary key, here
  remote_gcm = 2, ///< the key server's AES-GCM with additional data (KMIP 1.4)
  remote_cbc = 3, ///< the key server's AES-CBC with PKCS5 padding (KMIP 1.2, 1.3)
};

/// Everything in front of the wrapped key: what the ciphertext says of itself.
struct ciphertext_identity {
  wrap_algorithm algorithm = wrap_algorithm::local_kwp;
  std::string provider;       ///< 1-128 bytes
  std::string primary_key_id; ///< unique identifier on the key servers, 1-512 bytes
  /// Counts primary keys of one id, from 1. KMIP gives every new key an id of its own, so it is 1
  /// wherever a key server holds the primary key.
  std::uint32_t primary_key_version = 1;
  std::array<std::uint8_t, nonce_bytes> nonce{}; ///< of the body
  crypto::sha256_digest context_hash{};          ///< SHA-256 of the caller's context
};

/// The fresh key under the primary key. Lengths depend on the algorithm:
/// local_kwp 0/40/0, remote_gcm 12-16/32/16, remote_cbc 16/48/0.
struct wrapped_key {
  bytes iv;
  bytes ciphertext;
  bytes tag;
};

struct kek_ciphertext {
  ciphertext_identity identity;
  wrapped_key wrapped;
  bytes body; ///< the key, encrypted: kek_bytes_min to kek_bytes_max
  std::array<std::uint8_t, tag_bytes> tag{};
};

/// The bytes from the magic to the context hash, included: the additional data a key server is
/// given (algorithm 2), so that it opens a fresh key only for what it was made for.
/// Errors: invalid_argument (field "provider" or "primary_key_id") when a name is empty or too
/// long.
result<bytes> identity_bytes(const ciphertext_identity& identity);

/// Encrypts `key` under `fresh` with (identity, wrapped, context) as additional data and gives the
/// whole ciphertext. Errors: invalid_argument when a length is not allowed.
result<bytes> seal_key(const ciphertext_identity& identity, const wrapped_key& wrapped,
                       const crypto::secret_bytes& fresh, byte_view context,
                       const crypto::secret_bytes& key);

/// Strict: every byte accounted for, every length as the algorithm wants it; there is exactly one
/// ciphertext for one content. Errors: too_large, malformed, unsupported (unknown version or
/// algorithm, named in the message); error.field is "ciphertext".
result<kek_ciphertext> parse_ciphertext(byte_view raw);

/// That the context is the one the key was made with, before any key server is asked.
/// Constant time. Error: crypto_failure, field "context".
result<void> check_context(const kek_ciphertext& parsed, byte_view context);

/// The key itself. Error: crypto_failure, always with the same words.
result<crypto::secret_bytes> open_key(const kek_ciphertext& parsed, byte_view context,
                                      const crypto::secret_bytes& fresh);

/// A short name of a primary key, which says nothing of its id: the first 16 octets of SHA-256 of
/// the id, in hex; empty for the empty id. Hosts see by it when to rewrap.
std::string primary_key_name(std::string_view primary_key_id);

/// The one error for "does not decrypt", whoever found out: a caller that can tell a padding error
/// of the server's CBC from a failed tag here could decrypt what is not its own (Vaudenay 2002).
error does_not_decrypt();

} // namespace custos::keyprovider
