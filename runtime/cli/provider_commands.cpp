// custos provider: trusted key providers.

#include "runtime/cli/provider_paths.hpp"
#include "runtime/cli/provider_policy.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

result<std::string> contract_providers(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/vcenter/trusted-infrastructure/trust-authority-clusters/" + cluster +
         "/kms/providers";
}

result<std::string> own_providers(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/custos/v1/trust-authority-clusters/" + cluster + "/kms/providers";
}

namespace {

constexpr std::uint16_t kmip_port = 5696;

struct provider_arguments {
  std::string name;
  std::vector<std::string> servers;
  std::string primary_key;
  std::string username;
  std::uint32_t timeout_s = 0; ///< 0: not said
  provider_policy policy;
  bool native = false, create_key = false;
};

constexpr std::uint32_t timeout_s_default = 10;

/// A server is named after its address, in the characters that names may have.
std::string name_of_server(const std::string& address) {
  std::string out;
  for (const char c : address)
    if (const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '.' || c == '_';
        letter || (!out.empty() && out.back() != '-'))
      out += letter ? c : '-';
  while (!out.empty() && out.back() == '-')
    out.pop_back();
  return out;
}

/// "host", "host:port", "[v6]:port".
result<bj::array> server_list(const std::vector<std::string>& servers) {
  bj::array out;
  for (const auto& text : servers) {
    const auto url = http::parse_url("https://" + text);
    if (!url || url->path != "/")
      return field_error(errc::invalid_argument, "--server", "expected host:port, got " + text);
    // What was not said is KMIP's port, not HTTPS's.
    const bool has_port = text.back() != ']' && text.rfind(':') != std::string::npos;
    out.push_back(bj::object{{"name", name_of_server(text)},
                             {"address", bj::object{{"hostname", url->host},
                                                    {"port", has_port ? url->port : kmip_port}}}});
  }
  return out;
}

/// What is said of the key servers; empty: nothing.
result<bj::object> key_server_of(const provider_arguments& a) {
  bj::object out;
  bj::object kmip;
  if (!a.servers.empty()) {
    CUSTOS_TRY(kmip["servers"], server_list(a.servers));
  }
  if (!a.username.empty())
    kmip["username"] = a.username;
  if (!kmip.empty())
    out["kmip_server"] = std::move(kmip);
  if (a.timeout_s != 0)
    out["connection_timeout"] = a.timeout_s;
  return out;
}

result<bj::object> native_spec(const provider_arguments& a) {
  if (!a.servers.empty() || !a.primary_key.empty() || !a.username.empty() || a.timeout_s != 0)
    return field_error(errc::invalid_argument, "--native",
                       "expected no options of key servers: a native provider has none");
  CUSTOS_TRY(auto ours, a.policy.extension({}));
  ours["type"] = "native";
  return bj::object{{"provider", a.name}, {"custos", std::move(ours)}};
}

result<bj::object> kmip_spec(const provider_arguments& a) {
  if (a.servers.empty())
    return field_error(errc::invalid_argument, "--server", "expected a key server, or --native");
  CUSTOS_TRY(auto server, key_server_of(a));
  server["type"] = "KMIP";
  if (a.timeout_s == 0)
    server["connection_timeout"] = timeout_s_default;
  bj::object out{
      {"provider", a.name}, {"master_key_id", a.primary_key}, {"key_server", std::move(server)}};
  CUSTOS_TRY(auto ours, a.policy.extension({}));
  if (!ours.empty())
    out["custos"] = std::move(ours);
  return out;
}

result<void> create(session& s, const provider_arguments& a) {
  CUSTOS_TRY(const auto body, a.native ? native_spec(a) : kmip_spec(a));
  CUSTOS_TRY(const auto path, contract_providers(s));
  CUSTOS_TRY(const auto answer, s.ask("POST", path, body));
  s.show(answer);
  if (a.native)
    s.say("next: backup create, then confirm-backup; it protects nothing before");
  else if (a.primary_key.empty())
    s.say("next: client-certificate or csr, trust-server, then rotate");
  return {};
}

result<void> set(session& s, const provider_arguments& a) {
  CUSTOS_TRY(const auto base, contract_providers(s));
  const auto path = base + "/" + segment(a.name);
  bj::object body;
  CUSTOS_TRY(auto server, key_server_of(a));
  if (!server.empty())
    body["key_server"] = std::move(server);
  if (!a.primary_key.empty())
    body["master_key_id"] = a.primary_key;
  if (a.policy.given()) {
    CUSTOS_TRY(const auto info, s.ask("GET", path));
    const auto* const ours = info.is_object() ? info.get_object().if_contains("custos") : nullptr;
    CUSTOS_TRY(body["custos"],
               a.policy.extension(ours == nullptr || !ours->is_object() ? bj::object()
                                                                        : ours->get_object()));
  }
  if (body.empty())
    return field_error(errc::invalid_argument, "provider set", "expected something to change");
  CUSTOS_TRY(const auto answer, s.ask("PATCH", path, body));
  s.show(answer);
  return {};
}

result<void> primary_key(session& s, const provider_arguments& a) {
  if (a.create_key == !a.primary_key.empty())
    return field_error(errc::invalid_argument, "--create",
                       "expected exactly one of --create and --id");
  if (a.create_key) {
    CUSTOS_TRY(const auto path, own_providers(s));
    CUSTOS_TRY(const auto id, s.ask("POST", path + "/" + segment(a.name) + "/primary-key"));
    s.show(id);
    return {};
  }
  CUSTOS_TRY(const auto path, contract_providers(s));
  CUSTOS_TRY(const auto answer, s.ask("PATCH", path + "/" + segment(a.name),
                                      bj::object{{"master_key_id", a.primary_key}}));
  s.show(answer);
  return {};
}

using path_of = result<std::string> (*)(session&);

void add_single(command_set& commands, CLI::App* group, const std::string& name,
                const std::string& description, const std::string& method,
                const std::string& suffix = "", path_of base = contract_providers) {
  auto provider = std::make_shared<std::string>();
  commands
      .command(group, name, description,
               [provider, method, suffix, base](session& s) -> result<void> {
                 CUSTOS_TRY(const auto path, base(s));
                 CUSTOS_TRY(const auto answer,
                            s.ask(method, path + "/" + segment(*provider) + suffix));
                 s.show(answer);
                 return {};
               })
      ->add_option("name", *provider, "The provider")
      ->required();
}

void add_primary_key(command_set& commands, CLI::App* group) {
  auto k = std::make_shared<provider_arguments>();
  auto* c = commands.command(group, "primary-key", "Creates the primary key, or names another one",
                             [k](session& s) { return primary_key(s, *k); });
  c->add_option("name", k->name, "The provider")->required();
  c->add_flag("--create", k->create_key, "Creates and activates one on the key server");
  c->add_option("--id", k->primary_key, "Unique identifier of one that exists");
}

} // namespace

namespace {

/// Options of the key servers, for create and set.
void add_server_options(CLI::App* c, provider_arguments& a) {
  c->add_option("name", a.name, "Its name")->required();
  c->add_option("--server", a.servers, "KMIP servers that replicate each other, host:port")
      ->delimiter(',');
  c->add_option("--primary-key", a.primary_key,
                "Unique identifier of the primary key; without: `rotate` makes one");
  c->add_option("--username", a.username, "User name at the key server; its `password` later");
  c->add_option("--connection-timeout-seconds", a.timeout_s,
                "Longest wait for a key server; 10 at first")
      ->check(CLI::Range(1, 60));
}

} // namespace

void add_provider_commands(command_set& commands) {
  auto* const group = commands.group("provider", "Trusted key providers");
  auto a = std::make_shared<provider_arguments>();
  auto* c = commands.command(group, "create", "Creates a trusted key provider",
                             [a](session& s) { return create(s, *a); });
  add_server_options(c, *a);
  c->add_flag("--native", a->native,
              "Without key servers: the cluster holds the primary keys, sealed");
  a->policy.add_to(c);
  c->footer("Examples:\n"
            "  custos provider create disk --server kms1.example.org:5696,kms2.example.org:5696\n"
            "  custos provider create lab --native --host-pattern 'web-*' --rotation-days 90");

  auto e = std::make_shared<provider_arguments>();
  c = commands.command(group, "set", "Changes what is said, and nothing else",
                       [e](session& s) { return set(s, *e); });
  add_server_options(c, *e);
  e->policy.add_to(c);
  c->footer("Examples:\n"
            "  custos provider set disk --claim secure_boot=true --claim status=affirming\n"
            "  custos provider set disk --calls-per-second 5 --burst 20 --grace-seconds 0\n"
            "  custos provider set disk --images none --rotation-days 365");

  commands.command(group, "list", "All providers", [](session& s) -> result<void> {
    CUSTOS_TRY(const auto path, contract_providers(s));
    CUSTOS_TRY(const auto answer, s.ask("GET", path));
    s.show(answer);
    return {};
  });
  add_single(commands, group, "show", "One provider", "GET");
  add_single(commands, group, "delete",
             "Removes a provider; its keys stay on the key server, those of a native provider are "
             "then in backups only",
             "DELETE");
  add_single(commands, group, "status", "Its key servers, as every node sees them", "GET",
             "/status", own_providers);
  add_provider_trust_commands(commands, group);
  add_primary_key(commands, group);
  add_primary_key_commands(commands, group);
  add_provider_retire_command(commands, group);
}

} // namespace custos::cli
