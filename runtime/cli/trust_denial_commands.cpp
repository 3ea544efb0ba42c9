// custos trust deny, allow, add-crl: whom to trust no longer.

#include "runtime/cli/trust_commands.hpp"
#include "runtime/cli/trust_files.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

struct deny_arguments {
  std::string name;
  std::string manufacturer, model, firmware, serial, ek, ak_name, reason;
};

/// As certificates are shown elsewhere ("0A:1B"): lower case, no colons, no leading zeros.
std::string plain_serial(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ':'), text.end());
  for (auto& c : text)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c + ('a' - 'A'));
  const auto digit = text.find_first_not_of('0');
  if (digit == std::string::npos)
    return text.empty() ? text : "0";
  return text.substr(digit);
}

result<void> deny(session& s, const deny_arguments& a) {
  bj::object document;
  const auto put = [&](const char* member, const std::string& value) {
    if (!value.empty())
      document[member] = value;
  };
  put("manufacturer", a.manufacturer);
  put("model", a.model);
  put("firmware", a.firmware);
  put("serial", plain_serial(a.serial));
  if (!a.ek.empty()) {
    CUSTOS_TRY(document["ek_spki_sha256"], ek_fingerprint(a.ek));
  }
  put("ak_name", a.ak_name);
  if (document.empty())
    return field_error(errc::invalid_argument, "deny",
                       "expected at least one of --manufacturer, --model, --firmware, --serial, "
                       "--ek and --ak-name");
  put("reason", a.reason);
  CUSTOS_TRY(const auto path, own_trust_path(s));
  CUSTOS_TRY(const auto answer, s.ask("PUT", path + "denials/" + segment(a.name), document));
  s.show(answer);
  return {};
}

struct crl_arguments {
  std::string name;
  std::vector<std::string> files;
};

result<void> add_crl(session& s, const crl_arguments& a) {
  CUSTOS_TRY(const auto lists, read_crls(a.files));
  bj::array pems;
  for (const auto& one : lists)
    pems.emplace_back(one.pem());
  CUSTOS_TRY(const auto path, own_trust_path(s));
  CUSTOS_TRY(const auto answer, s.ask("POST", path + "ca-certificates/" + segment(a.name) + "/crls",
                                      bj::object{{"crls", std::move(pems)}}));
  s.show(answer);
  return {};
}

} // namespace

result<std::string> own_trust_path(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/custos/v1/trust-authority-clusters/" + cluster + "/attestation/";
}

void add_denial_commands(command_set& commands, CLI::App* group) {
  auto d = std::make_shared<deny_arguments>();
  auto* c = commands.command(group, "deny", "Refuses TPMs, or one attestation key, whoever vouches",
                             [d](session& s) { return deny(s, *d); });
  c->add_option("name", d->name, "A name for the denial")->required();
  c->add_option("--manufacturer", d->manufacturer,
                "As in the EK certificate (\"id:53544D20\"); what is given must all fit");
  c->add_option("--model", d->model, "As in the EK certificate");
  c->add_option("--firmware", d->firmware, "As in the EK certificate (\"id:0007\")");
  c->add_option("--serial", d->serial, "Serial number of the EK certificate, hex");
  c->add_option("--ek", d->ek,
                "One endorsement key: a file with its certificate or public key, or the SHA-256 of "
                "its SubjectPublicKeyInfo in hex");
  c->add_option("--ak-name", d->ak_name, "One attestation key: its Name, hex");
  c->add_option("--reason", d->reason, "Why; told to the host");

  auto n = std::make_shared<std::string>();
  c = commands.command(group, "allow", "Takes a denial back", [n](session& s) -> result<void> {
    CUSTOS_TRY(const auto path, own_trust_path(s));
    CUSTOS_TRY(const auto answer, s.ask("DELETE", path + "denials/" + segment(*n)));
    s.show(answer);
    return {};
  });
  c->add_option("name", *n, "The denial's name")->required();

  auto r = std::make_shared<crl_arguments>();
  c = commands.command(group, "add-crl",
                       "Adds CRLs to a certificate authority; each replaces its issuer's earlier",
                       [r](session& s) { return add_crl(s, *r); });
  c->add_option("name", r->name, "The certificate authority's name")->required();
  c->add_option("--file", r->files, "A CRL, PEM or DER; may be given several times")->required();
}

} // namespace custos::cli
