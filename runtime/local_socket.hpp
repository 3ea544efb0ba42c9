#pragma once
// The socket for local consumers of keys: one JSON request a line, one JSON answer a line, one of
// each a connection (docs/host-keys.md). Who asks is known from the kernel; others than the allowed
// users and groups are closed without a word. Requests and answers hold keys in clear: this socket
// is their only way, and buffers are wiped.

#include "adapters/crypto/secret_bytes.hpp"
#include "adapters/crypto/wiped_bytes.hpp"
#include "adapters/http/http.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace custos::runtime {

inline constexpr std::size_t local_line_bytes_max = 64U << 10U;

struct local_socket_options {
  std::string path;
  std::vector<unsigned> allowed_uids; ///< root and the process's own user are always allowed
  std::vector<unsigned> allowed_gids; ///< primary or supplementary
  /// Until the request is there, the answer is made, and the answer is taken.
  std::chrono::milliseconds read_time_max{5000};
  std::chrono::milliseconds answer_time_max{100000};
  std::chrono::milliseconds write_time_max{10000};
  std::size_t connections_max = 256;
  std::size_t per_user_max = 64;
};

/// The answer line, without its newline; wiped after it was sent.
using local_responder = std::function<void(crypto::secret_bytes)>;
/// The request line is wiped when the handler returns.
using local_handler = std::function<void(std::string_view line, unsigned uid, local_responder)>;

class local_socket {
public:
  /// Replaces a stale socket file; mode 0600 (0666 when others are allowed: the kernel's word on
  /// who asks decides then). errc::invalid_argument (the path is too long), errc::io_failure.
  static result<std::unique_ptr<local_socket>>
  listen(http::io_pool& pool, local_socket_options options, local_handler h);
  virtual ~local_socket() = default;
  virtual void close() = 0;
};

/// The other end: sends one line, returns the answer. Blocks for `timeout_s` at most.
/// errc::unavailable, errc::timeout, errc::forbidden (closed without a word).
result<crypto::secret_bytes> ask_local(const std::string& path, byte_view line, unsigned timeout_s);

/// Names of the members are ours: what an error says as one line of JSON.
crypto::secret_bytes error_line(const error& e);

} // namespace custos::runtime
