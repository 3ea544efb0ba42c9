#pragma once
// For this folder only: TLS 1.3 between nodes, and who is at the other end.

#include "adapters/crypto/x509.hpp"
#include "cluster/link/link.hpp"

#include <memory>
#include <openssl/ssl.h>

namespace custos::cluster::link {

/// Values of error::check of a failed handshake.
inline constexpr std::string_view untrusted_check = "link-untrusted";             ///< by us
inline constexpr std::string_view not_trusted_check = "link-certificate-refused"; ///< by the peer
inline constexpr std::string_view handshake_check = "link-handshake";

struct ssl_deleter {
  void operator()(SSL* s) const { SSL_free(s); }
  void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
using ssl_ptr = std::unique_ptr<SSL, ssl_deleter>;

/// One identity, ready for handshakes of both sides. Immutable; a handshake keeps its own alive.
/// No session is ever resumed (no tickets, no cache), so each handshake shows both certificates.
class tls_identity {
public:
  /// errc::invalid_argument: the parts do not belong together.
  static result<std::shared_ptr<const tls_identity>> make(const link_identity& identity,
                                                          clock_source now);
  /// TLS on a connected, non-blocking socket; empty if there is no memory for it.
  [[nodiscard]] ssl_ptr begin(int socket, bool accepting) const;

private:
  tls_identity() = default;
  result<void> set_up(const link_identity& identity);
  static int judge(X509_STORE_CTX* presented, void* self);

  std::unique_ptr<SSL_CTX, ssl_deleter> context_;
  clock_source now_;
};

struct peer_certificate {
  std::string name; ///< NAME of the one CN "node:NAME"
  crypto::sha256_digest fingerprint{};
  crypto::unix_seconds not_after = 0;
};
/// The peer of a finished handshake.
result<peer_certificate> peer_certificate_of(SSL* ssl);

/// NAME of a certificate whose subject has exactly one CN, which is "node:NAME"; else empty.
std::string node_name_of(const X509* certificate);

/// Why a handshake failed. Empties OpenSSL's error queue.
error handshake_error(SSL* ssl, const std::string& peer);
/// Why reading or writing failed. Empties OpenSSL's error queue.
error stream_error(const std::string& peer);

} // namespace custos::cluster::link
