#pragma once
// For the .cpp files of this room only: a TCP socket with or without TLS, as a Beast stream.
//
// TLS runs straight on the non-blocking socket (SSL_set_fd) instead of through asio::ssl::stream:
// that one keeps two record buffers and a BIO pair per connection, about 70 KiB, which alone would
// break our promise of 64 KiB for an idle connection (docs/performance.md).
//
// Thread rule: everything on the socket's strand; one read and one write may be outstanding, not
// two at once of TLS (HTTP/1.1 is half duplex here).

#include "adapters/http/http.hpp"

#include <algorithm>
#include <boost/asio.hpp>
#include <memory>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace custos::http::internal {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using strand = asio::strand<asio::io_context::executor_type>;
using socket = asio::basic_stream_socket<tcp, strand>;
using timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, strand>;

struct ssl_deleter {
  void operator()(SSL* s) const { SSL_free(s); }
};
using ssl_ptr = std::unique_ptr<SSL, ssl_deleter>;
using ssl_ctx_ptr = std::shared_ptr<SSL_CTX>;

/// TLS 1.3 only. The client certificate is asked for and taken as it is (judged by the handler).
result<ssl_ctx_ptr> make_server_context(const tls_identity& identity, bool ask_client_certificate);
result<ssl_ctx_ptr> make_client_context(const client_options& options);

/// The certificate the peer presented; empty if none.
crypto::certificate peer_certificate_of(SSL* ssl);

class transport {
public:
  using executor_type = strand;
  explicit transport(const strand& s) : socket_(s) {}

  executor_type get_executor() { return socket_.get_executor(); }
  socket& tcp_socket() { return socket_; }
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

  /// Puts TLS on the connected socket.
  bool start_tls(SSL_CTX* context, bool server);

  template <class Handler>
  auto async_handshake(Handler&& handler) {
    return compose<void(error_code)>(operation<true>{this, kind::handshake, nullptr, 0},
                                     std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    const auto b = first_of<asio::mutable_buffer>(buffers);
    return compose<void(error_code, std::size_t)>(
        operation<false>{this, kind::read, b.data(), b.size()}, std::forward<Handler>(handler));
  }
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    const auto b = first_of<asio::const_buffer>(buffers);
    operation<false> write{this, kind::write, const_cast<void*>(b.data()), b.size()};
    // Beast gives a message in a dozen pieces: each by itself would be a TLS record, a system call
    // and a wake-up of the peer.
    const auto size = std::min(asio::buffer_size(buffers), record_bytes_max);
    if (b.size() < size) {
      write.gathered_ = std::make_unique<char[]>(size);
      write.data_ = write.gathered_.get();
      write.size_ = asio::buffer_copy(asio::buffer(write.data_, size), buffers);
    }
    return compose<void(error_code, std::size_t)>(std::move(write), std::forward<Handler>(handler));
  }

  /// Says goodbye (best effort, never blocks) and stops sending.
  void shutdown_send();
  void close();

private:
  enum class kind { handshake, read, write };
  /// Plaintext of a TLS record (RFC 8446, 5.1), octets.
  static constexpr std::size_t record_bytes_max = std::size_t{1} << 14U;
  /// What one non-blocking attempt came to.
  struct attempt {
    error_code failed;
    std::size_t bytes = 0;
    bool wait_read = false;
    bool wait_write = false;
  };
  attempt try_once(kind k, void* data, std::size_t size);

  template <class Buffer, class Buffers>
  static Buffer first_of(const Buffers& buffers) {
    for (auto i = asio::buffer_sequence_begin(buffers); i != asio::buffer_sequence_end(buffers);
         ++i)
      if (Buffer(*i).size() != 0)
        return Buffer(*i);
    return {};
  }

  template <class Signature, class Operation, class Handler>
  auto compose(Operation op, Handler&& handler) {
    return asio::async_compose<Handler, Signature>(std::move(op), handler, socket_);
  }

  /// Tries, waits for the socket, tries again. Never completes inside the initiating call.
  template <bool Handshake>
  struct operation {
    transport* self_;
    kind kind_;
    void* data_;
    std::size_t size_;
    std::unique_ptr<char[]> gathered_{}; ///< what data_ points to if it was put together here
    bool initiated_ = false;
    bool done_ = false;
    attempt last_{};

    template <class Self>
    void operator()(Self& self, error_code waited = {}) {
      if (waited)
        return finish(self, waited, 0);
      if (!done_) {
        last_ = self_->try_once(kind_, data_, size_);
        if (last_.wait_read || last_.wait_write) {
          initiated_ = true;
          const auto what =
              last_.wait_read ? asio::socket_base::wait_read : asio::socket_base::wait_write;
          return self_->socket_.async_wait(what, std::move(self));
        }
        if (!initiated_) {
          initiated_ = true;
          done_ = true;
          auto executor = self_->get_executor();
          return asio::post(executor, std::move(self));
        }
      }
      finish(self, last_.failed, last_.bytes);
    }

    template <class Self>
    static void finish(Self& self, error_code failed, std::size_t bytes) {
      if constexpr (Handshake) {
        static_cast<void>(bytes);
        self.complete(failed);
      } else {
        self.complete(failed, bytes);
      }
    }
  };

  socket socket_;
  ssl_ptr ssl_;
};

} // namespace custos::http::internal
