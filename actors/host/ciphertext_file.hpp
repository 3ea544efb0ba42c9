#pragma once
// Ciphertexts of keys in files (docs/host-keys.md): FILE holds the ciphertext, FILE.context, if
// there is one, the exact octets of the context it was made with. Neither is secret. Thread rule:
// pure but for the files.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace custos::host {

inline constexpr std::string_view ciphertext_suffix = ".ckek";
inline constexpr std::string_view context_suffix = ".context";
/// Most files that are looked after on one host.
inline constexpr std::size_t ciphertext_files_max = 10000;

struct ciphertext_file {
  std::filesystem::path path;
  bytes ciphertext;
  bytes context;
  std::string provider;       ///< as the ciphertext says
  std::string primary_key_id; ///< as the ciphertext says
};

/// errc::not_found, errc::forbidden, errc::too_large, errc::io_failure, errc::malformed (not a
/// ciphertext, or a damaged one), errc::unsupported; the message names the file. Symbolic links are
/// not followed where the file itself is one: who replaces the file would replace the link.
result<ciphertext_file> read_ciphertext_file(const std::filesystem::path& path);

/// What must be true of a ciphertext that is to take the place of another: it reads, and it is of
/// the same provider and context. errc::malformed, errc::crypto_failure.
result<void> check_successor(const ciphertext_file& old, byte_view fresh);

/// Puts `fresh` in the place of `old`, whole, synced, with the same mode, or leaves it alone.
/// errc::revision_conflict: the file is not any more what was read. errc::storage_failure.
result<void> replace_ciphertext(const ciphertext_file& old, byte_view fresh);

/// Writes ciphertext and context where none of them is. A context file that is there already must
/// have the same content. errc::already_exists, errc::storage_failure.
result<void> create_ciphertext(const std::filesystem::path& path, byte_view ciphertext,
                               byte_view context);

/// The files that are meant: a pattern (glob(7)) stands for what it matches, a folder for the files
/// in it that end in ".ckek". Sorted, each once; never context files or halves of replacements.
/// errc::too_large, errc::io_failure (a folder that cannot be read).
result<std::vector<std::filesystem::path>>
find_ciphertexts(const std::vector<std::string>& patterns);

/// The first 16 octets of SHA-256 of a primary key's id, in hex: how the key service names the
/// present one in its list of providers.
std::string short_name_of_key(std::string_view primary_key_id);

} // namespace custos::host
