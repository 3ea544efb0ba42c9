#pragma once
// The keys that make nodes one cluster, and the identity of one node. They are the same on every
// node (but the identity) and lie in the store only sealed.

#include "adapters/crypto/x509.hpp"
#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/node_key.hpp"
#include "cluster/sealing.hpp"

#include <string>
#include <vector>

namespace custos::cluster {

inline constexpr crypto::unix_seconds ca_life_s = 10LL * 365 * 24 * 3600;
inline constexpr crypto::unix_seconds node_certificate_life_s = 397LL * 24 * 3600;
inline constexpr crypto::unix_seconds client_certificate_life_s = 397LL * 24 * 3600;
/// Certificates are valid from this long before now: clocks differ.
inline constexpr crypto::unix_seconds clock_skew_s = 300;

/// Immutable once made; share it by shared_ptr<const cluster_keys>.
struct cluster_keys {
  std::string cluster_id;   ///< 32 hex digits, random: names this cluster for ever
  std::string cluster_name; ///< readable
  std::string issuer;       ///< `iss` of the tokens, a URL
  crypto::key ca_key;       ///< P-256; issues certificates of nodes and principals
  crypto::certificate ca_certificate;
  crypto::secret_ptr challenge_key; ///< 32 bytes: authenticates challenge tickets
  crypto::key token_key;            ///< P-256, ES256
  std::string token_kid;            ///< RFC 7638 thumbprint of token_key
  /// Issues attestation key certificates. A root of its own, so that no AK certificate is ever
  /// taken for a client certificate of the cluster.
  crypto::key ak_ca_key;
  crypto::certificate ak_ca_certificate;
};

/// Fresh keys. `cluster_name` 1-64 printable ASCII characters, `issuer` an https URL.
result<cluster_keys> generate_cluster_keys(std::string cluster_name, std::string issuer,
                                           crypto::unix_seconds now);

/// All of it as octets (version 1, tagged and length-prefixed), for sealing or encryption only.
crypto::secret_bytes serialize(const cluster_keys& keys);
/// errc::unsupported (version), errc::malformed.
result<cluster_keys> parse_cluster_keys(byte_view octets);

/// Who a node is: its TLS key and the cluster CA's certificate for it. The certificate's CN is
/// "node:NAME": no principal can have that name.
struct node_identity {
  std::string name;
  crypto::key tls_key;
  crypto::certificate certificate;
};

/// What a node certificate is issued for.
struct node_request {
  std::string name; ///< an object name (config_codec)
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  /// host:port at which other nodes reach its link; empty: the first name or address, and
  /// default_link_port. Not in the certificate.
  std::string cluster_address = {};
};
inline constexpr std::uint16_t default_link_port = 7443;
/// cluster_address, or its default.
std::string cluster_address_of(const node_request& request);

/// errc::invalid_argument with field: node_name, dns_names, ip_addresses (one name is needed) or
/// cluster_address.
result<void> check_node_request(const node_request& request);

/// For server and client authentication; checks the request first.
result<crypto::certificate> issue_node_certificate(const cluster_keys& keys,
                                                   const node_request& request,
                                                   const crypto::key& node_public,
                                                   crypto::unix_seconds now);

/// "node:NAME".
std::string node_common_name(std::string_view name);

// In the store:
//   node/node-key          id of the node key that wraps what follows
//   node/data-key/ID       a data key: time of making(8, big-endian) || wrapped under the node key
//   node/data-key-current  id of the data key that seals
//   node/tls-key           the node's TLS key, wrapped under the node key
//   node/identity          name and certificate, public
//   cluster/keys           the keys above, sealed under the current data key

/// Adds all of that to the batch.
result<void> add_keys(rocksdb::write_batch& batch, const cluster_keys& keys,
                      const data_key_ring& ring, const node_identity& identity,
                      const node_key& under);
/// Parts of it: the identity; one data key; the bundle of cluster keys under the ring's current
/// key.
result<void> add_identity(rocksdb::write_batch& batch, const node_identity& identity,
                          const node_key& under);
result<void> add_data_key(rocksdb::write_batch& batch, const ring_key& key, const node_key& under);
void erase_data_key(rocksdb::write_batch& batch, const data_key_id& id);
result<void> add_cluster_keys(rocksdb::write_batch& batch, const cluster_keys& keys,
                              const data_key_ring& ring);
/// What changes when the node key does: everything that it wraps, and its id.
result<void> add_rewrapped(rocksdb::write_batch& batch, const data_key_ring& ring,
                           const node_identity& identity, const node_key& under);

/// Which node key the store names; empty if none.
result<std::string> stored_node_key_id(const rocksdb::kv_store& store);

struct loaded_keys {
  cluster_keys keys;
  data_key_ring data_keys;
  node_identity identity;
};
/// errc::crypto_failure (field "node_key"): the node key is not the one of this store.
/// errc::corrupted, errc::unsupported.
result<loaded_keys> load_keys(const rocksdb::kv_store& store, const node_key& under);

} // namespace custos::cluster
