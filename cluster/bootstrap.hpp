#pragma once
// How a cluster begins and grows. Pure but for the data directory: HTTP is done by the callers.
//
//   init_cluster                              on the first node, offline
//   issue_join_token                          on a running node, asked by an administrator
//   make_join_request -> answer_join -> accept_join_answer
//                                             new node  -> running node -> new node
//
// The join token is base64url of version(1) || length of the URL(2, big-endian) || URL ||
// SHA-256 of the CA certificate(32) || secret(32). It is good once, and until it expires; the
// issuing node keeps the SHA-256 of the secret. It is itself a secret: show it once, log it never.

#include "cluster/cluster_keys.hpp"
#include "cluster/node_store.hpp"
#include "messages/config.hpp"
#include "messages/config_commands.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::cluster {

inline constexpr std::string_view first_administrator = "admin";
inline constexpr std::size_t join_url_bytes_max = 512;
inline constexpr std::size_t join_secret_bytes = 32;
inline constexpr std::uint32_t join_token_life_s_min = 60;
inline constexpr std::uint32_t join_token_life_s_max = 7 * 24 * 3600;
inline constexpr std::size_t join_tokens_max = 256; ///< unexpired, at a time
inline constexpr std::size_t join_request_bytes_max = 64U << 10U;
inline constexpr std::size_t join_answer_bytes_max = 128U << 20U;

/// A certificate for somebody who calls the API, and its key if it was made here.
struct client_credentials {
  std::string certificate_pem;
  std::string ca_pem;
  crypto::secret_bytes private_key_pem; ///< PKCS#8 PEM; empty if a CSR was given
};

// ---- first node -----------------------------------------------------------------------------

struct init_options {
  std::filesystem::path data_dir;
  std::string cluster_name;
  std::string node_name;
  std::vector<std::string> dns_names;    ///< of the node's certificate; at least one of these
  std::vector<std::string> ip_addresses; ///< two lists is not empty
  std::string issuer;                    ///< empty: https:// and the first name or address
  crypto::unix_seconds now = 0;
  node_key_request node_key = {}; ///< how the node keeps its secrets
};

/// The administrator "admin" is a principal of the new configuration; whoever calls writes the
/// credentials where they belong (key file with mode 0600).
struct initialized {
  std::string cluster_id;
  client_credentials administrator;
};
result<initialized> init_cluster(const init_options& options);

/// PKCS#8 in PEM (RFC 7468, 10), without leaving copies behind.
crypto::secret_bytes private_key_pem(const crypto::key& key);

// ---- client certificates --------------------------------------------------------------------

struct client_request {
  std::string name;    ///< principal's name: the certificate's CN
  std::string csr_pem; ///< empty: a key is made here
  crypto::unix_seconds life_s = client_certificate_life_s;
};

/// Issues a client certificate. The principal must also be in the configuration (document_of) or
/// the certificate opens nothing. A CSR's CN must be the name or empty.
result<client_credentials> issue_client_certificate(const cluster_keys& keys,
                                                    const client_request& request,
                                                    crypto::unix_seconds now);

/// The command that makes the principal: put principals/NAME {"role":...}.
config_command principal_command(std::string name, role may, std::string actor);

/// Applies a command to a data directory that no running node uses (open it first): for repairs.
result<config_applied> apply_offline(node_store& node, const config_command& command);

/// A new certificate (and key) for this node itself with the names given, stored and returned; the
/// node takes it at its next start.
result<node_identity> renew_node_certificate(node_store& node, const node_request& request,
                                             crypto::unix_seconds now);

// ---- join -----------------------------------------------------------------------------------

/// What a token says, decoded.
struct join_token {
  std::string url; ///< of the issuing node, "https://host:port"
  crypto::sha256_digest ca_fingerprint{};
  crypto::secret_bytes secret;
};
result<join_token> parse_join_token(std::string_view text);

/// Issuing side. Errors: errc::invalid_argument (url, life), errc::too_large (join_tokens_max).
result<std::string> issue_join_token(node_store& node, const std::string& url, std::uint32_t life_s,
                                     crypto::unix_seconds now);

/// Joining side: one attempt. Keep it until the answer is accepted; the keys live only here.
struct join_attempt {
  join_token token;
  node_request node;
  crypto::key tls_key;       ///< never leaves the node
  crypto::key transport_key; ///< ephemeral P-256: the answer is encrypted to it
  /// Body of the request, JSON: {"secret","node_name","dns_names","ip_addresses","csr",
  /// "transport_key"}. Holds the token's secret.
  std::string request;
};
/// Fails early with errc::already_exists if the data directory holds a node.
result<join_attempt> make_join_request(const std::filesystem::path& data_dir,
                                       std::string_view token, const node_request& node);

/// Issuing side. Consumes the token before anything is issued: a lost answer needs a new token.
/// Errors: errc::unauthenticated (unknown, used or expired token), errc::invalid_argument,
/// errc::malformed, errc::already_exists (a node of that name).
struct join_answered {
  std::string node_name; ///< for the audit log
  std::string body;      ///< JSON {"jwe","bundle"}; secrets in it only encrypted
};
result<join_answered> answer_join(node_store& node, std::string_view request,
                                  crypto::unix_seconds now);

/// Joining side: decrypts, verifies (CA fingerprint of the token, node certificate for our key,
/// configuration fingerprint) and writes the data directory, whole or not at all.
result<void> accept_join_answer(const std::filesystem::path& data_dir, const join_attempt& attempt,
                                std::string_view answer, crypto::unix_seconds now,
                                const node_key_request& how = {});

} // namespace custos::cluster
