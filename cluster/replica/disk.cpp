#include "cluster/replica/disk.hpp"

#include "cluster/config_storage.hpp"
#include "cluster/state_image.hpp"

namespace custos::cluster::replica {

disk_result perform(rocksdb::kv_store& store, stored_log& log, const disk_job& job) {
  disk_result out;
  auto batch = job.state;
  for (const auto& w : job.writes) {
    if (w.installs) {
      auto state = decode_state(*w.installs->data);
      if (!state) {
        out.written = state.failure();
        return out;
      }
      replace_everything(batch, *state);
      out.installed = *std::move(state);
    }
    log.add(batch, w);
  }
  out.written = store.write(batch, job.synced() ? rocksdb::durability::synced
                                                : rocksdb::durability::buffered);
  return out;
}

result<config_state> load_state_of(const rocksdb::kv_store& store, const stored_replica& found) {
  auto state = load_state(store);
  if (!state && state.failure().code == errc::not_found && found.base.index == 0)
    return config_state();
  if (state && (state->applied_index() < found.base.index ||
                state->applied_index() > found.base.index + found.entries.size()))
    return make_error(errc::corrupted, "the stored state is of entry " +
                                           std::to_string(state->applied_index()) +
                                           ", which is not in the stored log");
  return state;
}

} // namespace custos::cluster::replica
