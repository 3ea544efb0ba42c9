#pragma once
// The audit log as an actor. Records that arrive while the disk is busy are written and synced
// together: one fdatasync answers all of them.

#include "actors/audit/audit_log.hpp"
#include "messages/clock.hpp"
#include "messages/interfaces.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace custos::audit {

/// Records acknowledged by one sync at most.
inline constexpr std::size_t records_per_sync_max = 1024;

/// For metrics and readiness; written by the actor, read by anyone.
struct audit_gauges {
  std::atomic<std::uint64_t> records{0}; ///< on disk, since the start
  std::atomic<std::uint64_t> syncs{0};
  std::atomic<std::uint64_t> lost_records{0}; ///< could not be written
  std::atomic<std::uint64_t> write_failures{0};
  /// The last attempt to write succeeded. While false, audit_append is answered with an error, and
  /// so no key is released.
  std::atomic<bool> writable{true};
};

struct audit_dependencies {
  clock_source now;
  std::shared_ptr<audit_gauges> gauges;
  /// Told when writing fails; must not depend on this actor (standard error, the process log).
  std::function<void(std::string_view message)> complain;
};

/// `log` was opened by the caller, who can so refuse to start on a damaged log. Detached: it writes
/// files. Stop it with drain, then an exit message.
audit_api spawn_audit(caf::actor_system& system, audit_log log, audit_dependencies given);
/// On the system's scheduler instead: for deterministic tests.
audit_api spawn_audit_scheduled(caf::actor_system& system, audit_log log, audit_dependencies given);

} // namespace custos::audit
