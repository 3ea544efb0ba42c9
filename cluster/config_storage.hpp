#pragma once
// Where the ConfigStore's state lies in a kv_store, and how it gets there and back.
//
//   config/head                    {"applied":n,"fingerprint":hex,"revision":n,"state":hex}
//   config/object/KIND/NAME        the canonical document
//   config/operation/SEQUENCE      octets_of(operation); 20 digits
//
// The settings are always there, so that other defaults of another version change nothing. A batch
// that holds changes ends with the head of the state after them: one batch is one step from one
// state to another, whether it is one command or many.

#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/config_state.hpp"

namespace custos::cluster {

/// Adds the objects and the operation of a change, not the head. `before` is the state it was
/// judged on.
void add_changes(rocksdb::write_batch& batch, const config_state& before,
                 const planned_change& change);

/// Adds the head of the state as it is after all that is in the batch: once for a batch. Alone
/// where entries of the log changed nothing but the applied index.
void add_head(rocksdb::write_batch& batch, const config_state& after);

/// The whole state (a new store).
void add_everything(rocksdb::write_batch& batch, const config_state& state);

/// The whole state in place of whatever configuration the store has.
void replace_everything(rocksdb::write_batch& batch, const config_state& state);

/// Reads the state as of one moment and verifies it. errc::not_found: the store has none;
/// errc::corrupted names what does not fit.
result<config_state> load_state(const rocksdb::kv_store& store);

} // namespace custos::cluster
