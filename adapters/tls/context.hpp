#pragma once
// For the .cpp files of this room only: OpenSSL's handles, the context of a client, the judgement
// of what a server presents.

#include "adapters/tls/stream.hpp"

#include <memory>
#include <openssl/ssl.h>

namespace custos::tls::internal {

struct ssl_deleter {
  void operator()(SSL* s) const { SSL_free(s); }
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
using ssl_ptr = std::unique_ptr<SSL, ssl_deleter>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, ssl_deleter>;

/// What is accepted from a server, and what came of it. Stays where it is while a handshake runs.
class server_judge {
public:
  server_judge() = default;
  static result<server_judge> create(const stream_options& options);
  /// Puts the judgement into the context; `this` must outlive the context's handshakes.
  void attach(SSL_CTX* context);

  /// As presented, leaf first; empty before the server presented anything.
  [[nodiscard]] const std::string& chain_pem() const { return chain_pem_; }
  /// Why the server is not trusted; empty if it is or was not judged yet.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

private:
  static int judge(X509_STORE_CTX* presented, void* self);
  bool accepts(X509_STORE_CTX* presented);

  std::vector<crypto::certificate> anchors_;
  std::vector<crypto::sha256_digest> pinned_;
  std::string chain_pem_;
  std::string refusal_;
};

result<ssl_ctx_ptr> make_client_context(const stream_options& options);

/// SNI (RFC 6066, 3), and the name or address that the certificate must be for.
bool set_peer_name(SSL* ssl, const std::string& host);

/// Empties OpenSSL's error queue into an error. An alert about our certificate sets `check`.
error take_tls_error(errc code, std::string doing);

} // namespace custos::tls::internal
