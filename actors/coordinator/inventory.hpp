#pragma once
// What the coordinator knows: clusters, their nodes and hosts, the registries of services, and the
// desired state of each trusted cluster. Stored in RocksDB, one JSON document an object; no secret
// of any kind is ever in it. Thread-safe (one lock: administration is no hot path).

#include "adapters/crypto/crypto.hpp"
#include "adapters/rocksdb/kv_store.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace custos::coordinator {

/// A node of a trust authority cluster, or a host of a trusted cluster.
struct member {
  std::string id;
  std::string cluster;
  std::string url;         ///< "https://host:port"
  std::string certificate; ///< PEM: CA of the node's cluster, or the host's own certificate
};

enum class cluster_type : std::uint8_t { trust_authority = 1, trusted };

struct cluster_info {
  std::string id;
  cluster_type type = cluster_type::trusted;
};

enum class service_type : std::uint8_t { attestation = 1, kms };

/// One registered service of a trust authority cluster, as hosts will use it.
struct service_info {
  std::string id;
  service_type type = service_type::attestation;
  std::string hostname;
  std::uint16_t port = 443;
  std::vector<std::string> trusted_ca; ///< PEM
  std::string group;
  std::string trust_authority_cluster;
};

/// What every host of a trusted cluster should use.
struct desired_services {
  std::uint64_t revision = 0;
  std::vector<std::string> attestation; ///< ids of registered services
  std::vector<std::string> kms;
};

class inventory {
public:
  /// Loads everything; errc::corrupted if a document does not read.
  static result<std::unique_ptr<inventory>> open(std::shared_ptr<rocksdb::kv_store> store);

  /// Everything as it is stored, by key, as of one moment: for a backup.
  [[nodiscard]] result<std::vector<rocksdb::kv_entry>> entries() const;

  result<void> add_cluster(cluster_info c);
  result<void> add_member(member m);
  result<void> remove_member(std::string_view cluster, std::string_view id);
  [[nodiscard]] result<cluster_info> cluster(std::string_view id, cluster_type type) const;
  [[nodiscard]] std::vector<cluster_info> clusters() const;
  [[nodiscard]] std::vector<member> members(std::string_view cluster) const;

  result<void> add_service(service_info s);
  result<void> remove_service(service_type type, std::string_view id);
  [[nodiscard]] result<service_info> service(service_type type, std::string_view id) const;
  [[nodiscard]] std::vector<service_info> services(service_type type) const;

  [[nodiscard]] desired_services desired(std::string_view cluster) const;
  /// Replaces the desired state; the revision grows by one.
  result<desired_services> set_desired(std::string_view cluster, desired_services d);

private:
  explicit inventory(std::shared_ptr<rocksdb::kv_store> store) : store_(std::move(store)) {}
  result<void> load();
  result<void> save(const std::string& key, std::string_view document);
  result<void> load_one(const rocksdb::kv_entry& entry);

  std::shared_ptr<rocksdb::kv_store> store_;
  mutable std::mutex mutex_;
  std::map<std::string, cluster_info, std::less<>> clusters_;
  std::map<std::string, member, std::less<>> members_;        ///< by "cluster/id"
  std::map<std::string, service_info, std::less<>> services_; ///< by "type/id"
  std::map<std::string, desired_services, std::less<>> desired_;
};

} // namespace custos::coordinator
