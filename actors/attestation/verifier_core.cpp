#include "actors/attestation/verifier_core.hpp"

#include "actors/attestation/token.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/tpm/make_credential.hpp"
#include "messages/config_commands.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace custos::attestation {

namespace {

constexpr std::size_t known_aks_max = 4096;
constexpr std::size_t credential_secret_bytes = 32;
constexpr std::int64_t clock_skew_s = 300;
/// A chain is verified again after this: certificates expire while a snapshot stands.
constexpr std::int64_t ek_trust_life_s = 60;
/// A longer IMA log is judged, but not kept with the evidence.
constexpr std::size_t kept_ima_log_bytes_max = 1U << 20U;

error check_error(const char* check, const char* field, std::string message) {
  error e = field_error(errc::attestation_failed, field, std::move(message));
  e.check = check;
  return e;
}

/// What parsers and matchers say is about the field of the evidence that they were given.
template <class T>
result<T> about(const char* field, result<T> r) {
  if (!r && r.failure().field.empty())
    r.failure().field = field;
  return r;
}

/// Check 1.
result<void> check_sizes(const evidence& e, const attestation_settings& s) {
  std::size_t total = e.ak_certificate.size() + e.quote.size() + e.signature.size() +
                      e.event_log.size() + e.transport_key.size() + e.ima_log.size();
  for (const auto& p : e.pcrs)
    total += p.value.size();
  if (total > s.evidence_bytes_max)
    return check_error("evidence-size", "",
                       "expected evidence of at most " + std::to_string(s.evidence_bytes_max) +
                           " bytes");
  if (e.event_log.size() > s.event_log_bytes_max)
    return check_error("evidence-size", "/event_log",
                       "expected an event log of at most " + std::to_string(s.event_log_bytes_max) +
                           " bytes");
  if (e.ima_log.size() > s.ima_log_bytes_max)
    return check_error("evidence-size", "/ima_log",
                       "expected an IMA log of at most " + std::to_string(s.ima_log_bytes_max) +
                           " bytes");
  return {};
}

result<tpm::attest> check_quote(const evidence& e, const ak_identity& ak,
                                const crypto::sha256_digest& binding, bool allow_sha1) {
  CUSTOS_TRY(auto quote, about("/quote", tpm::parse_quote(e.quote)));                       // 4, 5
  CUSTOS_TRY(const auto signature, about("/signature", tpm::parse_signature(e.signature))); // 6
  CUSTOS_CHECK(
      about("/signature", tpm::verify_quote_signature(ak.ak, e.quote, signature, allow_sha1)));
  if (!crypto::equal(quote.extra_data, binding)) // 7
    return check_error("quote-binding", "/quote",
                       "the quote is for another challenge or another transport key");
  return quote;
}

/// Check 10.
result<void> check_digest(const evidence& e, const tpm::attest& quote, const ak_identity& ak) {
  CUSTOS_TRY(const auto digest, about("/pcrs", tpm::pcr_composite_digest(ak.ak.scheme->hash,
                                                                         quote.selection, e.pcrs)));
  if (crypto::equal(digest, quote.pcr_digest))
    return {};
  auto failed = check_error("pcr-digest", "/pcrs", "the PCR values are not those that were quoted");
  failed.retryable = true; // they may have moved between read and quote
  return failed;
}

} // namespace

std::size_t verifier_core::digest_hash::operator()(const crypto::sha256_digest& d) const {
  std::size_t h = 0;
  std::memcpy(&h, d.data(), sizeof h);
  return h;
}

challenge verifier_core::make_challenge(const config_ptr& config, std::int64_t now) const {
  return make_ticket(keys_->challenge_key->reveal_secret(), now, config->settings.challenge_life_s);
}

result<attestation_key_issued>
verifier_core::issue_attestation_key(const attestation_key_request& request,
                                     const config_ptr& config, std::int64_t now) {
  if (!is_host_name(request.host))
    return field_error(errc::invalid_argument, "/host",
                       "expected a host id: 1 to 128 of A-Z a-z 0-9 . _ -");
  auto ek = tpm::parse_public(request.ek_public);
  if (!ek)
    return field_error(errc::invalid_argument, "/ek_public", ek.failure().message);
  CUSTOS_CHECK(about("/ek_public", tpm::check_endorsement_key(*ek)));
  ak_identity who;
  if (request.ek_intermediates.size() >= ek_chain_certificates_max)
    return field_error(errc::too_large, "/ek_intermediates", "expected at most 5 certificates");
  if (!request.ek_certificate.empty()) {
    CUSTOS_TRY(const auto leaf,
               about("/ek_certificate", crypto::certificate_from_nv(request.ek_certificate)));
    who.ek_chain.push_back(leaf.der());
    who.ek_chain.insert(who.ek_chain.end(), request.ek_intermediates.begin(),
                        request.ek_intermediates.end());
  }
  auto ak = tpm::parse_public(request.ak_public);
  if (!ak)
    return field_error(errc::invalid_argument, "/ak_public", ak.failure().message);
  CUSTOS_TRY(const auto fingerprint,
             check_ek_trust({ek->key, who.ek_chain, ak->name}, *trust_.at(config), now));
  CUSTOS_CHECK(about("/ak_public", tpm::check_attestation_key(*ak, config->settings.allow_sha1)));
  CUSTOS_TRY(const bool bound, check_host(request.host, fingerprint, ak->name, *config));
  static_cast<void>(bound); // that comes with the first attestation, which proves possession
  who.host = request.host;
  who.ak = *std::move(ak);
  who.ek_spki = ek->key.spki_der();
  who.not_before = now - clock_skew_s;
  who.not_after = now + config->settings.ak_certificate_life_s;
  CUSTOS_TRY(const auto certificate,
             issue_ak_certificate(who, keys_->ak_ca_key, keys_->ak_ca_certificate));
  const auto secret = crypto::random_secret(credential_secret_bytes);
  CUSTOS_TRY(auto credential, tpm::make_credential(*ek, who.ak.name, secret.reveal_secret()));
  attestation_key_issued out;
  CUSTOS_TRY(out.encrypted_certificate,
             encrypt_ak_certificate(secret.reveal_secret(), certificate.der()));
  out.credential_blob = std::move(credential.id_object);
  out.encrypted_secret = std::move(credential.encrypted_secret);
  return out;
}

result<verifier_core::known_ak*> verifier_core::find_ak(const evidence& e, std::int64_t now) {
  const auto id = crypto::sha256(e.ak_certificate);
  auto found = known_.find(id);
  if (found == known_.end()) {
    CUSTOS_TRY(auto identity, read_ak_certificate(e.ak_certificate, keys_->ak_ca_certificate));
    known_ak fresh;
    fresh.ek_spki_sha256 = crypto::sha256(identity.ek_spki);
    fresh.identity = std::move(identity);
    if (known_.size() >= known_aks_max)
      known_.erase(known_.begin());
    found = known_.emplace(id, std::move(fresh)).first;
  }
  auto& known = found->second;
  if (now < known.identity.not_before || now >= known.identity.not_after)
    return check_error("ak-certificate", "/ak_certificate",
                       "the AK certificate is not valid now; enrol again");
  if (known.identity.host != e.host)
    return check_error("ak-certificate", "/host", "the AK certificate is for another host");
  return &known;
}

/// The EK that the AK stands for is trusted now, not only when the AK was certified.
result<void> verifier_core::check_ek_of(known_ak& known, const config_ptr& config,
                                        std::int64_t now) {
  const auto& trust = trust_.at(config);
  if (known.trusted_in == trust && now < known.trusted_until)
    return {};
  CUSTOS_TRY(const auto ek_public, crypto::public_key_from_spki(known.identity.ek_spki));
  CUSTOS_TRY(
      const auto fingerprint,
      check_ek_trust({ek_public, known.identity.ek_chain, known.identity.ak.name}, *trust, now));
  static_cast<void>(fingerprint);
  known.trusted_in = trust;
  known.trusted_until = now + ek_trust_life_s;
  return {};
}

result<bool> verifier_core::check_host(const host_id& host, const crypto::sha256_digest& ek,
                                       byte_view ak_name, const config_snapshot& config) {
  const auto bound = config.hosts.find(host);
  if (bound == config.hosts.end())
    return false;
  const auto& binding = bound->second;
  if (binding.quarantined)
    return check_error("host-quarantined", "/host", "the host is quarantined");
  if (!crypto::equal(binding.ek_spki_sha256, ek))
    return check_error("host-binding", "/host", "the host id is bound to another endorsement key");
  if (!binding.ak_name.empty() && !crypto::equal(binding.ak_name, ak_name))
    return check_error("host-binding", "/host",
                       "the host is bound to another attestation key: an administrator must forget "
                       "the host before it can have a new one");
  return true;
}

result<void> verifier_core::read_transport_key(known_ak& known, const bytes& spki) {
  if (!spki.empty() && known.transport_spki == spki)
    return {};
  const auto key = crypto::public_key_from_spki(spki);
  if (!key || key->type() != crypto::key_type::p256)
    return field_error(errc::invalid_argument, "/transport_key", "expected a P-256 public key");
  CUSTOS_TRY(const auto thumbprint, jose::thumbprint_digest(*key));
  std::copy(thumbprint.begin(), thumbprint.end(), known.transport_thumbprint.begin());
  known.transport_spki = spki;
  return {};
}

const boot_policy& verifier_core::present_policy(const config_ptr& config) {
  if (!policy_ || !policy_->images().is_of(config->base_images))
    policy_ = shared_.policies->of(config);
  return *policy_;
}

result<appraisal> verifier_core::run_checks(const evidence& e, const config_ptr& config,
                                            std::int64_t now, progress& reached) {
  const auto& settings = config->settings;
  const auto& policy = present_policy(config);
  CUSTOS_CHECK(check_sizes(e, settings)); // 1
  CUSTOS_TRY(const auto ticket,
             check_ticket(keys_->challenge_key->reveal_secret(), e.ticket, now)); // 2
  CUSTOS_CHECK(used_.use(ticket, now));
  CUSTOS_TRY(auto* const known, find_ak(e, now)); // 3
  reached.of_host = true;
  CUSTOS_CHECK(check_ek_of(*known, config, now));
  const auto& ak = known->identity.ak;
  CUSTOS_TRY(const bool bound, check_host(e.host, known->ek_spki_sha256, ak.name, *config));
  CUSTOS_CHECK(read_transport_key(*known, e.transport_key));
  CUSTOS_TRY(const auto quote, check_quote(e, known->identity,
                                           quote_binding(ticket.nonce, known->transport_thumbprint),
                                           settings.allow_sha1)); // 4 to 7
  const auto banks = quoted_banks(quote, e.pcrs);
  CUSTOS_CHECK(policy.images().check_selection(banks)); // 8
  CUSTOS_CHECK(
      check_digest(e, quote, known->identity)); // 10: the values are the TPM's from here on
  reached.authentic = true;
  appraisal out;
  auto clock = shared_.hosts->see_clock(e.host, ak.name, quote.clock, settings.require_safe_clock,
                                        now); // 11
  if (!clock && std::find(settings.audit_only.begin(), settings.audit_only.end(),
                          clock.failure().check) == settings.audit_only.end())
    return clock.failure();
  attested_boot boot;
  boot.banks = banks;
  boot.event_log = e.event_log;
  boot.ima_log = e.ima_log;
  boot.ima_first = e.ima_first;
  boot.ak_name = ak.name;
  boot.reset_count = quote.clock.reset_count;
  if (e.ima_first != 0)
    boot.ima = shared_.hosts->ima_of(e.host);
  out.event_log_sha256 = crypto::sha256(e.event_log);
  keep_evidence(e, out.event_log_sha256, quote.clock.reset_count, now);
  CUSTOS_TRY(out.boot, judge_boot(boot, policy, settings)); // 9, 12 to 17
  if (!clock)
    out.boot.findings.push_back({clock.failure().check, clock.failure().message});
  out.image = out.boot.image;
  out.ek_spki_sha256 = known->ek_spki_sha256;
  out.key_thumbprint = known->transport_thumbprint;
  out.nonce.assign(ticket.nonce.begin(), ticket.nonce.end());
  out.ak_name = ak.name;
  out.reset_count = quote.clock.reset_count;
  out.restart_count = quote.clock.restart_count;
  out.unbound = !bound;
  return out;
}

/// What was authenticated is kept where it differs from what is kept already; PCR 10 changes all
/// the time where there is IMA, and is no reason.
void verifier_core::keep_evidence(const evidence& e, const crypto::sha256_digest& event_log,
                                  std::uint32_t reset_count, std::int64_t now) {
  if (!shared_.changed)
    return;
  crypto::sha256_digest id = event_log;
  for (const auto& v : e.pcrs)
    if (v.pcr != 10)
      crypto::digest_into(crypto::hash_alg::sha256, {id, v.value}, id);
  if (!shared_.hosts->is_new_evidence(e.host, id))
    return;
  auto kept = std::make_shared<kept_evidence>();
  kept->host = e.host;
  kept->at = now;
  kept->ak_certificate = e.ak_certificate;
  kept->pcrs = e.pcrs;
  kept->event_log = e.event_log;
  if (e.ima_first == 0 && e.ima_log.size() <= kept_ima_log_bytes_max)
    kept->ima_log = e.ima_log;
  kept->reset_count = reset_count;
  shared_.changed(e.host, std::move(kept));
}

void verifier_core::note(const evidence& e, const progress& reached,
                         const result<appraisal>& outcome, std::int64_t now) {
  if (!reached.of_host)
    return; // somebody said this name: that says nothing of the host
  host_verdict v;
  v.at = now;
  v.authentic = reached.authentic;
  if (outcome) {
    v.accepted = true;
    v.image = outcome->image->name;
    v.image_version = outcome->image->version;
    v.findings = outcome->boot.findings;
    v.watched_images = outcome->boot.watched;
    if (outcome->boot.ima)
      shared_.hosts->remember_ima(e.host, outcome->boot.ima->state);
  } else {
    const auto& why = outcome.failure();
    v.check = why.check.empty() ? std::string(to_string(why.code)) : why.check;
    v.message = why.message;
    v.pcr = why.pcr;
    v.event = why.event;
    v.retryable = why.retryable;
  }
  shared_.hosts->settle(e.host, std::move(v));
  if (shared_.changed)
    shared_.changed(e.host, nullptr);
}

result<appraisal> verifier_core::appraise(const evidence& e, const config_ptr& config,
                                          std::int64_t now) {
  progress reached;
  // A check that cannot be made is a failure on record, too (CVE-2022-3500).
  auto outcome = [&]() -> result<appraisal> {
    try {
      return run_checks(e, config, now, reached);
    } catch (const std::exception& thrown) {
      return make_error(errc::internal, std::string("appraisal: ") + thrown.what());
    }
  }();
  note(e, reached, outcome, now);
  return outcome;
}

result<bool> verifier_core::check_bound(const host_id& host, const appraisal& found,
                                        const config_ptr& config) {
  CUSTOS_TRY(const bool bound, check_host(host, found.ek_spki_sha256, found.ak_name, *config));
  if (!bound)
    return check_error("host-binding", "/host", "the host was forgotten meanwhile; attest again");
  return true;
}

void verifier_core::take_back(const evidence& e, const error& why, std::int64_t now) {
  note(e, {true, true}, why, now);
}

result<attestation_granted> verifier_core::issue(const appraisal& found, const evidence& e,
                                                 const config_ptr& config, std::int64_t now) {
  token_claims claims;
  claims.issuer = keys_->issuer;
  claims.host = e.host;
  claims.issued = now;
  claims.expires = now + config->settings.token_life_s;
  claims.id = crypto::base64url(crypto::random_bytes(16));
  claims.nonce = found.nonce;
  claims.key_thumbprint = found.key_thumbprint;
  claims.ek_spki_sha256 = found.ek_spki_sha256;
  claims.image = found.image->name;
  claims.image_version = found.image->version;
  claims.bank = found.image->bank;
  for (const auto& p : found.image->pcrs)
    (p.form == pcr_form::ignored ? claims.pcrs_ignored : claims.pcrs_used).push_back(p.pcr);
  claims.event_log_sha256 = found.event_log_sha256;
  claims.ak_name = found.ak_name;
  claims.reset_count = found.reset_count;
  claims.restart_count = found.restart_count;
  claims.secure_boot = found.boot.secure_boot;
  if (found.boot.ima) {
    claims.ima_entries = found.boot.ima->state.entries;
    claims.ima_ignored = found.image->ima->ignored;
  }
  claims.findings = found.boot.findings;
  claims.config_fingerprint = config->fingerprint;
  attestation_granted out;
  const auto& by = token_keys_.get(config).signer_at(now);
  CUSTOS_TRY(out.token, make_token(claims, by, config->settings.ear_claims));
  out.expires = claims.expires;
  if (e.reporting) {
    claims.audience = reporting_audience;
    claims.expires = now + config->settings.reporting_token_life_s;
    claims.id = crypto::base64url(crypto::random_bytes(16));
    CUSTOS_TRY(out.reporting_token, make_token(claims, by, config->settings.ear_claims));
  }
  out.image = claims.image;
  out.image_version = claims.image_version;
  if (found.boot.ima)
    out.ima_entries = found.boot.ima->state.entries;
  return out;
}

result<attestation_granted> verifier_core::grant(const evidence& e, const config_ptr& config,
                                                 std::int64_t now) {
  CUSTOS_TRY(const auto found, appraise(e, config, now));
  return issue(found, e, config, now);
}

} // namespace custos::attestation
