#include "runtime/local_listener.hpp"

#include "runtime/log.hpp"

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

constexpr int backlog = 64;
/// Of a process: what the kernel allows (setgroups(2), NGROUPS_MAX).
constexpr std::size_t groups_max = 65536;
/// Without file descriptors there is nothing to accept; a short wait is not a busy loop.
constexpr std::chrono::milliseconds pause_after_failure{100};

bool read_groups(int fd, std::vector<unsigned>& groups) {
  groups.resize(64);
  for (;;) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    const bool read = ::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0;
    const auto count = size / sizeof(gid_t);
    if (read || errno != ERANGE || count > groups_max)
      return groups.resize(read ? count : 0), read;
    groups.resize(count);
  }
}

bool read_peer(int fd, local_peer& out) {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return false;
  out.uid = who.uid;
  out.gid = who.gid;
  sockaddr_un name{};
  size = sizeof name;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0)
    return false;
  constexpr auto head = offsetof(sockaddr_un, sun_path);
  if (size > head)
    out.address.assign(name.sun_path, size - head); // may begin with NUL: an abstract name
  return read_groups(fd, out.groups);
}

} // namespace

struct local_listener::impl : std::enable_shared_from_this<impl> {
  impl(http::io_pool& pool, local_listener_options o, acceptance a)
      : options(std::move(o)), accepted(std::move(a)), strand(asio::make_strand(pool.context())),
        acceptor(strand), timer(strand) {}

  result<void> bind() {
    if (options.path.size() >= sizeof(sockaddr_un::sun_path))
      return field_error(errc::invalid_argument, options.flag,
                         "expected a path of at most 107 bytes");
    ::unlink(options.path.c_str());
    error_code failed;
    const auto old_mask = ::umask(0177);
    acceptor.open(local(), failed);
    if (!failed)
      acceptor.bind(local::endpoint(options.path), failed);
    ::umask(old_mask);
    if (!failed)
      acceptor.listen(backlog, failed);
    if (failed)
      return make_error(errc::io_failure,
                        "cannot listen on " + options.path + ": " + failed.message());
    if (options.others && ::chmod(options.path.c_str(), 0666) != 0)
      return make_error(errc::io_failure, "cannot set the mode of " + options.path);
    return {};
  }

  void accept() {
    acceptor.async_accept([self = shared_from_this()](error_code ec, stream peer) {
      if (ec == asio::error::operation_aborted || !self->acceptor.is_open())
        return;
      if (!ec) {
        self->take(std::move(peer));
        return self->accept();
      }
      self->timer.expires_after(pause_after_failure);
      self->timer.async_wait([self](error_code stopped) {
        if (!stopped && self->acceptor.is_open())
          self->accept();
      });
    });
  }

  void take(stream peer) {
    local_peer who;
    if (!read_peer(peer.native_handle(), who))
      return log_warning("local.refused", {{"detail", "the kernel does not say who it is"}});
    if (!options.welcome(who))
      return log_warning("local.refused", {{"uid", std::to_string(who.uid)}});
    const auto known = users.find(who.uid);
    if ((known != users.end() && known->second >= options.per_user_max) ||
        total >= options.connections_max) {
      log_warning("local.overloaded",
                  {{"uid", std::to_string(who.uid)}, {"connections", std::to_string(total)}});
      // It fits into any socket buffer, or is not that important.
      const auto& text = options.overload_answer;
      static_cast<void>(
          ::send(peer.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
      return;
    }
    ++users[who.uid];
    ++total;
    place kept(this, [self = shared_from_this(), uid = who.uid](void*) {
      asio::dispatch(self->strand, [self, uid] { self->leave(uid); });
    });
    accepted(std::move(peer), who, std::move(kept));
  }

  void leave(unsigned uid) {
    --total;
    if (const auto found = users.find(uid); found != users.end() && --found->second == 0)
      users.erase(found);
  }

  local_listener_options options;
  acceptance accepted;
  asio::strand<asio::io_context::executor_type> strand;
  local::acceptor acceptor;
  asio::steady_timer timer;
  std::map<unsigned, std::size_t> users; ///< connections of each that has any
  std::size_t total = 0;
};

result<std::unique_ptr<local_listener>>
local_listener::listen(http::io_pool& pool, local_listener_options options, acceptance accepted) {
  auto made = std::make_shared<impl>(pool, std::move(options), std::move(accepted));
  CUSTOS_CHECK(made->bind());
  asio::post(made->strand, [made] { made->accept(); });
  return std::unique_ptr<local_listener>(new local_listener(std::move(made)));
}

// NOLINTNEXTLINE(bugprone-exception-escape): as said in the header
local_listener::~local_listener() {
  close();
}

void local_listener::close() {
  if (!impl_)
    return;
  const auto gone = std::move(impl_);
  ::unlink(gone->options.path.c_str());
  asio::post(gone->strand, [gone] {
    error_code ignored;
    gone->acceptor.close(ignored);
    gone->timer.cancel();
  });
}

} // namespace custos::runtime
