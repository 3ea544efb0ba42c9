#pragma once
// What is sealed in a backup: of a trust authority cluster, or of a coordinator. Sections, each
// tag(1) || length(8, big-endian) || value, in the order of their tags, each at most once.
//
//   of a cluster      1 the cluster keys (cluster/cluster_keys), 2 the data keys
//                     (cluster/data_key_ring), 3 the state (cluster/state_image)
//   of a coordinator  4 its TLS certificate, PEM, and 5 its private key, PKCS#8, if it made them
//                     itself; 6 the entries of its store: length(2) || key || length(4) || value
//
// Pure; thread-safe. What does not read is errc::corrupted.

#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/backup/file.hpp"
#include "cluster/cluster_keys.hpp"
#include "cluster/config_state.hpp"

#include <vector>

namespace custos::backup {

/// Everything that makes a cluster what it is, but its nodes.
struct cluster_content {
  cluster::cluster_keys keys;
  cluster::data_key_ring data_keys;
  cluster::config_state state;
};

/// Signed by the cluster's CA. errc::corrupted if the state holds a value that the data keys do not
/// open: no backup is made that could not be used.
result<std::string> back_up_cluster(const cluster::cluster_keys& keys,
                                    const cluster::sealer& data_keys,
                                    const cluster::config_state& state,
                                    const std::vector<addressee>& to, crypto::unix_seconds now);

/// Reads every object and verifies it all against the description: fingerprint, revision, counts,
/// cluster, and that the signer is the CA of the keys inside; then that every sealed value opens.
result<cluster_content> read_cluster_content(const description& about, byte_view content);

/// Whether there is a value in the object that only the keys of its cluster open.
bool holds_sealed_values(const cluster::config_object& object);

struct coordinator_content {
  std::vector<rocksdb::kv_entry> entries; ///< by key
  std::string certificate_pem;            ///< empty: its certificate and key come from elsewhere
  crypto::secret_bytes private_key;       ///< PKCS#8
};

/// Who a coordinator is: what it is called and its TLS identity, which signs.
struct coordinator_signer {
  std::string name;
  crypto::certificate certificate;
  crypto::key private_key;
};
result<std::string> back_up_coordinator(const coordinator_signer& by,
                                        const coordinator_content& content,
                                        const std::vector<addressee>& to, crypto::unix_seconds now);

/// Verifies fingerprint and counts, and that the signer is the identity inside, if there is one.
/// Whoever uses the entries judges them.
result<coordinator_content> read_coordinator_content(const description& about, byte_view content);

} // namespace custos::backup
