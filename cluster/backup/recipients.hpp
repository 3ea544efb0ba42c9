#pragma once
// Who can open a backup: the content key (32 random octets), wrapped for each recipient. Pure free
// functions, thread-safe; a passphrase costs 128 MiB and about a second.

#include "adapters/crypto/secret_bytes.hpp"
#include "cluster/backup/header.hpp"

#include <variant>

namespace custos::backup {

inline constexpr std::size_t content_key_bytes = 32;
/// Of new backups. Stretching makes guessing slow, not impossible.
inline constexpr std::size_t passphrase_bytes_min = 12;
inline constexpr std::size_t passphrase_bytes_max = 1024;

/// For whom to seal: the public key (P-256) of somebody, or a passphrase.
using addressee = std::variant<crypto::key, crypto::secret_ptr>;
/// With what to open: the private key, or the passphrase.
using opener = std::variant<crypto::key, crypto::secret_ptr>;

/// errc::invalid_argument with field "passphrase": too short or too long for a new backup.
result<void> check_passphrase(const crypto::secret_bytes& passphrase);

/// errc::invalid_argument: no P-256 key, field "recipient"; a passphrase of another length, field
/// "passphrase".
result<recipient> wrap_content_key(const crypto::secret_bytes& content_key, const addressee& to);

/// errc::forbidden with field "passphrase" or "recipient-key": the file is not sealed for it.
result<crypto::secret_bytes> unwrap_content_key(const std::vector<recipient>& recipients,
                                                const opener& with);

} // namespace custos::backup
