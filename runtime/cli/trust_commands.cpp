// custos trust: which TPMs are trusted.

#include "adapters/crypto/x509.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

result<std::string> tpm2(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/vcenter/trusted-infrastructure/trust-authority-clusters/" + cluster +
         "/attestation/tpm2/";
}

struct trust_arguments {
  std::string name;
  std::string file;
  bool is_public_key = false;
  std::string kind = "ca";
  std::optional<bool> require_listed;
  std::optional<bool> require_chain;
};

std::string collection_of(const std::string& kind) {
  return kind == "ca" ? "ca-certificates" : "endorsement-keys";
}

result<void> add_ca(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto pem, runtime::read_text_file(a.file, runtime::pem_file_bytes_max));
  auto chain = crypto::certificates_from_pem(as_bytes(pem));
  if (!chain)
    return field_error(errc::invalid_argument, a.file, chain.failure().message);
  bj::array list;
  for (const auto& one : *chain)
    list.emplace_back(one.pem());
  CUSTOS_TRY(const auto path, tpm2(s));
  CUSTOS_TRY(const auto answer,
             s.ask("POST", path + "ca-certificates",
                   bj::object{{"name", a.name},
                              {"cert_chain", bj::object{{"cert_chain", std::move(list)}}}}));
  s.show(answer);
  return {};
}

result<void> add_ek(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto pem, runtime::read_text_file(a.file, runtime::pem_file_bytes_max));
  const bool is_certificate = pem.find("BEGIN CERTIFICATE") != std::string::npos;
  CUSTOS_TRY(const auto path, tpm2(s));
  CUSTOS_TRY(
      const auto answer,
      s.ask("POST", path + "endorsement-keys",
            bj::object{{"name", a.name}, {is_certificate ? "certificate" : "public_key", pem}}));
  s.show(answer);
  return {};
}

result<void> list(session& s) {
  CUSTOS_TRY(const auto path, tpm2(s));
  bj::object out;
  for (const std::string kind : {"ca-certificates", "endorsement-keys"}) {
    CUSTOS_TRY(out[kind], s.ask("GET", path + kind));
  }
  CUSTOS_TRY(out["settings"], s.ask("GET", path + "settings"));
  s.show(out);
  return {};
}

result<void> settings(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto path, tpm2(s));
  bj::object change;
  if (a.require_listed)
    change["require_endorsement_keys"] = *a.require_listed;
  if (a.require_chain)
    change["require_certificate_validation"] = *a.require_chain;
  if (!change.empty()) {
    CUSTOS_TRY(const auto done, s.ask("PATCH", path + "settings", change));
    s.show(done);
    return {};
  }
  CUSTOS_TRY(const auto answer, s.ask("GET", path + "settings"));
  s.show(answer);
  return {};
}

/// `show` and `remove` of one CA or endorsement key.
void add_single(command_set& commands, CLI::App* group, const std::string& name,
                const std::string& description, const std::string& method) {
  auto a = std::make_shared<trust_arguments>();
  auto* const c =
      commands.command(group, name, description, [a, method](session& s) -> result<void> {
        CUSTOS_TRY(const auto path, tpm2(s));
        CUSTOS_TRY(const auto answer,
                   s.ask(method, path + collection_of(a->kind) + "/" + segment(a->name)));
        s.show(answer);
        return {};
      });
  c->add_option("name", a->name, "Its name")->required();
  c->add_option("--kind", a->kind, "ca or ek")
      ->check(CLI::IsMember({"ca", "ek"}))
      ->capture_default_str();
}

} // namespace

void add_trust_commands(command_set& commands) {
  auto* const group = commands.group("trust", "Which TPMs are trusted");
  auto ca = std::make_shared<trust_arguments>();
  auto* c = commands.command(group, "add-ca", "Trusts the certificate authority of a TPM maker",
                             [ca](session& s) { return add_ca(s, *ca); });
  c->add_option("name", ca->name, "A name for it")->required();
  c->add_option("--file", ca->file, "PEM file: the chain, from the root to the issuer")->required();

  auto ek = std::make_shared<trust_arguments>();
  c = commands.command(group, "add-ek", "Trusts one TPM by its endorsement key",
                       [ek](session& s) { return add_ek(s, *ek); });
  c->add_option("name", ek->name, "A name for it")->required();
  c->add_option("--file", ek->file, "PEM file: the key's certificate or public key")->required();

  commands.command(group, "list", "What is trusted, and the settings", list);
  add_single(commands, group, "show", "One certificate authority or endorsement key", "GET");
  add_single(commands, group, "remove", "Trusts it no longer", "DELETE");

  auto st = std::make_shared<trust_arguments>();
  c = commands.command(group, "settings", "Shows or changes the settings",
                       [st](session& s) { return settings(s, *st); });
  c->add_option("--require-endorsement-keys", st->require_listed,
                "true: only listed endorsement keys are trusted");
  c->add_option("--require-certificate-validation", st->require_chain,
                "true: an endorsement key needs a chain to a trusted authority");
}

} // namespace custos::cli
