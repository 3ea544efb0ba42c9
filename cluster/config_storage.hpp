#pragma once
// Where the ConfigStore's state lies in a kv_store, and how it gets there and back.
//
//   config/head                    {"fingerprint":hex,"revision":n}
//   config/object/KIND/NAME        the canonical document
//   config/operation/SEQUENCE      {"changed","command","fingerprint","id","revision"}, 20 digits
//
// The settings are always there, so that other defaults of another version change nothing.
// One write batch per command: head, object and operation change together.

#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/config_state.hpp"

namespace custos::cluster {

/// Adds the change to the batch. `before` is the state it was planned on.
void add_changes(rocksdb::write_batch& batch, const config_state& before,
                 const planned_change& change);

/// The whole state (a new store).
void add_everything(rocksdb::write_batch& batch, const config_state& state);

/// Reads the state as of one moment and verifies it. errc::not_found: the store has none;
/// errc::corrupted names what does not fit.
result<config_state> load_state(const rocksdb::kv_store& store);

} // namespace custos::cluster
