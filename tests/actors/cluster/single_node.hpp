#pragma once
// A ConfigStore that is a cluster of one, for tests of actors that need one.

#include "cluster/config_store_actor.hpp"
#include "tests/unit/cluster/replica/first_replica.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace custos::cluster::test {

/// Long enough for a node alone to lead, and to have committed that.
inline constexpr std::chrono::milliseconds election_time{1100};

/// What a ConfigStore over this store needs; a store that holds nothing yet becomes that of the
/// first node of a cluster.
inline config_store_dependencies alone(std::shared_ptr<rocksdb::kv_store> store,
                                       std::shared_ptr<config_cell> cell,
                                       std::function<replica::milliseconds()> ticks) {
  if (store->scan("raft/").value().empty())
    replica::test::fill_first(*store, replica::test::info_of("node-1"));
  config_store_dependencies out;
  out.store = std::move(store);
  out.cell = std::move(cell);
  out.cluster_id = "cluster-1";
  out.node = "node-1";
  static unsigned starts = 0; // operation ids of two starts must differ
  out.incarnation = "test-" + std::to_string(++starts);
  out.ticks = std::move(ticks);
  return out;
}

} // namespace custos::cluster::test
