// custos trust: which TPMs are trusted.

#include "runtime/cli/trust_commands.hpp"

#include "runtime/cli/trust_files.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

struct trust_arguments {
  std::string name;
  std::string file;
  std::string kind = "ca";
  std::string profile;
  std::vector<std::string> crls;
};

std::string collection_of(const std::string& kind) {
  return kind == "ca" ? "ca-certificates" : "endorsement-keys";
}

/// Any order is accepted, for every certificate anchors by itself; but one that was meant to be a
/// chain and is not deserves a word.
bool leads_from_root_to_issuer(const std::vector<crypto::certificate>& chain) {
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (chain[i].issuer() != chain[i - 1].subject())
      return false;
  return true;
}

result<void> add_ca(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto chain, read_certificates(a.file));
  CUSTOS_TRY(const auto crls, read_crls(a.crls));
  if (!leads_from_root_to_issuer(chain))
    s.say(a.file + " does not lead from the root to the issuer; each certificate is trusted by "
                   "itself");
  bj::array list;
  for (const auto& one : chain)
    list.emplace_back(one.pem());
  bj::object spec{{"name", a.name}, {"cert_chain", bj::object{{"cert_chain", std::move(list)}}}};
  if (!a.profile.empty())
    spec["custos_profile"] = a.profile;
  bj::array lists;
  for (const auto& one : crls)
    lists.emplace_back(one.pem());
  if (!lists.empty())
    spec["custos_crls"] = std::move(lists);
  CUSTOS_TRY(const auto path, tpm2_path(s));
  CUSTOS_TRY(const auto answer, s.ask("POST", path + "ca-certificates", spec));
  s.show(answer);
  return {};
}

result<void> add_ek(session& s, const trust_arguments& a) {
  CUSTOS_TRY(const auto pem, runtime::read_text_file(a.file, runtime::pem_file_bytes_max));
  const bool is_certificate = pem.find("BEGIN CERTIFICATE") != std::string::npos;
  CUSTOS_TRY(const auto path, tpm2_path(s));
  CUSTOS_TRY(
      const auto answer,
      s.ask("POST", path + "endorsement-keys",
            bj::object{{"name", a.name}, {is_certificate ? "certificate" : "public_key", pem}}));
  s.show(answer);
  return {};
}

result<void> list(session& s) {
  CUSTOS_TRY(const auto path, tpm2_path(s));
  bj::object out;
  for (const std::string kind : {"ca-certificates", "endorsement-keys"}) {
    CUSTOS_TRY(out[kind], s.ask("GET", path + kind));
  }
  CUSTOS_TRY(const auto own, own_trust_path(s));
  CUSTOS_TRY(out["denials"], s.ask("GET", own + "denials"));
  CUSTOS_TRY(out["settings"], s.ask("GET", path + "settings"));
  s.show(out);
  return {};
}

/// `show` and `remove` of one CA or endorsement key.
void add_single(command_set& commands, CLI::App* group, const std::string& name,
                const std::string& description, const std::string& method) {
  auto a = std::make_shared<trust_arguments>();
  auto* const c =
      commands.command(group, name, description, [a, method](session& s) -> result<void> {
        CUSTOS_TRY(const auto path, tpm2_path(s));
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

result<std::string> tpm2_path(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/vcenter/trusted-infrastructure/trust-authority-clusters/" + cluster +
         "/attestation/tpm2/";
}

void add_trust_commands(command_set& commands) {
  auto* const group = commands.group("trust", "Which TPMs are trusted");
  auto ca = std::make_shared<trust_arguments>();
  auto* c = commands.command(group, "add-ca", "Trusts the certificate authority of a TPM maker",
                             [ca](session& s) { return add_ca(s, *ca); });
  c->add_option("name", ca->name, "A name for it")->required();
  c->add_option("--file", ca->file, "The chain, from the root to the issuer, PEM; or one as DER")
      ->required();
  c->add_option("--profile", ca->profile,
                "tcg, or relaxed: its EK certificates may lack the TPM's name and their usage")
      ->check(CLI::IsMember({"tcg", "relaxed"}));
  c->add_option("--crl", ca->crls, "A CRL of it, PEM or DER; may be given several times");

  auto ek = std::make_shared<trust_arguments>();
  c = commands.command(group, "add-ek", "Trusts one TPM by its endorsement key",
                       [ek](session& s) { return add_ek(s, *ek); });
  c->add_option("name", ek->name, "A name for it")->required();
  c->add_option("--file", ek->file, "PEM file: the key's certificate or public key")->required();

  commands.command(group, "list", "What is trusted and denied, and the settings", list);
  add_single(commands, group, "show", "One certificate authority or endorsement key", "GET");
  add_single(commands, group, "remove", "Trusts it no longer", "DELETE");

  add_denial_commands(commands, group);
  add_settings_command(commands, group);
}

} // namespace custos::cli
