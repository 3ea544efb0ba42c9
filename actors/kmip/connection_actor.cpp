#include "actors/kmip/connection_actor.hpp"

#include "messages/caf_error.hpp"

#include <map>
#include <optional>
#include <utility>

namespace custos::kmip {

namespace {

/// Events of a stream as messages to the actor, which they must not keep alive.
tls::stream_events events_for(const caf::weak_actor_ptr& actor, std::uint64_t connection) {
  const auto tell = [actor](socket_event event) {
    if (const auto alive = caf::actor_cast<caf::strong_actor_ptr>(actor))
      caf::anon_send(caf::actor_cast<caf::actor>(alive), std::move(event));
  };
  tls::stream_events events;
  events.connected = [tell, connection](std::string chain_pem) {
    socket_event e;
    e.kind = socket_event::what::connected;
    e.connection = connection;
    e.peer_certificate_pem = std::move(chain_pem);
    tell(std::move(e));
  };
  events.received = [tell, connection](crypto::wiped_bytes data) {
    socket_event e;
    e.kind = socket_event::what::received;
    e.connection = connection;
    e.data = std::make_shared<crypto::wiped_bytes>(std::move(data));
    tell(std::move(e));
  };
  events.closed = [tell, connection](error why, std::string chain_pem) {
    socket_event e;
    e.kind = socket_event::what::closed;
    e.connection = connection;
    e.why = std::move(why);
    e.peer_certificate_pem = std::move(chain_pem);
    tell(std::move(e));
  };
  return events;
}

class connection_actor : public connection_api::base {
public:
  connection_actor(caf::actor_config& cfg, connection_options options, stream_factory connect)
      : connection_api::base(cfg), core_(std::move(options)), connect_(std::move(connect)) {
    set_default_handler(caf::drop);
  }

  const char* name() const override { return "kmip_connection"; }

  connection_api::behavior_type make_behavior() override {
    return {
        [this](const get_capabilities&) -> caf::result<capabilities> {
          auto promise = make_response_promise<capabilities>();
          const auto ticket = ++tickets_;
          on_ready_[ticket] = [promise](result<capabilities> r) mutable {
            answer_to(promise, std::move(r));
          };
          perform(core_.when_ready(ticket, now()));
          return promise;
        },
        [this](const get_key& m) { return ask<key_material>(m); },
        [this](const encrypt_data& m) { return ask<encrypted_data>(m); },
        [this](const decrypt_data& m) { return ask<decrypted_data>(m); },
        [this](const get_key_state& m) { return ask<key_state>(m); },
        [this](const create_key& m) { return create(m); },
        [this](const get_server_status&) -> caf::result<std::vector<key_server_status>> {
          auto promise = make_response_promise<std::vector<key_server_status>>();
          const auto ticket = ++tickets_;
          on_ready_[ticket] = [this, promise](const result<capabilities>&) mutable {
            promise.deliver(std::vector<key_server_status>{core_.status()});
          };
          perform(core_.when_ready(ticket, now()));
          return promise;
        },
        [this](const socket_event& e) { take(e); },
        [this](const tick& t) {
          if (t.id != tick_)
            return; // a later one took its place
          next_tick_.reset();
          perform(core_.on_tick(now()));
        },
    };
  }

  void on_exit() override {
    perform(core_.shut_down());
    on_answer_.clear();
    on_ready_.clear();
  }

private:
  using on_answer = std::function<void(result<answer>)>;
  using on_ready = std::function<void(result<capabilities>)>;

  [[nodiscard]] time_point now() const { return clock().now(); }

  template <class T>
  static void answer_to(caf::typed_response_promise<T>& promise, result<T> r) {
    if (r)
      promise.deliver(*std::move(r));
    else
      promise.deliver(to_caf(std::move(r).failure()));
  }

  void submit(kmip::request r, on_answer then) {
    const auto ticket = ++tickets_;
    on_answer_[ticket] = std::move(then);
    perform(core_.submit(ticket, std::move(r), now()));
  }

  template <class T, class Message>
  caf::result<T> ask(const Message& m) {
    auto promise = make_response_promise<T>();
    submit(m, [promise](result<answer> r) mutable {
      if (r)
        promise.deliver(std::get<T>(*std::move(r)));
      else
        promise.deliver(to_caf(std::move(r).failure()));
    });
    return promise;
  }

  /// Create, then Activate: neither is ever sent twice.
  caf::result<key_created> create(const create_key& m) {
    auto promise = make_response_promise<key_created>();
    submit(create_symmetric_key{m.name}, [this, promise](result<answer> r) mutable {
      if (!r) {
        promise.deliver(to_caf(std::move(r).failure()));
        return;
      }
      auto made = std::get<key_created>(*std::move(r));
      submit(kmip::activate{made.unique_identifier},
             [promise, made](result<answer> second) mutable {
               if (second) {
                 promise.deliver(std::move(made));
                 return;
               }
               error e = std::move(second).failure();
               e.message = "key " + printable(made.unique_identifier) +
                           " was created on the key server, but not activated: " + e.message;
               e.retryable = false;
               promise.deliver(to_caf(std::move(e)));
             });
    });
    return promise;
  }

  void take(const socket_event& e) {
    switch (e.kind) {
    case socket_event::what::connected:
      return perform(core_.on_connected(e.connection, now()));
    case socket_event::what::received:
      if (e.data)
        perform(core_.on_received(e.connection, *e.data, now()));
      return;
    case socket_event::what::closed:
      return perform(core_.on_closed(
          e.connection, e.why ? *e.why : make_error(errc::io_failure, "the connection ended"),
          now()));
    }
  }

  void perform(connection_effects effects) {
    if (effects.close)
      drop_stream();
    if (effects.open) {
      drop_stream();
      stream_ = connect_(events_for(caf::actor_cast<caf::weak_actor_ptr>(this), *effects.open));
    }
    for (auto& message : effects.write)
      if (stream_)
        stream_->write(std::move(message));
    if (effects.read_more && stream_)
      stream_->read_more();
    // Only now: a completion may submit the next request.
    for (auto& c : effects.completed)
      if (auto node = on_answer_.extract(c.ticket))
        node.mapped()(std::move(c.outcome));
    for (auto& r : effects.ready)
      if (auto node = on_ready_.extract(r.ticket))
        node.mapped()(std::move(r.outcome));
    schedule();
  }

  void drop_stream() {
    if (const auto old = std::exchange(stream_, nullptr))
      old->close();
  }

  void schedule() {
    const auto at = core_.wake_at();
    if (!at || (next_tick_ && *next_tick_ <= *at))
      return;
    next_tick_ = at;
    const auto delay = *at > now() ? *at - now() : time_point::duration::zero();
    delayed_send(this, delay, tick{++tick_});
  }

  connection_core core_;
  stream_factory connect_;
  std::shared_ptr<tls::stream> stream_;
  std::map<std::uint64_t, on_answer> on_answer_;
  std::map<std::uint64_t, on_ready> on_ready_;
  std::uint64_t tickets_ = 0;
  std::uint64_t tick_ = 0;
  std::optional<time_point> next_tick_;
};

} // namespace

kmip_api spawn_kmip_connection(caf::actor_system& system, connection_options options,
                               stream_factory connect) {
  return system.spawn<connection_actor>(std::move(options), std::move(connect));
}

} // namespace custos::kmip
