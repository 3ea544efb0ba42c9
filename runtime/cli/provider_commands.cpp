// custos provider: trusted key providers and their trust in key servers.

#include "adapters/crypto/x509.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::uint16_t kmip_port = 5696;

result<std::string> providers(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/vcenter/trusted-infrastructure/trust-authority-clusters/" + cluster +
         "/kms/providers";
}

result<std::string> own_providers(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/custos/v1/trust-authority-clusters/" + cluster + "/kms/providers";
}

struct provider_arguments {
  std::string name;
  std::vector<std::string> servers;
  std::string primary_key;
  std::string username;
  std::uint32_t timeout_s = 10;
  std::string mode;
  std::vector<std::string> images, hosts;
  std::string certificate, private_key, fingerprint, out;
  bool generate = false, create_key = false;
};

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

result<void> create(session& s, const provider_arguments& a) {
  CUSTOS_TRY(auto servers, server_list(a.servers));
  bj::object kmip{{"servers", std::move(servers)}};
  if (!a.username.empty())
    kmip["username"] = a.username;
  bj::object ours;
  if (!a.mode.empty())
    ours["mode"] = a.mode;
  if (!a.images.empty() || !a.hosts.empty()) {
    const auto list_of = [](const std::vector<std::string>& names) {
      return bj::array(names.begin(), names.end());
    };
    ours["access"] = bj::object{{"images", list_of(a.images)}, {"hosts", list_of(a.hosts)}};
  }
  bj::object body{{"provider", a.name},
                  {"master_key_id", a.primary_key},
                  {"key_server", bj::object{{"type", "KMIP"},
                                            {"connection_timeout", a.timeout_s},
                                            {"kmip_server", std::move(kmip)}}}};
  if (!ours.empty())
    body["custos"] = std::move(ours);
  CUSTOS_TRY(const auto path, providers(s));
  CUSTOS_TRY(const auto answer, s.ask("POST", path, body));
  s.show(answer);
  if (a.primary_key.empty())
    s.say("next: client-certificate or csr, trust-server, then primary-key --create");
  return {};
}

/// Shows a PEM text, or writes it to --out.
result<void> give_pem(session& s, const bj::value& pem, const std::string& out) {
  if (out.empty() || !pem.is_string()) {
    s.show(pem);
    return {};
  }
  CUSTOS_CHECK(runtime::write_file(out, as_bytes(std::string_view(pem.get_string())), 0644));
  s.say("wrote " + out);
  return {};
}

result<void> client_certificate(session& s, const provider_arguments& a) {
  CUSTOS_TRY(const auto base, providers(s));
  const auto path = base + "/" + segment(a.name) + "/client-certificate";
  if (a.generate) {
    CUSTOS_TRY(const auto pem, s.ask("POST", path));
    return give_pem(s, pem, a.out);
  }
  if (a.certificate.empty()) {
    CUSTOS_TRY(const auto answer, s.ask("GET", path));
    const auto* const pem =
        answer.is_object() ? answer.get_object().if_contains("certificate") : nullptr;
    return give_pem(s, pem == nullptr ? answer : *pem, a.out);
  }
  CUSTOS_TRY(const auto pem, runtime::read_text_file(a.certificate, runtime::pem_file_bytes_max));
  bj::object body{{"certificate", pem}};
  if (!a.private_key.empty()) {
    CUSTOS_TRY(auto key, runtime::read_text_file(a.private_key, runtime::pem_file_bytes_max));
    body["private_key"] = key;
    crypto::wipe(key.data(), key.size());
  }
  auto answer = s.ask("PATCH", path, body);
  if (auto* const key = body.if_contains("private_key"); key != nullptr)
    crypto::wipe(key->get_string().data(), key->get_string().size());
  if (!answer)
    return answer.failure();
  s.show(*answer);
  return {};
}

/// What a key server presents, with the fingerprint of its own certificate.
result<bj::array> presented(session& s, const std::string& path) {
  CUSTOS_TRY(auto answer, s.ask("GET", path + "/peer-certs/current"));
  if (!answer.is_array())
    return make_error(errc::malformed, "the coordinator answered with something else than a list");
  auto list = std::move(answer.get_array());
  for (auto& one : list) {
    auto* const o = one.if_object();
    auto* const pem = o == nullptr ? nullptr : o->if_contains("certificate");
    if (pem == nullptr || !pem->is_string())
      continue;
    const auto chain = crypto::certificates_from_pem(as_bytes(std::string_view(pem->get_string())));
    if (!chain || chain->empty())
      continue;
    (*o)["subject"] = chain->front().subject();
    (*o)["sha256"] = crypto::hex(chain->front().fingerprint());
  }
  return list;
}

result<void> trust_server(session& s, const provider_arguments& a) {
  CUSTOS_TRY(const auto base, providers(s));
  const auto path = base + "/" + segment(a.name);
  bj::array trusted;
  if (!a.certificate.empty()) {
    CUSTOS_TRY(const auto pem, runtime::read_text_file(a.certificate, runtime::pem_file_bytes_max));
    trusted.emplace_back(pem);
  } else {
    CUSTOS_TRY(auto list, presented(s, path));
    if (a.fingerprint.empty()) {
      for (auto& one : list)
        if (one.is_object())
          one.get_object().erase("certificate");
      s.show(list);
      s.say("nothing changed; trust one with --fingerprint, once you know that it is the "
            "server's");
      return {};
    }
    for (const auto& one : list) {
      const auto* const o = one.if_object();
      const auto* const sha = o == nullptr ? nullptr : o->if_contains("sha256");
      if (sha != nullptr && sha->is_string() && sha->get_string() == a.fingerprint)
        trusted.push_back(o->at("certificate"));
    }
    if (trusted.empty())
      return field_error(errc::invalid_argument, "--fingerprint",
                         "no key server presents a certificate with that SHA-256");
  }
  CUSTOS_TRY(const auto answer, s.ask("PATCH", path + "/peer-certs/trusted",
                                      bj::object{{"certificates", std::move(trusted)}}));
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
  CUSTOS_TRY(const auto path, providers(s));
  CUSTOS_TRY(const auto answer, s.ask("PATCH", path + "/" + segment(a.name),
                                      bj::object{{"master_key_id", a.primary_key}}));
  s.show(answer);
  return {};
}

using path_of = result<std::string> (*)(session&);

void add_single(command_set& commands, CLI::App* group, const std::string& name,
                const std::string& description, const std::string& method,
                const std::string& suffix = "", path_of base = providers) {
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

void add_trust(command_set& commands, CLI::App* group) {
  auto r = std::make_shared<provider_arguments>();
  auto* c = commands.command(
      group, "csr", "A signing request for the provider's client certificate; makes a new key",
      [r](session& s) -> result<void> {
        CUSTOS_TRY(const auto path, providers(s));
        CUSTOS_TRY(const auto pem,
                   s.ask("POST", path + "/" + segment(r->name) + "/client-certificate/csr"));
        return give_pem(s, pem, r->out);
      });
  c->add_option("name", r->name, "The provider")->required();
  c->add_option("--out", r->out, "PEM file; default: standard output");

  auto i = std::make_shared<provider_arguments>();
  c = commands.command(group, "client-certificate",
                       "Shows, generates or sets what the provider is known by at key servers",
                       [i](session& s) { return client_certificate(s, *i); });
  c->add_option("name", i->name, "The provider")->required();
  auto* const generate =
      c->add_flag("--generate", i->generate, "A new key and a self-signed certificate");
  c->add_option("--certificate", i->certificate, "PEM file: what was issued for the request")
      ->excludes(generate);
  c->add_option("--private-key", i->private_key, "PEM file: its key, if it was made elsewhere")
      ->needs("--certificate");
  c->add_option("--out", i->out, "PEM file for what is shown; default: standard output");

  auto t = std::make_shared<provider_arguments>();
  c = commands.command(group, "trust-server",
                       "Shows what the key servers present, or sets what is trusted",
                       [t](session& s) { return trust_server(s, *t); });
  c->add_option("name", t->name, "The provider")->required();
  auto* const file =
      c->add_option("--certificate", t->certificate, "PEM file: the server's, or its CA's");
  c->add_option("--fingerprint", t->fingerprint, "SHA-256 of a certificate presented now, hex")
      ->excludes(file);

  auto k = std::make_shared<provider_arguments>();
  c = commands.command(group, "primary-key", "Creates the primary key, or names another one",
                       [k](session& s) { return primary_key(s, *k); });
  c->add_option("name", k->name, "The provider")->required();
  c->add_flag("--create", k->create_key, "Creates and activates one on the key server");
  c->add_option("--id", k->primary_key, "Unique identifier of one that exists");
}

} // namespace

void add_provider_commands(command_set& commands) {
  auto* const group = commands.group("provider", "Trusted key providers");
  auto a = std::make_shared<provider_arguments>();
  auto* const c = commands.command(group, "create", "Creates a trusted key provider",
                                   [a](session& s) { return create(s, *a); });
  c->add_option("name", a->name, "Its name")->required();
  c->add_option("--server", a->servers, "KMIP servers, host:port; the first that answers is used")
      ->required()
      ->delimiter(',');
  c->add_option("--primary-key", a->primary_key,
                "Unique identifier of the primary key; without: `primary-key` later");
  c->add_option("--username", a->username, "User name at the key server");
  c->add_option("--connection-timeout-seconds", a->timeout_s, "Longest wait for a key server")
      ->check(CLI::Range(1, 60))
      ->capture_default_str();
  c->add_option("--mode", a->mode, "How the primary key is used; default: automatic")
      ->check(CLI::IsMember({"automatic", "local", "remote"}));
  c->add_option("--images", a->images, "Only hosts that matched these base images")->delimiter(',');
  c->add_option("--hosts", a->hosts, "Only these hosts")->delimiter(',');

  commands.command(group, "list", "All providers", [](session& s) -> result<void> {
    CUSTOS_TRY(const auto path, providers(s));
    CUSTOS_TRY(const auto answer, s.ask("GET", path));
    s.show(answer);
    return {};
  });
  add_single(commands, group, "show", "One provider", "GET");
  add_single(commands, group, "delete", "Removes a provider; its keys stay on the key server",
             "DELETE");
  add_single(commands, group, "status", "Its key servers, as every node sees them", "GET",
             "/status", own_providers);
  add_trust(commands, group);
  add_provider_retire_command(commands, group);
}

} // namespace custos::cli
