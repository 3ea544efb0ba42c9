#pragma once
// From a backup to a data directory. Blocking; one thread. Nothing is ever overwritten.

#include "cluster/backup/content.hpp"
#include "cluster/node_key.hpp"

#include <filesystem>

namespace custos::backup {

struct restore_options {
  std::filesystem::path data_dir;
  cluster::node_request node; ///< the first node of the new cluster
  crypto::unix_seconds now = 0;
  cluster::node_key_request node_key = {}; ///< how the node keeps its secrets
};

/// Makes the first node of a new cluster out of the content of an old one: everything is the same
/// (authority, keys, issuer, configuration, principals) but the cluster id, so that nodes of the
/// old cluster stay out, and the node. Gives the keys of the new cluster. Errors as of
/// cluster::init_cluster().
result<cluster::cluster_keys> restore_cluster(const restore_options& options,
                                              const cluster_content& content);

} // namespace custos::backup
