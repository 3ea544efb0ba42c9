#pragma once
// The files of the audit log: DIR/audit.jsonl is written, full files are kept beside it as
// DIR/audit-NNNNNNNNNNNNNNNNNNNN.jsonl, named by their last record's number. The chain goes on
// over files and restarts. Blocking; not thread-safe. One process at a time (a lock on
// DIR/audit.lock).

#include "actors/audit/chain.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace custos::audit {

inline constexpr std::string_view active_file_name = "audit.jsonl";

/// Octets of records that are written and synced at once (the last one may exceed it).
inline constexpr std::size_t group_bytes_max = 1U << 20U;

struct log_limits {
  std::uint64_t file_bytes_max = 64U << 20U; ///< then a new file is begun
};

class audit_log {
public:
  /// Opens or creates the log and finds where the chain stands. The last line is verified; a last
  /// line that was never finished (power loss: it was never acknowledged either) is cut off and its
  /// loss recorded. Errors: corrupted, storage_failure, already_exists (another process has it).
  static result<audit_log> open(std::filesystem::path directory, std::int64_t now,
                                log_limits limits = {});
  audit_log(audit_log&&) noexcept;
  audit_log& operator=(audit_log&&) noexcept;
  ~audit_log();

  /// Puts a record into the buffer; gives its number. It counts when sync() has succeeded. The
  /// caller syncs when buffered_bytes() reaches group_bytes_max.
  std::uint64_t append(const audit_record& record, std::int64_t now);
  /// Writes the buffer and syncs it to disk (fdatasync). After a failure nothing of the buffer
  /// counts: the chain is back at its last durable record, and the next attempt begins by cutting
  /// off whatever of it reached the file.
  result<void> sync();

  [[nodiscard]] const chain_head& head() const;
  [[nodiscard]] std::size_t buffered_bytes() const;
  /// Why the last attempt to begin a new file failed; the log then goes on in the old one.
  [[nodiscard]] const std::optional<error>& rotation_failure() const;

private:
  struct impl;
  explicit audit_log(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace custos::audit
