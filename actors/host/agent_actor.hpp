#pragma once
// The host agent: enrols the attestation key, attests, keeps the token fresh, asks for keys; goes
// to the next node when one does not answer (any node answers any request). Thread context: a
// scheduled actor; TPM and HTTP are elsewhere.

#include "actors/host/services.hpp"
#include "adapters/http/http.hpp"
#include "messages/clock.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>

namespace custos::host {

struct agent_dependencies {
  host_id host;
  tpm_api tpm;
  std::shared_ptr<rocksdb::kv_store> store;
  clock_source now;
  /// A client that trusts `trusted_ca` and presents `identity`.
  std::function<result<std::shared_ptr<http::client>>(const std::string& trusted_ca,
                                                      const http::tls_identity& identity)>
      connect;
  std::function<void(const host_status&)> report; ///< told of every change, for the log
  /// If set, a token for reporting to others is asked for, too, and comes here; an empty one when
  /// the last one no longer says the truth.
  std::function<void(const std::string& token)> publish;
};

host_agent_api spawn_agent(caf::actor_system& system, agent_dependencies given);

} // namespace custos::host
