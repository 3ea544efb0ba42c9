#include "actors/audit/audit_log.hpp"

#include "actors/audit/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace custos::audit {

namespace {

/// Looked at from the end of a file: the last finished line, and behind it what power loss left of
/// a group of records that was being written.
constexpr std::size_t tail_bytes_max = 2 * group_bytes_max + 2 * line_bytes_max;

/// Where a file's chain stands, and how many octets of an unfinished line follow.
struct file_end {
  std::optional<chain_head> head; ///< empty: there is no finished line
  std::uint64_t unfinished_bytes = 0;
};

result<file_end> end_of(const descriptor& fd, const std::filesystem::path& name) {
  const auto damaged = [&name](const std::string& how) {
    return make_error(errc::corrupted, "the last record of " + name.string() + " is damaged: " +
                                           how + "; move the log away to begin a new one");
  };
  CUSTOS_TRY(const auto size, size_of(fd, name));
  CUSTOS_TRY(const auto tail, read_tail(fd, tail_bytes_max, name));
  const bool whole = tail.size() == size;
  file_end end;
  const auto last_feed = tail.rfind('\n');
  if (last_feed == std::string::npos) {
    if (!whole)
      return damaged("it does not end");
    end.unfinished_bytes = size;
    return end;
  }
  end.unfinished_bytes = tail.size() - last_feed - 1;
  const auto before = last_feed == 0 ? std::string::npos : tail.rfind('\n', last_feed - 1);
  if (before == std::string::npos && !whole)
    return damaged("it is too long");
  const auto begin = before == std::string::npos ? 0 : before + 1;
  auto link = read_line(std::string_view(tail).substr(begin, last_feed - begin));
  if (!link)
    return damaged(link.failure().message);
  end.head = link->head;
  return end;
}

/// The chain's state at the end of the newest full file; its beginning if there is none.
result<chain_head> end_of_full_files(const std::filesystem::path& directory) {
  CUSTOS_TRY(auto files, log_files(directory));
  std::erase(files, directory / active_file_name);
  while (!files.empty()) {
    CUSTOS_TRY(const auto fd, open_for_append(files.back()));
    CUSTOS_TRY(const auto end, end_of(fd, files.back()));
    if (end.head)
      return *end.head;
    files.pop_back();
  }
  return chain_head{};
}

result<void> cut(const descriptor& fd, std::uint64_t size, const std::filesystem::path& name) {
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 || ::fdatasync(fd.get()) != 0)
    return storage_error("cutting back", name);
  return {};
}

} // namespace

struct audit_log::impl {
  std::filesystem::path directory;
  std::filesystem::path active; ///< directory / active_file_name
  log_limits limits;
  descriptor lock;
  descriptor file;
  chain_head head;        ///< with everything in the buffer
  chain_head durable;     ///< as far as synced
  std::uint64_t size = 0; ///< of the file, as far as synced
  std::string buffer;
  bool dirty = false; ///< the file may hold more than `size`: cut before the next write
  std::optional<error> rotation_failure;

  result<void> find_end();
  result<void> write_buffer();
  result<void> rotate();
};

result<void> audit_log::impl::find_end() {
  CUSTOS_TRY(size, size_of(file, active));
  CUSTOS_TRY(const auto end, end_of(file, active));
  if (end.head) {
    durable = *end.head;
  } else {
    CUSTOS_TRY(durable, end_of_full_files(directory));
  }
  head = durable;
  if (end.unfinished_bytes != 0) {
    size -= end.unfinished_bytes;
    CUSTOS_CHECK(cut(file, size, active));
  }
  return {};
}

result<void> audit_log::impl::write_buffer() {
  if (dirty)
    CUSTOS_CHECK(cut(file, size, active));
  dirty = true;
  CUSTOS_CHECK(write_all(file, buffer, active));
  if (::fdatasync(file.get()) != 0)
    return storage_error("syncing", active);
  dirty = false;
  size += buffer.size();
  durable = head;
  return {};
}

result<void> audit_log::impl::rotate() {
  std::error_code failed;
  // Not there: an earlier attempt got this far, and we still write to the renamed file.
  if (std::filesystem::exists(active, failed)) {
    const auto full = directory / full_file_name(durable.sequence);
    if (::renameat2(AT_FDCWD, active.c_str(), AT_FDCWD, full.c_str(), RENAME_NOREPLACE) != 0)
      return storage_error("renaming", active);
  }
  CUSTOS_TRY(auto next, open_for_append(active));
  CUSTOS_CHECK(sync_directory(directory));
  file = std::move(next);
  size = 0;
  return {};
}

audit_log::audit_log(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
audit_log::audit_log(audit_log&&) noexcept = default;
audit_log& audit_log::operator=(audit_log&&) noexcept = default;
audit_log::~audit_log() = default;

const chain_head& audit_log::head() const {
  return impl_->head;
}
std::size_t audit_log::buffered_bytes() const {
  return impl_->buffer.size();
}
const std::optional<error>& audit_log::rotation_failure() const {
  return impl_->rotation_failure;
}

result<audit_log> audit_log::open(std::filesystem::path directory, std::int64_t now,
                                  log_limits limits) {
  auto i = std::make_unique<impl>();
  i->directory = std::move(directory);
  i->active = i->directory / active_file_name;
  i->limits = limits;
  std::error_code failed;
  std::filesystem::create_directories(i->directory, failed);
  if (failed)
    return make_error(errc::storage_failure, "creating directory " + i->directory.string() +
                                                 " failed: " + failed.message());
  CUSTOS_TRY(i->lock, lock_directory(i->directory));
  CUSTOS_TRY(i->file, open_for_append(i->active));
  CUSTOS_CHECK(sync_directory(i->directory));
  CUSTOS_TRY(const auto found, size_of(i->file, i->active));
  CUSTOS_CHECK(i->find_end());
  const auto lost = found - i->size;
  audit_log log(std::move(i));
  if (lost != 0) {
    log.append({"audit", "", "audit.recover", std::string(active_file_name), "ok",
                std::to_string(lost) + " octets of records that were never acknowledged cut off"},
               now);
    CUSTOS_CHECK(log.sync());
  }
  return log;
}

std::uint64_t audit_log::append(const audit_record& record, std::int64_t now) {
  impl_->buffer += next_line(record, now, impl_->head);
  return impl_->head.sequence;
}

result<void> audit_log::sync() {
  if (impl_->buffer.empty())
    return {};
  auto written = impl_->write_buffer();
  impl_->buffer.clear();
  if (!written) {
    impl_->head = impl_->durable;
    return written;
  }
  if (impl_->size >= impl_->limits.file_bytes_max) {
    // The records are safe whether this works or not; the next sync tries again.
    const auto rotated = impl_->rotate();
    impl_->rotation_failure = rotated ? std::nullopt : std::optional(rotated.failure());
  }
  return {};
}

} // namespace custos::audit
