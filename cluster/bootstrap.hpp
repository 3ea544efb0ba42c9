#pragma once
// How a cluster begins and grows. Pure but for the data directory: HTTP is done by the callers.
//
//   init_cluster                              on the first node, offline
//   issue_join_token                          on a running node, asked by an administrator
//   make_join_request -> admit_node -> (the cluster adds the member) -> answer_join
//   -> accept_join_answer                     new node  -> running node -> new node
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
inline constexpr std::size_t join_answer_bytes_max = 1U << 20U;

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
  std::string cluster_address = {};      ///< of node_request
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

/// For repairs: leaves a command in the data directory of a node that does not run; it is applied
/// through the log when the node runs and the cluster has a majority.
result<void> leave_command(node_store& node, config_command command);
/// What was left, by operation id; to be forgotten when it was answered.
result<std::vector<config_command>> left_commands(const node_store& node);
result<void> forget_left_command(node_store& node, const std::string& operation_id);

/// A new key and certificate for this node, with the names of the present one. Nothing is stored.
result<node_identity> renewed_identity(const node_store& node, crypto::unix_seconds now);

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
  bool replaces = false;
  /// Body of the request, JSON: {"secret","node_name","dns_names","ip_addresses",
  /// "cluster_address","replace","csr","transport_key"}. Holds the token's secret.
  std::string request;
};
/// `replaces`: it takes the place of the node of that name, whose data directory may be this one.
/// Fails early with errc::already_exists if the data directory holds a node otherwise.
result<join_attempt> make_join_request(const std::filesystem::path& data_dir,
                                       std::string_view token, const node_request& node,
                                       bool replaces = false);

/// A node whose token was good; now the cluster has to take it in.
struct join_admission {
  bool replaces = false;
  crypto::certificate certificate;
  crypto::key transport_public;
  replica::member_info info; ///< for the membership
  std::string token_at;      ///< where the token was, and what it was
  bytes token_record;
};
/// Issuing side. Consumes the token before anything else: it is on disk that it is used up. Errors:
/// errc::unauthenticated (unknown, used or expired token), errc::invalid_argument, errc::malformed.
result<join_admission> admit_node(node_store& node, std::string_view request,
                                  crypto::unix_seconds now);
/// The cluster did not take the node in, and nothing left this one: the token is good again.
result<void> give_back_token(node_store& node, const join_admission& admission);
/// The answer, JSON {"jwe","members"}; secrets in it only encrypted. `members` as octets
/// (cluster/replica/wire.hpp).
result<std::string> answer_join(const node_store& node, const join_admission& admission,
                                raft::replica_id id, byte_view members);

/// Joining side: decrypts, verifies (CA fingerprint of the token, node certificate for our key,
/// members) and writes the data directory, whole or not at all.
result<void> accept_join_answer(const std::filesystem::path& data_dir, const join_attempt& attempt,
                                std::string_view answer, crypto::unix_seconds now,
                                const node_key_request& how = {});

} // namespace custos::cluster
