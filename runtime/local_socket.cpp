#include "runtime/local_socket.hpp"

#include "runtime/log.hpp"

#include <algorithm>
#include <boost/asio.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace custos::runtime {

namespace {

namespace asio = boost::asio;
using local = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::chrono::seconds connection_time_max{60};
constexpr std::size_t answer_bytes_max = 1U << 20U;

class local_session : public std::enable_shared_from_this<local_session> {
public:
  local_session(local::socket socket, unsigned uid, local_handler handle)
      : socket_(std::move(socket)), timer_(socket_.get_executor(), connection_time_max), uid_(uid),
        handle_(std::move(handle)) {}

  void start() {
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
      if (const auto self = weak.lock(); self && !ec)
        self->socket_.close(ec);
    });
    asio::async_read_until(
        socket_, asio::dynamic_buffer(line_, local_line_bytes_max), '\n',
        [self = shared_from_this()](error_code ec, std::size_t n) {
          if (ec)
            return self->timer_.cancel(), void();
          self->line_.resize(n - 1);
          self->handle_(std::move(self->line_), self->uid_,
                        [self](crypto::secret_bytes answer) { self->write(std::move(answer)); });
        });
  }

private:
  void write(crypto::secret_bytes answer) {
    auto kept = std::make_shared<crypto::secret_bytes>(std::move(answer));
    asio::post(socket_.get_executor(), [self = shared_from_this(), kept] {
      static constexpr char newline = '\n';
      const std::array<asio::const_buffer, 2> parts{
          asio::buffer(kept->reveal_secret().data(), kept->size()), asio::buffer(&newline, 1)};
      asio::async_write(self->socket_, parts, [self, kept](error_code ec, std::size_t) {
        self->timer_.cancel();
        self->socket_.close(ec);
      });
    });
  }

  local::socket socket_;
  asio::steady_timer timer_;
  std::string line_;
  unsigned uid_;
  local_handler handle_;
};

class listening_socket : public local_socket {
public:
  listening_socket(http::io_pool& pool, local_socket_options options, local_handler h)
      : options_(std::move(options)), handle_(std::move(h)),
        acceptor_(std::make_shared<local::acceptor>(asio::make_strand(pool.context()))) {}
  // A lock that fails here ends the process, as it should.
  // NOLINTNEXTLINE(bugprone-exception-escape)
  ~listening_socket() override { close(); }

  result<void> bind() {
    error_code failed;
    const auto refuse = [&] {
      return make_error(errc::io_failure,
                        "cannot listen on " + options_.path + ": " + failed.message());
    };
    if (options_.path.size() >= sizeof(sockaddr_un::sun_path))
      return field_error(errc::invalid_argument, "--socket",
                         "expected a path of at most 107 bytes");
    ::unlink(options_.path.c_str());
    const auto old_mask = ::umask(0177);
    acceptor_->open(local(), failed);
    if (!failed)
      acceptor_->bind(local::endpoint(options_.path), failed);
    ::umask(old_mask);
    if (!failed)
      acceptor_->listen(64, failed);
    if (failed)
      return refuse();
    if (!options_.allowed_uids.empty() && ::chmod(options_.path.c_str(), 0666) != 0)
      return make_error(errc::io_failure, "cannot set the mode of " + options_.path);
    accept(acceptor_, options_.allowed_uids, handle_);
    return {};
  }

  void close() override {
    asio::post(acceptor_->get_executor(), [acceptor = acceptor_] {
      error_code ignored;
      acceptor->close(ignored);
    });
    ::unlink(options_.path.c_str());
  }

private:
  static void accept(const std::shared_ptr<local::acceptor>& acceptor,
                     const std::vector<unsigned>& allowed, const local_handler& handle) {
    acceptor->async_accept([acceptor, allowed, handle](error_code ec, local::socket peer) {
      if (ec == asio::error::operation_aborted || !acceptor->is_open())
        return;
      if (!ec) {
        ucred who{};
        socklen_t size = sizeof who;
        const bool known =
            ::getsockopt(peer.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
        const bool welcome =
            known && (who.uid == 0 || who.uid == ::geteuid() ||
                      std::find(allowed.begin(), allowed.end(), who.uid) != allowed.end());
        if (welcome)
          std::make_shared<local_session>(std::move(peer), who.uid, handle)->start();
        else
          log_warning("local.refused", {{"uid", std::to_string(who.uid)}});
      }
      accept(acceptor, allowed, handle);
    });
  }

  local_socket_options options_;
  local_handler handle_;
  std::shared_ptr<local::acceptor> acceptor_;
};

} // namespace

result<std::unique_ptr<local_socket>>
local_socket::listen(http::io_pool& pool, local_socket_options options, local_handler h) {
  auto out = std::make_unique<listening_socket>(pool, std::move(options), std::move(h));
  CUSTOS_CHECK(out->bind());
  return std::unique_ptr<local_socket>(std::move(out));
}

result<crypto::secret_bytes> ask_local(const std::string& path, const std::string& line,
                                       unsigned timeout_s) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.size() >= sizeof where.sun_path)
    return field_error(errc::invalid_argument, "--socket", "expected a path of at most 107 bytes");
  std::copy(path.begin(), path.end(), where.sun_path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const std::unique_ptr<const int, void (*)(const int*)> owned(&fd,
                                                               [](const int* f) { ::close(*f); });
  const timeval limit{static_cast<time_t>(timeout_s), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const auto text = line + "\n";
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
      ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
    return make_error(errc::unavailable, "the host agent cannot be reached at " + path);
  crypto::secret_bytes answer(answer_bytes_max);
  std::size_t size = 0;
  for (;;) {
    const auto room = answer.writable_secret().subspan(size);
    const auto n = ::recv(fd, room.data(), room.size(), 0);
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
