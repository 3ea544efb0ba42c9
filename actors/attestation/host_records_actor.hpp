#pragma once
// Keeps what is known of hosts on disk, and their last evidence; judges it again when asked.

#include "actors/attestation/host_table.hpp"
#include "adapters/crypto/x509.hpp"
#include "adapters/rocksdb/kv_store.hpp"
#include "messages/clock.hpp"
#include "messages/config_cell.hpp"
#include "messages/interfaces.hpp"

#include <atomic>
#include <functional>
#include <memory>

namespace custos::attestation {

/// Changes that may wait for the disk; more are not put on disk (the next attestation of the host
/// will be), and counted.
inline constexpr std::size_t pending_changes_max = 8192;

/// Between verifiers and the keeper of records: bounds what waits. Thread-safe.
struct record_inbox {
  std::atomic<std::size_t> waiting{0};
  std::atomic<std::uint64_t> dropped{0};
};

struct host_records_dependencies {
  std::shared_ptr<rocksdb::kv_store> store;
  std::shared_ptr<host_table> hosts;
  std::shared_ptr<const config_cell> config;
  std::shared_ptr<record_inbox> inbox;
  crypto::certificate ak_ca;
  clock_source now;
  /// A snapshot with these changes, judged as the ConfigStore would; no disk is touched.
  std::function<result<config_ptr>(const config_ptr&, const std::vector<config_command>&)> preview;
  /// A write failed; the node goes on with what it has in memory.
  std::function<void(const error&)> complain;
};

/// Reads every record into the table first. errc::corrupted names the host; errc::storage_failure.
result<host_records_api> spawn_host_records(caf::actor_system& system,
                                            host_records_dependencies given);
/// The same on the scheduler, for tests.
result<host_records_api> spawn_host_records_scheduled(caf::actor_system& system,
                                                      host_records_dependencies given);

/// How verifiers tell it of changes.
std::function<void(const host_id&, std::shared_ptr<const kept_evidence>)>
record_changes(const host_records_api& records, std::shared_ptr<host_table> hosts,
               std::shared_ptr<record_inbox> inbox);

} // namespace custos::attestation
