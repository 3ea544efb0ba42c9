#include "cluster/backup/restore.hpp"

#include "cluster/node_store.hpp"

namespace custos::backup {

namespace {

constexpr std::size_t cluster_id_bytes = 16;

/// The same configuration at the beginning of a log: what the old log had done is not of this one.
result<cluster::config_state> without_log(const cluster::config_state& state) {
  cluster::config_state_loader loader;
  for (auto kind = object_kind::tpm_ca; kind <= last_object_kind;
       kind = static_cast<object_kind>(static_cast<unsigned>(kind) + 1))
    for (const auto& object : state.all(kind))
      CUSTOS_CHECK(loader.add_object(kind, object->name, object->document));
  return loader.finish({state.revision(), state.fingerprint(), 0, std::nullopt});
}

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
  CUSTOS_TRY(const auto state, without_log(content.state));
  CUSTOS_TRY(const auto address,
             cluster::replica::parse_link_address(cluster::cluster_address_of(options.node)));
  CUSTOS_CHECK(cluster::create_node_store(
      options.data_dir, {keys, content.data_keys, identity, &state, address}, options.node_key));
  return keys;
}

} // namespace custos::backup
