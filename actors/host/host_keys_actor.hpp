#pragma once
// The host's own keys and ciphertexts: encrypts what consumers bring, and brings the configured
// files under a new primary key when there is one. Thread context: a detached actor, because it
// reads, writes and syncs files; the host agent makes its calls to the key service.

#include "adapters/rocksdb/kv_store.hpp"
#include "messages/clock.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace custos::host {

struct host_keys_dependencies {
  host_agent_api agent;
  std::shared_ptr<rocksdb::kv_store> store;
  clock_source now;
  std::vector<std::string> rewrap; ///< patterns and folders (find_ciphertexts); none: nothing to do
  std::uint32_t check_s = 300;     ///< between two checks, shortened by up to a quarter
  std::function<void(const rewrap_status&)> report; ///< told after every check
};

host_keys_api spawn_host_keys(caf::actor_system& system, host_keys_dependencies given);
/// The same on the scheduler's threads, for tests.
host_keys_api spawn_host_keys_scheduled(caf::actor_system& system, host_keys_dependencies given);

} // namespace custos::host
