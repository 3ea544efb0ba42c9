#include "actors/audit/audit_actor.hpp"

#include "messages/caf_error.hpp"

#include <utility>
#include <vector>

namespace custos::audit {

namespace {

/// The tick is the actor's message to itself: it comes behind every record that is waiting already,
/// so that one sync serves all of them.
using audit_self = audit_api::extend<caf::reacts_to<tick>>;

class audit_actor : public audit_self::base {
public:
  audit_actor(caf::actor_config& cfg, audit_log log, audit_dependencies given)
      : audit_self::base(cfg), log_(std::move(log)), given_(std::move(given)) {
    set_default_handler(caf::drop);
    // Whoever ends this actor without a drain still gets what was accepted onto the disk.
    set_exit_handler([this](caf::exit_msg& message) {
      flush();
      quit(std::move(message.reason));
    });
  }

  const char* name() const override { return "audit"; }

  audit_self::behavior_type make_behavior() override {
    return {
        [this](const audit_record& record) { append(record); },
        [this](const audit_append& call) -> caf::result<audit_appended> {
          auto promise = make_response_promise<audit_appended>();
          // Not in one expression: appending may flush, and with it answer those who wait.
          const auto sequence = append(call.record);
          waiting_.emplace_back(promise, sequence);
          return promise;
        },
        [this](drain) -> caf::result<drained> {
          flush();
          if (failure_)
            return to_caf(*failure_);
          return drained{};
        },
        [this](const tick&) {
          tick_sent_ = false;
          flush();
        },
    };
  }

private:
  /// The record's number in the chain.
  std::uint64_t append(const audit_record& record) {
    if (buffered_ >= records_per_sync_max || log_.buffered_bytes() >= group_bytes_max)
      flush();
    const auto now = given_.now();
    if (buffered_ == 0 && lost_ != 0) // the gap itself goes on record as soon as that is possible
      log_.append({"audit", "", "audit.lost", "", std::string(to_string(errc::storage_failure)),
                   std::to_string(lost_) + " records could not be written"},
                  now);
    const auto sequence = log_.append(record, now);
    ++buffered_;
    if (!std::exchange(tick_sent_, true))
      send(this, tick{});
    return sequence;
  }

  void flush() {
    if (buffered_ == 0)
      return;
    const auto count = std::exchange(buffered_, 0);
    auto waiting = std::exchange(waiting_, {});
    auto written = log_.sync();
    auto& gauges = *given_.gauges;
    gauges.writable.store(written.ok(), std::memory_order_relaxed);
    if (written) {
      failure_.reset();
      lost_ = 0;
      gauges.records.fetch_add(count, std::memory_order_relaxed);
      gauges.syncs.fetch_add(1, std::memory_order_relaxed);
      for (auto& [promise, sequence] : waiting)
        promise.deliver(audit_appended{sequence});
      if (const auto& failed = log_.rotation_failure())
        given_.complain("audit log: no new file could be begun: " + failed->message);
      return;
    }
    failure_ = std::move(written).failure();
    lost_ += count;
    gauges.lost_records.fetch_add(count, std::memory_order_relaxed);
    gauges.write_failures.fetch_add(1, std::memory_order_relaxed);
    given_.complain("audit log: " + std::to_string(count) +
                    " records lost, no key is released: " + failure_->message);
    for (auto& [promise, sequence] : waiting)
      promise.deliver(to_caf(*failure_));
  }

  audit_log log_;
  audit_dependencies given_;
  std::vector<std::pair<caf::typed_response_promise<audit_appended>, std::uint64_t>> waiting_;
  std::size_t buffered_ = 0;
  std::uint64_t lost_ = 0; ///< not on record yet
  bool tick_sent_ = false;
  std::optional<error> failure_; ///< of the last sync
};

} // namespace

audit_api spawn_audit(caf::actor_system& system, audit_log log, audit_dependencies given) {
  return system.spawn<audit_actor, caf::detached>(std::move(log), std::move(given));
}

audit_api spawn_audit_scheduled(caf::actor_system& system, audit_log log,
                                audit_dependencies given) {
  return system.spawn<audit_actor>(std::move(log), std::move(given));
}

} // namespace custos::audit
