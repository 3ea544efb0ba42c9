#pragma once
// Files of the daemons: small, read whole, written whole or not at all.

#include "adapters/http/http.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace custos::runtime {

inline constexpr std::size_t pem_file_bytes_max = 65536;

/// A whole small file. Errors name the path: errc::not_found, errc::too_large.
result<std::string> read_text_file(const std::string& path, std::size_t bytes_max);
/// Written whole, synced, with this mode; replaces what was there. errc::storage_failure.
result<void> write_file(const std::string& path, byte_view content, unsigned mode);
/// The same, of several parts one behind the other, and never over anything: errc::already_exists.
result<void> write_new_file(const std::string& path, std::span<const byte_view> parts,
                            unsigned mode);
/// What a folder lists survives a power loss only when the folder itself was synced.
result<void> sync_folder(const std::string& folder);

/// Whose certificate, and for which names and addresses.
struct identity_request {
  std::string data_dir;
  std::string file; ///< FILE.crt (PEM, for others to pin) and FILE.key (PKCS#8 DER, mode 0600)
  std::string name; ///< common name
  std::vector<std::string> addresses; ///< DNS names and IP addresses
};
/// A self-signed TLS identity, made at the first start and kept. errc::corrupted if what is kept
/// does not read. `now` in unix seconds.
result<http::tls_identity> load_or_make_identity(const identity_request& r, std::int64_t now);

/// Certificate chain and key from PEM files; errors name the file.
result<http::tls_identity> load_identity(const std::string& certificate_file,
                                         const std::string& key_file);

} // namespace custos::runtime
