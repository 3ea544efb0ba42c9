#include "adapters/http/message.hpp"
#include "adapters/http/transport.hpp"

#include <atomic>
#include <boost/beast/core.hpp>
#include <condition_variable>
#include <mutex>
#include <unordered_set>

namespace custos::http {

namespace internal {

namespace beast = boost::beast;

class session;

/// What all sessions of a server share.
struct server_state {
  server_options options;
  handler handle;
  mutable std::mutex mutex; ///< guards tls, sessions
  ssl_ctx_ptr tls;
  std::unordered_set<session*> sessions;
  std::condition_variable changed;
  std::atomic<bool> draining{false};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bad_requests{0};
  std::atomic<std::uint64_t> handshake_failures{0};
};

/// How much of an unread body is thrown away so that the peer reads our refusal first.
constexpr std::size_t linger_bytes_max = 1U << 20U;
constexpr std::chrono::milliseconds linger_time_max{2000};
/// A peer that takes a large answer more slowly than this is not waited for.
constexpr std::size_t write_bytes_per_s_min = 256U << 10U;
/// First read of an idle connection: small, because every idle connection holds one.
constexpr std::size_t idle_read_bytes = 512;

class session : public std::enable_shared_from_this<session> {
public:
  session(socket&& accepted, std::shared_ptr<server_state> server, strand s)
      : server_(std::move(server)), stream_(s), timer_(s) {
    stream_.tcp_socket() = std::move(accepted);
    const std::lock_guard guard(server_->mutex);
    server_->sessions.insert(this);
  }
  ~session() {
    const std::lock_guard guard(server_->mutex);
    server_->sessions.erase(this);
    server_->changed.notify_all();
  }
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  void start() {
    error_code failed;
    const auto remote = stream_.tcp_socket().remote_endpoint(failed);
    if (!failed)
      remote_ = remote.address().to_string() + ":" + std::to_string(remote.port());
    stream_.tcp_socket().set_option(tcp::no_delay(true), failed);
    ssl_ctx_ptr context;
    {
      const std::lock_guard guard(server_->mutex);
      context = server_->tls;
    }
    if (!context)
      return wait_for_request();
    if (!stream_.start_tls(context.get(), true))
      return;
    arm(server_->options.handshake_timeout);
    stream_.async_handshake([self = shared_from_this()](error_code ec) { self->on_handshake(ec); });
  }

  /// Any thread: ends the connection if it is idle, else after the request in hand.
  void drain() {
    asio::post(stream_.get_executor(), [weak = weak_from_this()] {
      if (const auto self = weak.lock(); self && self->idle_)
        self->stream_.close();
    });
  }

private:
  void arm(std::chrono::milliseconds limit) {
    timer_.expires_after(limit);
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
      const auto self = weak.lock();
      if (self && !ec)
        self->stream_.close(); // whatever is outstanding ends with an error
    });
  }

  void on_handshake(error_code ec) {
    timer_.cancel();
    if (ec) {
      ++server_->handshake_failures;
      ERR_clear_error();
      return;
    }
    peer_ = peer_certificate_of(stream_.ssl());
    wait_for_request();
  }

  void wait_for_request() {
    if (server_->draining)
      return stream_.shutdown_send();
    parser_.reset();
    if (buffer_.size() != 0)
      return read_header(); // pipelined
    buffer_ = beast::flat_buffer();
    idle_ = true;
    arm(server_->options.idle_timeout);
    stream_.async_read_some(buffer_.prepare(idle_read_bytes),
                            [self = shared_from_this()](error_code ec, std::size_t n) {
                              self->idle_ = false;
                              if (ec)
                                return self->timer_.cancel(), void();
                              self->buffer_.commit(n);
                              self->read_header();
                            });
  }

  void read_header() {
    arm(server_->options.read_timeout);
    parser_.emplace();
    limit(*parser_, server_->options);
    beast_http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code ec, std::size_t) { self->on_header(ec); });
  }

  void on_header(error_code ec) {
    if (ec)
      return on_bad_request(ec);
    if (beast::iequals(parser_->get()[beast_http::field::expect], "100-continue") &&
        !parser_->is_done()) {
      auto go_on = std::make_shared<beast_http::response<beast_http::empty_body>>(
          beast_http::status::continue_, 11);
      return beast_http::async_write(
          stream_, *go_on, [self = shared_from_this(), go_on](error_code failed, std::size_t) {
            if (!failed)
              self->read_body();
          });
    }
    read_body();
  }

  void read_body() {
    beast_http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code ec, std::size_t) { self->on_request(ec); });
  }

  void on_bad_request(error_code ec) {
    timer_.cancel();
    if (ec == beast_http::error::end_of_stream ||
        ec.category() != beast_http::make_error_code(beast_http::error::bad_method).category())
      return stream_.close(); // the connection ended; nobody to answer
    ++server_->bad_requests;
    auto answer = problem(parse_failure(ec));
    if (ec == beast_http::error::header_limit)
      answer.status = 431; // RFC 6585, 5
    write(std::move(answer), false, 11, false);
  }

  void on_request(error_code ec) {
    if (ec)
      return on_bad_request(ec);
    timer_.cancel();
    ++server_->requests;
    auto message = parser_->release();
    parser_.reset();
    const bool keep = message.keep_alive() && !server_->draining &&
                      ++served_ < server_->options.requests_per_connection_max;
    const bool head = message.method() == beast_http::verb::head;
    const auto version = message.version();
    auto converted = to_request(std::move(message));
    if (!converted) {
      ++server_->bad_requests;
      return write(problem(converted.failure()), keep, version, head);
    }
    converted->remote = remote_;
    converted->peer = peer_;
    converted->deadline = std::chrono::steady_clock::now() + server_->options.request_timeout;
    call_handler(*std::move(converted), keep, version, head);
  }

  /// Answers once, whoever comes first: the handler, the deadline, or nobody (dropped responder).
  struct pending {
    std::shared_ptr<session> self;
    bool keep;
    unsigned version;
    bool head;
    std::atomic<bool> answered{false};

    void answer(response r) {
      if (answered.exchange(true))
        return;
      asio::post(self->stream_.get_executor(),
                 [s = self, r = std::move(r), k = keep, v = version, h = head]() mutable {
                   s->timer_.cancel();
                   s->write(std::move(r), k, v, h);
                 });
    }
  };

  void call_handler(request&& r, bool keep, unsigned version, bool head) {
    auto p = std::make_shared<pending>();
    p->self = shared_from_this();
    p->keep = keep;
    p->version = version;
    p->head = head;
    timer_.expires_after(server_->options.request_timeout);
    timer_.async_wait([weak = std::weak_ptr<pending>(p)](error_code ec) {
      if (const auto late = weak.lock(); late && !ec)
        late->answer(problem(make_error(errc::unavailable, "the service did not answer in time")));
    });
    // The guard answers when the last copy of the responder is gone without a call.
    const std::shared_ptr<pending> guard(p.get(), [p](pending*) {
      p->answer(problem(make_error(errc::internal, "the request was dropped")));
    });
    p.reset();
    server_->handle(std::move(r), [guard](response answer) { guard->answer(std::move(answer)); });
  }

  void write(response&& r, bool keep, unsigned version, bool head) {
    keep = keep && !server_->draining;
    const std::chrono::seconds for_size(r.body.size() / write_bytes_per_s_min);
    auto message = std::make_shared<beast_response>(to_beast(std::move(r), version, keep, head));
    auto serializer =
        std::make_shared<beast_http::response_serializer<beast_http::string_body>>(*message);
    arm(server_->options.write_timeout + for_size);
    const auto done = [self = shared_from_this(), message, serializer, keep](error_code ec,
                                                                             std::size_t) {
      self->timer_.cancel();
      if (ec)
        return self->stream_.close();
      if (keep)
        return self->wait_for_request();
      self->linger();
    };
    if (head)
      beast_http::async_write_header(stream_, *serializer, done);
    else
      beast_http::async_write(stream_, *serializer, done);
  }

  /// Closing with unread bytes resets the connection and the peer would never see our answer.
  void linger() {
    stream_.shutdown_send();
    arm(linger_time_max);
    discard_ = std::make_unique<std::array<char, 4096>>();
    discard();
  }
  void discard() {
    stream_.tcp_socket().async_wait(
        asio::socket_base::wait_read, [self = shared_from_this()](error_code ec) {
          if (ec)
            return;
          const auto n = ::recv(self->stream_.tcp_socket().native_handle(), self->discard_->data(),
                                self->discard_->size(), MSG_DONTWAIT);
          if (n > 0)
            self->discarded_ += static_cast<std::size_t>(n);
          if ((n <= 0 && errno != EAGAIN && errno != EWOULDBLOCK) || n == 0 ||
              self->discarded_ > linger_bytes_max)
            return self->timer_.cancel(), self->stream_.close();
          self->discard();
        });
  }

  std::shared_ptr<server_state> server_;
  transport stream_;
  timer timer_;
  std::string remote_;
  crypto::certificate peer_;
  beast::flat_buffer buffer_;
  std::optional<request_parser> parser_;
  std::unique_ptr<std::array<char, 4096>> discard_;
  std::size_t discarded_ = 0;
  unsigned served_ = 0;
  bool idle_ = false;
};

class listening_server : public server {
public:
  listening_server(io_pool& pool, std::shared_ptr<server_state> state)
      : context_(pool.context()), state_(std::move(state)),
        acceptor_(std::make_shared<tcp::acceptor>(pool.context())),
        retry_(std::make_shared<asio::steady_timer>(pool.context())) {}
  // A lock that fails here ends the process, as it should.
  // NOLINTNEXTLINE(bugprone-exception-escape)
  ~listening_server() override { drain(std::chrono::milliseconds(0)); }

  result<void> bind() {
    error_code failed;
    const auto address = asio::ip::make_address(state_->options.address, failed);
    const tcp::endpoint endpoint(address, state_->options.port);
    if (!failed)
      acceptor_->open(endpoint.protocol(), failed);
    if (!failed)
      acceptor_->set_option(tcp::acceptor::reuse_address(true), failed);
    if (!failed)
      acceptor_->bind(endpoint, failed);
    if (!failed)
      acceptor_->listen(asio::socket_base::max_listen_connections, failed);
    if (failed)
      return make_error(errc::io_failure, "cannot listen on " + state_->options.address + ":" +
                                              std::to_string(state_->options.port) + ": " +
                                              failed.message());
    port_ = acceptor_->local_endpoint(failed).port();
    return {};
  }

  void start() override { accept(context_, acceptor_, retry_, state_); }
  [[nodiscard]] std::uint16_t port() const override { return port_; }

  [[nodiscard]] server_counters counters() const override {
    server_counters c;
    {
      const std::lock_guard guard(state_->mutex);
      c.connections = state_->sessions.size();
    }
    c.accepted = state_->accepted;
    c.refused = state_->refused;
    c.requests = state_->requests;
    c.bad_requests = state_->bad_requests;
    c.handshake_failures = state_->handshake_failures;
    return c;
  }

  result<void> set_identity(const tls_identity& identity) override {
    CUSTOS_TRY(auto context, make_server_context(identity, state_->options.ask_client_certificate));
    const std::lock_guard guard(state_->mutex);
    state_->tls = std::move(context);
    return {};
  }

  void drain(std::chrono::milliseconds deadline) override {
    state_->draining = true;
    asio::post(context_, [acceptor = acceptor_] {
      error_code ignored;
      acceptor->close(ignored);
    });
    std::unique_lock lock(state_->mutex);
    for (auto* const s : state_->sessions)
      s->drain();
    state_->changed.wait_for(lock, deadline, [this] { return state_->sessions.empty(); });
  }

private:
  /// Static: an outstanding accept may outlive the server object.
  static void accept(asio::io_context& context, const std::shared_ptr<tcp::acceptor>& acceptor,
                     const std::shared_ptr<asio::steady_timer>& retry,
                     const std::shared_ptr<server_state>& state) {
    auto s = asio::make_strand(context.get_executor());
    acceptor->async_accept(
        s, [&context, acceptor, retry, state, s](error_code ec, socket accepted) {
          if (state->draining || ec == asio::error::operation_aborted)
            return;
          if (ec) {
            // Out of descriptors or memory: trying at once would spin.
            constexpr std::chrono::milliseconds pause{50};
            retry->expires_after(pause);
            return retry->async_wait([&context, acceptor, retry, state](error_code stopped) {
              if (!stopped)
                accept(context, acceptor, retry, state);
            });
          }
          ++state->accepted;
          std::size_t open = 0;
          {
            const std::lock_guard guard(state->mutex);
            open = state->sessions.size();
          }
          if (open >= state->options.connections_max) {
            ++state->refused; // closed by going out of scope
          } else {
            auto next = std::make_shared<session>(std::move(accepted), state, s);
            asio::dispatch(s, [next] { next->start(); });
          }
          accept(context, acceptor, retry, state);
        });
  }

  asio::io_context& context_;
  std::shared_ptr<server_state> state_;
  std::shared_ptr<tcp::acceptor> acceptor_;
  std::shared_ptr<asio::steady_timer> retry_;
  std::uint16_t port_ = 0;
};

} // namespace internal

result<std::unique_ptr<server>> server::listen(io_pool& pool, server_options options, handler h) {
  auto state = std::make_shared<internal::server_state>();
  if (options.tls) {
    CUSTOS_TRY(state->tls,
               internal::make_server_context(*options.tls, options.ask_client_certificate));
    options.tls.reset();
  }
  state->options = std::move(options);
  state->handle = std::move(h);
  auto out = std::make_unique<internal::listening_server>(pool, std::move(state));
  CUSTOS_CHECK(out->bind());
  return std::unique_ptr<server>(std::move(out));
}

} // namespace custos::http
