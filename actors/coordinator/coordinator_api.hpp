#pragma once
// The coordinator's HTTPS API: the part of the vcenter/trusted-infrastructure contract that the
// main path needs, under /api, and our own under /api/custos/v1. A passthrough: it holds no trust
// and no secret of its own; a private key that passes is sealed by a node before anything is
// stored.
//
// Thread-safe after construction. Handlers run on socket threads and never block; fan-outs answer
// later on an actor's thread.

#include "actors/coordinator/contract.hpp"
#include "actors/coordinator/inventory.hpp"
#include "actors/gateway/principal.hpp"
#include "actors/gateway/router.hpp"
#include "messages/clock.hpp"
#include "messages/local.hpp"

#include <boost/json/fwd.hpp>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>

namespace custos::coordinator {

/// One call of a fan-out; `call.url` is the path at the member.
struct member_call {
  member to;
  http::call call;
};

struct provider_spec;

struct coordinator_ports {
  std::shared_ptr<inventory> known;
  /// Calls every member; `done` gets exactly one outcome each.
  std::function<void(std::vector<member_call>, std::function<void(target_outcomes)> done)> fan_out;
  /// A backup of this coordinator (cluster/backup), sealed for a public key on P-256.
  std::function<void(crypto::key, std::function<void(result<std::string>)>)> make_backup;
  std::function<void(audit_record)> audit;
  std::function<config_ptr()>
      principals; ///< who may call, as a snapshot that holds principals only
  std::vector<crypto::certificate> anchors;
  clock_source now;
};

/// How a piece of work ends: JSON of the result (empty: none) and what the members said.
struct work_result {
  result<std::string> outcome = std::string();
  target_outcomes targets;
};
using work_done = std::function<void(work_result)>;

/// ?vmw-task=true: the answer is a task's id.
bool wants_task(const http::request& r);
/// An answer of a route as the end of a task.
result<std::string> outcome_of(const http::response& r);
/// errc::invalid_argument: what was expected of the name of an object.
error bad_object_name(std::string_view field);
/// OK without details, WARNING with any.
std::string health_of(const std::vector<std::string>& details);
/// As the contract's list of localizable messages.
boost::json::array messages_of(const std::vector<std::string>& details);

/// How often an edit begins anew because somebody else changed the configuration meanwhile.
inline constexpr unsigned edit_attempts_max = 5;

class coordinator_api {
public:
  explicit coordinator_api(coordinator_ports ports);
  coordinator_api(const coordinator_api&) = delete;
  coordinator_api& operator=(const coordinator_api&) = delete;
  void handle(http::request&& request, const http::responder& respond) const;
  [[nodiscard]] const gateway::router& routes() const { return router_; }

private:
  using work = std::function<void(work_done)>;
  /// What a route of the contract does: `status` is that of the synchronous answer.
  struct operation {
    std::string name;    ///< "ti.tac.kms:Providers.create"
    std::string cluster; ///< whose mutations are serialised; may be empty
    unsigned status = 200;
    bool reads = false; ///< runs beside others, is not recorded
  };

  void add(std::string method, const std::string& pattern, gateway::access who, std::string summary,
           gateway::route_handler h);
  /// A reading operation of the contract, which may be asked for as a task.
  void add_read(const std::string& pattern, std::string name, std::string summary,
                gateway::route_handler h);
  void add_inventory_routes();
  void add_endorsement_routes();
  void add_denial_routes();
  void add_settings_routes();
  void add_image_routes();
  void add_attestation_routes();
  void add_token_key_routes();
  void add_provider_routes();
  void add_primary_key_routes();
  void add_client_certificate_routes();
  void add_next_certificate_routes();
  void add_provider_trust_routes();
  void add_provider_use_routes();
  void add_service_routes();
  void add_trusted_cluster_routes();
  void add_task_routes();
  void add_backup_routes();

  /// Runs work as a task (?vmw-task=true: 202 and the id at once) or synchronously; one mutation of
  /// a cluster at a time.
  void run(const gateway::routed_request& r, const http::responder& respond, const operation& what,
           const work& w) const;

  // ---- trust authority clusters: the configuration of their nodes
  [[nodiscard]] result<std::vector<member>> nodes_of(const gateway::routed_request& r) const;
  void on_all(const std::vector<member>& members, const http::call& call,
              std::function<void(target_outcomes)> done) const;
  /// The first member that answers at all decides; the others are asked only if it does not. The
  /// outcomes are of those that were asked, the last one decides.
  void on_first(std::vector<member> members, const http::call& call,
                std::function<void(target_outcomes)> done) const;
  /// The same, and its body.
  void on_one(const std::vector<member>& members, const http::call& call,
              std::function<void(result<std::string>)> done) const;
  /// Changes the configuration through one node; the cluster brings it to all.
  void write_object(const std::vector<member>& nodes, http::call call, const work_done& done) const;
  /// The newest revision that this coordinator was answered with: nodes that are asked later have
  /// to be as far.
  [[nodiscard]] std::uint64_t seen_revision(const std::string& cluster) const;
  void saw_revision(const std::string& cluster, const target_outcomes& outcomes) const;
  void create_object(const std::vector<member>& nodes, const std::string& kind,
                     const std::string& name, const std::string& document,
                     const work_done& done) const;
  void put_object(const std::vector<member>& nodes, const std::string& kind,
                  const std::string& name, const std::string& document,
                  const work_done& done) const;
  void delete_object(const std::vector<member>& nodes, const std::string& kind,
                     const std::string& name, const work_done& done) const;
  struct seen_object {
    std::string name;
    std::string document;             ///< canonical JSON, of the first node that has it
    std::vector<std::string> details; ///< which node differs and how; empty: all hold the same
  };
  struct seen_objects {
    std::vector<seen_object> objects; ///< by name
    std::vector<std::string> details; ///< nodes that gave no answer, and why
  };
  /// Every object of a kind; fails only when no node answers.
  void read_objects(const std::vector<member>& nodes, const std::string& kind,
                    std::function<void(result<seen_objects>)> done) const;
  /// Unix seconds, by the name of a base image.
  using last_attested_times = std::map<std::string, std::int64_t>;
  /// The base images, and when a host last attested with each at any node.
  void
  read_images(const std::vector<member>& nodes,
              std::function<void(result<seen_objects>, const last_attested_times&)> done) const;
  /// One document, of the first node that answers.
  void read_document(const std::vector<member>& nodes, const std::string& kind,
                     const std::string& name,
                     std::function<void(result<boost::json::object>)> done) const;
  /// Reads a document, lets `change` edit it, writes it, unless the configuration has changed
  /// meanwhile: then it begins anew.
  void edit_object(const std::vector<member>& nodes, const std::string& kind,
                   const std::string& name,
                   std::function<result<void>(boost::json::object&)> change, const work_done& done,
                   unsigned attempts = edit_attempts_max) const;

  // ---- key providers
  void make_native_key(const std::vector<member>& nodes, const std::string& provider,
                       std::function<void(result<boost::json::object>)> done) const;
  void create_native_provider(const std::vector<member>& nodes, const provider_spec& spec,
                              const work_done& done) const;
  void rotate_native(const std::vector<member>& nodes, const std::string& provider,
                     const work_done& done) const;
  void rotate_on_servers(const std::vector<member>& nodes, const std::string& provider,
                         const work_done& done) const;
  /// Has a node make a key pair, with a certificate or a request for one.
  void make_client_key(const std::vector<member>& nodes, const std::string& provider, bool csr,
                       const work_done& done) const;
  /// Sets the certificate of a key pair that a node made for the provider before.
  void set_issued_certificate(const std::vector<member>& nodes, const std::string& provider,
                              const std::string& pem, const work_done& done) const;
  /// Sets a certificate and its private key, which a node seals first.
  void set_uploaded_pair(const std::vector<member>& nodes, const std::string& provider,
                         const std::string& pem, const crypto::secret_ptr& key,
                         const work_done& done) const;
  /// `body` is what a node's seal-password takes.
  void set_password(const std::vector<member>& nodes, const std::string& provider,
                    const crypto::secret_ptr& body, const work_done& done) const;
  void promote_certificate(const std::vector<member>& nodes, const std::string& provider,
                           bool force, const work_done& done) const;

  // ---- hosts as the nodes know them
  void list_hosts(const gateway::routed_request& r, const http::responder& respond) const;
  /// The answer of the node that judged the host last; `what` is the end of its path.
  void newest_of(const gateway::routed_request& r, const std::string& what,
                 const http::responder& respond) const;
  void quarantine(const gateway::routed_request& r, const http::responder& respond) const;

  // ---- trusted clusters
  void apply_desired(const std::string& cluster, const work_done& done) const;
  [[nodiscard]] result<std::string> services_document(const desired_services& desired) const;

  coordinator_ports ports_;
  gateway::known_peers peers_; ///< administrators
  gateway::router router_;
  std::map<std::string, std::string, std::less<>> reads_; ///< pattern to operation
  mutable std::mutex mutex_;                              ///< guards what follows
  mutable std::set<std::string> busy_;
  mutable std::deque<task> tasks_;
  mutable std::map<std::string, std::uint64_t> revisions_; ///< by cluster
};

} // namespace custos::coordinator
