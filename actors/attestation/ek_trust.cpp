#include "actors/attestation/ek_trust.hpp"

#include "adapters/crypto/roca.hpp"

#include <utility>

namespace custos::attestation {

namespace {

constexpr const char* not_trusted_check = "ek-not-trusted";

error failed(const char* check, const char* field, std::string message) {
  error e = field_error(errc::attestation_failed, field, std::move(message));
  e.check = check;
  return e;
}

error not_trusted(std::string message) {
  return failed(not_trusted_check, "/ek_certificate", std::move(message));
}

error denied(const denial& d) {
  const bool by_ak = !d.ak_name.empty();
  auto message =
      std::string(by_ak ? "the attestation key" : "the TPM") + " is denied by \"" + d.name + "\"";
  if (!d.reason.empty())
    message += ": " + d.reason;
  return by_ak ? failed("ak-denied", "/ak_public", std::move(message))
               : failed("ek-denied", "/ek_public", std::move(message));
}

std::optional<error> weak_key(const crypto::key& ek) {
  if (ek.type() != crypto::key_type::rsa)
    return std::nullopt;
  const auto numbers = crypto::rsa_numbers_of(ek);
  if (!numbers)
    return failed("ek-denied", "/ek_public", numbers.failure().message);
  if (crypto::has_roca_mark(numbers->modulus))
    return failed("ek-denied", "/ek_public",
                  "the RSA key was made by the generator of CVE-2017-15361: its private key can be "
                  "computed; the TPM needs a firmware update and a new endorsement key");
  return std::nullopt;
}

/// As long as the facts are.
tpm_description with(tpm_description known, const tpm::ek_certificate_facts& facts) {
  known.manufacturer = facts.manufacturer;
  known.model = facts.model;
  known.firmware = facts.version;
  known.serial = facts.serial;
  return known;
}

/// A certificate of another key says nothing about this TPM, denied or not.
std::optional<tpm::ek_certificate_facts> facts_of(byte_view der, const crypto::key& ek) {
  const auto cert = crypto::certificate_from_nv(der);
  if (!cert || !cert->public_key().same_public(ek))
    return std::nullopt;
  return tpm::read_ek_facts(*cert);
}

/// By what is known without a certificate, by the one presented, and by the one that was imported
/// when the key was listed: a host that keeps its certificate to itself gains nothing by that.
result<void> check_denials(const ek_claim& claim, const crypto::sha256_digest& fingerprint,
                           const endorsement_key* listed, const trust_index& trust) {
  tpm_description known;
  known.ek_spki_sha256 = fingerprint;
  known.ak_name = claim.ak_name;
  if (const auto* const d = trust.denies(known); d != nullptr)
    return denied(*d);
  if (!trust.denies_by_certificate())
    return {};
  const auto check = [&](byte_view certificate) -> result<void> {
    const auto facts = facts_of(certificate, claim.ek_public);
    const auto* const d = facts ? trust.denies(with(known, *facts)) : nullptr;
    if (d != nullptr)
      return denied(*d);
    return {};
  };
  if (!claim.chain.empty())
    CUSTOS_CHECK(check(claim.chain.front()));
  if (listed != nullptr && listed->certificate)
    CUSTOS_CHECK(check(*listed->certificate));
  return {};
}

result<void> check_certificate(const ek_claim& claim, const trust_index& trust,
                               crypto::unix_seconds now) {
  if (claim.chain.empty())
    return not_trusted("the endorsement key is not listed and came without a certificate");
  if (trust.anchors().certificates().empty())
    return not_trusted("the endorsement key is not listed and no TPM CA is configured");
  std::vector<crypto::certificate> intermediates;
  for (const auto& der : claim.chain) {
    auto one = crypto::certificate_from_nv(der);
    if (!one)
      return not_trusted("the EK certificate chain does not parse: " + one.failure().message);
    intermediates.push_back(*std::move(one));
  }
  const auto leaf = intermediates.front();
  intermediates.erase(intermediates.begin());
  if (!leaf.public_key().same_public(claim.ek_public))
    return not_trusted("the EK certificate is for another key than the EK presented");
  auto judged = judge_ek_certificate(leaf, intermediates, trust, now);
  for (auto* const part : {&judged.chain, &judged.revocation, &judged.profile})
    if (*part)
      return std::move(**part);
  return {};
}

crypto::may_expire may_expire_by(certificate_dates dates) {
  switch (dates) {
  case certificate_dates::ek_may_expire:
    return crypto::may_expire::leaf;
  case certificate_dates::any_may_expire:
    return crypto::may_expire::any;
  case certificate_dates::enforced:
    break;
  }
  return crypto::may_expire::none;
}

} // namespace

ek_certificate_judgement judge_ek_certificate(const crypto::certificate& leaf,
                                              const std::vector<crypto::certificate>& intermediates,
                                              const trust_index& trust, crypto::unix_seconds now) {
  const auto& settings = trust.settings();
  ek_certificate_judgement out;
  out.strength = weak_key(leaf.public_key());
  crypto::verify_options options;
  options.now = now;
  options.expired = may_expire_by(settings.dates);
  options.allow_sha1 = settings.allow_sha1_certificates;
  auto profile = trust.profile_of_all();
  if (const auto path = trust.anchors().path(leaf, intermediates, options); path) {
    profile = trust.profile_below(path->back());
    const auto unrevoked =
        crypto::check_revocation(*path, trust.crls(),
                                 {.now = now,
                                  .require_current = settings.require_crls,
                                  .allow_sha1 = settings.allow_sha1_certificates});
    if (!unrevoked)
      out.revocation =
          not_trusted("the EK certificate or its chain: " + unrevoked.failure().message);
  } else {
    out.chain = not_trusted("the EK certificate does not lead to a trusted TPM CA: " +
                            path.failure().message);
  }
  out.facts = tpm::read_ek_facts(leaf);
  if (auto fits = tpm::check_ek_certificate(leaf, profile); !fits)
    out.profile = std::move(fits).failure();
  return out;
}

result<crypto::sha256_digest> check_ek_trust(const ek_claim& claim, const trust_index& trust,
                                             crypto::unix_seconds now) {
  const auto fingerprint = crypto::sha256(claim.ek_public.spki_der());
  const auto& settings = trust.settings();
  const auto* const listed = trust.listed(fingerprint);
  if (auto weak = weak_key(claim.ek_public); weak)
    return *std::move(weak);
  CUSTOS_CHECK(check_denials(claim, fingerprint, listed, trust));
  if (settings.require_endorsement_keys && listed == nullptr)
    return not_trusted("only listed endorsement keys are accepted and this one is not listed "
                       "(SHA-256 of its public key: " +
                       crypto::hex(fingerprint) + ")");
  const bool by_list_alone = listed != nullptr && !(settings.require_endorsement_keys &&
                                                    settings.require_certificate_validation);
  if (!by_list_alone)
    CUSTOS_CHECK(check_certificate(claim, trust, now));
  return fingerprint;
}

} // namespace custos::attestation
