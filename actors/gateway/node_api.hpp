#pragma once
// The HTTPS API of a node: routes, authorisation, decoding, encoding. Everything behind it is
// reached through ports, so that this room knows neither actors nor sockets. Handlers run on socket
// threads and never block; answers may come from any thread.

#include "actors/attestation/host_table.hpp"
#include "actors/gateway/principal.hpp"
#include "actors/gateway/router.hpp"
#include "messages/attestation.hpp"
#include "messages/clock.hpp"
#include "messages/cluster.hpp"
#include "messages/config.hpp"
#include "messages/config_commands.hpp"
#include "messages/host_verdict.hpp"
#include "messages/keys.hpp"
#include "messages/kmip.hpp"
#include "messages/local.hpp"

#include <functional>
#include <string>
#include <vector>

namespace custos::gateway {

template <class T>
using callback = std::function<void(result<T>)>;

/// A question to a service: request in, answer through the callback, exactly once.
template <class Request, class Answer>
using port = std::function<void(Request, callback<Answer>)>;

/// What the API needs from the process (composed in runtime/).
struct node_ports {
  port<make_challenge, challenge> new_challenge;
  port<attestation_key_request, attestation_key_issued> issue_attestation_key;
  port<evidence, attestation_granted> appraise;

  /// What this node knows of hosts; never null.
  std::shared_ptr<const attestation::host_table> hosts;
  port<explain_host, json_document> explain;
  port<simulate_changes, json_document> simulate;
  port<forget_host, json_document> forget;

  port<generate_key, key_released> generate;
  port<decrypt_key, key_released> decrypt;
  port<encrypt_key, key_encrypted> encrypt;
  port<rewrap_keys, keys_rewrapped> rewrap;
  port<list_providers, std::vector<provider_status>> providers;
  /// The JWK of the service's encryption key.
  std::function<result<std::string>()> encryption_key;
  /// How often primary keys of a provider were used on this node: the document of the answer.
  std::function<result<std::string>(const std::string& provider)> provider_uses;

  port<make_client_certificate, client_certificate_made> new_client_certificate;
  port<create_primary_key, kmip::key_created> new_primary_key;
  port<get_peer_certificates, std::vector<peer_certificate>> peer_certificates;
  port<get_provider_status, provider_status_report> status_of_provider;

  /// Seals a client private key (PEM, unencrypted) of a provider; the answer is the sealed blob.
  std::function<result<bytes>(const std::string& provider, const crypto::secret_bytes& pem)>
      seal_private_key;
  /// The same for what a key server asks of `username`.
  std::function<result<bytes>(const std::string& provider, const crypto::secret_bytes& password)>
      seal_password;
  /// Which of the sealed private keys of a provider a certificate (PEM chain) is for; by index.
  /// errc::invalid_argument with field "/certificate": for none.
  std::function<result<std::size_t>(const std::string& provider, const std::string& pem,
                                    const std::vector<bytes>& sealed_keys)>
      match_private_key;
  /// A primary key for a native provider, which need not exist yet; it goes into its object.
  std::function<result<native_key>(const std::string& provider)> new_native_key;

  /// Makes a signing key on this node; the answer is the document token-keys/{kid}, to be written
  /// to every node.
  port<token_key_wish, config_document> new_token_key;

  port<config_command, config_applied> apply;
  port<get_config_object, config_document> read;
  port<list_config_objects, config_documents> list;
  port<get_config_status, config_status> status;
  /// Waits until the configuration here is as new as asked.
  port<await_configuration, config_status> await_revision;

  /// A one-time join token, living `life_s` seconds, for nodes that reach this one at `url`.
  std::function<void(std::uint32_t life_s, std::string url, callback<std::string>)> new_join_token;
  /// A join request (JSON, cluster/bootstrap) to its answer (JSON).
  port<std::string, std::string> join;
  port<get_cluster_status, cluster_status> cluster;
  /// By name of a node; the answer is how the cluster stands then.
  port<std::string, cluster_status> remove_member;
  port<std::string, cluster_status> transfer_to;
  /// A new key and certificate for this node.
  port<get_cluster_status, cluster_status> renew_certificate;
  /// Begins to change the data key; the answer is the new one's id.
  port<get_cluster_status, std::string> rotate_data_key;
  std::string node; ///< this one's name
  /// Why this node serves nobody; nothing: it does.
  std::function<std::optional<error>()> out_of_service;
  /// A CSR (PEM) to a client certificate (PEM) of this common name.
  std::function<void(std::string csr_pem, std::string name, callback<std::string>)>
      issue_certificate;

  /// A backup (cluster/backup) sealed for whoever has the private key of this public one, P-256.
  port<crypto::key, std::string> make_backup;

  std::function<std::string()> jwks; ///< the JWK set document
  /// Algorithms of the keys in it, each once.
  std::function<std::vector<std::string>()> token_algorithms;
  std::string issuer; ///< `iss` of our tokens
  std::string ca_pem; ///< the cluster CA

  std::function<void(audit_record)> audit;
  std::function<config_ptr()> snapshot;
  std::vector<crypto::certificate> anchors; ///< issuers of administrators' certificates
  clock_source now;
};

/// Thread-safe after construction.
class node_api {
public:
  explicit node_api(node_ports ports);
  node_api(const node_api&) = delete;
  node_api& operator=(const node_api&) = delete;
  void handle(http::request&& request, const http::responder& respond) const;
  [[nodiscard]] const router& routes() const { return router_; }

private:
  void add_attestation_routes();
  void add_host_routes();
  void forget(const routed_request& r, const http::responder& respond) const;
  void add_token_key_routes();
  void add_key_routes();
  void add_many_keys_routes();
  void add_key_use_routes();
  void add_provider_admin_routes();
  void add_provider_secret_routes();
  void add_config_routes();
  void add_cluster_routes();
  void add_backup_routes();
  void add_membership_routes();
  void add_data_key_routes();
  void add_well_known_routes();
  void add(std::string method, std::string pattern, access who, std::string summary,
           route_handler h);
  /// Handles it when the configuration here is as new as the caller has seen, or wants.
  void when_current(routed_request&& asked, const http::responder& respond,
                    const route& found) const;
  void refuse(const http::request& request, const std::string& who, const error& why,
              const http::responder& respond) const;

  node_ports ports_;
  known_peers peers_; ///< administrators
  router router_;
};

} // namespace custos::gateway
