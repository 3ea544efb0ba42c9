#pragma once
// The ConfigStore of a node as an actor: one writer over store, state machine and published
// snapshot. Commands that wait while the disk is busy are written and synced together. A command is
// answered after it is on disk and its snapshot is published.

#include "adapters/rocksdb/kv_store.hpp"
#include "messages/config_cell.hpp"
#include "messages/interfaces.hpp"

#include <memory>
#include <string>

namespace custos::cluster {

/// Commands answered by one sync at most.
inline constexpr std::size_t commands_per_sync_max = 256;

struct config_store_dependencies {
  std::shared_ptr<rocksdb::kv_store> store;
  std::shared_ptr<config_cell> cell;
  std::string cluster_id;
  std::string node;
};

/// Loads and verifies the stored state, publishes it, then spawns (detached: it syncs files). Fails
/// with errc::corrupted and starts nothing if the state does not verify. Stop it with an exit
/// message.
result<config_store_api> spawn_config_store(caf::actor_system& system,
                                            config_store_dependencies given);
/// On the system's scheduler instead: for deterministic tests.
result<config_store_api> spawn_config_store_scheduled(caf::actor_system& system,
                                                      config_store_dependencies given);

} // namespace custos::cluster
