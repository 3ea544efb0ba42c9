#include "cluster/config_store_actor.hpp"

#include "cluster/config_writer.hpp"
#include "messages/caf_error.hpp"

#include <utility>
#include <vector>

namespace custos::cluster {

namespace {

/// The tick is the actor's message to itself: it comes behind every command that is waiting
/// already, so that one sync serves all of them.
using config_store_self = config_store_api::extend<caf::reacts_to<tick>>;

class config_store_actor : public config_store_self::base {
public:
  config_store_actor(caf::actor_config& cfg, config_writer writer, config_store_dependencies given)
      : config_store_self::base(cfg), writer_(std::move(writer)), given_(std::move(given)) {
    set_default_handler(caf::drop);
    set_exit_handler([this](caf::exit_msg& message) {
      flush();
      quit(std::move(message.reason));
    });
  }

  const char* name() const override { return "config_store"; }

  config_store_self::behavior_type make_behavior() override {
    return {
        [this](const config_command& command) { return apply(command); },
        [this](get_config_status) { return to_caf(status()); },
        [this](const get_config_object& call) { return to_caf(read(call)); },
        [this](const list_config_objects& call) { return to_caf(list(call)); },
        [this](get_config_state) { return to_caf(hold()); },
        [this](const tick&) {
          tick_sent_ = false;
          flush();
        },
    };
  }

private:
  using promise_type = caf::typed_response_promise<config_applied>;

  caf::result<config_applied> apply(const config_command& command) {
    if (waiting_.size() >= commands_per_sync_max || writer_.full())
      flush();
    auto outcome = writer_.submit(command);
    if (!outcome && writer_.pending()) {
      // It may have been refused because of something that is not on disk yet: that must not
      // be told before it is true.
      flush();
      outcome = writer_.submit(command);
    }
    if (!outcome || !writer_.pending())
      return to_caf(std::move(outcome));
    auto promise = make_response_promise<config_applied>();
    waiting_.emplace_back(promise, *std::move(outcome));
    if (!std::exchange(tick_sent_, true))
      send(this, tick{});
    return promise;
  }

  void flush() {
    auto waiting = std::exchange(waiting_, {});
    const auto written = writer_.flush();
    for (auto& [promise, outcome] : waiting) {
      if (written)
        promise.deliver(std::move(outcome));
      else
        promise.deliver(to_caf(written.failure()));
    }
  }

  /// What is shown is on disk.
  result<void> settle() {
    flush();
    return writer_.ready();
  }

  result<config_status> status() {
    CUSTOS_CHECK(settle());
    return config_status{writer_.state().revision(), writer_.state().fingerprint(),
                         given_.cluster_id, given_.node};
  }

  result<config_document> read(const get_config_object& call) {
    CUSTOS_CHECK(settle());
    CUSTOS_CHECK(check_object_name(call.kind, call.name));
    const auto* const found = writer_.state().find(call.kind, call.name);
    if (found == nullptr)
      return make_error(errc::not_found,
                        "there is no " + std::string(to_string(call.kind)) + "/" + call.name);
    return config_document{call.name, found->document, writer_.state().revision()};
  }

  result<config_documents> list(const list_config_objects& call) {
    CUSTOS_CHECK(settle());
    config_documents out;
    out.revision = writer_.state().revision();
    if (to_string(call.kind) == "unknown")
      return field_error(errc::invalid_argument, "kind", "expected a kind of configuration object");
    for (const auto& object : writer_.state().all(call.kind))
      out.objects.push_back({object->name, object->document, out.revision});
    return out;
  }

  result<config_state_held> hold() {
    CUSTOS_CHECK(settle());
    return config_state_held{std::make_shared<const config_state>(writer_.state())};
  }

  config_writer writer_;
  config_store_dependencies given_;
  std::vector<std::pair<promise_type, config_applied>> waiting_;
  bool tick_sent_ = false;
};

template <caf::spawn_options Options>
result<config_store_api> spawn_with(caf::actor_system& system, config_store_dependencies given) {
  CUSTOS_TRY(auto writer, config_writer::open(given.store, given.cell));
  return config_store_api(
      system.spawn<config_store_actor, Options>(std::move(writer), std::move(given)));
}

} // namespace

result<config_store_api> spawn_config_store(caf::actor_system& system,
                                            config_store_dependencies given) {
  return spawn_with<caf::detached>(system, std::move(given));
}

result<config_store_api> spawn_config_store_scheduled(caf::actor_system& system,
                                                      config_store_dependencies given) {
  return spawn_with<caf::no_spawn_options>(system, std::move(given));
}

} // namespace custos::cluster
