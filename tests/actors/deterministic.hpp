#pragma once
// Actors without threads and without a clock of their own: the test runs every message and moves
// time itself, so that a test has one outcome, and none waits.

#include "messages/caf_error.hpp"
#include "messages/interfaces.hpp"

#include <caf/all.hpp>
#include <caf/detail/test_actor_clock.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace custos::test {

class deterministic : public ::testing::Test {
protected:
  deterministic()
      : system(config()),
        scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())) {
    // Time point zero means "not set" to CAF.
    scheduler_.clock().current_time += std::chrono::hours(1);
  }
  ~deterministic() override {
    for (const auto& actor : owned_)
      caf::anon_send_exit(actor, caf::exit_reason::kill);
    owned_.clear();
    run();
  }

  /// Until no message is left.
  void run() {
    while (scheduler_.run() > 0) {
    }
  }
  /// Moves time, triggers what is due, runs.
  void advance(std::chrono::milliseconds by) {
    run();
    scheduler_.advance_time(by);
    run();
  }

  /// Milliseconds of the clock that advance() moves.
  std::function<std::uint64_t()> ticks() {
    return [&clock = scheduler_.clock()] {
      const auto since = clock.current_time.time_since_epoch();
      return static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
    };
  }

  /// The test ends this actor.
  template <class Handle>
  Handle own(Handle handle) {
    owned_.push_back(caf::actor_cast<caf::strong_actor_ptr>(handle));
    return handle;
  }

  /// An answer that may not be there yet.
  template <class Out>
  using answer = std::shared_ptr<std::optional<result<Out>>>;

  /// Sends a request; nothing runs before run() or advance().
  template <class Out, class Handle, class Message>
  answer<Out> post(const Handle& to, Message message) {
    auto slot = std::make_shared<std::optional<result<Out>>>();
    system.spawn(
        [slot, to](caf::event_based_actor* self, const Message& call) {
          self->request(to, std::chrono::minutes(24 * 60), call)
              .then([slot](Out& value) { slot->emplace(std::move(value)); },
                    [slot](const caf::error& e) { slot->emplace(from_caf(e)); });
        },
        std::move(message));
    return slot;
  }

  /// Sends a request and runs until nothing happens any more. No answer is an error by itself.
  template <class Out, class Handle, class Message>
  result<Out> ask(const Handle& to, Message message) {
    auto slot = post<Out>(to, std::move(message));
    run();
    if (!slot->has_value())
      return make_error(errc::internal, "test: no answer");
    return std::move(**slot);
  }

private:
  static caf::actor_system_config& config() {
    // One for all tests: an actor system refers to it for as long as it lives.
    static auto* shared = [] {
      auto* c = new caf::actor_system_config;
      c->set("scheduler.policy", caf::atom("testing"));
      c->add_message_types<caf::id_block::custos>();
      return c;
    }();
    return *shared;
  }

protected:
  caf::actor_system system;

private:
  caf::scheduler::test_coordinator& scheduler_;
  std::vector<caf::strong_actor_ptr> owned_;
};

} // namespace custos::test
