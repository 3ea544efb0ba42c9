#pragma once
// A Unix socket for local consumers of keys: one JSON request a line, one JSON answer a line. Who
// asks is known from the kernel (SO_PEERCRED, unix(7)); others than the allowed users are closed
// without a word. Answers hold keys in clear: this socket is their only way out, and buffers are
// wiped.

#include "adapters/crypto/secret_bytes.hpp"
#include "adapters/http/http.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace custos::runtime {

inline constexpr std::size_t local_line_bytes_max = 64U << 10U;

struct local_socket_options {
  std::string path;
  std::vector<unsigned> allowed_uids; ///< root and the process's own user are always allowed
};

/// The answer line, without its newline; wiped after it was sent.
using local_responder = std::function<void(crypto::secret_bytes)>;
using local_handler = std::function<void(std::string line, unsigned uid, local_responder)>;

class local_socket {
public:
  /// Replaces a stale socket file; mode 0600 (0666 when other users are allowed: the kernel's word
  /// on who asks decides then).
  static result<std::unique_ptr<local_socket>>
  listen(http::io_pool& pool, local_socket_options options, local_handler h);
  virtual ~local_socket() = default;
  virtual void close() = 0;
};

/// The other end: sends one line, returns the answer. Blocks.
result<crypto::secret_bytes> ask_local(const std::string& path, const std::string& line,
                                       unsigned timeout_s);

} // namespace custos::runtime
