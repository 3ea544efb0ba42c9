#pragma once
// A node's data directory, open.
//
//   DIR/node/node-key.json   where the node key comes from (node_key.hpp)
//   DIR/node/node.key        the node key, mode 0600, if it is kept in a file
//   DIR/node/node-key.tpm    the node key, if the TPM seals it
//   DIR/node/db/             RocksDB
//
// DIR/node appears in one rename when it is complete; DIR/.node-* are remains of an attempt that
// did not end well and are removed by the next one. DIR may hold other things (audit log).

#include "cluster/cluster_keys.hpp"
#include "cluster/config_state.hpp"
#include "cluster/data_key_rotation.hpp"
#include "cluster/node_key.hpp"
#include "cluster/replica/member_info.hpp"
#include "cluster/sealing.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace custos::cluster {

inline constexpr std::string_view store_format = "custos-node-2";

/// Thread rule: all functions may be called from any thread.
class node_store {
public:
  /// Errors, each with what to do: errc::not_found (not initialised), errc::unsupported (format of
  /// another version), those of read_node_key with field "node_key" (missing, readable by others,
  /// another TPM's), errc::crypto_failure with field "node_key" (of another directory, a wrong
  /// passphrase), errc::unavailable (open in another process), errc::corrupted. A change of the
  /// node key that a crash interrupted is ended first.
  static result<std::shared_ptr<node_store>> open(const std::filesystem::path& data_dir,
                                                  const node_key_access& access = {});

  [[nodiscard]] const std::shared_ptr<const cluster_keys>& keys() const { return keys_; }
  [[nodiscard]] node_identity identity() const {
    const std::lock_guard guard(identity_mutex_);
    return identity_;
  }
  /// A renewed certificate, or another key: on disk when it returns. The name stays.
  result<void> replace_identity(const node_identity& next);
  [[nodiscard]] std::shared_ptr<const sealer> seals() const { return seals_; }
  [[nodiscard]] const std::shared_ptr<rocksdb::kv_store>& store() const { return store_; }
  /// How the node key is kept; never the key.
  [[nodiscard]] const node_key_choice& key_choice() const { return node_key_.choice; }

  // ---- data keys: written by one thread at a time, while others seal and open ----

  /// Takes a data key that this node has not: opens it with the node's TLS key, keeps it wrapped,
  /// and can open with it from then on. One that it has changes nothing. errc::not_found: it is not
  /// encrypted for this node. errc::crypto_failure: not for this TLS key, or no data key.
  result<void> adopt_data_key(const data_key& object);
  /// From now on this key of the ring seals; the bundle of cluster keys is re-sealed under it.
  result<void> use_data_key(const data_key_id& id);
  /// Drops a key that does not seal.
  result<void> forget_data_key(const data_key_id& id);
  /// What a node does at each new revision, before it shows it to the services: adopts what is new,
  /// seals under current_data_key() once there is a newer one, and forgets keys that nothing needs
  /// beyond the last retired_data_keys_kept. Cheap if nothing changed. Returns what went wrong,
  /// which is tried again at the next call.
  std::vector<error> follow_data_keys(const config_snapshot& present,
                                      const std::vector<key_recipient>& members);

  /// Held while a join token is consumed: tokens are good once, whoever asks at the same time.
  [[nodiscard]] std::mutex& join_mutex() { return join_mutex_; }

private:
  node_store() = default;
  result<void> forget_unneeded(const config_snapshot& present);

  std::shared_ptr<const cluster_keys> keys_;
  mutable std::mutex identity_mutex_;
  node_identity identity_;
  node_key node_key_;
  std::shared_ptr<sealer> seals_;
  std::shared_ptr<rocksdb::kv_store> store_;
  std::mutex join_mutex_;
};

/// Whether `data_dir` holds a node. (Existence only; open() says whether it is good.)
bool is_initialized(const std::filesystem::path& data_dir);

/// What the membership says of a node with this identity.
replica::member_info member_info_of(const node_identity& identity,
                                    const replica::link_address& address);

/// What a new data directory is made of.
struct new_node {
  const cluster_keys& keys;
  const data_key_ring& data_keys;
  const node_identity& identity;
  /// The first node of a cluster: what it begins with, and where its link is.
  const config_state* configuration = nullptr;
  replica::link_address address = {};
  /// A node that joins: its replica, and whom it will hear the configuration from.
  raft::replica_id replica = 0;
  raft::membership introduction = {};
  /// Takes the place of a node in the same directory, which does not run.
  bool replaces = false;
};

/// Writes a complete data directory or nothing. errc::already_exists if there is a node and it is
/// not to be replaced; errc::unavailable if that one runs.
result<void> create_node_store(const std::filesystem::path& data_dir, const new_node& node,
                               const node_key_request& how = {});

/// The steps of changing the node key, as they begin.
enum class node_key_step : std::uint8_t {
  make_key = 1, ///< the new key, beside the present one
  rewrap,       ///< everything wrapped under it, in one write: from here on it counts
  install,      ///< it takes its place, the old one goes
};
/// Asked before each step; an error stops there, as a crash would. For tests.
using node_key_gate = std::function<result<void>(node_key_step)>;

/// Changes the node key of a node that does not run. Stopped at any point the directory opens with
/// the old key or with the new one. Only who owns the directory may: files of another user would
/// lock the node out.
result<void> rotate_node_key(const std::filesystem::path& data_dir, const node_key_access& present,
                             const node_key_request& next, const node_key_gate& gate = {});

} // namespace custos::cluster
