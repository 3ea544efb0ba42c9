#pragma once
// A backup as one file: header line, sealed part (docs/backup-format.md). Pure; thread-safe.
//
// What holds the file together: the signature covers the description and the digest of the sealed
// part; the MAC, under a key that comes from the content key, covers the whole header; every chunk
// is authenticated under the content key.

#include "cluster/backup/chunks.hpp"
#include "cluster/backup/recipients.hpp"

#include <span>

namespace custos::backup {

/// The file of a content, which is the parts one behind the other. `signing_key` is that of
/// `about.signer`. Errors as of seal_chunks() and wrap_content_key(); errc::too_large for more than
/// recipients_max.
result<std::string> make_file(description about, const crypto::key& signing_key,
                              const std::vector<addressee>& to, std::span<const byte_view> content);

/// A file taken apart; `sealed` looks into it.
struct opened_file {
  header head;
  byte_view sealed;
};

/// Everything that can be known without a key: form, signature, length and digest of the sealed
/// part. errc::malformed (no backup), errc::unsupported (of another version), errc::corrupted
/// (changed or cut off), errc::crypto_failure (signature).
result<opened_file> read_file(byte_view file);

/// The content key. errc::forbidden as of unwrap_content_key(); errc::corrupted if the header is
/// not the one that was written with this key.
result<crypto::secret_bytes> content_key_of(const header& head, const opener& with);

/// The header line of the same backup for other recipients; the sealed part stays as it is.
result<std::string> readdressed(header head, const crypto::secret_bytes& content_key,
                                const std::vector<addressee>& to);

/// errc::corrupted.
result<crypto::wiped_bytes> open_content(const opened_file& file,
                                         const crypto::secret_bytes& content_key);

} // namespace custos::backup
