#include "actors/attestation/verifier_core.hpp"

#include "actors/attestation/token.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/tpm/make_credential.hpp"

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
constexpr std::size_t host_bytes_max = 128;

error check_error(const char* check, const char* field, std::string message) {
  error e = field_error(errc::attestation_failed, field, std::move(message));
  e.check = check;
  return e;
}

bool good_host(const std::string& host) {
  if (host.empty() || host.size() > host_bytes_max)
    return false;
  return std::all_of(host.begin(), host.end(),
                     [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
                     }) &&
         host.front() != '.';
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
                      e.event_log.size() + e.transport_key.size();
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
  return {};
}

const quoted_bank* find_bank(const std::vector<quoted_bank>& banks, crypto::hash_alg alg) {
  for (const auto& b : banks)
    if (b.alg == alg)
      return &b;
  return nullptr;
}

/// Check 8: at least one image can be judged from what was signed.
result<void> check_selection(const config_snapshot& config, const std::vector<quoted_bank>& banks) {
  std::optional<error> first;
  for (const auto& [name, image] : config.base_images) {
    const auto alg = bank_of(image);
    const auto* const bank = alg ? find_bank(banks, *alg) : nullptr;
    const std::uint32_t missing = pcrs_of(image) & ~(bank == nullptr ? 0 : bank->mask);
    if (missing == 0)
      return {};
    if (first)
      continue;
    std::uint32_t pcr = 0;
    while (((missing >> pcr) & 1U) == 0)
      ++pcr;
    first = check_error("pcr-selection", "/quote",
                        "the quote does not cover PCR " + std::to_string(pcr) + " in bank " +
                            image.bank + ", which base image " + name + " needs");
    first->pcr = pcr;
  }
  if (first)
    return *std::move(first);
  return {}; // no image at all: check 15 says so
}

/// Check 9: every bank that the log says is active and that we accept is quoted and was extended.
result<void> check_banks(const eventlog::parsed_log& log, const std::vector<quoted_bank>& banks,
                         bool allow_sha1) {
  for (const auto& active : log.banks) {
    const auto alg = static_cast<crypto::hash_alg>(active.alg);
    const bool known = alg == crypto::hash_alg::sha256 || alg == crypto::hash_alg::sha384 ||
                       alg == crypto::hash_alg::sha512 ||
                       (alg == crypto::hash_alg::sha1 && allow_sha1);
    if (known && find_bank(banks, alg) == nullptr)
      return check_error("pcr-bank", "/quote",
                         "the bank " + std::string(crypto::to_string(alg)) +
                             " is active but not quoted");
  }
  for (const auto& b : banks)
    CUSTOS_CHECK(about("/pcrs", check_extended(b)));
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

/// Checks 13 to 15 against every image; the nearest explains a refusal.
result<const base_image*> check_images(const config_snapshot& config,
                                       const eventlog::parsed_log& log,
                                       const std::vector<quoted_bank>& banks) {
  // Only banks that decide are replayed, and SHA-1 decides only where it is allowed by name.
  std::vector<crypto::hash_alg> algs;
  for (const auto& b : banks)
    if (log.bank_index(b.alg) && (b.alg != crypto::hash_alg::sha1 || config.settings.allow_sha1) &&
        std::any_of(config.base_images.begin(), config.base_images.end(), [&](const auto& image) {
          return image.second.bank == crypto::to_string(b.alg);
        }))
      algs.push_back(b.alg);
  CUSTOS_TRY(const auto replayed, about("/event_log", eventlog::replay(log, algs)));
  std::optional<mismatch> nearest;
  for (const auto& [name, image] : config.base_images) {
    const auto alg = bank_of(image);
    const auto* const quoted = alg ? find_bank(banks, *alg) : nullptr;
    const auto* const bank = alg ? replayed.find(*alg) : nullptr;
    if (quoted == nullptr || bank == nullptr || (pcrs_of(image) & ~quoted->mask) != 0 ||
        image.pcrs.empty())
      continue;
    auto m = match_image(image, *quoted, log, *bank);
    if (!m)
      return &image;
    if (!nearest || m->matched_events > nearest->matched_events)
      nearest = std::move(m);
  }
  if (nearest)
    return about("/event_log", result<const base_image*>(std::move(nearest->why)));
  return check_error("base-image", "", "no base image is configured that this host could match");
}

result<void> check_host(const evidence& e, const crypto::sha256_digest& ek,
                        const config_snapshot& config) {
  const auto bound = config.hosts.find(e.host);
  if (bound == config.hosts.end())
    return {};
  if (bound->second.quarantined)
    return check_error("host-quarantined", "/host", "the host is quarantined");
  if (!crypto::equal(bound->second.ek_spki_sha256, ek))
    return check_error("host-binding", "/host", "the host id is bound to another endorsement key");
  return {};
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
  if (!good_host(request.host))
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
  evidence as_host;
  as_host.host = request.host;
  CUSTOS_CHECK(check_host(as_host, fingerprint, *config));
  CUSTOS_CHECK(about("/ak_public", tpm::check_attestation_key(*ak)));
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

result<verifier_core::known_ak*>
verifier_core::check_ak(const evidence& e, const config_ptr& config, std::int64_t now) {
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
  const auto& trust = trust_.at(config);
  if (known.trusted_in != trust || now >= known.trusted_until) {
    CUSTOS_TRY(const auto ek_public, crypto::public_key_from_spki(known.identity.ek_spki));
    CUSTOS_TRY(
        const auto fingerprint,
        check_ek_trust({ek_public, known.identity.ek_chain, known.identity.ak.name}, *trust, now));
    static_cast<void>(fingerprint);
    known.trusted_in = trust;
    known.trusted_until = now + ek_trust_life_s;
  }
  return &known;
}

result<appraisal> verifier_core::appraise(const evidence& e, const config_ptr& config,
                                          std::int64_t now) {
  const auto& settings = config->settings;
  CUSTOS_CHECK(check_sizes(e, settings)); // 1
  CUSTOS_TRY(const auto ticket,
             check_ticket(keys_->challenge_key->reveal_secret(), e.ticket, now)); // 2
  CUSTOS_CHECK(used_.use(ticket, now));
  CUSTOS_TRY(auto* const known, check_ak(e, config, now)); // 3
  CUSTOS_CHECK(check_host(e, known->ek_spki_sha256, *config));
  auto transport = crypto::public_key_from_spki(e.transport_key);
  if (!transport || transport->type() != crypto::key_type::p256)
    return field_error(errc::invalid_argument, "/transport_key", "expected a P-256 public key");
  CUSTOS_TRY(const auto thumbprint, jose::thumbprint_digest(*transport));
  CUSTOS_TRY(const auto quote,
             check_quote(e, known->identity, quote_binding(ticket.nonce, thumbprint),
                         settings.allow_sha1));
  const auto banks = quoted_banks(quote, e.pcrs);
  CUSTOS_CHECK(check_selection(*config, banks)); // 8
  CUSTOS_CHECK(
      check_digest(e, quote, known->identity)); // 10: the values are the TPM's from here on
  eventlog::limits limits;
  limits.log_bytes_max = settings.event_log_bytes_max;
  limits.events_max = settings.events_max;
  CUSTOS_TRY(const auto log, about("/event_log", eventlog::parse(e.event_log, limits))); // 12
  if (!log.crypto_agile && !settings.allow_sha1)
    return check_error("event-log-malformed", "/event_log",
                       "the event log has the old SHA-1 form, which is not allowed");
  CUSTOS_CHECK(check_banks(log, banks, settings.allow_sha1));             // 9
  CUSTOS_TRY(const auto* const image, check_images(*config, log, banks)); // 13, 14, 15
  appraisal out;
  out.image = image;
  out.ek_spki_sha256 = known->ek_spki_sha256;
  std::copy(thumbprint.begin(), thumbprint.end(), out.key_thumbprint.begin());
  out.nonce.assign(ticket.nonce.begin(), ticket.nonce.end());
  out.ak_name = known->identity.ak.name;
  out.reset_count = quote.clock.reset_count;
  return out;
}

result<attestation_granted> verifier_core::grant(const evidence& e, const config_ptr& config,
                                                 std::int64_t now) {
  CUSTOS_TRY(auto found, appraise(e, config, now));
  token_claims claims;
  claims.issuer = keys_->issuer;
  claims.host = e.host;
  claims.issued = now;
  claims.expires = now + config->settings.token_life_s;
  claims.id = crypto::base64url(crypto::random_bytes(16));
  claims.nonce = std::move(found.nonce);
  claims.key_thumbprint = found.key_thumbprint;
  claims.ek_spki_sha256 = found.ek_spki_sha256;
  claims.image = found.image->name;
  claims.image_version = found.image->version;
  claims.bank = found.image->bank;
  for (const auto& p : found.image->pcrs)
    (p.form == pcr_form::ignored ? claims.pcrs_ignored : claims.pcrs_used).push_back(p.pcr);
  claims.event_log_sha256 = crypto::sha256(e.event_log);
  claims.ak_name = std::move(found.ak_name);
  claims.reset_count = found.reset_count;
  attestation_granted out;
  CUSTOS_TRY(out.token, make_token(claims, keys_->token_key, keys_->token_kid));
  out.expires = claims.expires;
  out.image = claims.image;
  out.image_version = claims.image_version;
  return out;
}

} // namespace custos::attestation
