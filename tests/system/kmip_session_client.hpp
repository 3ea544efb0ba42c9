#pragma once
// One KMIP connection for tests: our session joined to our TLS stream, asked from the test's
// thread. All that happens to the session happens on the pool's only thread.

#include "adapters/crypto/crypto.hpp"
#include "adapters/kmip/session.hpp"
#include "adapters/tls/stream.hpp"

#include <future>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace custos::kmip::testing {

class session_client : public std::enable_shared_from_this<session_client> {
public:
  /// `pool` has one thread and outlives this.
  session_client(http::io_pool& pool, session_options options)
      : pool_(pool), session_(with_ids(std::move(options))) {}

  void connect(tls::stream_options to) {
    tls::stream_events events;
    events.connected = [self = shared_from_this()](const std::string&) {
      self->perform(self->session_.start());
    };
    events.received = [self = shared_from_this()](const crypto::wiped_bytes& data) {
      self->perform(self->session_.feed(data));
      if (self->stream_)
        self->stream_->read_more();
    };
    events.closed = [self = shared_from_this()](const error& why, const std::string&) {
      self->fail_all(why);
      self->stream_.reset(); // the events hold the client: this ends the circle
    };
    pool_.post([self = shared_from_this(), to = std::move(to), events = std::move(events)] {
      self->stream_ = tls::connect(self->pool_, to, events);
    });
  }

  /// Every request given at once, so that they may share messages; the answers in their order.
  std::vector<std::future<result<answer>>> submit(std::vector<request> requests) {
    std::vector<std::future<result<answer>>> out;
    auto promises = std::make_shared<std::vector<std::promise<result<answer>>>>(requests.size());
    for (auto& p : *promises)
      out.push_back(p.get_future());
    pool_.post([self = shared_from_this(), promises, requests = std::move(requests)] {
      for (std::size_t i = 0; i < requests.size(); ++i) {
        const auto ticket = ++self->tickets_;
        self->waiting_.emplace(ticket, std::move((*promises)[i]));
        self->perform(self->session_.submit(ticket, requests[i]));
      }
    });
    return out;
  }

  result<answer> ask(request r) {
    std::vector<request> one;
    one.push_back(std::move(r));
    auto answered = submit(std::move(one));
    if (answered.front().wait_for(std::chrono::seconds(60)) != std::future_status::ready)
      return make_error(errc::timeout, "no answer within a minute");
    return answered.front().get();
  }

  /// The answer of a type; a test that asks for another one fails by its error.
  template <class T>
  result<T> ask_for(request r) {
    auto a = ask(std::move(r));
    if (!a)
      return std::move(a).failure();
    return std::get<T>(*std::move(a));
  }

  void end() {
    pool_.post([self = shared_from_this()] {
      if (self->stream_)
        self->stream_->close();
    });
  }

  /// Messages sent so far, and what the server said of itself; once the answer to a request is in.
  [[nodiscard]] std::size_t messages_sent() const { return sent_; }
  [[nodiscard]] const capabilities& server() const { return session_.server(); }

private:
  static session_options with_ids(session_options options) {
    options.new_id = [] {
      batch_item_id id{};
      const bytes random = crypto::random_bytes(id.size());
      std::copy(random.begin(), random.end(), id.begin());
      return id;
    };
    return options;
  }

  void perform(session_effects effects) {
    for (auto& message : effects.output) {
      ++sent_;
      stream_->write(std::move(message));
    }
    for (auto& c : effects.completed)
      if (auto node = waiting_.extract(c.ticket))
        node.mapped().set_value(std::move(c.outcome));
    if (effects.close)
      fail_all(*effects.close);
  }
  void fail_all(const error& why) {
    for (auto& w : std::exchange(waiting_, {}))
      w.second.set_value(why);
  }

  http::io_pool& pool_;
  session session_;
  std::shared_ptr<tls::stream> stream_;
  std::map<std::uint64_t, std::promise<result<answer>>> waiting_;
  std::uint64_t tickets_ = 0;
  std::size_t sent_ = 0;
};

} // namespace custos::kmip::testing
