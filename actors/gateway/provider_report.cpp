#include "actors/gateway/provider_report.hpp"

#include <boost/json.hpp>

namespace custos::gateway {

namespace {

namespace bj = boost::json;

bj::array servers_json(const std::vector<key_server_status>& servers) {
  bj::array out;
  for (const auto& s : servers)
    out.push_back(bj::object{{"server", s.server},
                             {"health", s.health},
                             {"client_trust_server", s.client_trust_server},
                             {"server_trust_client", s.server_trust_client},
                             {"protocol_version", s.protocol_version},
                             {"detail", s.detail}});
  return out;
}

} // namespace

std::string encode_provider_report(const provider_status_report& report) {
  bj::object out{{"provider", report.provider},
                 {"health", report.health},
                 {"primary_key_state", report.primary_key_state},
                 {"servers", servers_json(report.servers)}};
  if (!report.client_certificate.empty())
    out["client_certificate"] = report.client_certificate;
  if (!report.next_servers.empty())
    out["next_client_certificate"] = bj::object{{"servers", servers_json(report.next_servers)}};
  if (!report.rotation.empty())
    out["rotation"] = report.rotation;
  return bj::serialize(out);
}

} // namespace custos::gateway
