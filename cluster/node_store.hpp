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
#include "cluster/sealing.hpp"

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace custos::cluster {

inline constexpr std::string_view store_format = "custos-node-1";

/// Thread rule: all functions may be called from any thread.
class node_store {
public:
  /// Errors, each with what to do: errc::not_found (not initialised), errc::unsupported (format of
  /// another version), errc::not_found/forbidden/corrupted with field "node_key" (missing, readable
  /// by others, wrong length), errc::crypto_failure with field "node_key" (of another directory),
  /// errc::unavailable (open in another process), errc::corrupted.
  static result<std::shared_ptr<node_store>> open(const std::filesystem::path& data_dir);

  [[nodiscard]] const std::shared_ptr<const cluster_keys>& keys() const { return keys_; }
  [[nodiscard]] const node_identity& identity() const { return identity_; }
  [[nodiscard]] const std::shared_ptr<const sealer>& seals() const { return seals_; }
  [[nodiscard]] const std::shared_ptr<rocksdb::kv_store>& store() const { return store_; }
  /// Held while a join token is consumed: tokens are good once, whoever asks at the same time.
  [[nodiscard]] std::mutex& join_mutex() { return join_mutex_; }

private:
  node_store() = default;

  std::shared_ptr<const cluster_keys> keys_;
  node_identity identity_;
  std::shared_ptr<const sealer> seals_;
  std::shared_ptr<rocksdb::kv_store> store_;
  std::mutex join_mutex_;
};

/// Whether `data_dir` holds a node. (Existence only; open() says whether it is good.)
bool is_initialized(const std::filesystem::path& data_dir);

/// The nodes that this one knows to have been issued a certificate: so that no two have one name.
std::string member_key(std::string_view node_name);
std::string member_record(const crypto::certificate& certificate);

/// What a new data directory is made of.
struct new_node {
  const cluster_keys& keys;
  const node_identity& identity;
  const config_state& configuration;
};

/// Writes a complete data directory or nothing. errc::already_exists if there is a node.
result<void> create_node_store(const std::filesystem::path& data_dir, const new_node& node);

} // namespace custos::cluster
