// custos inventory, services, task: which clusters, nodes and hosts there are, and which services
// the hosts use.

#include "adapters/crypto/x509.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

const std::string clusters = "/api/custos/v1/clusters";
const std::string infrastructure = "/api/vcenter/trusted-infrastructure/";

/// Does the call and shows its answer.
result<void> show_answer(session& s, const std::string& method, const std::string& path,
                         const bj::value& body = {}) {
  CUSTOS_TRY(const auto answer, s.ask(method, path, body));
  s.show(answer);
  return {};
}

void add_inventory_group(command_set& commands) {
  auto* const group = commands.group("inventory", "Clusters and their nodes or hosts");
  commands.command(group, "list", "All clusters and members", [](session& s) -> result<void> {
    CUSTOS_TRY(const auto known, s.ask("GET", clusters));
    bj::object out;
    for (const auto& one : known.is_array() ? known.get_array() : bj::array()) {
      const auto* const id = one.is_object() ? one.get_object().if_contains("id") : nullptr;
      if (id == nullptr || !id->is_string())
        return make_error(errc::malformed, "the coordinator answered without a cluster's id");
      const std::string name(id->get_string());
      CUSTOS_TRY(auto members, s.ask("GET", clusters + "/" + segment(name) + "/members"));
      auto shown = one.get_object();
      shown.erase("id");
      shown["members"] = std::move(members);
      out[name] = std::move(shown);
    }
    s.show(out);
    return {};
  });

  struct cluster_arguments {
    std::string id;
    std::string type;
  };
  auto a = std::make_shared<cluster_arguments>();
  auto* c = commands.command(group, "add-cluster", "Adds a cluster", [a](session& s) {
    return show_answer(s, "POST", clusters, bj::object{{"id", a->id}, {"type", a->type}});
  });
  c->add_option("id", a->id, "Its id")->required();
  c->add_option("--type", a->type, "trust-authority (nodes) or trusted (hosts)")
      ->required()
      ->check(CLI::IsMember({"trust-authority", "trusted"}));

  struct member_arguments {
    std::string cluster, id, url, certificate;
  };
  auto m = std::make_shared<member_arguments>();
  c = commands.command(group, "add-member", "Adds a node or host", [m](session& s) -> result<void> {
    CUSTOS_TRY(const auto pem,
               runtime::read_text_file(m->certificate, runtime::pem_file_bytes_max));
    return show_answer(s, "POST", clusters + "/" + segment(m->cluster) + "/members",
                       bj::object{{"id", m->id}, {"url", m->url}, {"certificate", pem}});
  });
  c->add_option("cluster", m->cluster, "The cluster")->required();
  c->add_option("id", m->id, "Id of the node or host")->required();
  c->add_option("--url", m->url, "https://host:port")->required();
  c->add_option("--certificate", m->certificate,
                "PEM file: a node's issuer (the cluster's CA), or a host's own certificate")
      ->required();

  auto r = std::make_shared<member_arguments>();
  c = commands.command(group, "remove-member",
                       "Removes a node or host; a host loses its services first", [r](session& s) {
                         return show_answer(s, "DELETE",
                                            clusters + "/" + segment(r->cluster) + "/members/" +
                                                segment(r->id));
                       });
  c->add_option("cluster", r->cluster, "The cluster")->required();
  c->add_option("id", r->id, "Id of the node or host")->required();
}

struct service_arguments {
  std::vector<std::string> kinds{"attestation", "kms"};
  std::vector<std::string> addresses;
  std::string ca;
  std::string trust_authority_cluster;
  std::string group = "custos";
  std::string service;
};

CLI::Option* add_kind(CLI::App* c, service_arguments& a) {
  return c->add_option("--kind", a.kinds, "attestation, kms, or both (default)")
      ->delimiter(',')
      ->check(CLI::IsMember({"attestation", "kms"}));
}

result<void> register_services(session& s, const service_arguments& a) {
  CUSTOS_TRY(const auto pem, runtime::read_text_file(a.ca, runtime::pem_file_bytes_max));
  bj::array out;
  for (const auto& address : a.addresses) {
    const auto url = http::parse_url("https://" + address);
    if (!url || url->path != "/")
      return field_error(errc::invalid_argument, "--address", "expected host:port");
    for (const auto& kind : a.kinds) {
      const bj::object body{{"address", bj::object{{"hostname", url->host}, {"port", url->port}}},
                            {"trusted_CA", bj::object{{"cert_chain", bj::array{bj::value(pem)}}}},
                            {"group", a.group},
                            {"trust_authority_cluster", a.trust_authority_cluster}};
      CUSTOS_TRY(const auto id, s.ask("POST", infrastructure + kind + "/services", body));
      out.push_back(bj::object{{"kind", kind}, {"address", address}, {"service", id}});
    }
  }
  s.show(out);
  return {};
}

/// Hosts of --cluster use one service or all of a trust authority cluster.
result<void> use_services(session& s, const service_arguments& a) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trusted));
  if (a.service.empty() == a.trust_authority_cluster.empty())
    return field_error(errc::invalid_argument, "--service",
                       "expected exactly one of --service and --trust-authority-cluster");
  const auto body =
      a.service.empty()
          ? bj::object{{"type", "CLUSTER"}, {"trust_authority_cluster", a.trust_authority_cluster}}
          : bj::object{{"type", "SERVICE"}, {"service", a.service}};
  for (const auto& kind : a.kinds)
    CUSTOS_CHECK(show_answer(
        s, "POST", infrastructure + "trusted-clusters/" + cluster + "/" + kind + "/services",
        body));
  return {};
}

void add_services_group(command_set& commands) {
  auto* const group = commands.group("services", "Attestation and key services, and who uses them");
  auto a = std::make_shared<service_arguments>();
  auto* c = commands.command(group, "register", "Makes services known to the coordinator",
                             [a](session& s) { return register_services(s, *a); });
  c->add_option("--address", a->addresses, "host:port of every node")->required()->delimiter(',');
  c->add_option("--service-ca", a->ca, "PEM file: the CA hosts know these services by")->required();
  c->add_option("--trust-authority-cluster", a->trust_authority_cluster, "The cluster they are of")
      ->required();
  c->add_option("--group", a->group, "Services of one group are configured alike")
      ->capture_default_str();
  add_kind(c, *a);

  auto u = std::make_shared<service_arguments>();
  c = commands.command(group, "use", "Lets the hosts of the trusted cluster use services",
                       [u](session& s) { return use_services(s, *u); });
  c->add_option("--trust-authority-cluster", u->trust_authority_cluster,
                "All registered services of this cluster");
  c->add_option("--service", u->service, "One registered service, by id");
  add_kind(c, *u);

  commands.command(group, "list", "All registered services", [](session& s) -> result<void> {
    bj::array out;
    for (const std::string kind : {"attestation", "kms"}) {
      CUSTOS_TRY(const auto list,
                 s.ask("POST", infrastructure + kind + "/services?action=query", bj::object()));
      for (const auto& one : list.is_array() ? list.get_array() : bj::array()) {
        bj::object row{{"kind", kind}};
        if (const auto* const o = one.if_object(); o != nullptr)
          for (const auto& member : *o)
            row[member.key()] = member.key() == "address" ? bj::value(bj::serialize(member.value()))
                                                          : member.value();
        out.push_back(std::move(row));
      }
    }
    s.show(out);
    return {};
  });

  auto f = std::make_shared<service_arguments>();
  c = commands.command(group, "forget", "Forgets a registered service", [f](session& s) {
    return show_answer(s, "DELETE",
                       infrastructure + f->kinds.front() + "/services/" + segment(f->service));
  });
  c->add_option("service", f->service, "Its id")->required();
  add_kind(c, *f)->required()->expected(1);

  commands.command(group, "remediate", "Applies the desired services on every host again",
                   [](session& s) -> result<void> {
                     CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trusted));
                     return show_answer(s, "PATCH",
                                        infrastructure + "trusted-clusters/" + cluster +
                                            "/services-applied-config");
                   });
}

void add_task_group(command_set& commands) {
  auto* const group = commands.group("task", "Changes that were started with --task");
  commands.command(group, "list", "All tasks kept",
                   [](session& s) { return show_answer(s, "GET", "/api/cis/tasks"); });
  auto id = std::make_shared<std::string>();
  commands
      .command(group, "show", "One task",
               [id](session& s) { return show_answer(s, "GET", "/api/cis/tasks/" + segment(*id)); })
      ->add_option("task", *id, "Its id")
      ->required();
}

} // namespace

void add_inventory_commands(command_set& commands) {
  add_inventory_group(commands);
  add_services_group(commands);
  add_task_group(commands);
}

} // namespace custos::cli
