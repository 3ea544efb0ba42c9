#pragma once
// A node's data directory, open.
//
//   DIR/node/node.key   the node key, mode 0600
//   DIR/node/db/        RocksDB
//
// DIR/node appears in one rename when it is complete; DIR/.node-* are remains of an attempt that
// did not end well and are removed by the next one. DIR may hold other things (audit log).

#include "cluster/cluster_keys.hpp"
#include "cluster/config_state.hpp"
#include "cluster/replica/member_info.hpp"
#include "cluster/sealing.hpp"

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace custos::cluster {

inline constexpr std::string_view store_format = "custos-node-2";

/// Thread rule: all functions may be called from any thread.
class node_store {
public:
  /// Errors, each with what to do: errc::not_found (not initialised), errc::unsupported (format of
  /// another version), errc::not_found/forbidden/corrupted with field "node_key" (missing, readable
  /// by others, wrong length), errc::crypto_failure with field "node_key" (of another directory),
  /// errc::unavailable (open in another process), errc::corrupted.
  static result<std::shared_ptr<node_store>> open(const std::filesystem::path& data_dir);

  [[nodiscard]] const std::shared_ptr<const cluster_keys>& keys() const { return keys_; }
  [[nodiscard]] node_identity identity() const {
    const std::lock_guard guard(identity_mutex_);
    return identity_;
  }
  /// A renewed certificate, or another key: on disk when it returns. The name stays.
  result<void> replace_identity(const node_identity& next);
  [[nodiscard]] const std::shared_ptr<const sealer>& seals() const { return seals_; }
  [[nodiscard]] const std::shared_ptr<rocksdb::kv_store>& store() const { return store_; }
  /// Held while a join token is consumed: tokens are good once, whoever asks at the same time.
  [[nodiscard]] std::mutex& join_mutex() { return join_mutex_; }

private:
  node_store() = default;

  std::shared_ptr<const cluster_keys> keys_;
  mutable std::mutex identity_mutex_;
  node_identity identity_;
  std::shared_ptr<const sealer> seals_;
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
result<void> create_node_store(const std::filesystem::path& data_dir, const new_node& node);

} // namespace custos::cluster
