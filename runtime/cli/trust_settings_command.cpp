// custos trust settings: every setting is an option, named as the member is.

#include "runtime/cli/trust_commands.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <optional>

namespace custos::cli {

namespace bj = boost::json;

namespace {

struct setting {
  const char* member;
  const char* help;
};

constexpr setting switches[] = {
    {"require_endorsement_keys", "true: only listed endorsement keys are trusted"},
    {"require_certificate_validation",
     "true: an endorsement key needs a chain to a trusted authority"},
    {"require_crls", "true: every authority of that chain needs a CRL that is current"},
    {"allow_sha1_certificates", "true: certificates signed with SHA-1 are accepted"},
    {"allow_sha1", "true: SHA-1 banks and logs are judged"},
    {"require_safe_clock", "true: the TPM's clock must never have gone back"},
};
constexpr setting numbers[] = {
    {"challenge_life_s", "seconds that a challenge is good for"},
    {"token_life_s", "seconds that a token for keys is good for"},
    {"reporting_token_life_s", "seconds that a token for reporting is good for"},
    {"ak_certificate_life_s", "seconds that an attestation key is certified for"},
    {"evidence_bytes_max", "largest evidence"},
    {"event_log_bytes_max", "largest boot log"},
    {"ima_log_bytes_max", "largest IMA log"},
    {"events_max", "most events of a boot log"},
    {"evidence_hosts_max", "hosts whose last evidence a node keeps"},
};
constexpr setting words[] = {
    {"ek_certificate_dates", "enforced, ek_may_expire or any_may_expire"},
    {"ear_claims", "dotted, underscored or both"},
};

struct settings_arguments {
  std::map<std::string, std::optional<bool>> switches;
  std::map<std::string, std::optional<std::uint32_t>> numbers;
  std::map<std::string, std::string> words;
  std::vector<std::string> audit_only;
};

/// "--require-crls" of "require_crls".
std::string option_of(const char* member) {
  std::string out = std::string("--") + member;
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

bj::object change_of(const settings_arguments& a) {
  bj::object out;
  for (const auto& [member, value] : a.switches)
    if (value)
      out[member] = *value;
  for (const auto& [member, value] : a.numbers)
    if (value)
      out[member] = *value;
  for (const auto& [member, value] : a.words)
    if (!value.empty())
      out[member] = value;
  if (a.audit_only == std::vector<std::string>{"none"})
    out["audit_only"] = bj::array();
  else if (!a.audit_only.empty())
    out["audit_only"] = bj::array(a.audit_only.begin(), a.audit_only.end());
  return out;
}

result<void> settings(session& s, const settings_arguments& a) {
  CUSTOS_TRY(const auto path, tpm2_path(s));
  const auto change = change_of(a);
  CUSTOS_TRY(const auto answer, change.empty() ? s.ask("GET", path + "settings")
                                               : s.ask("PATCH", path + "settings", change));
  s.show(answer);
  return {};
}

} // namespace

void add_settings_command(command_set& commands, CLI::App* group) {
  auto a = std::make_shared<settings_arguments>();
  auto* const c = commands.command(group, "settings", "Shows or changes the settings",
                                   [a](session& s) { return settings(s, *a); });
  for (const auto& one : switches)
    c->add_option(option_of(one.member), a->switches[one.member], one.help);
  for (const auto& one : numbers)
    c->add_option(option_of(one.member), a->numbers[one.member], one.help);
  for (const auto& one : words)
    c->add_option(option_of(one.member), a->words[one.member], one.help);
  c->add_option("--audit-only", a->audit_only,
                "checks judged but not enforced, of clock, secure-boot and ima-log; none: all are "
                "enforced")
      ->delimiter(',');
}

} // namespace custos::cli
