#pragma once
// From Asio threads to actors and back: a request becomes a message, the answer a call of `done`.
// `done` runs on an actor thread and must only hand over (http::responder posts to the connection's
// strand itself). Each call has a budget: a lost answer becomes errc::timeout.

#include "messages/caf_error.hpp"
#include "messages/interfaces.hpp"

#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <functional>
#include <vector>

namespace custos::runtime {

class bridge {
public:
  /// Spawns `width` bridge actors; calls are spread over them.
  bridge(caf::actor_system& system, unsigned width);
  ~bridge();
  bridge(const bridge&) = delete;
  bridge& operator=(const bridge&) = delete;

  template <class Out, class Handle, class Message>
  void ask(const Handle& target, std::chrono::milliseconds budget, Message message,
           std::function<void(result<Out>)> done) {
    auto run = [target, budget, message = std::move(message),
                done = std::move(done)](caf::event_based_actor* self) mutable {
      // Both handlers own the callback: exactly one of them runs.
      auto shared = std::make_shared<std::function<void(result<Out>)>>(std::move(done));
      self->request(target, budget, std::move(message))
          .then([shared](Out& value) { (*shared)(std::move(value)); },
                [shared](const caf::error& e) { (*shared)(from_caf(e)); });
    };
    post(std::make_shared<std::function<void(caf::event_based_actor*)>>(std::move(run)));
  }

  /// Runs `work` on one of the bridge's actors; it must not block for long.
  void run(std::function<void()> work) {
    post(std::make_shared<std::function<void(caf::event_based_actor*)>>(
        [work = std::move(work)](caf::event_based_actor*) { work(); }));
  }

  /// No further calls; the bridge actors end. Callbacks of calls still in hand are destroyed
  /// without having run.
  void stop();
  /// Blocks until they have ended, after stop(): then no callback runs any more, and what callbacks
  /// look at may be taken apart.
  void wait();

private:
  void post(std::shared_ptr<std::function<void(caf::event_based_actor*)>> run);

  std::vector<caf::actor> actors_;
  std::atomic<std::size_t> next_{0};
};

/// How many requests of a kind may be in flight; beyond it the gateway answers 503 at once instead
/// of letting a mailbox grow (CAF's mailboxes are unbounded).
class admission {
public:
  explicit admission(std::size_t in_flight_max) : max_(in_flight_max) {}

  /// Gives its place back when the last copy is gone.
  using permit = std::shared_ptr<void>;
  /// Empty when full.
  permit try_enter() {
    if (in_flight_.fetch_add(1, std::memory_order_relaxed) >= max_) {
      in_flight_.fetch_sub(1, std::memory_order_relaxed);
      refused_.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    return {this, [](void* self) {
              static_cast<admission*>(self)->in_flight_.fetch_sub(1, std::memory_order_relaxed);
            }};
  }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

private:
  std::size_t max_;
  std::atomic<std::size_t> in_flight_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// Fixes every CAF setting we rely on (docs/decisions/0002) and registers our message types.
void configure_actor_system(caf::actor_system_config& config, unsigned threads);

} // namespace custos::runtime
