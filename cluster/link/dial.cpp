#include "cluster/link/dial.hpp"

namespace custos::cluster::link {

void dial_attempt::start(std::chrono::milliseconds timeout, callback done) {
  done_ = std::move(done);
  deadline_ = std::chrono::steady_clock::now() + timeout;
  timer_.expires_after(timeout);
  timer_.async_wait([self = shared_from_this(), timeout](error_code off) {
    if (!off)
      self->fail(errc::timeout, "no answer within " + std::to_string(timeout.count()) + " ms");
  });
  error_code no_address;
  const auto address = asio::ip::make_address(host_, no_address);
  if (!no_address)
    return connect({tcp::endpoint(address, port_)});
  resolver_.async_resolve(
      host_, std::to_string(port_),
      [self = shared_from_this()](error_code failed, const tcp::resolver::results_type& found) {
        if (failed)
          return self->fail(errc::unavailable, "the name is not found: " + failed.message());
        std::vector<tcp::endpoint> endpoints;
        for (const auto& one : found)
          endpoints.push_back(one.endpoint());
        self->connect(endpoints);
      });
}

void dial_attempt::connect(const std::vector<tcp::endpoint>& found) {
  if (!done_)
    return;
  asio::async_connect(
      socket_, found, [self = shared_from_this()](error_code failed, const tcp::endpoint& remote) {
        if (failed)
          return self->fail(failed == asio::error::no_descriptors ? errc::overloaded
                                                                  : errc::unavailable,
                            failed.message());
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            self->deadline_ - std::chrono::steady_clock::now());
        self->finish(connected{std::move(self->socket_), remote,
                               std::max(left, std::chrono::milliseconds(1))});
      });
}

void dial_attempt::fail(errc code, const std::string& what) {
  finish(make_error(code, "connecting to " + host_ + ":" + std::to_string(port_) + ": " + what));
}

void dial_attempt::finish(result<connected> r) {
  const auto done = std::exchange(done_, nullptr);
  cancel();
  if (done)
    done(std::move(r));
}

void dial_attempt::cancel() {
  done_ = nullptr;
  timer_.cancel();
  resolver_.cancel();
  error_code ignored;
  if (socket_.is_open())
    socket_.close(ignored);
}

} // namespace custos::cluster::link
