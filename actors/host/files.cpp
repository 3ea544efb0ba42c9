#include "actors/host/files.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace custos::host {

namespace {

class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

private:
  int fd_;
};

error file_error(const char* what, const std::filesystem::path& file, int cause) {
  const auto text = std::string(what) + " " + file.string() + ": ";
  if (cause == ENOENT || cause == ENOTDIR)
    return make_error(errc::not_found, text + "there is no such file");
  if (cause == EACCES || cause == EPERM)
    return make_error(errc::forbidden, text + "no permission to read it");
  return make_error(errc::io_failure,
                    text + std::error_code(cause, std::generic_category()).message());
}

bool write_all(int fd, byte_view content) {
  while (!content.empty()) {
    const auto n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    content = content.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

} // namespace

result<bytes> read_file(const std::filesystem::path& file, std::size_t bytes_max, const char* what,
                        follow_link follow) {
  const int only_itself = follow == follow_link::yes ? 0 : O_NOFOLLOW | O_NONBLOCK;
  const descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | only_itself));
  if (in.get() < 0)
    return file_error(what, file, errno);
  struct stat s {};
  if (follow == follow_link::no && (::fstat(in.get(), &s) != 0 || !S_ISREG(s.st_mode)))
    return make_error(errc::io_failure,
                      std::string(what) + " " + file.string() + ": expected a regular file");
  bytes out;
  std::array<std::uint8_t, 65536> part{};
  for (;;) {
    const auto n = ::read(in.get(), part.data(), part.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return file_error(what, file, errno); // what was read is not the whole
    if (n == 0)
      return out;
    if (out.size() + static_cast<std::size_t>(n) > bytes_max)
      return make_error(errc::too_large, std::string(what) + " " + file.string() +
                                             ": expected at most " + std::to_string(bytes_max) +
                                             " bytes");
    out.insert(out.end(), part.data(), part.data() + n);
  }
}

namespace {

/// The whole content under a name of its own, which is nobody's: not a link that waits there.
result<void> write_aside(const std::string& fresh, byte_view content, unsigned mode) {
  ::unlink(fresh.c_str());
  const descriptor out(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (out.get() < 0 || ::fchmod(out.get(), mode) != 0 || !write_all(out.get(), content) ||
      ::fsync(out.get()) != 0)
    return make_error(errc::storage_failure, fresh + " cannot be written");
  return {};
}

/// A new name is on disk only when its directory is.
result<void> sync_folder_of(const std::filesystem::path& file) {
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0)
    return make_error(errc::storage_failure, folder.string() + " cannot be synced");
  return {};
}

} // namespace

result<void> replace_file(const std::filesystem::path& file, byte_view content, unsigned mode) {
  const auto fresh = file.string() + std::string(replacement_suffix);
  CUSTOS_CHECK(write_aside(fresh, content, mode));
  if (::rename(fresh.c_str(), file.c_str()) != 0)
    return make_error(errc::storage_failure, file.string() + " cannot be written");
  return sync_folder_of(file);
}

result<void> create_file(const std::filesystem::path& file, byte_view content, unsigned mode) {
  // A name that no other writer of the same file uses: they race for the link, not for the content.
  const auto fresh =
      file.string() + "." + std::to_string(::getpid()) + std::string(replacement_suffix);
  CUSTOS_CHECK(write_aside(fresh, content, mode));
  const bool placed = ::link(fresh.c_str(), file.c_str()) == 0;
  const int cause = errno;
  ::unlink(fresh.c_str());
  if (!placed && cause == EEXIST)
    return make_error(errc::already_exists, file.string() + " exists and is not overwritten");
  if (!placed)
    return make_error(errc::storage_failure, file.string() + " cannot be written");
  return sync_folder_of(file);
}

} // namespace custos::host
