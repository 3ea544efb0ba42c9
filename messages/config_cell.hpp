#pragma once
// Where the present configuration snapshot hangs. One writer (the config_store actor), any number
// of readers; a reader pays one atomic load unless the revision changed.

#include "messages/config.hpp"

#include <atomic>
#include <mutex>

namespace custos {

class config_cell {
public:
  config_cell() : present_(std::make_shared<const config_snapshot>()) {}

  void publish(config_ptr next) {
    const std::lock_guard guard(mutex_);
    present_ = std::move(next);
    generation_.fetch_add(1, std::memory_order_release);
  }
  [[nodiscard]] config_ptr load() const {
    const std::lock_guard guard(mutex_);
    return present_;
  }
  [[nodiscard]] std::uint64_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }

private:
  mutable std::mutex mutex_;
  config_ptr present_;
  std::atomic<std::uint64_t> generation_{1};
};

/// One reader's view: not thread-safe, one per actor.
class config_reader {
public:
  explicit config_reader(std::shared_ptr<const config_cell> cell) : cell_(std::move(cell)) {}

  /// The present snapshot.
  const config_ptr& get() {
    const auto generation = cell_->generation();
    if (generation != seen_) {
      seen_ = generation;
      cached_ = cell_->load();
    }
    return cached_;
  }

private:
  std::shared_ptr<const config_cell> cell_;
  std::uint64_t seen_ = 0;
  config_ptr cached_;
};

} // namespace custos
