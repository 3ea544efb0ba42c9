#pragma once
// Where a replica's log lies in a kv_store (the checksums are the store's).
//
//   raft/self              version(1) || replica id(8)
//   raft/introduction      the members that a new replica was told of when it joined
//   raft/state             version(1) || term(8) || vote(8)
//   raft/base              what lies before the log
//   raft/entry/INDEX       one entry; 16 hexadecimal digits
//   raft/out-of-service    why this replica took itself out; it must not come back as it is
//
// Thread rule: as a value; blocking.

#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/raft/core.hpp"

#include <optional>
#include <string>

namespace custos::cluster::replica {

/// What a store holds of a replica.
struct stored_replica {
  raft::replica_id self = 0;
  raft::membership introduction; ///< empty for the first replica of a cluster
  raft::durable_state durable;
  raft::log_base base{0, 0, std::make_shared<const raft::membership>(), 0};
  std::vector<raft::entry> entries;
};

/// errc::not_found: no replica was ever made here. errc::corrupted names what does not fit: an
/// entry missing in the middle, terms that fall, or a replica that took itself out of service.
result<stored_replica> load_replica(const rocksdb::kv_store& store);

/// A replica that is the first of a cluster: it votes alone.
void add_first_replica(rocksdb::write_batch& batch, const std::string& info);
/// A replica that joins: it knows nothing yet but whom to listen to.
void add_joining_replica(rocksdb::write_batch& batch, raft::replica_id self,
                         const raft::membership& introduction);
void add_out_of_service(rocksdb::write_batch& batch, const std::string& why);

/// Which part of the log is on disk; turns the core's writes into changes of the store.
class stored_log {
public:
  explicit stored_log(const stored_replica& found)
      : base_(found.base.index), last_(found.base.index + found.entries.size()) {}

  /// Everything but the state that `installs` brings.
  void add(rocksdb::write_batch& batch, const raft::write& w);

private:
  void erase(rocksdb::write_batch& batch, raft::log_index first, raft::log_index last);

  raft::log_index base_;
  raft::log_index last_;
};

} // namespace custos::cluster::replica
