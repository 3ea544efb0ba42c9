#pragma once
// Which files make up an audit log, and writing them so that a promise about the disk holds.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace custos::audit {

/// Name of a full file, by the number of its last record.
std::string full_file_name(std::uint64_t last_sequence);

/// All files of the log, oldest first, the one being written last. Others in the directory are not
/// looked at. Error: storage_failure.
result<std::vector<std::filesystem::path>> log_files(const std::filesystem::path& directory);

/// A file descriptor that closes itself. Move-only.
class descriptor {
public:
  descriptor() = default;
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(descriptor&& other) noexcept;
  descriptor& operator=(descriptor&& other) noexcept;
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor();
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

private:
  int fd_ = -1;
};

/// storage_failure with what was done and the system's reason.
error storage_error(std::string_view doing, const std::filesystem::path& what);

/// Opens for reading and appending, created with mode 0640.
result<descriptor> open_for_append(const std::filesystem::path& file);
/// Takes the lock file of a directory, without waiting. Error: already_exists when another has it.
result<descriptor> lock_directory(const std::filesystem::path& directory);
/// Makes names created or changed in the directory durable.
result<void> sync_directory(const std::filesystem::path& directory);
result<void> write_all(const descriptor& file, std::string_view text,
                       const std::filesystem::path& name);
result<std::uint64_t> size_of(const descriptor& file, const std::filesystem::path& name);
/// The last `bytes_max` octets of the file, or all of it.
result<std::string> read_tail(const descriptor& file, std::size_t bytes_max,
                              const std::filesystem::path& name);

} // namespace custos::audit
