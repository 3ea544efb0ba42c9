#include "runtime/credential_socket.hpp"

#include "actors/host/ciphertext_file.hpp"
#include "actors/host/credentials.hpp"
#include "runtime/local_listener.hpp"
#include "runtime/log.hpp"

#include <boost/asio.hpp>
#include <unistd.h>

namespace custos::runtime {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using steady = std::chrono::steady_clock;

/// One credential for one start of a unit. All on the listener's strand, but for the answer's call.
class credential_session : public std::enable_shared_from_this<credential_session> {
public:
  credential_session(local_listener::stream socket, local_listener::place place,
                     credential_socket_options options, key_question ask)
      : place_(std::move(place)), socket_(std::move(socket)), timer_(socket_.get_executor()),
        until_(steady::now() + options.wait_max), options_(std::move(options)),
        ask_(std::move(ask)) {}

  void start(const std::string& address) {
    const auto name = host::credential_of_peer(address);
    if (!name)
      return refuse(make_error(errc::invalid_argument,
                               "expected the service manager, which binds RANDOM/unit/UNIT/NAME"));
    name_ = *name;
    ask();
  }

private:
  void ask() {
    // Read anew each time: it may have been brought under another primary key meanwhile.
    auto file = host::read_ciphertext_file(host::credential_file(options_.folder, name_));
    if (!file)
      return refuse(file.failure());
    request_key r;
    r.provider = std::move(file->provider);
    r.ciphertext = std::move(file->ciphertext);
    r.context = std::move(file->context);
    ask_(std::move(r), [self = shared_from_this()](result<key_ready> k) {
      asio::post(self->socket_.get_executor(),
                 [self, k = std::move(k)]() mutable { self->answered(std::move(k)); });
    });
  }

  void answered(result<key_ready> k) {
    if (k)
      return write(std::move(k->key));
    const bool passes = k.failure().code == errc::unavailable ||
                        k.failure().code == errc::timeout || k.failure().code == errc::overloaded ||
                        k.failure().retryable;
    if (!passes || steady::now() + options_.retry >= until_)
      return refuse(k.failure());
    timer_.expires_after(options_.retry);
    timer_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec)
        self->ask();
    });
  }

  void write(crypto::secret_ptr key) {
    log_info("local.credential", {{"unit", name_.unit}, {"credential", name_.credential}});
    timer_.expires_after(options_.write_time_max);
    timer_.async_wait([weak = weak_from_this()](error_code ec) {
      if (const auto self = weak.lock(); self && !ec)
        self->finish();
    });
    const auto raw = key->reveal_secret();
    asio::async_write(
        socket_, asio::buffer(raw.data(), raw.size()),
        [self = shared_from_this(), key](error_code, std::size_t) { self->finish(); });
  }

  void refuse(const error& e) {
    log_warning("local.credential_refused",
                {{"unit", name_.unit}, {"credential", name_.credential}, {"detail", e.message}});
    finish();
  }

  void finish() {
    error_code ignored; // closed is closed
    timer_.cancel();
    socket_.close(ignored);
  }

  local_listener::place place_;
  local_listener::stream socket_;
  asio::steady_timer timer_;
  steady::time_point until_;
  credential_socket_options options_;
  key_question ask_;
  host::credential_name name_;
};

class listening_socket : public credential_socket {
public:
  explicit listening_socket(std::unique_ptr<local_listener> l) : listener_(std::move(l)) {}
  void close() override { listener_->close(); }

private:
  std::unique_ptr<local_listener> listener_;
};

} // namespace

result<std::unique_ptr<credential_socket>>
credential_socket::listen(http::io_pool& pool, credential_socket_options options,
                          key_question ask) {
  local_listener_options l;
  l.path = options.path;
  l.flag = "--credential-socket";
  l.per_user_max = l.connections_max; // there is one user
  l.welcome = [](const local_peer& who) { return who.uid == 0 || who.uid == ::geteuid(); };
  CUSTOS_TRY(auto listener,
             local_listener::listen(
                 pool, std::move(l),
                 [options, ask = std::move(ask)](local_listener::stream s, const local_peer& who,
                                                 local_listener::place place) {
                   std::make_shared<credential_session>(std::move(s), std::move(place), options,
                                                        ask)
                       ->start(who.address);
                 }));
  return std::unique_ptr<credential_socket>(
      std::make_unique<listening_socket>(std::move(listener)));
}

} // namespace custos::runtime
