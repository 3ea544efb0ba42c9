#include "runtime/bridge.hpp"

namespace custos::runtime {

namespace {

class bridge_actor : public caf::event_based_actor {
public:
  explicit bridge_actor(caf::actor_config& config) : caf::event_based_actor(config) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "bridge"; }
  caf::behavior make_behavior() override {
    return {[this](const deferred_call& call) { (*call.run)(this); }};
  }
};

} // namespace

bridge::bridge(caf::actor_system& system, unsigned width) {
  actors_.reserve(width);
  for (unsigned i = 0; i < width; ++i)
    actors_.push_back(system.spawn<bridge_actor>());
}

bridge::~bridge() {
  stop();
}

void bridge::stop() {
  for (auto& a : actors_)
    caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
}

void bridge::wait() {
  if (actors_.empty())
    return;
  caf::scoped_actor self(actors_.front().home_system());
  for (const auto& a : actors_)
    self->wait_for(a);
}

void bridge::post(std::shared_ptr<std::function<void(caf::event_based_actor*)>> run) {
  const auto i = next_.fetch_add(1, std::memory_order_relaxed) % actors_.size();
  caf::anon_send(actors_[i], deferred_call{std::move(run)});
}

void configure_actor_system(caf::actor_system_config& config, unsigned threads) {
  config.add_message_types<caf::id_block::custos>();
  // "sharing": an idle work-stealing worker sleeps up to 10 ms before it looks for work.
  config.set("scheduler.policy", caf::atom("sharing"));
  config.set("scheduler.max-threads", static_cast<std::size_t>(threads));
  config.set("scheduler.max-throughput", static_cast<std::size_t>(64));
}

} // namespace custos::runtime
