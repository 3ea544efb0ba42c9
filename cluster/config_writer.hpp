#pragma once
// The one writer of a store's configuration: state machine, store and published snapshot kept in
// step. Commands are submitted one by one and put on disk together. Blocking; not thread-safe.

#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/config_state.hpp"
#include "messages/config_cell.hpp"

#include <memory>
#include <optional>

namespace custos::cluster {

/// Documents collected before they are written, whatever the caller wants.
inline constexpr std::size_t pending_bytes_max = 8U << 20U;

class config_writer {
public:
  /// Loads and verifies the state, or makes the empty one in a store that has none, and publishes
  /// it. `cell` may be null (offline). errc::corrupted, errc::storage_failure.
  static result<config_writer> open(std::shared_ptr<rocksdb::kv_store> store,
                                    std::shared_ptr<config_cell> cell);

  /// Ok unless a write failed and the state cannot be read again: then state() is not to be shown.
  result<void> ready();
  /// The state with everything submitted, on disk or not.
  [[nodiscard]] const config_state& state() const { return state_; }

  /// Judges and applies a command. The outcome counts when the next flush() succeeded (at once if
  /// nothing is pending). Errors as config_state::plan; nothing has changed then.
  result<config_applied> submit(const config_command& command);
  [[nodiscard]] bool pending() const { return !batch_.empty(); }
  /// More should not be submitted before a flush.
  [[nodiscard]] bool full() const { return pending_bytes_ >= pending_bytes_max; }

  /// Writes and syncs everything pending, then publishes. After a failure nothing pending counts:
  /// the state is read again from the store, which alone knows what got there.
  result<void> flush();

private:
  config_writer(std::shared_ptr<rocksdb::kv_store> store, std::shared_ptr<config_cell> cell)
      : store_(std::move(store)), cell_(std::move(cell)) {}
  result<void> load();
  void publish();

  std::shared_ptr<rocksdb::kv_store> store_;
  std::shared_ptr<config_cell> cell_;
  config_state state_;
  rocksdb::write_batch batch_;
  std::size_t pending_bytes_ = 0;
  bool snapshot_due_ = false;
  bool stale_ = false; ///< a write failed and the state could not be read again yet
};

} // namespace custos::cluster
