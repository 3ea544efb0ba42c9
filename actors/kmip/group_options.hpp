#pragma once
// What a group of KMIP connections needs to know of its provider. CAF-free.

#include "adapters/crypto/crypto.hpp"
#include "adapters/crypto/secret_bytes.hpp"
#include "messages/config.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace custos::kmip {

/// Connections a group may open to one server, and requests on one connection without their answer.
/// More than one in flight (pipelining) is legal in TTLV over TLS, but not every server copes.
inline constexpr std::size_t connections_per_server_default = 2;
inline constexpr std::size_t in_flight_default = 1;

struct kmip_group_options {
  std::string provider; ///< for messages
  std::vector<key_server> servers;
  /// PEM: certification authorities, or the servers' own certificates (then neither name nor chain
  /// is judged). Empty: no server is trusted.
  std::vector<std::string> trusted_pem;
  std::string client_certificate_pem; ///< chain, leaf first; empty: none is presented
  crypto::key client_private_key;
  std::string username; ///< empty: no credential in requests
  crypto::secret_ptr password;
  /// For one request, with all its attempts, connection included.
  std::chrono::milliseconds timeout{5000};
  bool legacy_ciphers = false; ///< TLS 1.2 with CBC and static RSA key exchange allowed
  std::size_t connections_per_server = connections_per_server_default;
  std::size_t in_flight_max = in_flight_default;
};

} // namespace custos::kmip
