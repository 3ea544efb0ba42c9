#include "cluster/secret_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace custos::cluster {

namespace {

std::string reason() {
  return std::generic_category().message(errno);
}

/// Closes a file descriptor.
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

error disk_error(const char* doing, const std::filesystem::path& file) {
  return make_error(errc::storage_failure, doing + (" " + file.string() + ": ") + reason());
}

error about(errc code, const std::filesystem::path& file, const secret_file_rules& rules,
            const std::string& what) {
  return field_error(code, rules.field, rules.what + " " + file.string() + ": " + what);
}

std::string expected_size(const secret_file_rules& rules) {
  if (rules.bytes_min == rules.bytes_max)
    return "expected " + std::to_string(rules.bytes_min) + " bytes";
  return "expected " + std::to_string(rules.bytes_min) + " to " + std::to_string(rules.bytes_max) +
         " bytes";
}

/// Who may do what with it; the size is judged by what is read.
result<void> check_owner(const struct stat& found, const std::filesystem::path& file,
                         const secret_file_rules& rules) {
  auto others = found.st_mode & (S_IRWXG | S_IRWXO);
  if (rules.root_group_may_read && found.st_uid == 0 && found.st_gid == 0)
    others &= ~static_cast<mode_t>(S_IRGRP);
  if (others != 0)
    return about(errc::forbidden, file, rules,
                 "expected that nobody but its owner may use it (chmod 600)");
  if (found.st_uid != ::geteuid() && found.st_uid != 0)
    return about(errc::forbidden, file, rules, "expected that it belongs to this user or root");
  return {};
}

result<void> check_kind(int fd, const std::filesystem::path& file, const secret_file_rules& rules) {
  struct stat found {};
  if (::fstat(fd, &found) != 0)
    return disk_error("looking at", file);
  if (S_ISREG(found.st_mode))
    return check_owner(found, file, rules);
  const bool stream = S_ISFIFO(found.st_mode) || S_ISCHR(found.st_mode) || S_ISSOCK(found.st_mode);
  if (!rules.may_be_stream || !stream)
    return about(errc::forbidden, file, rules, "expected a regular file");
  return {};
}

} // namespace

result<crypto::secret_bytes> read_secret_file(const std::filesystem::path& file,
                                              const secret_file_rules& rules) {
  // Without O_NONBLOCK a pipe is waited for until somebody writes; a file of that name is not.
  const int flags = O_RDONLY | O_CLOEXEC | (rules.may_be_stream ? 0 : O_NOFOLLOW | O_NONBLOCK);
  const descriptor fd(::open(file.c_str(), flags));
  if (fd.get() < 0 && errno == ENOENT)
    return about(errc::not_found, file, rules, "it is missing");
  if (fd.get() < 0 && (errno == EACCES || errno == ELOOP))
    return about(errc::forbidden, file, rules, reason());
  if (fd.get() < 0)
    return disk_error("opening", file);
  CUSTOS_CHECK(check_kind(fd.get(), file, rules));
  crypto::secret_bytes out(rules.bytes_max + 1); // one more shows that there is more
  std::size_t done = 0;
  while (done < out.size()) {
    const auto n = ::read(fd.get(), out.writable_secret().data() + done, out.size() - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return disk_error("reading", file);
    if (n == 0)
      break;
    done += static_cast<std::size_t>(n);
  }
  if (done < rules.bytes_min || done > rules.bytes_max)
    return about(errc::corrupted, file, rules, expected_size(rules));
  out.shrink(done);
  return out;
}

result<void> create_private_file(const std::filesystem::path& file, byte_view content,
                                 const std::string& field) {
  const descriptor fd(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd.get() < 0 && errno == EEXIST)
    return field_error(errc::already_exists, field, file.string() + " exists already");
  if (fd.get() < 0)
    return disk_error("making", file);
  while (!content.empty()) {
    const auto n = ::write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return disk_error("writing", file);
    content = content.subspan(static_cast<std::size_t>(n));
  }
  if (::fsync(fd.get()) != 0)
    return disk_error("syncing", file);
  return {};
}

result<void> sync_folder(const std::filesystem::path& folder) {
  const descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0 || ::fsync(fd.get()) != 0)
    return disk_error("syncing", folder);
  return {};
}

} // namespace custos::cluster
