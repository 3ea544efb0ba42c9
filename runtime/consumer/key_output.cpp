#include "runtime/consumer/key_output.hpp"

#include "actors/host/credentials.hpp"
#include "actors/host/files.hpp"
#include "adapters/crypto/secret_encoding.hpp"

#include <cerrno>
#include <filesystem>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace custos::runtime {

namespace {

namespace fs = std::filesystem;

constexpr unsigned key_file_mode = 0400;
// statfs(2)
constexpr long tmpfs_magic = 0x01021994;
constexpr long ramfs_magic = 0x858458F6;

error bad_output(std::string message) {
  return field_error(errc::invalid_argument, "--out", std::move(message));
}

fs::path folder_of(const std::string& file) {
  const auto folder = fs::path(file).parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

/// The nearest folder above that is there.
fs::path existing(fs::path folder) {
  std::error_code failed;
  while (!fs::exists(folder, failed) && folder.has_relative_path())
    folder = folder.parent_path().empty() ? fs::path(".") : folder.parent_path();
  return folder;
}

bool is_memory(const fs::path& folder) {
  struct statfs s {};
  return ::statfs(folder.c_str(), &s) == 0 && (s.f_type == tmpfs_magic || s.f_type == ramfs_magic);
}

result<void> write_to_standard_output(byte_view rest) {
  while (!rest.empty()) {
    const auto n = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return make_error(errc::storage_failure, "standard output cannot be written");
    rest = rest.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

} // namespace

std::optional<key_format> key_format_of(std::string_view name) {
  if (name == "raw")
    return key_format::raw;
  if (name == "hex")
    return key_format::hex;
  if (name == "base64")
    return key_format::base64;
  if (name == "systemd-credential")
    return key_format::systemd_credential;
  return std::nullopt;
}

result<void> check_output(const key_output& o) {
  const bool credential = o.format == key_format::systemd_credential;
  if (o.out == "-") {
    if (credential)
      return bad_output("expected FOLDER/NAME for a credential");
    if (::isatty(STDOUT_FILENO) == 1 && !o.force)
      return bad_output("standard output is a terminal: expected a file, a pipe, or --force");
    return {};
  }
  if (credential && !host::is_credential_name(fs::path(o.out).filename().string()))
    return bad_output("expected FOLDER/NAME, NAME being one that systemd takes");
  struct stat s {};
  if (::lstat(o.out.c_str(), &s) == 0 && !S_ISREG(s.st_mode))
    return bad_output("expected a regular file, or - for standard output");
  if (!o.force && !is_memory(credential ? existing(folder_of(o.out)) : folder_of(o.out)))
    return bad_output("a key would stay on a disk: expected a file on tmpfs, as under /run, or "
                      "--force");
  return {};
}

result<void> write_key(const key_output& o, const crypto::secret_bytes& key) {
  const auto shown = o.format == key_format::hex      ? crypto::hex_of(key)
                     : o.format == key_format::base64 ? crypto::base64_of(key)
                                                      : key.clone();
  if (o.out == "-")
    return write_to_standard_output(shown.reveal_secret());
  if (o.format == key_format::systemd_credential) {
    const auto folder = folder_of(o.out);
    std::error_code failed;
    if (!fs::exists(folder, failed) &&
        (!fs::create_directories(folder, failed) || ::chmod(folder.c_str(), 0700) != 0))
      return make_error(errc::storage_failure, folder.string() + " cannot be made");
  }
  return host::replace_file(o.out, shown.reveal_secret(), key_file_mode);
}

} // namespace custos::runtime
