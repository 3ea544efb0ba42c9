#pragma once
// Key providers on the wire of the coordinator: ti.tac.kms:Providers of the contract, with ours as
// "custos" in addition, from and to the documents that nodes keep (key-providers/NAME). Pure.
// Errors name the member by JSON pointer; what only nodes can judge is left to them.

#include "messages/error.hpp"

#include <boost/json.hpp>
#include <string>
#include <vector>

namespace custos::coordinator {

struct provider_spec {
  std::string name;
  boost::json::object document; ///< of a native provider without its keys
  bool native = false;
};
/// ti.tac.kms:Providers.CreateSpec. With "custos": {"type": "native"} there is no key_server, and
/// no master_key_id.
result<provider_spec> read_provider_create(const std::string& body);

/// ti.tac.kms:Providers.UpdateSpec: the members of the document that change.
result<boost::json::object> read_provider_update(const std::string& body);
void update_provider(boost::json::object& document, const boost::json::object& change);

/// ti.tac.kms:Providers.Info; never a secret, not even sealed. A document that came from a node:
/// whatever has another form than expected is left out.
boost::json::object provider_info(const std::string& document,
                                  const std::vector<std::string>& details);

} // namespace custos::coordinator
