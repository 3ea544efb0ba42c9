#pragma once
// A TLS client connection that carries octets: for protocols of their own, as KMIP. Asio and
// OpenSSL stay behind this header.
//
// The io_pool must outlive its streams.
// Threads: callbacks run on threads of the io_pool, never two at once for one stream, and must not
// block; methods may be called from any thread. After `closed` no callback follows.

#include "adapters/crypto/wiped_bytes.hpp"
#include "adapters/crypto/x509.hpp"
#include "adapters/http/http.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace custos::tls {

/// Octets handed to one `received`, and octets that may wait to be written.
inline constexpr std::size_t read_chunk_bytes_max = 16U << 10U;
inline constexpr std::size_t write_queue_bytes_max = 4U << 20U;
/// Octets of a presented chain as PEM.
inline constexpr std::size_t peer_chain_pem_bytes_max = 128U << 10U;

/// Values of error::check in `closed`: which half of the mutual trust is missing.
inline constexpr std::string_view server_not_trusted_check = "server-not-trusted";
inline constexpr std::string_view client_not_trusted_check = "client-not-trusted";

struct stream_options {
  std::string host; ///< DNS name or IP address; also what the certificate must be for
  std::uint16_t port = 0;
  /// PEM. A presented leaf equal to one of these is accepted as it is (pinned: neither name, chain
  /// nor dates are judged); else they are the anchors, and the leaf's SAN must match `host`
  /// (RFC 6125, RFC 5280 6.1). Empty: nothing is trusted.
  std::vector<std::string> trusted_pem;
  /// SHA-256 fingerprints of further pinned leaf certificates.
  std::vector<crypto::sha256_digest> pinned;
  std::optional<http::tls_identity> identity; ///< presented when the server asks
  /// TLS 1.2 with CBC and with static RSA key exchange: what old appliances offer only. Otherwise
  /// TLS 1.3, and TLS 1.2 with ECDHE and GCM.
  bool legacy_ciphers = false;
  /// From the name look-up to the end of the handshake.
  std::chrono::milliseconds connect_timeout{3000};
};

/// What happens on a stream.
struct stream_events {
  /// The handshake is done and the peer is trusted. `peer_chain_pem`: as presented, leaf first.
  std::function<void(std::string peer_chain_pem)> connected;
  /// Octets, as the answer to one `read_more`. They may be secret.
  std::function<void(crypto::wiped_bytes data)> received;
  /// The end, exactly once, whatever happened; also after `close`. `peer_chain_pem` is what was
  /// presented if the connection came that far, also when it is not trusted.
  std::function<void(error why, std::string peer_chain_pem)> closed;
};

class stream {
public:
  virtual ~stream() = default;
  /// Sends, in order. More than write_queue_bytes_max waiting closes the stream.
  virtual void write(crypto::wiped_bytes data) = 0;
  /// Allows one `received`. One is allowed at the start; without further calls nothing more is
  /// read, so that a flood stays in the peer's own buffers.
  virtual void read_more() = 0;
  virtual void close() = 0;
};

/// Begins to connect; what comes of it is told through the events. Options that cannot work
/// (unreadable PEM, key and certificate that do not match) end in `closed` as well.
std::shared_ptr<stream> connect(http::io_pool& pool, stream_options options, stream_events events);

/// The chain a server presents, as PEM, leaf first, without trusting it: for an administrator to
/// accept or not. The callback runs on a pool thread, exactly once.
void fetch_peer_certificates(http::io_pool& pool, std::string host, std::uint16_t port,
                             std::chrono::milliseconds timeout,
                             std::function<void(result<std::string> chain_pem)> done);

} // namespace custos::tls
