#pragma once
// Accepts connections on a Unix socket of the file system. Who is there is the kernel's word
// (SO_PEERCRED, SO_PEERGROUPS; unix(7)). No user takes all places: each has a share of them.
//
// Threads: everything of one listener, and of the connections it accepted, runs on one strand of
// the pool.

#include "adapters/http/http.hpp"
#include "messages/error.hpp"

#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace custos::runtime {

inline constexpr std::size_t local_connections_max = 256;
inline constexpr std::size_t local_connections_per_user_max = 64;

struct local_peer {
  unsigned uid = 0;
  unsigned gid = 0;
  std::vector<unsigned> groups; ///< supplementary ones
  std::string address;          ///< what the peer is bound to: empty for most
};

struct local_listener_options {
  std::string path;
  std::string flag;    ///< that gave the path, for errors: "--socket"
  bool others = false; ///< the file lets everybody connect; `welcome` decides
  std::function<bool(const local_peer&)> welcome;
  std::size_t connections_max = local_connections_max;
  std::size_t per_user_max = local_connections_per_user_max;
  std::string overload_answer; ///< what a user who has all of their places is told
};

class local_listener {
public:
  using stream = boost::asio::local::stream_protocol::socket;
  /// The place is given back when its last copy is gone.
  using place = std::shared_ptr<void>;
  using acceptance = std::function<void(stream, const local_peer&, place)>;

  /// Replaces a socket file that is there already. errc::invalid_argument (the path is too long),
  /// errc::io_failure.
  static result<std::unique_ptr<local_listener>>
  listen(http::io_pool& pool, local_listener_options options, acceptance accepted);
  // A lock that fails here ends the process, as it should.
  // NOLINTNEXTLINE(bugprone-exception-escape)
  ~local_listener();
  local_listener(const local_listener&) = delete;
  local_listener& operator=(const local_listener&) = delete;
  /// No more connections; those that are there go on. Idempotent.
  void close();

private:
  struct impl;
  explicit local_listener(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

} // namespace custos::runtime
