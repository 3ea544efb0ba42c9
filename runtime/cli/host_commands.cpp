// custos host: hosts of the trusted cluster, as they see themselves and as the nodes judge them.

#include "runtime/cli/session.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

const std::string clusters = "/api/custos/v1/clusters";
constexpr int hosts_per_page = 1000;

/// Where the coordinator tells what the nodes know of hosts.
result<std::string> judged_hosts(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/custos/v1/trust-authority-clusters/" + cluster + "/attestation/hosts";
}

/// Verdicts by host; all pages.
result<bj::object> verdicts(session& s) {
  CUSTOS_TRY(const auto path, judged_hosts(s));
  bj::object out;
  std::string after;
  for (;;) {
    CUSTOS_TRY(const auto page,
               s.ask("GET", path + "?limit=" + std::to_string(hosts_per_page) +
                                (after.empty() ? "" : "&after=" + segment(after))));
    const auto* const o = page.if_object();
    const auto* const list = o == nullptr ? nullptr : o->if_contains("hosts");
    if (list == nullptr || !list->is_array())
      return make_error(errc::malformed, "the coordinator answered without a list of hosts");
    for (const auto& item : list->get_array()) {
      const auto* const host = item.if_object();
      const auto* const name = host == nullptr ? nullptr : host->if_contains("host");
      if (name == nullptr || !name->is_string())
        return make_error(errc::malformed, "the coordinator answered with a host without id");
      after = std::string(name->get_string());
      out[after] = item;
    }
    if (list->get_array().size() < static_cast<std::size_t>(hosts_per_page))
      return out;
  }
}

/// What hosts say of themselves, and beside it what the nodes say, where this coordinator knows a
/// trust authority cluster at all.
result<void> status(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trusted));
  CUSTOS_TRY(auto answer, s.ask("GET", clusters + "/" + cluster + "/status"));
  if (!answer.is_object())
    return make_error(errc::malformed, "the coordinator answered without a status");
  auto& hosts = answer.get_object();
  if (const auto judged = verdicts(s))
    for (auto& [name, host] : hosts)
      if (const auto* const one = judged->if_contains(name);
          one != nullptr && host.is_object() && one->get_object().if_contains("verdict"))
        host.get_object()["verdict"] = one->get_object().at("verdict");
  s.show(answer);
  return {};
}

/// A call about one judged host.
result<void> about_host(session& s, const std::string& method, const std::string& host,
                        const std::string& what, const bj::value& body = {}) {
  CUSTOS_TRY(const auto path, judged_hosts(s));
  CUSTOS_TRY(const auto answer, s.ask(method, path + "/" + segment(host) + what, body));
  s.show(answer);
  return {};
}

} // namespace

void add_host_commands(command_set& commands) {
  auto* const group = commands.group("host", "Hosts of the trusted cluster");
  commands.command(group, "status", "What every host says of itself, and the last verdict on it",
                   status);
  commands.command(group, "verdicts", "The last verdict on every host that ever attested",
                   [](session& s) -> result<void> {
                     CUSTOS_TRY(const auto all, verdicts(s));
                     s.show(all);
                     return {};
                   });
  auto host = std::make_shared<std::string>();
  auto* c = commands.command(group, "verdict", "The last verdict on one host, and its binding",
                             [host](session& s) { return about_host(s, "GET", *host, ""); });
  c->add_option("host", *host, "Its id")->required();
  c = commands.command(
      group, "attest", "Lets a host attest again, now", [host](session& s) -> result<void> {
        CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trusted));
        CUSTOS_TRY(const auto answer, s.ask("POST", clusters + "/" + cluster + "/members/" +
                                                        segment(*host) + "/attest"));
        s.show(answer);
        return {};
      });
  c->add_option("host", *host, "Its id")->required();
  c = commands.command(
      group, "forget",
      "Forgets a host's endorsement and attestation key: after a new TPM, or a new installation",
      [host](session& s) { return about_host(s, "DELETE", *host, ""); });
  c->add_option("host", *host, "Its id")->required();
  auto state = std::make_shared<std::string>();
  c = commands.command(group, "quarantine", "on: neither tokens nor keys for this host",
                       [host, state](session& s) {
                         return about_host(s, "PUT", *host, "/quarantine",
                                           bj::object{{"quarantined", *state == "on"}});
                       });
  c->add_option("host", *host, "Its id")->required();
  c->add_option("state", *state, "on or off")->required()->check(CLI::IsMember({"on", "off"}));
}

} // namespace custos::cli
