#pragma once
// For this folder only: one try to connect to a member. Everything on the strand of the link.

#include "cluster/link/connection.hpp"

namespace custos::cluster::link {

class dial_attempt : public std::enable_shared_from_this<dial_attempt> {
public:
  struct connected {
    socket stream;
    tcp::endpoint remote;
    std::chrono::milliseconds left; ///< of the timeout
  };
  using callback = std::function<void(result<connected>)>;

  dial_attempt(const strand& s, std::string host, std::uint16_t port)
      : host_(std::move(host)), port_(port), resolver_(s), socket_(s), timer_(s) {}

  /// Calls `done` once, from the strand and not from here, unless cancelled.
  void start(std::chrono::milliseconds timeout, callback done);
  void cancel();

private:
  void connect(const std::vector<tcp::endpoint>& found);
  void finish(result<connected> r);
  void fail(errc code, const std::string& what);

  std::string host_;
  std::uint16_t port_;
  asio::ip::basic_resolver<tcp, strand> resolver_;
  socket socket_;
  timer timer_;
  callback done_;
  std::chrono::steady_clock::time_point deadline_;
};

} // namespace custos::cluster::link
