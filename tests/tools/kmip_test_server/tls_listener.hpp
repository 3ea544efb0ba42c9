#pragma once
// The KMIP test server's sockets: TLS with client certificates, one thread a connection, blocking.
// Requests that came together (pipelining) are answered in one write. Faults of travel happen here.

#include "tests/tools/kmip_test_server/answers.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <openssl/ssl.h>
#include <set>
#include <string>

namespace custos::kmip_test_server {

struct tls_files {
  std::string certificate; ///< PEM, chain, leaf first
  std::string key;         ///< PEM
  std::string client_ca;   ///< PEM: who may connect
  bool tls12_only = false;
};

class tls_listener {
public:
  tls_listener(answers& given, fault_box& faults) : answers_(given), faults_(faults) {}

  /// Connections made from now on see these. Those that are there go on.
  result<void> use(const tls_files& files);
  /// Listens on 127.0.0.1; port 0 takes any free one. Gives the port.
  result<std::uint16_t> listen(std::uint16_t port);
  /// Accepts for ever.
  void run();
  /// Ends all connections that are there.
  void disconnect();
  [[nodiscard]] std::uint64_t accepted() const { return accepted_; }

private:
  using context_ptr = std::shared_ptr<SSL_CTX>;

  void serve(int socket, const context_ptr& context);
  void converse(SSL* ssl);
  /// False: the connection is to end.
  bool answer_all(SSL* ssl, crypto::wiped_bytes& received);
  bool send_wrong(SSL* ssl, crypto::wiped_bytes message, const fault& f);

  answers& answers_;
  fault_box& faults_;
  int listener_ = -1;
  std::mutex mutex_; ///< of what follows
  context_ptr context_;
  std::set<int> open_;
  std::atomic<std::uint64_t> accepted_{0};
};

} // namespace custos::kmip_test_server
