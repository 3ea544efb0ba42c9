#include "cluster/config_writer.hpp"

#include "cluster/config_storage.hpp"

#include <utility>

namespace custos::cluster {

result<config_writer> config_writer::open(std::shared_ptr<rocksdb::kv_store> store,
                                          std::shared_ptr<config_cell> cell) {
  config_writer out(std::move(store), std::move(cell));
  auto loaded = out.load();
  if (!loaded && loaded.failure().code == errc::not_found) {
    rocksdb::write_batch everything;
    add_everything(everything, out.state_);
    CUSTOS_CHECK(out.store_->write(everything));
    out.publish();
  } else if (!loaded) {
    return std::move(loaded).failure();
  }
  return out;
}

result<void> config_writer::load() {
  CUSTOS_TRY(state_, load_state(*store_));
  stale_ = false;
  publish();
  return {};
}

void config_writer::publish() {
  snapshot_due_ = false;
  if (cell_)
    cell_->publish(state_.snapshot());
}

result<void> config_writer::ready() {
  return stale_ ? load() : result<void>();
}

result<config_applied> config_writer::submit(const config_command& command) {
  CUSTOS_CHECK(ready());
  CUSTOS_TRY(const auto change, state_.plan(command));
  add_changes(batch_, state_, change);
  state_.commit(change);
  snapshot_due_ = snapshot_due_ || change.writes;
  if (change.object && change.writes)
    pending_bytes_ += change.object->document.size();
  return change.outcome;
}

result<void> config_writer::flush() {
  if (!pending())
    return {};
  add_head(batch_, state_);
  const auto batch = std::exchange(batch_, {});
  pending_bytes_ = 0;
  auto written = store_->write(batch);
  if (!written) {
    stale_ = true;
    // If this fails too, ready() tries again.
    static_cast<void>(load().ok());
    return written;
  }
  if (snapshot_due_)
    publish();
  return {};
}

} // namespace custos::cluster
