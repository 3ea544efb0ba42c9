// custos eventlog, evidence, ek: what a verifier looks at, by hand and offline.

#include "actors/attestation/ek_trust.hpp"
#include "actors/attestation/manual_check.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "runtime/cli/inputs.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/cli/trust_files.hpp"
#include "runtime/files.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>

namespace custos::cli {

namespace bj = boost::json;
using attestation::check_outcome;
using attestation::check_verdict;

namespace {

// ---- event logs

struct log_arguments {
  std::string file;
};

result<void> replay(session& s, const log_arguments& a) {
  CUSTOS_TRY(const auto log, read_boot_log(a.file));
  auto replayed = eventlog::replay(log.parsed, log.parsed.known_banks());
  if (!replayed)
    return in_file(a.file, replayed.failure());
  bj::object pcrs;
  for (const auto& bank : replayed->banks) {
    auto& values = pcrs[crypto::to_string(bank.alg)].emplace_object();
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
      if (((bank.touched >> pcr) & 1U) != 0)
        values[std::to_string(pcr)] = crypto::hex(bank.value(pcr));
  }
  s.show(bj::object{{"pcrs", std::move(pcrs)}, {"events", log.parsed.events.size()}});
  return {};
}

result<void> show_events(session& s, const log_arguments& a) {
  CUSTOS_TRY(const auto log, read_boot_log(a.file));
  bj::array events;
  for (const auto& e : log.parsed.events) {
    bj::object one{{"event", e.index},
                   {"pcr", e.pcr},
                   {"type", eventlog::type_text(e.type)},
                   {"hint", eventlog::describe(e)}};
    for (const auto alg : log.parsed.known_banks())
      if (const auto digest = log.parsed.digest(e, alg); !digest.empty())
        one[crypto::to_string(alg)] = crypto::hex(digest);
    events.emplace_back(std::move(one));
  }
  s.show(events);
  return {};
}

// ---- verdicts

/// The verdict, and an error if it is not "accepted": the exit code is then 1.
result<void> give(session& s, const std::vector<check_outcome>& checks, bj::object facts) {
  const auto refused = std::find_if(checks.begin(), checks.end(), [](const auto& c) {
    return c.verdict == check_verdict::failed;
  });
  bj::array list;
  for (const auto& c : checks) {
    bj::object one{{"check", c.check}, {"verdict", to_string(c.verdict)}, {"reason", c.reason}};
    if (c.pcr)
      one["pcr"] = *c.pcr;
    if (c.event)
      one["event"] = *c.event;
    list.emplace_back(std::move(one));
  }
  facts["verdict"] = refused == checks.end() ? "accepted" : "refused";
  facts["checks"] = std::move(list);
  s.show(facts);
  if (refused == checks.end())
    return {};
  error e = make_error(errc::attestation_failed, refused->reason);
  e.check = refused->check;
  e.pcr = refused->pcr;
  e.event = refused->event;
  return e;
}

// ---- evidence

struct evidence_arguments {
  std::string ak, attest, signature, nonce, pcrs, event_log;
  bool allow_sha1 = false;
};

result<void> verify_evidence(session& s, const evidence_arguments& a) {
  attestation::manual_evidence e;
  CUSTOS_TRY(e.ak, read_octets(a.ak, small_file_bytes_max));
  CUSTOS_TRY(e.quote, read_octets(a.attest, small_file_bytes_max));
  CUSTOS_TRY(e.signature, read_octets(a.signature, small_file_bytes_max));
  auto nonce = crypto::from_hex(a.nonce);
  if (!nonce || nonce->empty())
    return field_error(errc::invalid_argument, "--nonce", "expected hex digits, two an octet");
  e.nonce = *std::move(nonce);
  if (!a.pcrs.empty()) {
    CUSTOS_TRY(e.pcrs, read_pcr_values(a.pcrs));
  }
  if (!a.event_log.empty()) {
    CUSTOS_TRY(e.event_log, read_octets(a.event_log, log_bytes_max));
  }
  e.allow_sha1 = a.allow_sha1;
  auto checks = attestation::check_manually(e);
  if (!checks) {
    const auto& field = checks.failure().field;
    return in_file(field == "ak"          ? a.ak
                   : field == "signature" ? a.signature
                   : field == "quote"     ? a.attest
                                          : a.event_log,
                   checks.failure());
  }
  return give(s, *checks, {});
}

// ---- endorsement keys

struct ek_arguments {
  std::string certificate, ca;
  std::vector<std::string> crls;
  bool partial_chain = false;
  bool relaxed = false;
  bool allow_expired = false;
  bool allow_sha1 = false;
  bool require_crls = false;
};

/// The configuration that the options describe, for the verifier's own judgement. An intermediate
/// that must not anchor serves to build paths.
config_snapshot configuration_of(const ek_arguments& a,
                                 const std::vector<crypto::certificate>& trusted,
                                 const std::vector<crypto::certificate_revocation_list>& crls,
                                 std::vector<crypto::certificate>& intermediates) {
  tpm_ca ca;
  for (const auto& c : trusted)
    if (a.partial_chain || c.subject() == c.issuer())
      ca.certificates.push_back(c.der());
    else
      intermediates.push_back(c);
  for (const auto& c : crls)
    ca.crls.push_back(c.der());
  ca.profile = a.relaxed ? ek_profile::relaxed : ek_profile::tcg;
  config_snapshot out;
  out.tpm_cas.set("trusted", std::make_shared<const tpm_ca>(std::move(ca)));
  out.settings.require_crls = a.require_crls;
  out.settings.allow_sha1_certificates = a.allow_sha1;
  if (a.allow_expired)
    out.settings.ek_certificate_dates = certificate_dates::any_may_expire;
  return out;
}

check_outcome outcome_of(const char* check, const std::optional<error>& failed) {
  check_outcome out;
  out.check = check;
  if (failed) {
    out.verdict = check_verdict::failed;
    out.reason = failed->message;
  }
  return out;
}

result<void> verify_ek(session& s, const ek_arguments& a) {
  CUSTOS_TRY(const auto own, read_certificates(a.certificate));
  CUSTOS_TRY(const auto trusted, read_certificate_folder(a.ca));
  CUSTOS_TRY(const auto crls, read_crls(a.crls));
  const auto& leaf = own.front();
  std::vector<crypto::certificate> intermediates(own.begin() + 1, own.end());
  const attestation::trust_index trust(configuration_of(a, trusted, crls, intermediates));
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const auto judged = attestation::judge_ek_certificate(leaf, intermediates, trust, now);
  bj::object facts{{"subject", leaf.subject()},
                   {"issuer", leaf.issuer()},
                   {"spki_sha256", crypto::hex(crypto::sha256(leaf.public_key().spki_der()))},
                   {"serial", judged.facts.serial}};
  if (!judged.facts.manufacturer.empty())
    facts["manufacturer"] = judged.facts.manufacturer;
  if (!judged.facts.model.empty())
    facts["model"] = judged.facts.model;
  if (!judged.facts.version.empty())
    facts["version"] = judged.facts.version;
  std::vector<check_outcome> checks{
      outcome_of("ek-profile", judged.profile), outcome_of("ek-chain", judged.chain),
      outcome_of("ek-revocation", judged.revocation), outcome_of("ek-strength", judged.strength)};
  if (judged.chain || (crls.empty() && !a.require_crls)) {
    checks[2].verdict = check_verdict::skipped;
    checks[2].reason = judged.chain ? "there is no path" : "no CRL was given";
  }
  return give(s, checks, std::move(facts));
}

} // namespace

void add_evidence_commands(command_set& commands) {
  auto* group = commands.group("eventlog", "Boot event logs, offline");
  auto l = std::make_shared<log_arguments>();
  commands
      .command(group, "replay", "The PCR values that a log leads to, in every bank",
               [l](session& s) { return replay(s, *l); })
      ->add_option("file", l->file, "Binary boot log (TCG PC Client Platform Firmware Profile)")
      ->required();
  commands
      .command(group, "show", "The events of a log", [l](session& s) { return show_events(s, *l); })
      ->add_option("file", l->file, "Binary boot log")
      ->required();

  group = commands.group("evidence", "Evidence of a TPM, offline");
  auto e = std::make_shared<evidence_arguments>();
  auto* c = commands.command(group, "verify",
                             "Judges a quote, and the PCR values and boot log that go with it",
                             [e](session& s) { return verify_evidence(s, *e); });
  c->add_option("--ak", e->ak, "Attestation key: TPMT_PUBLIC, TPM2B_PUBLIC or PEM")->required();
  c->add_option("--attest", e->attest, "The quote, TPMS_ATTEST")->required();
  c->add_option("--signature", e->signature, "TPMT_SIGNATURE over it")->required();
  c->add_option("--nonce", e->nonce, "What the quote must be over, in hex")->required();
  c->add_option("--pcrs", e->pcrs, "PCR values: {\"sha256\": {\"0\": \"<hex>\"}}");
  c->add_option("--eventlog", e->event_log, "Binary boot log");
  c->add_flag("--allow-sha1", e->allow_sha1, "SHA-1 signatures, banks and logs are judged");

  group = commands.group("ek", "Endorsement keys, offline");
  auto k = std::make_shared<ek_arguments>();
  c = commands.command(group, "verify", "Judges an endorsement key certificate",
                       [k](session& s) { return verify_ek(s, *k); });
  c->add_option("--cert", k->certificate,
                "The certificate, perhaps with intermediates: PEM, DER, or as read from NV")
      ->required();
  c->add_option("--ca", k->ca, "Folder of the CA certificates that are trusted")->required();
  c->add_flag("--partial-chain", k->partial_chain, "An intermediate without its root anchors, too");
  c->add_option("--crl", k->crls, "A CRL, PEM or DER; may be given several times");
  c->add_flag("--require-crls", k->require_crls, "Every issuer needs a CRL that is current");
  c->add_flag("--relaxed", k->relaxed, "The TPM's name and the EK usage may be missing");
  c->add_flag("--allow-expired", k->allow_expired, "Certificates may have expired");
  c->add_flag("--allow-sha1", k->allow_sha1, "Certificates may be signed with SHA-1");
}

} // namespace custos::cli
