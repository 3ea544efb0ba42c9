#pragma once
// Secrets at rest. The cluster data key (AES-256-GCM) encrypts every secret value; each node keeps
// the data key wrapped (AES-KWP, RFC 5649) under its own node key.
//
// A sealed value is version(1) || nonce(12) || ciphertext || tag(16); the additional data is
// "custos-sealed-v1:" and the use, so that a value sealed for one use does not open as another.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/config.hpp"
#include "messages/error.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace custos::cluster {

inline constexpr std::uint8_t sealed_version = 1;
inline constexpr std::size_t data_key_bytes = 32;
inline constexpr std::size_t node_key_bytes = 32;

/// Seals and opens under one data key. Thread-safe: immutable.
class sealer {
public:
  /// `data_key` has data_key_bytes (a programmer error otherwise).
  explicit sealer(crypto::secret_ptr data_key);

  [[nodiscard]] result<sealed_secret> seal(byte_view secret, std::string_view use) const;
  /// errc::crypto_failure: another key, another use, or changed. errc::unsupported: another
  /// version. errc::malformed: too short.
  [[nodiscard]] result<crypto::secret_bytes> open(const sealed_secret& sealed,
                                                  std::string_view use) const;

private:
  crypto::secret_ptr data_key_;
};

/// The uses of a provider's sealed fields: "key-provider/NAME/client-private-key" and
/// "key-provider/NAME/password".
std::string client_private_key_use(std::string_view provider);
std::string password_use(std::string_view provider);
/// The use of a token key's private key: "token-key/KID".
std::string token_key_use(std::string_view kid);

/// Makes a node key file: 32 random bytes, mode 0600, never over an existing file, synced.
/// errc::already_exists, errc::storage_failure.
result<crypto::secret_bytes> create_node_key_file(const std::filesystem::path& file);
/// Reads it. errc::not_found; errc::forbidden if anybody but the owner may read or write it, or it
/// is no regular file; errc::corrupted if it has another length.
result<crypto::secret_bytes> read_node_key_file(const std::filesystem::path& file);

result<bytes> wrap_data_key(const crypto::secret_bytes& node_key,
                            const crypto::secret_bytes& data_key);
/// errc::crypto_failure: wrapped under another node key, or damaged.
result<crypto::secret_bytes> unwrap_data_key(const crypto::secret_bytes& node_key,
                                             byte_view wrapped);

} // namespace custos::cluster
