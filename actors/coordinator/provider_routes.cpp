// Trusted key providers of a trust authority cluster: the provider, and its trusted connection.

#include "actors/coordinator/coordinator_api.hpp"
#include "actors/coordinator/provider_documents.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

const std::string base =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/{cluster}/kms/providers";
const std::string service = "ti.tac.kms:Providers";

http::response json_body(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

} // namespace

void coordinator_api::add_provider_routes() {
  add("POST", base, access::administrator, "Creates a trusted key provider on every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto spec = read_provider_create(r.request.body);
        if (!nodes || !spec)
          return respond(contract_error(nodes ? spec.failure() : nodes.failure()));
        run(r, respond, {service + ".create", r.path.at("cluster"), 201},
            [this, nodes = *nodes, spec = *spec](const work_done& done) {
              if (spec.native)
                return create_native_provider(nodes, spec, done);
              create_object(nodes, "key-providers", spec.name, bj::serialize(spec.document), done);
            });
      });
  add_read(
      base, service + ".list", "All trusted key providers",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_objects(*nodes, "key-providers", [respond](result<seen_objects> seen) {
          if (!seen)
            return respond(contract_error(seen.failure()));
          bj::array list;
          for (const auto& one : seen->objects)
            list.push_back(bj::object{{"provider", one.name}, {"health", health_of(one.details)}});
          respond(json_body(list));
        });
      });
  add_read(base + "/{provider}", service + ".get", "One trusted key provider",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_objects(*nodes, "key-providers",
                          [respond, name = r.path.at("provider")](result<seen_objects> seen) {
                            if (!seen)
                              return respond(contract_error(seen.failure()));
                            for (const auto& one : seen->objects)
                              if (one.name == name)
                                return respond(json_body(provider_info(one.document, one.details)));
                            respond(contract_error(field_error(errc::not_found, "provider",
                                                               "there is none of that name")));
                          });
           });
  add("PATCH", base + "/{provider}", access::administrator, "Changes a provider on every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto change = read_provider_update(r.request.body);
        if (!nodes || !change)
          return respond(contract_error(nodes ? change.failure() : nodes.failure()));
        run(r, respond, {service + ".update", r.path.at("cluster")},
            [this, nodes = *nodes, change = *change,
             name = r.path.at("provider")](const work_done& done) {
              edit_object(
                  nodes, "key-providers", name,
                  [change](bj::object& document) -> result<void> {
                    update_provider(document, change);
                    return {};
                  },
                  done);
            });
      });
  add("DELETE", base + "/{provider}", access::administrator, "Removes a provider from every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {service + ".delete", r.path.at("cluster")},
            [this, nodes = *nodes, name = r.path.at("provider")](const work_done& done) {
              delete_object(nodes, "key-providers", name, done);
            });
      });
}

} // namespace custos::coordinator
