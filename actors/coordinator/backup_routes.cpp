// The coordinator's own backup: inventory, registries, desired states, and its TLS identity if it
// made that itself.

#include "actors/coordinator/coordinator_api.hpp"
#include "actors/gateway/backup_route.hpp"

namespace custos::coordinator {

using gateway::access;
using gateway::routed_request;

void coordinator_api::add_backup_routes() {
  add("POST", "/custos/v1/backup", access::administrator,
      "What this coordinator knows, sealed for the public key given",
      [this](routed_request&& r, const http::responder& respond) {
        gateway::answer_with_backup(
            r, respond, {"coordinator.backup", ports_.make_backup, ports_.audit, contract_error});
      });
}

} // namespace custos::coordinator
