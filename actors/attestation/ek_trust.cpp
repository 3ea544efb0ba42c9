#include "actors/attestation/ek_trust.hpp"

#include "adapters/tpm/ek_certificate.hpp"

namespace custos::attestation {

namespace {

error not_trusted(std::string message) {
  error e = field_error(errc::attestation_failed, "/ek_certificate", std::move(message));
  e.check = "ek-not-trusted";
  return e;
}

bool is_listed(const crypto::sha256_digest& fingerprint, const config_snapshot& config) {
  for (const auto& [name, key] : config.endorsement_keys)
    if (crypto::equal(key.spki_sha256, fingerprint))
      return true;
  return false;
}

result<void> check_certificate(const ek_claim& claim, const trust_index& trust,
                               crypto::unix_seconds now) {
  if (claim.chain.empty())
    return not_trusted("the endorsement key is not listed and came without a certificate");
  if (trust.anchors().empty())
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
  CUSTOS_TRY(const auto facts, tpm::check_ek_certificate(leaf));
  static_cast<void>(facts);
  crypto::verify_options options;
  options.now = now;
  options.ignore_unknown_critical = true; // judged by check_ek_certificate
  if (auto verified = crypto::verify_chain(leaf, intermediates, trust.anchors(), options);
      !verified)
    return not_trusted("the EK certificate does not lead to a trusted TPM CA: " +
                       verified.failure().message);
  return {};
}

} // namespace

void trust_index::update(const config_ptr& snapshot) {
  if (snapshot == snapshot_)
    return;
  snapshot_ = snapshot;
  anchors_.clear();
  for (const auto& [name, ca] : snapshot_->tpm_cas)
    for (const auto& der : ca.certificates)
      if (auto parsed = crypto::certificate_from_der(der); parsed)
        anchors_.push_back(*std::move(parsed));
}

result<crypto::sha256_digest> check_ek_trust(const ek_claim& claim, const trust_index& trust,
                                             crypto::unix_seconds now) {
  const auto fingerprint = crypto::sha256(claim.ek_public.spki_der());
  const auto& settings = trust.snapshot().settings;
  const bool listed = is_listed(fingerprint, trust.snapshot());
  if (settings.require_endorsement_keys && !listed)
    return not_trusted("only listed endorsement keys are accepted and this one is not listed "
                       "(SHA-256 of its public key: " +
                       crypto::hex(fingerprint) + ")");
  const bool by_list_alone =
      listed && !(settings.require_endorsement_keys && settings.require_certificate_validation);
  if (!by_list_alone)
    CUSTOS_CHECK(check_certificate(claim, trust, now));
  return fingerprint;
}

} // namespace custos::attestation
