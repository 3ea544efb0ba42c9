#pragma once
// What hosts and the Key Provider Service say to each other, decoded. A key itself only ever
// travels as a JWE (RFC 7516) to the token's transport key.

#include "messages/attestation.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace custos {

/// Who is asking, as far as the connection tells: judged by the gate, step by step.
struct key_caller {
  std::string token;     ///< bearer token, JWS compact; may be empty
  bytes tls_client_spki; ///< SubjectPublicKeyInfo DER of the TLS client key; may be empty
  std::string remote;    ///< for the audit log
};

inline constexpr std::uint32_t kek_bytes_min = 16;
inline constexpr std::uint32_t kek_bytes_max = 64;
inline constexpr std::size_t context_bytes_max = 4096;
inline constexpr std::size_t kek_ciphertext_bytes_max = 16384;
/// Longest JWE with key material of a host's own: 64 octets take less than 600.
inline constexpr std::size_t key_jwe_bytes_max = 4096;
inline constexpr std::size_t rewrap_items_max = 1000;

struct generate_key {
  key_caller caller;
  std::string provider;
  std::uint32_t key_bytes = 32;
  bytes context; ///< additional authenticated data
};

struct decrypt_key {
  key_caller caller;
  std::string provider;
  bytes ciphertext;
  bytes context;
};

struct key_released {
  bytes ciphertext; ///< self-describing, also the key's id (docs/ciphertext-format.md)
  std::string jwe;  ///< compact, the key encrypted to the transport key
};

/// Key material of the host's own, to become a ciphertext like those of generate_key.
struct encrypt_key {
  key_caller caller;
  std::string provider;
  std::string jwe; ///< compact, to the service's encryption key; its plaintext is the key
  bytes context;
};
struct key_encrypted {
  bytes ciphertext;
};

/// Ciphertexts to be brought under the present primary key; no key leaves.
struct rewrap_item {
  bytes ciphertext;
  bytes context;
};
struct rewrap_keys {
  key_caller caller;
  std::string provider;
  std::vector<rewrap_item> items; ///< 1 to rewrap_items_max
};
struct rewrapped_key {
  bytes ciphertext;             ///< as it is now; empty if it failed
  bool changed = false;         ///< false: it was under the present primary key already
  std::optional<error> failure; ///< why this one was not rewrapped
};
struct keys_rewrapped {
  std::vector<rewrapped_key> keys; ///< one for each item, in order
};

struct list_providers {
  key_caller caller;
};

struct provider_status {
  std::string name;
  std::string health; ///< "ok", "warning", "error"
  std::string detail;
  /// Short name of the present primary key (keyprovider::primary_key_name); empty: it has none yet.
  std::string primary_key = {};
};

/// ---- administration of a provider on one node ------------------------------------------------

/// Makes a client key pair on this node; the private key only ever leaves it sealed.
struct make_client_certificate {
  std::string provider;
  bool csr = false; ///< true: a certificate signing request, false: a self-signed certificate
};
struct client_certificate_made {
  std::string pem; ///< certificate or CSR
  bytes sealed_private_key;
};

/// Creates and activates an AES-256 primary key on the provider's key server.
struct create_primary_key {
  std::string provider;
  std::string key_name; ///< Name attribute, made unique by the caller
};

/// What a key server presents now, to be accepted or not.
struct get_peer_certificates {
  std::string provider;
};
struct peer_certificate {
  std::string server;
  std::string pem;   ///< whole presented chain
  std::string error; ///< why it could not be read; empty if it was
};

struct get_provider_status {
  std::string provider;
};
struct key_server_status {
  std::string server;
  std::string health;               ///< "ok", "error"
  bool client_trust_server = false; ///< we trust what it presents
  bool server_trust_client = false; ///< it answered us
  std::string protocol_version;     ///< "1.4"; empty if unknown
  std::string detail;
};
struct provider_status_report {
  std::string provider;
  std::string health;
  std::string primary_key_state; ///< "Active" ...; empty if unknown
  std::vector<key_server_status> servers;
  /// With which client certificate this node asks: "current" or "next"; empty without any.
  std::string client_certificate;
  /// What the key servers say to the next client certificate; empty if there is none.
  std::vector<key_server_status> next_servers;
  std::string rotation; ///< why the primary key was not changed when it was due; empty: nothing
};

} // namespace custos
