#include "actors/kmip/group_actor.hpp"

#include "actors/kmip/connection_actor.hpp"
#include "actors/kmip/group_core.hpp"
#include "messages/caf_error.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace custos::kmip {

namespace {

/// What a connection may take longer than its own limits, so that its error, which says more, comes
/// before ours.
constexpr std::chrono::milliseconds grace{250};
constexpr std::chrono::milliseconds connect_timeout_max{3000};

/// One attempt's share of the time: with other servers to turn to, half.
std::chrono::milliseconds attempt_timeout(const kmip_group_options& options) {
  return options.servers.size() > 1 ? options.timeout / 2 : options.timeout;
}

using group_api = kmip_api::extend<caf::reacts_to<tick>>;

class group_actor : public group_api::base {
public:
  group_actor(caf::actor_config& cfg, kmip_group_options options, connection_maker connect)
      : group_api::base(cfg), options_(std::move(options)), connect_(std::move(connect)),
        core_(options_.servers.size(), options_.connections_per_server) {
    set_default_handler(caf::drop);
    set_down_handler([this](caf::down_msg& down) { replace(down.source); });
  }

  const char* name() const override { return "kmip_group"; }

  group_api::behavior_type make_behavior() override {
    const std::size_t width = std::max<std::size_t>(options_.connections_per_server, 1);
    for (std::size_t i = 0; i < options_.servers.size(); ++i)
      for (std::size_t k = 0; k < width; ++k)
        connections_[{i, k}] = start(i);
    return {
        [this](const get_capabilities& m) { return forward<capabilities>(m, true); },
        [this](const get_key& m) { return forward<key_material>(m, true); },
        [this](const encrypt_data& m) { return forward<encrypted_data>(m, true); },
        [this](const decrypt_data& m) { return forward<decrypted_data>(m, true); },
        [this](const get_key_state& m) { return forward<key_state>(m, true); },
        [this](const create_key& m) { return forward<key_created>(m, false); },
        [this](const get_server_status&) { return ask_all(); },
        [this](const tick&) {
          probe_timer_.reset();
          probe();
        },
    };
  }

  void on_exit() override {
    for (const auto& c : connections_)
      caf::anon_send_exit(c.second, caf::exit_reason::user_shutdown);
    connections_.clear();
    for (auto& e : std::exchange(open_, {}))
      e.second(make_error(errc::cancelled, "the key provider is being shut down"));
  }

private:
  [[nodiscard]] time_point now() const { return clock().now(); }

  kmip_api start(std::size_t server) {
    auto made = connect_(system(), server);
    monitor(made);
    return made;
  }

  /// A connection that ended did so by a defect; its server still deserves one.
  void replace(const caf::actor_addr& gone) {
    for (auto& [where, handle] : connections_)
      if (handle.address() == gone)
        handle = start(where.first);
  }

  // ---- one request, on as many servers as it takes ----------------------------------------------

  template <class Reply, class Message>
  struct exchange {
    using reply = Reply;
    std::uint64_t id = 0;
    Message message;
    bool idempotent = false;
    caf::typed_response_promise<Reply> promise;
    std::vector<bool> tried;
    time_point deadline;
    std::optional<error> last;
  };

  template <class Reply, class Message>
  caf::result<Reply> forward(const Message& m, bool idempotent) {
    auto e = std::make_shared<exchange<Reply, Message>>();
    e->id = ++exchanges_;
    e->message = m;
    e->idempotent = idempotent;
    e->promise = make_response_promise<Reply>();
    e->tried.assign(options_.servers.size(), false);
    e->deadline = now() + options_.timeout + grace;
    open_[e->id] = [e](error why) { e->promise.deliver(to_caf(std::move(why))); };
    const auto promise = e->promise;
    attempt(std::move(e));
    return promise;
  }

  template <class Exchange>
  void attempt(std::shared_ptr<Exchange> e) {
    const auto left = e->deadline - now();
    const auto target =
        left > time_point::duration::zero() ? core_.choose(e->tried, now()) : std::nullopt;
    if (!target)
      return give_up(*e);
    e->tried[target->server] = true;
    const auto budget = std::min<time_point::duration>(attempt_timeout(options_) + grace, left);
    const auto& connection = connections_.at({target->server, target->connection});
    this->request(connection, budget, e->message)
        .then(
            [this, e, t = *target](typename Exchange::reply& reply) {
              settled(t, verdict::alive);
              if (open_.erase(e->id) > 0)
                e->promise.deliver(std::move(reply));
            },
            [this, e, t = *target](const caf::error& failed) {
              error why = from_caf(failed);
              settled(t, verdict_of(why));
              const bool more = worth_another_server(why, e->idempotent);
              e->last = e->last ? more_telling(*e->last, why) : std::move(why);
              if (more)
                attempt(e);
              else
                give_up(*e);
            });
  }

  template <class Exchange>
  void give_up(Exchange& e) {
    const auto node = open_.extract(e.id);
    if (!node)
      return;
    error why =
        e.last ? std::move(*e.last)
               : make_error(errc::unavailable, "no key server of provider " + options_.provider +
                                                   " can be reached at present");
    if (why.code == errc::unavailable) {
      why.retryable = true;
      why.retry_after_s = core_.retry_after_s(now());
    }
    e.promise.deliver(to_caf(std::move(why)));
  }

  // ---- servers left alone -----------------------------------------------------------------------

  void settled(const group_core::target& t, verdict v) {
    core_.finished(t, v, now());
    arm();
  }

  void arm() {
    const auto at = core_.probe_at();
    if (!at || (probe_timer_ && *probe_timer_ <= *at))
      return;
    probe_timer_ = at;
    delayed_send(this, std::max(*at - now(), time_point::duration::zero()), tick{});
  }

  /// Finds out in the background, so that no caller pays for a server that is still away.
  void probe() {
    while (const auto t = core_.choose_probe(now()))
      this->request(connections_.at({t->server, t->connection}), attempt_timeout(options_) + grace,
                    get_capabilities{})
          .then([this, t = *t](const capabilities&) { settled(t, verdict::alive); },
                [this, t = *t](const caf::error& e) { settled(t, verdict_of(from_caf(e))); });
    arm();
  }

  // ---- status -----------------------------------------------------------------------------------

  struct survey {
    std::uint64_t id = 0;
    caf::typed_response_promise<std::vector<key_server_status>> promise;
    std::vector<key_server_status> found;
    std::size_t missing = 0;
  };

  caf::result<std::vector<key_server_status>> ask_all() {
    auto s = std::make_shared<survey>();
    s->id = ++exchanges_;
    s->promise = make_response_promise<std::vector<key_server_status>>();
    s->found.resize(options_.servers.size());
    s->missing = options_.servers.size();
    open_[s->id] = [s](error why) { s->promise.deliver(to_caf(std::move(why))); };
    const auto promise = s->promise;
    for (std::size_t i = 0; i < options_.servers.size(); ++i)
      this->request(connections_.at({i, 0}), attempt_timeout(options_) + grace, get_server_status{})
          .then(
              [this, s, i](std::vector<key_server_status>& one) {
                if (!one.empty())
                  s->found[i] = std::move(one.front());
                found(s, i);
              },
              [this, s, i](const caf::error& e) {
                s->found[i].health = "error";
                s->found[i].detail = from_caf(e).message;
                found(s, i);
              });
    if (options_.servers.empty())
      deliver(s);
    return promise;
  }

  void found(const std::shared_ptr<survey>& s, std::size_t index) {
    s->found[index].server = options_.servers[index].name;
    if (--s->missing == 0)
      deliver(s);
  }

  void deliver(const std::shared_ptr<survey>& s) {
    if (open_.erase(s->id) > 0)
      s->promise.deliver(std::move(s->found));
  }

  kmip_group_options options_;
  connection_maker connect_;
  group_core core_;
  std::map<std::pair<std::size_t, std::size_t>, kmip_api> connections_;
  /// Promises not yet kept, to be failed at the end.
  std::map<std::uint64_t, std::function<void(error)>> open_;
  std::uint64_t exchanges_ = 0;
  std::optional<time_point> probe_timer_;
};

std::uint64_t random_number() {
  const bytes octets = crypto::random_bytes(8);
  std::uint64_t out = 0;
  for (const std::uint8_t octet : octets)
    out = out << 8U | octet;
  return out;
}

tls::stream_options stream_options_of(const kmip_group_options& options, const key_server& server) {
  tls::stream_options out;
  out.host = server.host;
  out.port = server.port;
  out.trusted_pem = options.trusted_pem;
  if (!options.client_certificate_pem.empty())
    out.identity = http::tls_identity{options.client_certificate_pem, options.client_private_key};
  out.legacy_ciphers = options.legacy_ciphers;
  out.connect_timeout = std::min(attempt_timeout(options), connect_timeout_max);
  return out;
}

} // namespace

kmip_api spawn_kmip_group(caf::actor_system& system, kmip_group_options options,
                          connection_maker connect) {
  return system.spawn<group_actor>(std::move(options), std::move(connect));
}

kmip_api spawn_kmip_group(caf::actor_system& system, http::io_pool& pool,
                          kmip_group_options options) {
  auto connect = [options, &pool](caf::actor_system& sys, std::size_t index) {
    const key_server& server = options.servers[index];
    connection_options out;
    out.server = server.name;
    out.username = options.username;
    out.password = options.password;
    out.in_flight_max = std::max<std::size_t>(options.in_flight_max, 1);
    out.request_timeout = attempt_timeout(options);
    out.setup_timeout = attempt_timeout(options);
    out.random = random_number;
    return spawn_kmip_connection(
        sys, std::move(out),
        [&pool, stream = stream_options_of(options, server)](tls::stream_events events) {
          return tls::connect(pool, stream, std::move(events));
        });
  };
  return spawn_kmip_group(system, std::move(options), std::move(connect));
}

} // namespace custos::kmip
