#include "adapters/http/message.hpp"
#include "adapters/http/transport.hpp"

#include <algorithm>
#include <boost/beast/core.hpp>
#include <deque>
#include <future>
#include <mutex>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

namespace custos::http {

namespace internal {

namespace beast = boost::beast;
using clock = std::chrono::steady_clock;

struct kept_connection {
  std::shared_ptr<transport> stream;
  clock::time_point since;
};

class pooled_client : public client, public std::enable_shared_from_this<pooled_client> {
public:
  pooled_client(io_pool& pool, client_options options, ssl_ctx_ptr tls)
      : context_(pool.context()), options_(std::move(options)), tls_(std::move(tls)) {}

  void send(call c, callback done) override;
  result<response> send_wait(call c) override {
    auto promise = std::make_shared<std::promise<result<response>>>();
    auto future = promise->get_future();
    send(std::move(c), [promise](result<response> r) { promise->set_value(std::move(r)); });
    return future.get();
  }

  /// A kept connection to this origin, still fresh and with nothing unread; empty if none.
  std::shared_ptr<transport> take(const std::string& origin);
  void keep(const std::string& origin, std::shared_ptr<transport> stream);

  asio::io_context& context_;
  client_options options_;
  ssl_ctx_ptr tls_;

private:
  std::mutex mutex_;
  std::map<std::string, std::deque<kept_connection>, std::less<>> kept_;
};

std::shared_ptr<transport> pooled_client::take(const std::string& origin) {
  const std::lock_guard guard(mutex_);
  auto& list = kept_[origin];
  const auto oldest = clock::now() - options_.idle_timeout;
  while (!list.empty()) {
    auto newest = std::move(list.back());
    list.pop_back();
    if (newest.since >= oldest)
      return std::move(newest.stream);
  }
  return nullptr;
}

void pooled_client::keep(const std::string& origin, std::shared_ptr<transport> stream) {
  const std::lock_guard guard(mutex_);
  auto& list = kept_[origin];
  if (list.size() >= options_.idle_connections_max)
    list.pop_front();
  list.push_back({std::move(stream), clock::now()});
}

/// One call, on its own strand or on that of the kept connection it uses.
class exchange : public std::enable_shared_from_this<exchange> {
public:
  exchange(std::shared_ptr<pooled_client> owner, call c, url where, client::callback done)
      : owner_(std::move(owner)), call_(std::move(c)), url_(std::move(where)),
        done_(std::move(done)),
        origin_(url_.scheme + "://" + url_.host + ":" + std::to_string(url_.port)),
        deadline_(clock::now() + call_.timeout) {}

  void start() {
    if (auto stream = owner_->take(origin_)) {
      reused_ = true;
      stream_ = std::move(stream);
      return asio::dispatch(stream_->get_executor(), [self = shared_from_this()] {
        self->arm();
        self->write();
      });
    }
    connect();
  }

private:
  void arm() {
    timer_.emplace(stream_->get_executor());
    timer_->expires_at(deadline_);
    timer_->async_wait([weak = weak_from_this()](error_code ec) {
      const auto self = weak.lock();
      if (!self || ec)
        return;
      self->late_ = true;
      if (self->resolver_)
        self->resolver_->cancel();
      self->stream_->close();
    });
  }

  void finish(result<response> r) {
    if (!done_)
      return;
    timer_.reset();
    auto done = std::move(done_);
    done_ = nullptr;
    done(std::move(r));
  }

  void fail(std::string_view doing, error_code ec) {
    if (late_ || clock::now() >= deadline_)
      return finish(make_error(errc::timeout,
                               origin_ + " did not answer in time (" + std::string(doing) + ")"));
    finish(make_error(errc::unavailable, std::string(doing) + " " + origin_ + ": " + ec.message()));
  }

  void connect() {
    reused_ = false;
    written_ = false;
    auto s = asio::make_strand(owner_->context_.get_executor());
    stream_ = std::make_shared<transport>(s);
    asio::dispatch(s, [self = shared_from_this()] {
      self->arm();
      self->resolver_ =
          std::make_shared<asio::ip::basic_resolver<tcp, strand>>(self->stream_->get_executor());
      self->resolver_->async_resolve(self->url_.host, std::to_string(self->url_.port),
                                     [self](error_code ec, tcp::resolver::results_type found) {
                                       if (ec)
                                         return self->fail("finding", ec);
                                       self->connect_to(found);
                                     });
    });
  }

  void connect_to(const tcp::resolver::results_type& found) {
    // An own bound on connecting: a silent address must not eat the whole deadline.
    connect_timer_.emplace(stream_->get_executor());
    connect_timer_->expires_after(owner_->options_.connect_timeout);
    connect_timer_->async_wait([weak = weak_from_this()](error_code ec) {
      if (const auto self = weak.lock(); self && !ec)
        self->stream_->close();
    });
    asio::async_connect(stream_->tcp_socket(), found,
                        [self = shared_from_this()](error_code ec, const tcp::endpoint&) {
                          if (ec)
                            return self->fail("connecting to", ec);
                          self->stream_->tcp_socket().set_option(tcp::no_delay(true), ec);
                          if (self->url_.scheme == "http")
                            return self->connect_timer_.reset(), self->write();
                          self->handshake();
                        });
  }

  void handshake() {
    if (!stream_->start_tls(owner_->tls_.get(), false) || !name_peer())
      return finish(make_error(errc::internal, "setting up TLS failed"));
    stream_->async_handshake([self = shared_from_this()](error_code ec) {
      self->connect_timer_.reset();
      if (ec)
        return self->handshake_failed(ec);
      const auto& pinned = self->owner_->options_.pinned;
      if (!pinned.empty() &&
          std::find(pinned.begin(), pinned.end(),
                    peer_certificate_of(self->stream_->ssl()).fingerprint()) == pinned.end()) {
        self->stream_->close();
        return self->finish(
            field_error(errc::forbidden, "server certificate",
                        self->origin_ + " presents a certificate that is not the pinned one"));
      }
      self->write();
    });
  }

  /// Server name (RFC 6066, 3) and what its certificate must be for (RFC 6125).
  bool name_peer() {
    SSL* const ssl = stream_->ssl();
    error_code failed;
    asio::ip::make_address(url_.host, failed);
    const bool is_address = !failed;
    if (is_address)
      return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), url_.host.c_str()) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, url_.host.c_str()) == 1 &&
           SSL_set1_host(ssl, url_.host.c_str()) == 1;
  }

  void handshake_failed(error_code ec) {
    const long verified = SSL_get_verify_result(stream_->ssl());
    ERR_clear_error();
    if (verified != X509_V_OK && owner_->options_.pinned.empty())
      return finish(field_error(errc::forbidden, "server certificate",
                                "the certificate of " + origin_ +
                                    " is not trusted: " + X509_verify_cert_error_string(verified)));
    fail("TLS handshake with", ec);
  }

  void write() {
    message_ = std::make_shared<beast_request>();
    message_->method_string(call_.method);
    message_->target(url_.path);
    message_->version(11);
    const bool v6 = url_.host.find(':') != std::string::npos;
    message_->set(beast_http::field::host,
                  (v6 ? "[" + url_.host + "]" : url_.host) + ":" + std::to_string(url_.port));
    message_->set(beast_http::field::user_agent, "custos/" CUSTOS_VERSION);
    for (const auto& h : call_.headers)
      message_->set(h.name, h.value);
    if (!call_.body.empty() || call_.method == "POST" || call_.method == "PUT") {
      message_->set(beast_http::field::content_type, call_.content_type);
      message_->body() = call_.body;
    }
    message_->prepare_payload();
    beast_http::async_write(*stream_, *message_,
                            [self = shared_from_this()](error_code ec, std::size_t) {
                              if (ec)
                                return self->failed_early(ec);
                              self->written_ = true;
                              self->read();
                            });
  }

  void read() {
    parser_.emplace();
    parser_->body_limit(owner_->options_.body_bytes_max);
    if (call_.method == "HEAD")
      parser_->skip(true);
    beast_http::async_read(*stream_, buffer_, *parser_,
                           [self = shared_from_this()](error_code ec, std::size_t) {
                             if (ec && !self->parser_->got_some())
                               return self->failed_early(ec);
                             if (ec == beast_http::error::body_limit)
                               return self->finish(field_error(errc::too_large, "body",
                                                               "the answer of " + self->origin_ +
                                                                   " is larger than the limit"));
                             if (ec)
                               return self->fail("reading from", ec);
                             self->answered();
                           });
  }

  /// A kept connection that the server closed meanwhile: once more on a fresh one, where that
  /// cannot do a thing twice.
  void failed_early(error_code ec) {
    const bool idempotent = call_.method == "GET" || call_.method == "PUT" ||
                            call_.method == "DELETE" || call_.method == "HEAD";
    if (reused_ && !late_ && (idempotent || !written_)) {
      stream_->close();
      buffer_.clear();
      timer_.reset();
      return connect();
    }
    fail(written_ ? "reading from" : "writing to", ec);
  }

  void answered() {
    timer_.reset();
    auto message = parser_->release();
    response out;
    out.status = message.result_int();
    out.content_type = std::string(message[beast_http::field::content_type]);
    for (const auto& field : message)
      out.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    out.body = std::move(message.body());
    if (message.keep_alive() && buffer_.size() == 0)
      owner_->keep(origin_, stream_);
    else
      stream_->close();
    finish(std::move(out));
  }

  std::shared_ptr<pooled_client> owner_;
  call call_;
  url url_;
  client::callback done_;
  std::string origin_;
  clock::time_point deadline_;
  std::shared_ptr<transport> stream_;
  std::shared_ptr<asio::ip::basic_resolver<tcp, strand>> resolver_;
  std::optional<timer> timer_;
  std::optional<timer> connect_timer_;
  std::shared_ptr<beast_request> message_;
  beast::flat_buffer buffer_;
  std::optional<response_parser> parser_;
  bool reused_ = false;
  bool written_ = false;
  bool late_ = false;
};

void pooled_client::send(call c, callback done) {
  auto where = parse_url(c.url);
  if (!where)
    return done(where.failure());
  std::make_shared<exchange>(shared_from_this(), std::move(c), *std::move(where), std::move(done))
      ->start();
}

} // namespace internal

result<std::shared_ptr<client>> client::create(io_pool& pool, client_options options) {
  CUSTOS_TRY(auto tls, internal::make_client_context(options));
  return std::shared_ptr<client>(
      std::make_shared<internal::pooled_client>(pool, std::move(options), std::move(tls)));
}

} // namespace custos::http
