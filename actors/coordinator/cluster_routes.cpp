// Inventory, registries of services, and trusted clusters: what each host should use.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t pem_bytes_max = 65536;
constexpr std::size_t body_bytes_max = 1U << 20U;
constexpr std::size_t certificates_max = 16;

const std::string trusted = "/vcenter/trusted-infrastructure/trusted-clusters/{cluster}";

http::response json_body(const bj::value& v, unsigned status = 200) {
  http::response r;
  r.status = status;
  r.body = bj::serialize(v);
  return r;
}

http::response done_or_error(const result<void>& r, unsigned status) {
  if (!r)
    return contract_error(r.failure());
  http::response out;
  out.status = status;
  return out;
}

/// Ids of ours: what fits a URL path and a file name.
result<std::string> id_of(json::object& o, std::string_view name) {
  CUSTOS_TRY(auto id, o.string(name, 128));
  const bool good = !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (!good || id.front() == '.')
    return field_error(errc::invalid_argument, o.path() + "/" + std::string(name),
                       "expected 1 to 128 of A-Z a-z 0-9 . _ -");
  return id;
}

result<cluster_info> read_cluster(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  cluster_info c;
  CUSTOS_TRY(c.id, id_of(spec, "id"));
  CUSTOS_TRY(const auto type, spec.string("type", 32));
  if (type != "trust-authority" && type != "trusted")
    return field_error(errc::invalid_argument, "/type", "expected trust-authority or trusted");
  c.type = type == "trusted" ? cluster_type::trusted : cluster_type::trust_authority;
  CUSTOS_CHECK(spec.finish());
  return c;
}

result<member> read_member(const std::string& body, const std::string& cluster) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  member m;
  m.cluster = cluster;
  CUSTOS_TRY(m.id, id_of(spec, "id"));
  CUSTOS_TRY(m.url, spec.string("url", text_bytes_max));
  const auto url = http::parse_url(m.url);
  if (!url || url->scheme != "https" || url->path != "/")
    return field_error(errc::invalid_argument, "/url", "expected https://host:port");
  CUSTOS_TRY(m.certificate, spec.string("certificate", pem_bytes_max));
  if (auto parsed = crypto::certificates_from_pem(as_bytes(m.certificate)); !parsed)
    return field_error(errc::invalid_argument, "/certificate", parsed.failure().message);
  CUSTOS_CHECK(spec.finish());
  return m;
}

std::string url_of(const service_info& s) {
  const bool v6 = s.hostname.find(':') != std::string::npos;
  return "https://" + (v6 ? "[" + s.hostname + "]" : s.hostname) + ":" + std::to_string(s.port);
}

result<service_info> read_service(const std::string& body, service_type type) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  service_info s;
  s.type = type;
  CUSTOS_TRY(auto address, spec.child("address"));
  CUSTOS_TRY(s.hostname, address.string("hostname", 253));
  CUSTOS_TRY(const auto port, address.optional_integer("port", 1, 65535));
  s.port = static_cast<std::uint16_t>(port.value_or(443));
  const auto url = http::parse_url(url_of(s));
  if (!url || url->host != s.hostname || url->path != "/")
    return field_error(errc::invalid_argument, "/address/hostname",
                       "expected a host name or an IP address");
  CUSTOS_CHECK(address.finish());
  CUSTOS_TRY(auto chain, spec.child("trusted_CA"));
  CUSTOS_TRY(const auto items, chain.array("cert_chain", certificates_max));
  for (const auto& item : items) {
    CUSTOS_TRY(const auto pem, item.as_string(pem_bytes_max));
    const auto parsed = crypto::certificates_from_pem(as_bytes(pem));
    if (!parsed)
      return field_error(errc::invalid_argument,
                         "/trusted_CA/cert_chain/" + std::to_string(s.trusted_ca.size()),
                         parsed.failure().message);
    // In a form that can be put behind one another.
    std::string normal;
    for (const auto& one : *parsed)
      normal += one.pem();
    s.trusted_ca.push_back(std::move(normal));
  }
  if (s.trusted_ca.empty())
    return field_error(errc::invalid_argument, "/trusted_CA/cert_chain",
                       "expected at least one certificate");
  CUSTOS_CHECK(chain.finish());
  CUSTOS_TRY(s.group, spec.string("group", text_bytes_max));
  CUSTOS_TRY(s.trust_authority_cluster, spec.string("trust_authority_cluster", text_bytes_max));
  CUSTOS_CHECK(spec.finish());
  s.id = crypto::hex(crypto::random_bytes(16));
  return s;
}

bj::object service_json(const service_info& s, bool whole) {
  bj::object out{{"service", s.id},
                 {"address", bj::object{{"hostname", s.hostname}, {"port", s.port}}},
                 {"group", s.group},
                 {"trust_authority_cluster", s.trust_authority_cluster}};
  if (!whole)
    return out;
  bj::array chain;
  for (const auto& pem : s.trusted_ca)
    chain.emplace_back(pem);
  out["trusted_CA"] = bj::object{{"cert_chain", std::move(chain)}};
  return out;
}

struct family {
  std::string path;
  std::string operation;
  service_type type;
};

std::vector<family> families() {
  return {{"attestation", "ti.attestation:Services", service_type::attestation},
          {"kms", "ti.kms:Services", service_type::kms}};
}

std::vector<std::string>& list_of(desired_services& d, service_type type) {
  return type == service_type::attestation ? d.attestation : d.kms;
}

/// The services that a ti.tc:Services.CreateSpec names: one of the registry, or a whole cluster's.
result<std::vector<std::string>> services_of(const std::string& body, const inventory& known,
                                             service_type type) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  CUSTOS_TRY(const auto source, spec.string("type", 16));
  CUSTOS_TRY(const auto service, spec.optional_string("service", text_bytes_max));
  CUSTOS_TRY(const auto cluster, spec.optional_string("trust_authority_cluster", text_bytes_max));
  CUSTOS_CHECK(spec.finish());
  std::vector<std::string> out;
  if (source == "SERVICE" && service) {
    CUSTOS_TRY(const auto found, known.service(type, *service));
    out.push_back(found.id);
  } else if (source == "CLUSTER" && cluster) {
    for (const auto& s : known.services(type))
      if (s.trust_authority_cluster == *cluster)
        out.push_back(s.id);
    if (out.empty())
      return field_error(errc::not_found, "/trust_authority_cluster",
                         "no registered service belongs to that cluster");
  } else {
    return field_error(errc::invalid_argument, "/type",
                       "expected SERVICE with service, or CLUSTER with trust_authority_cluster");
  }
  return out;
}

} // namespace

void coordinator_api::add_inventory_routes() {
  const std::string clusters = "/custos/v1/clusters";
  add("GET", clusters, access::auditor, "All clusters",
      [this](routed_request&&, const http::responder& respond) {
        bj::array out;
        for (const auto& c : ports_.known->clusters())
          out.push_back(bj::object{
              {"id", c.id},
              {"type", c.type == cluster_type::trusted ? "trusted" : "trust-authority"}});
        respond(json_body(out));
      });
  add("POST", clusters, access::administrator, "Adds a cluster",
      [this](routed_request&& r, const http::responder& respond) {
        auto c = read_cluster(r.request.body);
        if (!c)
          return respond(contract_error(c.failure()));
        run(r, respond, {"custos:Clusters.create", "", 201}, [this, c = *c](const work_done& done) {
          auto added = ports_.known->add_cluster(c);
          done({added ? result<std::string>(bj::serialize(bj::string(c.id)))
                      : result<std::string>(added.failure()),
                {}});
        });
      });
  add("GET", clusters + "/{cluster}/members", access::auditor, "Nodes or hosts of a cluster",
      [this](routed_request&& r, const http::responder& respond) {
        const auto& cluster = r.path.at("cluster");
        if (!ports_.known->cluster(cluster, cluster_type::trusted) &&
            !ports_.known->cluster(cluster, cluster_type::trust_authority))
          return respond(contract_error(
              field_error(errc::not_found, "cluster", "there is none of that name")));
        bj::array out;
        for (const auto& m : ports_.known->members(cluster))
          out.push_back(bj::object{{"id", m.id}, {"url", m.url}});
        respond(json_body(out));
      });
  add("POST", clusters + "/{cluster}/members", access::administrator, "Adds a node or host",
      [this](routed_request&& r, const http::responder& respond) {
        auto m = read_member(r.request.body, r.path.at("cluster"));
        if (!m)
          return respond(contract_error(m.failure()));
        run(r, respond, {"custos:Members.create", r.path.at("cluster"), 201},
            [this, m = *m](const work_done& done) {
              if (auto added = ports_.known->add_member(m); !added)
                return done({added.failure(), {}});
              const auto id = bj::serialize(bj::string(m.id));
              // A host added gets the desired state; that it is away now does not undo that it is a
              // member.
              if (!ports_.known->cluster(m.cluster, cluster_type::trusted))
                return done({id, {}});
              apply_desired(m.cluster, [done, id](work_result w) {
                done({id, std::move(w.targets)});
              });
            });
      });
  add("DELETE", clusters + "/{cluster}/members/{member}", access::administrator,
      "Removes a node or host; a host is stripped of its configuration first",
      [this](routed_request&& r, const http::responder& respond) {
        const auto cluster = r.path.at("cluster");
        const auto id = r.path.at("member");
        run(r, respond, {"custos:Members.delete", cluster},
            [this, cluster, id](const work_done& done) {
              const auto members = ports_.known->members(cluster);
              const auto found = std::find_if(members.begin(), members.end(),
                                              [&](const member& m) { return m.id == id; });
              const auto remove = [this, cluster, id, done](target_outcomes o) {
                auto removed = ports_.known->remove_member(cluster, id);
                done({removed ? result<std::string>(std::string())
                              : result<std::string>(removed.failure()),
                      std::move(o)});
              };
              if (found == members.end() || !ports_.known->cluster(cluster, cluster_type::trusted))
                return remove({});
              http::call strip;
              strip.method = "DELETE";
              strip.url = "/host/v1/services";
              on_all({*found}, strip, remove);
            });
      });
  add("GET", clusters + "/{cluster}/status", access::auditor,
      "What every node or host says of itself",
      [this](routed_request&& r, const http::responder& respond) {
        const auto& cluster = r.path.at("cluster");
        const bool hosts = ports_.known->cluster(cluster, cluster_type::trusted).ok();
        if (!hosts && !ports_.known->cluster(cluster, cluster_type::trust_authority))
          return respond(contract_error(
              field_error(errc::not_found, "cluster", "there is none of that name")));
        http::call get;
        get.url = hosts ? "/host/v1/status" : "/config/v1/status";
        on_all(ports_.known->members(cluster), get, [respond](const target_outcomes& outcomes) {
          bj::object out;
          for (const auto& o : outcomes) {
            boost::system::error_code failed;
            bj::object one{{"reachable", o.status != 0}, {"message", o.message}};
            if (o.ok)
              one["status"] = bj::parse(o.body, failed);
            out[o.target] = std::move(one);
          }
          respond(json_body(out));
        });
      });
  add("POST", clusters + "/{cluster}/members/{member}/attest", access::administrator,
      "Lets a host attest again, now", [this](routed_request&& r, const http::responder& respond) {
        const auto members = ports_.known->members(r.path.at("cluster"));
        const auto found = std::find_if(members.begin(), members.end(), [&](const member& m) {
          return m.id == r.path.at("member");
        });
        if (found == members.end())
          return respond(
              contract_error(field_error(errc::not_found, "member", "there is none of that name")));
        run(r, respond, {"custos:Members.attest", ""}, [this, m = *found](const work_done& done) {
          http::call call;
          call.method = "POST";
          call.url = "/host/v1/attest";
          on_one({m}, call, [done](result<std::string> body) {
            done({body ? result<std::string>(std::string()) : result<std::string>(body.failure()),
                  {}});
          });
        });
      });
}

void coordinator_api::add_service_routes() {
  for (const auto& f : families()) {
    const auto path = "/vcenter/trusted-infrastructure/" + f.path + "/services";
    add("POST", path, access::administrator, "Registers a service, or with action=query lists them",
        [this, f](routed_request&& r, const http::responder& respond) {
          const auto action = r.request.query.find("action");
          if (action != r.request.query.end() && action->second == "query") {
            bj::array out;
            for (const auto& s : ports_.known->services(f.type))
              out.push_back(service_json(s, false));
            return respond(json_body(out));
          }
          auto s = read_service(r.request.body, f.type);
          if (!s)
            return respond(contract_error(s.failure()));
          run(r, respond, {f.operation + ".create", "", 201},
              [this, s = *s](const work_done& done) {
                auto added = ports_.known->add_service(s);
                done({added ? result<std::string>(bj::serialize(bj::string(s.id)))
                            : result<std::string>(added.failure()),
                      {}});
              });
        });
    add("GET", path + "/{service}", access::auditor, "One registered service",
        [this, f](routed_request&& r, const http::responder& respond) {
          const auto s = ports_.known->service(f.type, r.path.at("service"));
          respond(s ? json_body(service_json(*s, true)) : contract_error(s.failure()));
        });
    add("DELETE", path + "/{service}", access::administrator, "Forgets a registered service",
        [this, f](routed_request&& r, const http::responder& respond) {
          respond(done_or_error(ports_.known->remove_service(f.type, r.path.at("service")), 204));
        });
  }
}

void coordinator_api::add_trusted_cluster_routes() {
  for (const auto& f : families()) {
    const auto path = trusted + "/" + f.path + "/services";
    add("POST", path, access::administrator,
        "The hosts of the cluster use these services; with action=query lists them",
        [this, f](routed_request&& r, const http::responder& respond) {
          const auto& cluster = r.path.at("cluster");
          if (auto c = ports_.known->cluster(cluster, cluster_type::trusted); !c)
            return respond(contract_error(c.failure()));
          const auto action = r.request.query.find("action");
          auto desired = ports_.known->desired(cluster);
          if (action != r.request.query.end() && action->second == "query") {
            bj::array out;
            for (const auto& id : list_of(desired, f.type))
              if (const auto s = ports_.known->service(f.type, id); s)
                out.push_back(service_json(*s, false));
            return respond(json_body(out));
          }
          auto ids = services_of(r.request.body, *ports_.known, f.type);
          if (!ids)
            return respond(contract_error(ids.failure()));
          run(r, respond, {"ti.tc." + f.operation.substr(3) + ".create", cluster, 201},
              [this, f, cluster, ids = *ids](const work_done& done) {
                auto next = ports_.known->desired(cluster);
                auto& list = list_of(next, f.type);
                for (const auto& id : ids)
                  if (std::find(list.begin(), list.end(), id) == list.end())
                    list.push_back(id);
                if (auto saved = ports_.known->set_desired(cluster, next); !saved)
                  return done({saved.failure(), {}});
                apply_desired(cluster, [done, id = ids.front()](work_result w) {
                  if (w.outcome)
                    w.outcome = bj::serialize(bj::string(id));
                  done(std::move(w));
                });
              });
        });
  }
  add("PATCH", trusted + "/services-applied-config", access::administrator,
      "Remediates: applied becomes desired on every host",
      [this](routed_request&& r, const http::responder& respond) {
        const auto& cluster = r.path.at("cluster");
        if (auto c = ports_.known->cluster(cluster, cluster_type::trusted); !c)
          return respond(contract_error(c.failure()));
        run(r, respond, {"ti.tc:ServicesAppliedConfig.update", cluster},
            [this, cluster](const work_done& done) { apply_desired(cluster, done); });
      });
}

result<std::string> coordinator_api::services_document(const desired_services& desired) const {
  bj::object out{
      {"attestation", bj::array{}}, {"keys", bj::array{}}, {"revision", desired.revision}};
  std::set<std::string> anchors;
  const auto add_all = [&](const std::vector<std::string>& ids, service_type type,
                           const char* name) -> result<void> {
    for (const auto& id : ids) {
      CUSTOS_TRY(const auto s, ports_.known->service(type, id));
      out[name].as_array().emplace_back(url_of(s));
      anchors.insert(s.trusted_ca.begin(), s.trusted_ca.end());
    }
    return {};
  };
  CUSTOS_CHECK(add_all(desired.attestation, service_type::attestation, "attestation"));
  CUSTOS_CHECK(add_all(desired.kms, service_type::kms, "keys"));
  std::string pem;
  for (const auto& anchor : anchors)
    pem += anchor;
  out["trusted_ca"] = pem;
  return bj::serialize(out);
}

void coordinator_api::apply_desired(const std::string& cluster, const work_done& done) const {
  const auto desired = ports_.known->desired(cluster);
  http::call call;
  call.url = "/host/v1/services";
  if (desired.attestation.empty() && desired.kms.empty()) {
    call.method = "DELETE"; // an empty desired state cleans the hosts
  } else {
    auto document = services_document(desired);
    if (!document)
      return done({document.failure(), {}});
    call.method = "PUT";
    call.body = *std::move(document);
  }
  on_all(ports_.known->members(cluster), call, [done](target_outcomes o) {
    work_result w;
    if (auto failed = failure_of(o))
      w.outcome = *std::move(failed);
    w.targets = std::move(o);
    done(std::move(w));
  });
}

} // namespace custos::coordinator
