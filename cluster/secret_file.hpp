#pragma once
// Small files that hold a secret, read with care for who else could. Nobody outside this folder
// includes this.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/error.hpp"

#include <filesystem>
#include <string>

namespace custos::cluster {

struct secret_file_rules {
  std::string what;  ///< "node key"
  std::string field; ///< of errors
  std::size_t bytes_min = 1;
  std::size_t bytes_max = 1;
  /// systemd shows a credential to a service by an access list, which stat(2) shows as mode 0440 of
  /// root:root.
  bool root_group_may_read = false;
  /// Pipes and terminals, and names that lead elsewhere (/dev/fd/3).
  bool may_be_stream = false;
};

/// All of it. errc::not_found; errc::forbidden if others can read or write it, it belongs to
/// somebody else, or is no regular file; errc::corrupted if its size is wrong;
/// errc::storage_failure.
result<crypto::secret_bytes> read_secret_file(const std::filesystem::path& file,
                                              const secret_file_rules& rules);

/// Made with mode 0600, never over an existing file, synced. errc::already_exists,
/// errc::storage_failure.
result<void> create_private_file(const std::filesystem::path& file, byte_view content,
                                 const std::string& field);

/// What a folder lists survives a power loss only when the folder itself was synced.
result<void> sync_folder(const std::filesystem::path& folder);

} // namespace custos::cluster
