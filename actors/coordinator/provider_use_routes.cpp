// How often a provider's primary keys were needed, as every node counted: what says whether an old
// one may be retired.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t body_bytes_max = 4U << 20U;

/// A node's document; or, as {"node", "error"}, why there is none.
bj::value told_by(const target_outcome& o) {
  auto uses = o.ok ? json::parse_any(o.body, body_bytes_max)
                   : result<bj::value>(make_error(errc::unavailable, o.message));
  if (uses && !uses->is_object())
    uses = make_error(errc::malformed, "answered with something else than uses");
  if (!uses)
    return bj::object{{"node", o.target}, {"error", uses.failure().message}};
  // By the name in the inventory, whatever it calls itself.
  uses->get_object()["node"] = o.target;
  return *std::move(uses);
}

} // namespace

void coordinator_api::add_provider_use_routes() {
  add("GET", "/custos/v1/trust-authority-clusters/{cluster}/kms/providers/{provider}/uses",
      access::auditor, "How often each primary key was needed, at every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        http::call get;
        get.url = "/keys/v1/admin/providers/" + r.path.at("provider") + "/uses";
        on_all(*nodes, get, [respond](const target_outcomes& outcomes) {
          bj::array list;
          for (const auto& o : outcomes)
            list.push_back(told_by(o));
          http::response answer;
          answer.body = bj::serialize(bj::object{{"nodes", std::move(list)}});
          respond(std::move(answer));
        });
      });
}

} // namespace custos::coordinator
