// Our own routes beside the contract's endorsements: denials of TPMs and attestation keys, and CRLs
// of CAs that are there already.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t denial_bytes_max = 16384;
constexpr std::size_t crls_body_bytes_max = 5U << 20U;
constexpr std::size_t crl_pem_bytes_max = 1U << 20U;
constexpr std::size_t crls_max = 32;

const std::string base = "/custos/v1/trust-authority-clusters/{cluster}/attestation";
const std::string service = "custos.attestation:Denials";

/// A document of the nodes, with what they agree on beside it.
bj::object shown(const std::string& name, const std::string& document,
                 const std::vector<std::string>& details) {
  boost::system::error_code failed;
  bj::object out{{"name", name}};
  const auto parsed = bj::parse(document, failed);
  if (const auto* const o = parsed.if_object(); o != nullptr)
    for (const auto& [member, value] : *o)
      out[member] = value;
  out["health"] = health_of(details);
  out["details"] = messages_of(details);
  return out;
}

http::response json_body(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

/// The node reads the document; here only its form is looked at.
result<std::string> denial_of(const std::string& body) {
  CUSTOS_TRY(const auto parsed, json::parse_any(body, denial_bytes_max));
  if (!parsed.is_object())
    return make_error(errc::malformed, "expected a JSON object");
  return bj::serialize(parsed);
}

using crl_list = std::vector<crypto::certificate_revocation_list>;

result<crl_list> crls_of(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, crls_body_bytes_max));
  CUSTOS_TRY(const auto items, spec.array("crls", crls_max));
  CUSTOS_CHECK(spec.finish());
  if (items.empty())
    return field_error(errc::invalid_argument, "/crls", "expected at least one PEM X509 CRL");
  crl_list out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(const auto pem, items[i].as_string(crl_pem_bytes_max));
    auto one = crypto::crl_from_pem(as_bytes(pem));
    if (!one)
      return field_error(errc::invalid_argument, "/crls/" + std::to_string(i),
                         "expected one PEM X509 CRL: " + one.failure().message);
    out.push_back(*std::move(one));
  }
  return out;
}

bool same_scope(const crypto::certificate_revocation_list& a,
                const crypto::certificate_revocation_list& b) {
  return a.issuer() == b.issuer() && a.scope() == b.scope();
}

/// Every list takes the place of the earlier one of its issuer and scope, or is added.
result<void> merge_crls(bj::object& document, const crl_list& added) {
  auto& slot = document["crls"];
  if (!slot.is_array())
    slot.emplace_array();
  auto& present = slot.get_array();
  for (std::size_t i = 0; i < added.size(); ++i) {
    bj::value* place = nullptr;
    for (auto& one : present) {
      const auto* const pem = one.if_string();
      const auto there = pem == nullptr ? make_error(errc::malformed, "")
                                        : crypto::crl_from_pem(as_bytes(std::string_view(*pem)));
      if (!there || !same_scope(*there, added[i]))
        continue;
      if (added[i].last_update() < there->last_update())
        return field_error(errc::invalid_argument, "/crls/" + std::to_string(i),
                           "expected a list not older than the one of " + added[i].issuer() +
                               " that is there");
      place = &one;
    }
    if (place != nullptr)
      *place = bj::string(added[i].pem());
    else
      present.emplace_back(bj::string(added[i].pem()));
  }
  return {};
}

} // namespace

void coordinator_api::add_denial_routes() {
  const auto denials = base + "/denials";
  add_read(denials, service + ".list", "All denials, with health: do the nodes agree",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_objects(*nodes, "denials", [respond](result<seen_objects> seen) {
               if (!seen)
                 return respond(contract_error(seen.failure()));
               bj::array list;
               for (const auto& one : seen->objects)
                 list.push_back(shown(one.name, one.document, one.details));
               respond(json_body(list));
             });
           });
  add_read(denials + "/{name}", service + ".get", "One denial",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_objects(
                 *nodes, "denials", [respond, name = r.path.at("name")](result<seen_objects> seen) {
                   if (!seen)
                     return respond(contract_error(seen.failure()));
                   for (const auto& one : seen->objects)
                     if (one.name == name)
                       return respond(json_body(shown(one.name, one.document, one.details)));
                   respond(contract_error(
                       field_error(errc::not_found, "name", "there is none of that name")));
                 });
           });
  add("PUT", denials + "/{name}", access::administrator,
      "Denies TPMs or an attestation key on every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        const auto name = r.path.at("name");
        auto document = is_object_name(name) ? denial_of(r.request.body)
                                             : result<std::string>(bad_object_name("name"));
        if (!nodes || !document)
          return respond(contract_error(nodes ? document.failure() : nodes.failure()));
        run(r, respond, {service + ".put", r.path.at("cluster")},
            [this, nodes = *nodes, name, document = *document](const work_done& done) {
              put_object(nodes, "denials", name, document, done);
            });
      });
  add("DELETE", denials + "/{name}", access::administrator, "Denies it no longer, on every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {service + ".delete", r.path.at("cluster")},
            [this, nodes = *nodes, name = r.path.at("name")](const work_done& done) {
              delete_object(nodes, "denials", name, done);
            });
      });
  add("POST", base + "/ca-certificates/{name}/crls", access::administrator,
      "Adds CRLs to a TPM CA on every node; each replaces the earlier one of its issuer",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto added = crls_of(r.request.body);
        if (!nodes || !added)
          return respond(contract_error(nodes ? added.failure() : nodes.failure()));
        run(r, respond, {"custos.attestation:CaCertificates.addCrls", r.path.at("cluster")},
            [this, nodes = *nodes, name = r.path.at("name"),
             added = *added](const work_done& done) {
              edit_object(
                  nodes, "tpm-cas", name,
                  [added](bj::object& document) { return merge_crls(document, added); }, done);
            });
      });
}

} // namespace custos::coordinator
