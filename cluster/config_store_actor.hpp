#pragma once
// The ConfigStore of a node as an actor: its replica (cluster/replica/), the thread of its disk,
// and the published snapshot. The actor keeps time and never blocks; the disk has an actor of its
// own, which writes what was collected meanwhile together: that is group commit.

#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/link/link.hpp"
#include "cluster/replica/replica.hpp"
#include "messages/config_cell.hpp"
#include "messages/interfaces.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace custos::cluster {

/// For metrics; written by the actor, read by anybody.
struct replica_gauges {
  std::atomic<std::uint64_t> term = 0;
  std::atomic<std::uint64_t> leads = 0; ///< 1 if this node leads
  std::atomic<std::uint64_t> leader_known = 0;
  std::atomic<std::uint64_t> committed = 0;
  std::atomic<std::uint64_t> applied = 0;
  std::atomic<std::uint64_t> voters = 0;
  std::atomic<std::uint64_t> members = 0;
  std::atomic<std::uint64_t> requests_waiting = 0;
  /// 1: it has the cluster's configuration and is in service.
  std::atomic<std::uint64_t> in_service = 0;
  std::atomic<std::uint64_t> elections_seen = 0; ///< changes of leader or term
  std::atomic<std::uint64_t> states_differ = 0;  ///< others whose state is not this node's
};

/// The check of an error that says: this node answers nothing any more, others may.
inline constexpr std::string_view out_of_service_check = "cluster-out-of-service";

/// Why a replica stopped.
struct replica_failure {
  error why;
  /// It must not come back as it is: its state or log is wrong. False: the disk failed, or the
  /// program is too old for what is in the log; what is on the disk may be good.
  bool for_good = false;
};

struct config_store_dependencies {
  std::shared_ptr<rocksdb::kv_store> store;
  std::shared_ptr<config_cell> cell;
  std::string cluster_id;
  std::string node;
  std::string cluster_name = {};
  std::string incarnation = {}; ///< of this process, random
  std::string program_version = {};
  std::uint64_t seed = 1; ///< of election timeouts
  replica::replica_options options = {};
  /// Milliseconds of a clock that does not go back.
  std::function<replica::milliseconds()> ticks = {};
  /// To a peer over the link; may be empty for a node that is alone.
  std::function<result<void>(const std::string& peer, byte_view frame)> send = {};
  /// The link's membership.
  std::function<void(std::vector<link::link_member>)> members = {};
  std::function<std::vector<link::link_status>()> link_status = {};
  /// State, members or leader changed; called on the actor's thread before the state is shown to
  /// the services. May write to the store, seldom.
  std::function<void(const config_ptr& state, const std::vector<replica::known_member>& members,
                     bool leads)>
      changed = {};
  /// On the actor's thread; an empty name: no leader is known any more.
  std::function<void(const std::string& leader, raft::term_number term)> leader_changed = {};
  /// Called once, on the actor's thread, when the replica stopped.
  std::function<void(const replica_failure&)> failed = {};
  std::shared_ptr<replica_gauges> gauges = {};
};

/// Loads and verifies log and state, publishes the state, then spawns (detached). Starts nothing
/// and fails with errc::corrupted if they do not verify. Stop it with `drain` and an exit message.
result<config_store_api> spawn_config_store(caf::actor_system& system,
                                            config_store_dependencies given);
/// On the system's scheduler instead, the disk too: for deterministic tests.
result<config_store_api> spawn_config_store_scheduled(caf::actor_system& system,
                                                      config_store_dependencies given);

} // namespace custos::cluster
