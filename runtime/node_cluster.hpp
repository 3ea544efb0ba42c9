#pragma once
// A node as one of its cluster: the link to the others, the replica of the ConfigStore, and what
// the node does by itself there: it says where it is and what certificate it has, renews that, and
// carries out what was left for it offline.

#include "cluster/bootstrap.hpp"
#include "cluster/config_store_actor.hpp"
#include "cluster/data_key_rotation.hpp"
#include "cluster/link/link.hpp"
#include "cluster/node_store.hpp"
#include "messages/config_cell.hpp"
#include "runtime/bridge.hpp"
#include "runtime/metrics.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace custos::runtime {

struct node_cluster_options {
  std::string listen;  ///< address:port of the link
  std::string address; ///< host:port at which others reach it; empty: as it was when it joined
};

/// Thread rule: all functions may be called from any thread; callbacks come on the bridge's.
class node_cluster {
public:
  template <class T>
  using callback = std::function<void(result<T>)>;

  struct dependencies {
    caf::actor_system* system = nullptr;
    http::io_pool* pool = nullptr;
    std::shared_ptr<cluster::node_store> store;
    std::shared_ptr<config_cell> config;
    clock_source now;
    /// The node has a new certificate.
    std::function<void(const cluster::node_identity&)> identity_changed;
    /// The process should end: its disk failed, or another process has its identity.
    std::function<void(const error&)> give_up;
  };

  /// Listens and loads; begin() lets it take part. Errors name the option, or what is damaged.
  static result<std::unique_ptr<node_cluster>> open(const node_cluster_options& options,
                                                    dependencies given);
  ~node_cluster();
  node_cluster(const node_cluster&) = delete;
  node_cluster& operator=(const node_cluster&) = delete;

  void begin(bridge& calls);
  /// Hands over leadership, if it leads; then takes part no more. Blocks.
  void stop();

  [[nodiscard]] const config_store_api& config_store() const { return config_store_; }
  /// Why the node does not serve; nothing if it does.
  [[nodiscard]] std::optional<error> out_of_service() const;
  void add_metrics(std::vector<metric_sample>& out) const;
  /// Whether this node leads, also to be asked when this object is gone.
  [[nodiscard]] std::function<bool()> leadership() const {
    return [gauges = gauges_] { return gauges->leads != 0; };
  }
  [[nodiscard]] bool leader_known() const { return gauges_->leader_known != 0; }
  [[nodiscard]] std::uint16_t port() const { return link_->port(); }

  // ---- for the API
  void join(std::string request, callback<std::string> done);
  void remove(const std::string& node, callback<cluster_status> done);
  void transfer(const std::string& to, callback<cluster_status> done);
  void status(callback<cluster_status> done);
  void renew_certificate(callback<cluster_status> done);
  /// Begins to change the cluster's data key; the answer is the id of the new one.
  void rotate_data_key(callback<std::string> done);

private:
  explicit node_cluster(dependencies given) : given_(std::move(given)) {}
  result<void> listen(const node_cluster_options& options);
  cluster::link::link_events events();
  void on_failure(const cluster::replica_failure& failure);
  void on_clash(const cluster::link::identity_clash& clash);
  void change(membership_action action, const cluster::replica::member_info& info,
              callback<membership_changed> done);
  [[nodiscard]] bool is_stopped() const;
  void introduce_again();
  void carry_out_left_commands();
  void keep_certificate_fresh();
  void on_change(const config_ptr& state,
                 const std::vector<cluster::replica::known_member>& members, bool leads);
  void drive_rotation(const config_ptr& state);
  void go_on_rotating();
  void rotate_on();
  void switch_identity(const cluster::node_identity& to, callback<cluster_status> done);
  [[nodiscard]] result<cluster::replica::link_address> own_address() const;

  dependencies given_;
  std::shared_ptr<cluster::replica_gauges> gauges_ = std::make_shared<cluster::replica_gauges>();
  std::unique_ptr<cluster::link::node_link> link_;
  config_store_api config_store_;
  caf::actor keeper_;
  bridge* calls_ = nullptr;
  std::string wanted_address_;

  mutable std::mutex mutex_; ///< guards what follows
  std::optional<error> failure_;
  std::optional<cluster::replica::link_address> address_; ///< as the membership has it
  std::vector<cluster::key_recipient> recipients_;        ///< the members, by their keys
  bool renewing_ = false;
  bool leads_ = false;      ///< as of the newest change; the gauge follows later
  config_ptr rotation_due_; ///< a state that the rotation has not looked at
  bool rotating_ = false;   ///< a step of it is on its way
  bool stopped_ = false;
};

} // namespace custos::runtime
