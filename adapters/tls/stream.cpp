#include "adapters/tls/stream.hpp"

#include "adapters/tls/context.hpp"

#include <boost/asio.hpp>
#include <deque>
#include <openssl/err.h>

namespace custos::tls {

namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using strand = asio::strand<asio::io_context::executor_type>;
using internal::take_tls_error;

/// TLS straight on a non-blocking socket: what OpenSSL asks for is waited for on the strand, so
/// that reading and writing never touch the SSL object at once.
class client_stream final : public stream, public std::enable_shared_from_this<client_stream> {
public:
  client_stream(http::io_pool& pool, stream_options options, stream_events events)
      : options_(std::move(options)), events_(std::move(events)),
        strand_(asio::make_strand(pool.context().get_executor())), resolver_(strand_),
        socket_(strand_), timer_(strand_) {}

  void start() {
    asio::post(strand_, [self = shared_from_this()] { self->resolve(); });
  }

  void write(crypto::wiped_bytes data) override {
    asio::post(strand_, [self = shared_from_this(), data = std::move(data)]() mutable {
      self->enqueue(std::move(data));
    });
  }

  void read_more() override {
    asio::post(strand_, [self = shared_from_this()] {
      self->may_read_ = true;
      self->pump();
    });
  }

  void close() override {
    asio::post(strand_, [self = shared_from_this()] {
      self->end(make_error(errc::cancelled, "the connection was closed by us"));
    });
  }

private:
  enum class phase : std::uint8_t { connecting, handshaking, open, closed };

  [[nodiscard]] std::string where() const {
    return options_.host + ":" + std::to_string(options_.port);
  }

  // ---- connecting -------------------------------------------------------------------------------

  void resolve() {
    if (phase_ == phase::closed)
      return;
    auto judge = internal::server_judge::create(options_);
    if (!judge)
      return end(std::move(judge).failure());
    judge_ = *std::move(judge);
    auto context = internal::make_client_context(options_);
    if (!context)
      return end(std::move(context).failure());
    context_ = *std::move(context);
    judge_.attach(context_.get());
    timer_.expires_after(options_.connect_timeout);
    timer_.async_wait([self = shared_from_this()](error_code cancelled) {
      if (!cancelled && self->phase_ < phase::open)
        self->end(make_error(errc::unavailable,
                             "connecting to " + self->where() + ": no TLS after " +
                                 std::to_string(self->options_.connect_timeout.count()) + " ms"));
    });
    resolver_.async_resolve(
        options_.host, std::to_string(options_.port),
        [self = shared_from_this()](error_code failed, const tcp::resolver::results_type& found) {
          if (failed)
            return self->fail("finding", failed);
          self->connect_to(found);
        });
  }

  void connect_to(const tcp::resolver::results_type& found) {
    if (phase_ == phase::closed)
      return;
    asio::async_connect(socket_, found,
                        [self = shared_from_this()](error_code failed, const tcp::endpoint&) {
                          if (failed)
                            return self->fail("connecting to", failed);
                          self->begin_handshake();
                        });
  }

  void fail(std::string_view doing, error_code why) {
    end(make_error(errc::unavailable, std::string(doing) + " " + where() + ": " + why.message()));
  }

  void begin_handshake() {
    if (phase_ == phase::closed)
      return;
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    error_code failed;
    socket_.native_non_blocking(true, failed);
    ssl_.reset(SSL_new(context_.get()));
    if (failed || !ssl_ || SSL_set_fd(ssl_.get(), socket_.native_handle()) != 1 ||
        !internal::set_peer_name(ssl_.get(), options_.host))
      return end(take_tls_error(errc::internal, "setting up TLS to " + where() + " failed"));
    SSL_set_connect_state(ssl_.get());
    phase_ = phase::handshaking;
    handshake();
  }

  void handshake() {
    if (phase_ != phase::handshaking)
      return;
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done != 1) {
      const int want = SSL_get_error(ssl_.get(), done);
      if (want == SSL_ERROR_WANT_READ)
        return wait(tcp::socket::wait_read, &client_stream::handshake);
      if (want == SSL_ERROR_WANT_WRITE)
        return wait(tcp::socket::wait_write, &client_stream::handshake);
      return handshake_failed();
    }
    timer_.cancel();
    phase_ = phase::open;
    if (events_.connected)
      events_.connected(judge_.chain_pem());
    pump();
  }

  void handshake_failed() {
    error e = take_tls_error(errc::unavailable, "TLS handshake with " + where() + " failed");
    if (!judge_.refusal().empty()) {
      e.message = "the certificate of " + where() + " is not trusted: " + judge_.refusal();
      e.check = server_not_trusted_check;
    } else if (!judge_.chain_pem().empty()) {
      // We were content with the server and it ended the handshake: with its alert, or as TLS 1.2
      // servers do, with handshake_failure or no word at all, it is our certificate it refuses.
      e.check = client_not_trusted_check;
    }
    end(std::move(e));
  }

  void wait(tcp::socket::wait_type what, void (client_stream::*next)()) {
    socket_.async_wait(what, [self = shared_from_this(), next](error_code failed) {
      if (!failed)
        (self.get()->*next)();
    });
  }

  // ---- open -------------------------------------------------------------------------------------

  void enqueue(crypto::wiped_bytes data) {
    if (phase_ == phase::closed || data.empty())
      return;
    queued_ += data.size();
    queue_.push_back(std::move(data));
    if (queued_ > write_queue_bytes_max)
      return end(make_error(errc::io_failure, where() + " does not take what is sent"));
    pump();
  }

  /// Reads and writes as far as it goes without waiting.
  void pump() {
    if (phase_ != phase::open)
      return;
    flush();
    if (phase_ == phase::open && may_read_)
      read();
  }

  void flush() {
    while (!queue_.empty()) {
      const auto& front = queue_.front();
      std::size_t taken = 0;
      ERR_clear_error();
      const int done =
          SSL_write_ex(ssl_.get(), front.data() + written_, front.size() - written_, &taken);
      if (done != 1)
        return blocked(done, "writing to");
      written_ += taken;
      if (written_ < front.size())
        continue;
      queued_ -= front.size();
      queue_.pop_front();
      written_ = 0;
    }
  }

  void read() {
    crypto::wiped_bytes chunk(read_chunk_bytes_max);
    std::size_t got = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), chunk.data(), chunk.size(), &got);
    if (done != 1)
      return blocked(done, "reading from");
    chunk.resize(got);
    may_read_ = false;
    if (events_.received)
      events_.received(std::move(chunk));
  }

  /// OpenSSL could not go on: waits for the socket, or ends the stream.
  void blocked(int done, std::string_view doing) {
    switch (SSL_get_error(ssl_.get(), done)) {
    case SSL_ERROR_WANT_READ:
      return wait_once(waiting_read_, tcp::socket::wait_read);
    case SSL_ERROR_WANT_WRITE:
      return wait_once(waiting_write_, tcp::socket::wait_write);
    case SSL_ERROR_ZERO_RETURN:
      return end(make_error(errc::io_failure, where() + " closed the connection"));
    case SSL_ERROR_SYSCALL:
      return end(make_error(errc::io_failure,
                            std::string(doing) + " " + where() + ": the connection was lost"));
    default:
      return end(take_tls_error(errc::io_failure, std::string(doing) + " " + where()));
    }
  }

  void wait_once(bool& waiting, tcp::socket::wait_type what) {
    if (waiting)
      return;
    waiting = true;
    socket_.async_wait(what, [self = shared_from_this(), &waiting](error_code failed) {
      waiting = false;
      if (!failed)
        self->pump();
    });
  }

  void end(error why) {
    if (phase_ == phase::closed)
      return;
    const bool was_open = phase_ == phase::open;
    phase_ = phase::closed;
    timer_.cancel();
    resolver_.cancel();
    if (was_open) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get()); // best effort, does not block
      ERR_clear_error();
    }
    error_code ignored;
    socket_.close(ignored);
    queue_.clear();
    const stream_events events = std::exchange(events_, {});
    if (events.closed)
      events.closed(std::move(why), judge_.chain_pem());
  }

  stream_options options_;
  stream_events events_;
  strand strand_;
  asio::ip::basic_resolver<tcp, strand> resolver_;
  asio::basic_stream_socket<tcp, strand> socket_;
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, strand>
      timer_;
  internal::server_judge judge_;
  internal::ssl_ctx_ptr context_;
  internal::ssl_ptr ssl_;
  phase phase_ = phase::connecting;
  std::deque<crypto::wiped_bytes> queue_;
  std::size_t queued_ = 0;  ///< octets in queue_
  std::size_t written_ = 0; ///< of the first in queue_
  bool may_read_ = true;
  bool waiting_read_ = false;
  bool waiting_write_ = false;
};

} // namespace

std::shared_ptr<stream> connect(http::io_pool& pool, stream_options options, stream_events events) {
  auto made = std::make_shared<client_stream>(pool, std::move(options), std::move(events));
  made->start();
  return made;
}

void fetch_peer_certificates(http::io_pool& pool, std::string host, std::uint16_t port,
                             std::chrono::milliseconds timeout,
                             std::function<void(result<std::string> chain_pem)> done) {
  stream_options options;
  options.host = std::move(host);
  options.port = port;
  options.connect_timeout = timeout;
  // Nothing is trusted, so that nothing is ever sent: old ciphers do no harm here.
  options.legacy_ciphers = true;
  stream_events events;
  events.closed = [done = std::move(done)](error why, std::string chain_pem) {
    if (chain_pem.empty())
      done(std::move(why));
    else
      done(std::move(chain_pem));
  };
  connect(pool, std::move(options), std::move(events));
}

} // namespace custos::tls
