// custos provider client-certificate, csr, trust-server, password: the trusted connection between a
// provider and its key servers.

#include "adapters/crypto/x509.hpp"
#include "runtime/cli/provider_paths.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::size_t password_file_bytes_max = 4096;

struct trust_arguments {
  std::string name;
  std::string certificate, private_key, fingerprint, out, file;
  bool generate = false, promote = false, drop_next = false, force = false;
};

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

/// The next certificate takes the place of the other, or goes.
result<void> end_rotation(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto own, own_providers(s));
  const auto path = own + "/" + segment(a.name) + "/client-certificate";
  CUSTOS_TRY(const auto answer,
             a.promote ? s.ask("POST", path + "/promote", bj::object{{"force", a.force}})
                       : s.ask("DELETE", path + "/next"));
  s.show(answer);
  return {};
}

result<void> client_certificate(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto base, contract_providers(s));
  const auto path = base + "/" + segment(a.name) + "/client-certificate";
  if (a.generate) {
    CUSTOS_TRY(const auto pem, s.ask("POST", path));
    return give_pem(s, pem, a.out);
  }
  if (a.promote || a.drop_next)
    return end_rotation(s, a);
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

result<void> trust_server(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto base, contract_providers(s));
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

/// The password goes to the coordinator as a JSON string over HTTPS, and a node seals it.
result<void> password(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto base, contract_providers(s));
  CUSTOS_TRY(auto text, runtime::read_text_file(a.file, password_file_bytes_max));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  bj::value body{bj::string(text)};
  crypto::wipe(text.data(), text.size());
  const auto answer = s.ask("PUT", base + "/" + segment(a.name) + "/credential", body);
  crypto::wipe(body.get_string().data(), body.get_string().size());
  if (!answer)
    return answer.failure();
  s.show(*answer);
  return {};
}

} // namespace

void add_provider_trust_commands(command_set& commands, CLI::App* group) {
  auto r = std::make_shared<trust_arguments>();
  auto* c = commands.command(
      group, "csr", "A signing request for the provider's client certificate; makes a new key",
      [r](session& s) -> result<void> {
        CUSTOS_TRY(const auto path, contract_providers(s));
        CUSTOS_TRY(const auto pem,
                   s.ask("POST", path + "/" + segment(r->name) + "/client-certificate/csr"));
        return give_pem(s, pem, r->out);
      });
  c->add_option("name", r->name, "The provider")->required();
  c->add_option("--out", r->out, "PEM file; default: standard output");

  auto i = std::make_shared<trust_arguments>();
  c = commands.command(group, "client-certificate",
                       "Shows, generates or sets what the provider is known by at key servers",
                       [i](session& s) { return client_certificate(s, *i); });
  c->add_option("name", i->name, "The provider")->required();
  auto* const generate =
      c->add_flag("--generate", i->generate, "A new key and a self-signed certificate");
  auto* const given =
      c->add_option("--certificate", i->certificate, "PEM file: what was issued for the request")
          ->excludes(generate);
  c->add_option("--private-key", i->private_key, "PEM file: its key, if it was made elsewhere")
      ->needs("--certificate");
  c->add_option("--out", i->out, "PEM file for what is shown; default: standard output");
  auto* const promote =
      c->add_flag("--promote", i->promote,
                  "The next certificate takes the place of the other, once every node has used it")
          ->excludes(generate)
          ->excludes(given);
  c->add_flag("--force", i->force, "... whatever nodes say of it")->needs(promote);
  c->add_flag("--drop-next", i->drop_next, "Drops the next certificate")
      ->excludes(generate)
      ->excludes(given)
      ->excludes(promote);
  c->footer("A provider that has a certificate keeps it: the new one is the next one, which nodes\n"
            "use as soon as every key server takes it. Example:\n"
            "  custos provider client-certificate disk --generate --out next.crt\n"
            "  custos provider status disk\n"
            "  custos provider client-certificate disk --promote");

  auto t = std::make_shared<trust_arguments>();
  c = commands.command(group, "trust-server",
                       "Shows what the key servers present, or sets what is trusted",
                       [t](session& s) { return trust_server(s, *t); });
  c->add_option("name", t->name, "The provider")->required();
  auto* const file =
      c->add_option("--certificate", t->certificate, "PEM file: the server's, or its CA's");
  c->add_option("--fingerprint", t->fingerprint, "SHA-256 of a certificate presented now, hex")
      ->excludes(file);

  auto p = std::make_shared<trust_arguments>();
  c = commands.command(group, "password", "Sets the password of the provider's user name",
                       [p](session& s) { return password(s, *p); });
  c->add_option("name", p->name, "The provider")->required();
  c->add_option("--file", p->file, "File with the password; its last line end is not part of it")
      ->required();
}

} // namespace custos::cli
