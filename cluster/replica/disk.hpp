#pragma once
// What a replica wants on its disk, put there. Thread rule: one thread at a time; blocking.

#include "cluster/replica/raft_store.hpp"
#include "cluster/replica/replica.hpp"

namespace custos::cluster::replica {

struct disk_result {
  result<void> written;
  std::optional<config_state> installed; ///< for replica::disk_done()
};

/// One batch, whole or not at all. errc::corrupted, errc::unsupported: an image that a write
/// installs does not read; otherwise the errors of the store.
disk_result perform(rocksdb::kv_store& store, stored_log& log, const disk_job& job);

/// The state that lies beside the log. A replica that joins has none yet: the log brings it.
/// errc::corrupted if the two do not fit together.
result<config_state> load_state_of(const rocksdb::kv_store& store, const stored_replica& found);

} // namespace custos::cluster::replica
