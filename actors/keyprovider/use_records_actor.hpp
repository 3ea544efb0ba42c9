#pragma once
// Keeps on disk how often primary keys were used: what changed is written once a minute and when
// the node stops. Detached: it writes files.

#include "actors/keyprovider/use_table.hpp"
#include "adapters/rocksdb/kv_store.hpp"
#include "messages/clock.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>

namespace custos::keyprovider {

inline constexpr std::uint32_t uses_written_every_s = 60;

struct use_records_dependencies {
  std::shared_ptr<rocksdb::kv_store> store; ///< may hold other things: keys begin with "key-use"
  std::shared_ptr<use_table> uses;
  /// A write failed; it is tried again with the next one.
  std::function<void(const error&)> complain;
};

/// What the store holds; in a new one counting begins now, which is written at once.
/// errc::corrupted, errc::storage_failure.
result<std::shared_ptr<use_table>> load_uses(rocksdb::kv_store& store, std::int64_t now);

/// Ends, after a last write, with an exit message.
use_records_api spawn_use_records(caf::actor_system& system, use_records_dependencies given);
/// The same on the scheduler, for tests.
use_records_api spawn_use_records_scheduled(caf::actor_system& system,
                                            use_records_dependencies given);

} // namespace custos::keyprovider
