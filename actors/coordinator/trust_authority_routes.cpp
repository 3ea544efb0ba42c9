// Trust authority clusters: endorsements, settings, base images. Every write goes to every node.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t name_bytes_max = 128;
constexpr std::size_t pem_bytes_max = 65536;
constexpr std::size_t body_bytes_max = 5U << 20U;
constexpr std::size_t certificates_max = 16;
constexpr std::size_t profile_bytes_max = 32;
constexpr std::size_t crl_pem_bytes_max = 1U << 20U;
constexpr std::size_t crls_max = 32;

const std::string base = "/vcenter/trusted-infrastructure/trust-authority-clusters/{cluster}";

/// {"cert_chain":[PEM...]} of the contract (ti:X509CertChain).
result<bj::array> chain_of(json::object& o, std::string_view member_name) {
  CUSTOS_TRY(auto chain, o.child(member_name));
  CUSTOS_TRY(const auto items, chain.array("cert_chain", certificates_max));
  bj::array out;
  for (const auto& item : items) {
    CUSTOS_TRY(const auto pem, item.as_string(pem_bytes_max));
    out.emplace_back(pem);
  }
  CUSTOS_CHECK(chain.finish());
  return out;
}

struct named_document {
  std::string name;
  std::string document;
};

/// The name of an object to be made, from member "name".
result<std::string> name_of(json::object& spec) {
  CUSTOS_TRY(auto name, spec.string("name", name_bytes_max));
  if (!is_object_name(name))
    return bad_object_name("/name");
  return name;
}

result<named_document> ca_of(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  named_document out;
  CUSTOS_TRY(out.name, name_of(spec));
  CUSTOS_TRY(auto chain, chain_of(spec, "cert_chain"));
  bj::object document{{"certificates", std::move(chain)}};
  // Ours beside the contract's members; what they may be is the nodes' to say.
  CUSTOS_TRY(const auto profile, spec.optional_string("custos_profile", profile_bytes_max));
  if (profile)
    document["profile"] = *profile;
  CUSTOS_TRY(const auto crls, spec.array("custos_crls", crls_max, true));
  bj::array lists;
  for (const auto& item : crls) {
    CUSTOS_TRY(const auto pem, item.as_string(crl_pem_bytes_max));
    lists.emplace_back(pem);
  }
  if (!lists.empty())
    document["crls"] = std::move(lists);
  CUSTOS_CHECK(spec.finish());
  out.document = bj::serialize(document);
  return out;
}

result<named_document> endorsement_key_of(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  named_document out;
  CUSTOS_TRY(out.name, name_of(spec));
  CUSTOS_TRY(const auto public_key, spec.optional_string("public_key", pem_bytes_max));
  CUSTOS_TRY(const auto certificate, spec.optional_string("certificate", pem_bytes_max));
  CUSTOS_CHECK(spec.finish());
  if (public_key.has_value() == certificate.has_value())
    return field_error(errc::invalid_argument, "/public_key",
                       "expected exactly one of public_key and certificate");
  bj::object document;
  if (public_key)
    document["public_key"] = *public_key;
  else
    document["certificate"] = *certificate;
  out.document = bj::serialize(document);
  return out;
}

/// A base image file is the node's own document with its name beside it.
result<named_document> image_of(const std::string& body) {
  CUSTOS_TRY(auto parsed, json::parse_any(body, body_bytes_max));
  auto* const object = parsed.if_object();
  auto* const name = object == nullptr ? nullptr : object->if_contains("name");
  if (name == nullptr || !name->is_string())
    return field_error(errc::invalid_argument, "/name", "expected the name of the base image");
  named_document out{std::string(name->get_string()), ""};
  if (!is_object_name(out.name))
    return bad_object_name("/name");
  object->erase("name");
  out.document = bj::serialize(*object);
  return out;
}

/// A TPM CA as the contract has it, with ours beside it where there is any.
bj::object ca_info_of(bj::object& document) {
  bj::object out{{"cert_chain", bj::object{{"cert_chain", document["certificates"]}}}};
  for (const auto* const ours : {"profile", "crls"})
    if (const auto* const value = document.if_contains(ours))
      out["custos_" + std::string(ours)] = *value;
  return out;
}

http::response listed(const bj::array& list) {
  http::response r;
  r.body = bj::serialize(list);
  return r;
}

} // namespace

void coordinator_api::add_endorsement_routes() {
  struct family {
    std::string path, item, kind, service;
    result<named_document> (*read)(const std::string&);
  };
  for (const auto& f :
       {family{base + "/attestation/tpm2/ca-certificates", "{name}", "tpm-cas",
               "ti.tac.attestation.tpm2:CaCertificates", ca_of},
        family{base + "/attestation/tpm2/endorsement-keys", "{name}", "endorsement-keys",
               "ti.tac.attestation.tpm2:EndorsementKeys", endorsement_key_of},
        family{base + "/attestation/os/linux/base-images", "{name}", "base-images",
               "custos.attestation.linux:BaseImages", image_of}}) {
    add("POST", f.path, access::administrator, "Adds one to every node",
        [this, f](routed_request&& r, const http::responder& respond) {
          auto nodes = nodes_of(r);
          auto spec = f.read(r.request.body);
          if (!nodes || !spec)
            return respond(contract_error(nodes ? spec.failure() : nodes.failure()));
          run(r, respond, {f.service + ".create", r.path.at("cluster"), 201},
              [this, kind = f.kind, nodes = *nodes, spec = *spec](const work_done& done) {
                create_object(nodes, kind, spec.name, spec.document, done);
              });
        });
    add("DELETE", f.path + "/" + f.item, access::administrator, "Removes it from every node",
        [this, f](routed_request&& r, const http::responder& respond) {
          auto nodes = nodes_of(r);
          if (!nodes)
            return respond(contract_error(nodes.failure()));
          run(r, respond, {f.service + ".delete", r.path.at("cluster")},
              [this, kind = f.kind, nodes = *nodes, name = r.path.at("name")](
                  const work_done& done) { delete_object(nodes, kind, name, done); });
        });
    if (f.kind == "base-images")
      continue; // they have more to show: image_routes.cpp
    add_read(
        f.path, f.service + ".list", "All of them, with health: do the nodes agree",
        [this, f](routed_request&& r, const http::responder& respond) {
          auto nodes = nodes_of(r);
          if (!nodes)
            return respond(contract_error(nodes.failure()));
          read_objects(*nodes, f.kind, [respond](result<seen_objects> seen) {
            if (!seen)
              return respond(contract_error(seen.failure()));
            bj::array list;
            for (const auto& one : seen->objects)
              list.push_back(bj::object{{"name", one.name}, {"health", health_of(one.details)}});
            respond(listed(list));
          });
        });
    add_read(f.path + "/" + f.item, f.service + ".get", "One of them",
             [this, f](routed_request&& r, const http::responder& respond) {
               auto nodes = nodes_of(r);
               if (!nodes)
                 return respond(contract_error(nodes.failure()));
               read_objects(
                   *nodes, f.kind,
                   [respond, name = r.path.at("name"), kind = f.kind](result<seen_objects> seen) {
                     if (!seen)
                       return respond(contract_error(seen.failure()));
                     for (const auto& one : seen->objects) {
                       if (one.name != name)
                         continue;
                       boost::system::error_code failed;
                       auto document = bj::parse(one.document, failed).as_object();
                       if (kind == "tpm-cas")
                         document = ca_info_of(document);
                       document["health"] = health_of(one.details);
                       document["details"] = messages_of(one.details);
                       http::response out;
                       out.body = bj::serialize(document);
                       return respond(std::move(out));
                     }
                     respond(contract_error(
                         field_error(errc::not_found, "name", "there is none of that name")));
                   });
             });
  }
}

void coordinator_api::add_settings_routes() {
  const auto path = base + "/attestation/tpm2/settings";
  add_read(path, "ti.tac.attestation.tpm2:Settings.get",
           "Settings of the TPM 2.0 attestation protocol",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_objects(*nodes, "settings", [respond](result<seen_objects> seen) {
               if (!seen)
                 return respond(contract_error(seen.failure()));
               bj::object out{{"require_endorsement_keys", false},
                              {"require_certificate_validation", true},
                              {"health", health_of(seen->details)},
                              {"details", messages_of(seen->details)}};
               if (!seen->objects.empty()) {
                 const auto& one = seen->objects.front();
                 boost::system::error_code failed;
                 const auto stored = bj::parse(one.document, failed);
                 for (const auto& [name, value] : stored.as_object())
                   out[name] = value;
                 out["health"] = health_of(one.details);
                 out["details"] = messages_of(one.details);
               }
               http::response answer;
               answer.body = bj::serialize(out);
               respond(std::move(answer));
             });
           });
  add("PATCH", path, access::administrator, "Changes settings on every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto parsed = json::parse_any(r.request.body, body_bytes_max);
        if (!nodes || !parsed || !parsed->is_object())
          return respond(
              contract_error(!nodes    ? nodes.failure()
                             : !parsed ? parsed.failure()
                                       : make_error(errc::malformed, "expected a JSON object")));
        run(r, respond, {"ti.tac.attestation.tpm2:Settings.update", r.path.at("cluster")},
            [this, nodes = *nodes, change = parsed->get_object()](const work_done& done) {
              read_objects(
                  nodes, "settings", [this, nodes, change, done](result<seen_objects> seen) {
                    if (!seen)
                      return done({seen.failure(), {}});
                    boost::system::error_code failed;
                    auto document =
                        seen->objects.empty()
                            ? bj::object{}
                            : bj::parse(seen->objects.front().document, failed).as_object();
                    for (const auto& [name, value] : change)
                      document[name] = value;
                    put_object(nodes, "settings", "settings", bj::serialize(document), done);
                  });
            });
      });
}

} // namespace custos::coordinator
