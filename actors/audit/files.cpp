#include "actors/audit/files.hpp"

#include "actors/audit/audit_log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace custos::audit {

namespace {

constexpr std::string_view full_prefix = "audit-";
constexpr std::string_view full_suffix = ".jsonl";
constexpr std::size_t sequence_digits = 20; // all of 64 bits, so that names sort as numbers do
constexpr unsigned file_mode = 0640;

bool is_full_file(const std::string& name) {
  if (name.size() != full_prefix.size() + sequence_digits + full_suffix.size() ||
      !name.starts_with(full_prefix) || !name.ends_with(full_suffix))
    return false;
  const auto digits = name.substr(full_prefix.size(), sequence_digits);
  return digits.find_first_not_of("0123456789") == std::string::npos;
}

} // namespace

std::string full_file_name(std::uint64_t last_sequence) {
  const auto number = std::to_string(last_sequence);
  return std::string(full_prefix) + std::string(sequence_digits - number.size(), '0') + number +
         std::string(full_suffix);
}

error storage_error(std::string_view doing, const std::filesystem::path& what) {
  const auto reason = std::generic_category().message(errno);
  return make_error(errc::storage_failure,
                    std::string(doing) + " " + what.string() + " failed: " + reason);
}

result<std::vector<std::filesystem::path>> log_files(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  bool active = false;
  for (std::filesystem::directory_iterator it(directory, failed), end; !failed && it != end;
       it.increment(failed)) {
    const auto name = it->path().filename().string();
    if (is_full_file(name))
      files.push_back(it->path());
    active = active || name == active_file_name;
  }
  if (failed)
    return make_error(errc::storage_failure,
                      "reading directory " + directory.string() + " failed: " + failed.message());
  std::sort(files.begin(), files.end());
  if (active)
    files.push_back(directory / active_file_name);
  return files;
}

descriptor::descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
descriptor& descriptor::operator=(descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
descriptor::~descriptor() {
  if (fd_ >= 0)
    ::close(fd_);
}

result<descriptor> open_for_append(const std::filesystem::path& file) {
  descriptor fd(
      ::open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, file_mode));
  if (!fd)
    return storage_error("opening", file);
  return fd;
}

result<descriptor> lock_directory(const std::filesystem::path& directory) {
  const auto name = directory / "audit.lock";
  descriptor fd(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, file_mode));
  if (!fd)
    return storage_error("opening", name);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return make_error(errc::already_exists,
                        "another process writes the audit log in " + directory.string());
    return storage_error("locking", name);
  }
  return fd;
}

result<void> sync_directory(const std::filesystem::path& directory) {
  const descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0)
    return storage_error("syncing directory", directory);
  return {};
}

result<void> write_all(const descriptor& file, std::string_view text,
                       const std::filesystem::path& name) {
  while (!text.empty()) {
    const auto written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return storage_error("writing", name);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

result<std::uint64_t> size_of(const descriptor& file, const std::filesystem::path& name) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0)
    return storage_error("looking at", name);
  return static_cast<std::uint64_t>(status.st_size);
}

result<std::string> read_tail(const descriptor& file, std::size_t bytes_max,
                              const std::filesystem::path& name) {
  CUSTOS_TRY(const auto size, size_of(file, name));
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, bytes_max));
  std::string text(wanted, '\0');
  std::size_t have = 0;
  while (have < wanted) {
    const auto at = static_cast<off_t>(size - wanted + have);
    const auto got = ::pread(file.get(), text.data() + have, wanted - have, at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return storage_error("reading", name);
    have += static_cast<std::size_t>(got);
  }
  return text;
}

} // namespace custos::audit
