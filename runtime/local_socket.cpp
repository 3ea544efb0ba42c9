#include "runtime/local_socket.hpp"

#include "runtime/local_listener.hpp"

#include <algorithm>
#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace custos::runtime {

namespace {

namespace asio = boost::asio;
namespace bj = boost::json;
using local = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::size_t answer_bytes_max = 1U << 20U;

std::string error_text(const error& e) {
  bj::object o{{"error", to_string(e.code)}, {"message", e.message}};
  if (!e.field.empty())
    o["field"] = e.field;
  if (!e.check.empty())
    o["check"] = e.check;
  if (e.pcr)
    o["pcr"] = *e.pcr;
  if (e.event)
    o["event"] = *e.event;
  if (e.retryable)
    o["retryable"] = true;
  return bj::serialize(o);
}

/// One request and its answer. All on the listener's strand, but for the responder's call.
class local_session : public std::enable_shared_from_this<local_session> {
public:
  local_session(local::socket socket, unsigned uid, local_listener::place place,
                const local_socket_options& options, local_handler handle)
      : place_(std::move(place)), socket_(std::move(socket)), timer_(socket_.get_executor()),
        uid_(uid), answer_time_(options.answer_time_max), write_time_(options.write_time_max),
        handle_(std::move(handle)) {}

  void start(std::chrono::milliseconds read_time) {
    allow(read_time);
    asio::async_read_until(
        socket_, asio::dynamic_buffer(line_, local_line_bytes_max), '\n',
        [self = shared_from_this()](error_code ec, std::size_t n) { self->received(ec, n); });
  }

private:
  void received(error_code ec, std::size_t n) {
    if (ec == asio::error::not_found)
      return write(error_line(make_error(errc::too_large, "expected a line of at most " +
                                                              std::to_string(local_line_bytes_max) +
                                                              " bytes")));
    if (ec)
      return finish();
    allow(answer_time_);
    const auto line = as_text(byte_view(line_.data(), n - 1));
    handle_(line, uid_, [self = shared_from_this()](crypto::secret_bytes answer) {
      auto kept = std::make_shared<crypto::secret_bytes>(std::move(answer));
      asio::post(self->socket_.get_executor(), [self, kept] { self->write(std::move(*kept)); });
    });
    line_.clear();
    line_.shrink_to_fit(); // wiped
  }

  void write(crypto::secret_bytes answer) {
    allow(write_time_);
    const auto kept = std::make_shared<const crypto::secret_bytes>(std::move(answer));
    static constexpr char newline = '\n';
    const std::array<asio::const_buffer, 2> parts{
        asio::buffer(kept->reveal_secret().data(), kept->size()), asio::buffer(&newline, 1)};
    asio::async_write(socket_, parts, [self = shared_from_this(), kept](error_code, std::size_t) {
      self->finish();
    });
  }

  void allow(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
      if (const auto self = weak.lock(); self && !ec)
        self->finish();
    });
  }

  void finish() {
    error_code ignored; // closed is closed
    timer_.cancel();
    socket_.close(ignored);
  }

  local_listener::place place_;
  local::socket socket_;
  asio::steady_timer timer_;
  crypto::wiped_bytes line_;
  unsigned uid_;
  std::chrono::milliseconds answer_time_;
  std::chrono::milliseconds write_time_;
  local_handler handle_;
};

bool holds(const std::vector<unsigned>& list, unsigned id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

bool is_allowed(const local_socket_options& o, const local_peer& who) {
  return who.uid == 0 || who.uid == ::geteuid() || holds(o.allowed_uids, who.uid) ||
         holds(o.allowed_gids, who.gid) ||
         std::any_of(who.groups.begin(), who.groups.end(),
                     [&o](unsigned g) { return holds(o.allowed_gids, g); });
}

class listening_socket : public local_socket {
public:
  explicit listening_socket(std::unique_ptr<local_listener> l) : listener_(std::move(l)) {}
  void close() override { listener_->close(); }

private:
  std::unique_ptr<local_listener> listener_;
};

struct owned_fd {
  explicit owned_fd(int f) : fd(f) {}
  owned_fd(const owned_fd&) = delete;
  owned_fd& operator=(const owned_fd&) = delete;
  ~owned_fd() {
    if (fd >= 0)
      ::close(fd);
  }
  int fd;
};

bool send_all(int fd, byte_view rest) {
  while (!rest.empty()) {
    const auto n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    rest = rest.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

} // namespace

crypto::secret_bytes error_line(const error& e) {
  return crypto::secret_bytes(as_bytes(error_text(e)));
}

result<std::unique_ptr<local_socket>>
local_socket::listen(http::io_pool& pool, local_socket_options options, local_handler h) {
  local_listener_options l;
  l.path = options.path;
  l.flag = "--socket";
  l.others = !options.allowed_uids.empty() || !options.allowed_gids.empty();
  l.connections_max = options.connections_max;
  l.per_user_max = options.per_user_max;
  l.overload_answer =
      error_text(make_error(errc::overloaded, "too many connections to the agent at once")) + "\n";
  l.welcome = [options](const local_peer& who) { return is_allowed(options, who); };
  CUSTOS_TRY(auto listener,
             local_listener::listen(
                 pool, std::move(l),
                 [options, handle = std::move(h)](local_listener::stream s, const local_peer& who,
                                                  local_listener::place place) {
                   std::make_shared<local_session>(std::move(s), who.uid, std::move(place), options,
                                                   handle)
                       ->start(options.read_time_max);
                 }));
  return std::unique_ptr<local_socket>(std::make_unique<listening_socket>(std::move(listener)));
}

result<crypto::secret_bytes> ask_local(const std::string& path, byte_view line,
                                       unsigned timeout_s) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.size() >= sizeof where.sun_path)
    return field_error(errc::invalid_argument, "--socket", "expected a path of at most 107 bytes");
  std::copy(path.begin(), path.end(), where.sun_path);
  const owned_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{static_cast<time_t>(timeout_s), 0};
  const bool there =
      socket.fd >= 0 &&
      ::setsockopt(socket.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
      ::setsockopt(socket.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
      ::connect(socket.fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
  if (!there)
    return make_error(errno == EACCES ? errc::forbidden : errc::unavailable,
                      "the host agent cannot be reached at " + path + ": " +
                          std::error_code(errno, std::generic_category()).message());
  // An agent that refuses may close before it has read; what it said is there all the same.
  static_cast<void>(send_all(socket.fd, line) && send_all(socket.fd, as_bytes("\n")));
  crypto::secret_bytes answer(answer_bytes_max);
  std::size_t size = 0;
  for (;;) {
    const auto room = answer.writable_secret().subspan(size);
    const auto n = ::recv(socket.fd, room.data(), room.size(), 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == ECONNRESET)
      break;
    if (n < 0)
      return make_error(errc::timeout, "the host agent did not answer in time");
    if (n == 0)
      break;
    size += static_cast<std::size_t>(n);
  }
  if (size == 0)
    return make_error(errc::forbidden,
                      "the host agent closed the connection: this user is not allowed");
  answer.shrink(size);
  return answer;
}

} // namespace custos::runtime
