#include "cluster/backup/restore.hpp"

#include "cluster/node_store.hpp"

namespace custos::backup {

namespace {

constexpr std::size_t cluster_id_bytes = 16;

} // namespace

result<cluster::cluster_keys> restore_cluster(const restore_options& options,
                                              const cluster_content& content) {
  CUSTOS_CHECK(cluster::check_node_request(options.node));
  auto keys = content.keys;
  keys.cluster_id = crypto::hex(crypto::random_bytes(cluster_id_bytes));
  cluster::node_identity identity;
  identity.name = options.node.name;
  CUSTOS_TRY(identity.tls_key, crypto::generate_p256());
  CUSTOS_TRY(identity.certificate,
             cluster::issue_node_certificate(keys, options.node, identity.tls_key, options.now));
  CUSTOS_CHECK(cluster::create_node_store(options.data_dir, {keys, identity, content.state}));
  return keys;
}

} // namespace custos::backup
