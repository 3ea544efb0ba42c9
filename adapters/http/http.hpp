#pragma once
// HTTP/1.1 over TLS 1.3 (or plain, loopback only): server and client in our own words. Boost.Beast
// and Asio stay behind this header (pimpl), so that including it costs nothing.
//
// Threads: handlers run on a thread of the io_pool and must not block; a responder may be called
// from any thread, exactly once (a responder dropped without a call answers 500).

#include "adapters/crypto/x509.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace custos::http {

/// Threads that run an Asio io_context: HTTP connections, KMIP connections, timers.
class io_pool {
public:
  explicit io_pool(unsigned threads);
  ~io_pool();
  io_pool(const io_pool&) = delete;
  io_pool& operator=(const io_pool&) = delete;
  [[nodiscard]] boost::asio::io_context& context();
  /// Runs f on a pool thread.
  void post(std::function<void()> f);
  /// Runs f once after a delay; the handle cancels it when destroyed.
  std::shared_ptr<void> after(std::chrono::milliseconds delay, std::function<void()> f);
  /// Stops and joins; idempotent.
  void stop();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

struct header {
  std::string name;
  std::string value;
};

/// A request as the handler sees it.
struct request {
  std::string method; ///< "GET"
  std::string path;   ///< decoded path, normalised; never contains "..", NUL or an encoded slash
  std::map<std::string, std::string, std::less<>> query;
  std::vector<header> headers;
  std::string body;
  std::string remote;       ///< address:port of the peer
  crypto::certificate peer; ///< client certificate presented, unverified; may be empty
  std::chrono::steady_clock::time_point deadline; ///< the answer is worthless after this

  /// First header of that name, case-insensitive; empty if none.
  [[nodiscard]] std::string_view header_value(std::string_view name) const;
};

struct response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<header> headers;
  std::string body;
};

using responder = std::function<void(response)>;
using handler = std::function<void(request&&, responder)>;

/// Certificate chain and key of one side. PEM.
struct tls_identity {
  std::string certificate_chain_pem;
  crypto::key private_key;
};

struct server_options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;             ///< 0: any free port
  std::optional<tls_identity> tls;    ///< empty: plain HTTP (loopback listeners only)
  bool ask_client_certificate = true; ///< asked for, not demanded; the handler judges it
  std::size_t connections_max = 4096;
  std::size_t header_bytes_max = 16U << 10U;
  std::size_t body_bytes_max = 6U << 20U;
  std::chrono::milliseconds handshake_timeout{5000};
  std::chrono::milliseconds idle_timeout{60000};
  std::chrono::milliseconds read_timeout{15000};    ///< from first byte of a request to its last
  std::chrono::milliseconds write_timeout{15000};   ///< of an answer; longer if it is large
  std::chrono::milliseconds request_timeout{20000}; ///< handler's time; after it 503 is sent
  unsigned requests_per_connection_max = 100000;
};

/// Counters for metrics; monotonic except `connections`.
struct server_counters {
  std::uint64_t connections = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t requests = 0;
  std::uint64_t bad_requests = 0;
  std::uint64_t handshake_failures = 0;
};

class server {
public:
  /// Binds and listens at once; `start` begins to accept.
  static result<std::unique_ptr<server>> listen(io_pool& pool, server_options options, handler h);
  virtual ~server() = default;
  virtual void start() = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  [[nodiscard]] virtual server_counters counters() const = 0;
  /// New connections get this identity from now on (certificate rotation).
  virtual result<void> set_identity(const tls_identity& identity) = 0;
  /// Stops accepting, lets requests in flight end (Connection: close), closes idle connections;
  /// returns when none is left or the deadline passed. Blocks the calling thread (not a pool one).
  virtual void drain(std::chrono::milliseconds deadline) = 0;
};

struct url {
  std::string scheme; ///< "https" or "http" (loopback only)
  std::string host;
  std::uint16_t port = 443;
  std::string path; ///< with query, starts with "/"
};
result<url> parse_url(std::string_view text);

struct client_options {
  /// Anchors for the server's certificate (PEM); its SAN must match the host of the URL.
  std::string trusted_pem;
  /// If there are any, only leaf certificates with these SHA-256 fingerprints are accepted; name
  /// and chain are then not judged.
  std::vector<crypto::sha256_digest> pinned;
  std::optional<tls_identity> identity;
  std::chrono::milliseconds connect_timeout{3000};
  std::size_t body_bytes_max = 8U << 20U;
  std::size_t idle_connections_max = 8; ///< per host
  std::chrono::milliseconds idle_timeout{20000};
};

struct call {
  std::string method = "GET";
  std::string url;
  std::vector<header> headers;
  std::string body;
  std::string content_type = "application/json";
  std::chrono::milliseconds timeout{10000};
};

/// A keep-alive HTTPS client. Thread-safe; callbacks run on a pool thread. A first use of a kept
/// connection that fails before any byte of the answer is retried once on a fresh connection for
/// GET, PUT, DELETE and HEAD only (RFC 9110, 9.2.2), and for any method if nothing was written.
class client {
public:
  static result<std::shared_ptr<client>> create(io_pool& pool, client_options options);
  virtual ~client() = default;
  using callback = std::function<void(result<response>)>;
  virtual void send(call c, callback done) = 0;
  /// Blocking form, for command-line programs and tests; not from a pool thread.
  virtual result<response> send_wait(call c) = 0;
};

/// The problem document (RFC 9457) of an error: status, type URI "urn:custos:error:<name>" or, with
/// a check, "urn:custos:check:<check>"; members field, pcr, event, retryable; Retry-After header.
response problem(const error& e);
/// Reads a problem document back into an error, for clients.
error error_of(const response& r);

} // namespace custos::http
