#pragma once
// What a node seals, opens and makes for key providers, with the data keys of its store. Free
// functions, thread-safe; the functions they give hold the store.

#include "actors/gateway/node_api.hpp"
#include "actors/keyprovider/native_keys.hpp"
#include "actors/keyprovider/rotation_actor.hpp"
#include "cluster/node_store.hpp"

#include <functional>
#include <memory>

namespace custos::runtime {

keyprovider::seal_function seals_of(const std::shared_ptr<cluster::node_store>& store);
keyprovider::unseal_function opens_of(const std::shared_ptr<cluster::node_store>& store);

/// Sets seal_private_key, seal_password, match_private_key and new_native_key.
void add_provider_secrets(gateway::node_ports& ports,
                          const std::shared_ptr<cluster::node_store>& store,
                          const clock_source& now);

/// The node's part in changing primary keys that are due.
struct rotation_parts {
  std::shared_ptr<const config_cell> config;
  clock_source now;
  std::function<bool()> leads;
  key_provider_api keys;
  config_store_api config_store;
  audit_api audit;
  std::shared_ptr<keyprovider::rotation_problems> problems;
};
keyprovider::rotation_api start_rotation(caf::actor_system& system,
                                         const std::shared_ptr<cluster::node_store>& store,
                                         rotation_parts parts);

} // namespace custos::runtime
