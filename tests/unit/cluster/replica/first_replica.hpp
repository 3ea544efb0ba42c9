#pragma once
// Stores for tests: of the first replica of a cluster, and of one that joins.

#include "cluster/config_storage.hpp"
#include "cluster/replica/member_info.hpp"
#include "cluster/replica/raft_store.hpp"

#include <memory>
#include <string>

namespace custos::cluster::replica::test {

inline member_info info_of(const std::string& name, unsigned certificate = 0) {
  member_info out;
  out.name = name;
  out.host = name + ".example.org";
  out.port = 8444;
  out.certificates = {crypto::sha256(as_bytes(name + "/" + std::to_string(certificate)))};
  out.public_key = {0x30, 0x59};
  return out;
}

/// A cluster of one, as "custos cluster init" leaves it.
inline void fill_first(rocksdb::kv_store& store, const member_info& info, config_state state = {}) {
  state.set_applied(raft::bootstrap_base({}).index);
  rocksdb::write_batch batch;
  add_everything(batch, state);
  add_first_replica(batch, write_member_info(info));
  if (auto written = store.write(batch); !written)
    throw std::runtime_error(written.failure().message);
}

} // namespace custos::cluster::replica::test
