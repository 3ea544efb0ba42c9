#pragma once
// The sealed part of a backup: its content in pieces of chunk_bytes, the last one shorter or as
// long, each under AES-256-GCM (NIST SP 800-38D) as ciphertext || tag(16).
//
// The key is used for one file only, so the nonce is the position, 12 octets, big-endian. The
// additional data are "custos-backup-chunk-v1", the position (8, big-endian) and 1 for the last
// chunk, 0 for the others: chunks that are missing, doubled or moved do not open.

#include "adapters/crypto/wiped_bytes.hpp"
#include "messages/error.hpp"

#include <span>
#include <string>

namespace custos::backup {

/// How long the sealed part of so much content is.
std::size_t sealed_size(std::size_t content_bytes);

/// Appends the content, which is the parts one behind the other, sealed. errc::too_large, and
/// errc::invalid_argument without any content.
result<void> seal_chunks(byte_view key, std::span<const byte_view> parts, std::string& out);

/// All or nothing. errc::corrupted.
result<crypto::wiped_bytes> open_chunks(byte_view key, byte_view sealed);

} // namespace custos::backup
