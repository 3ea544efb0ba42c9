#pragma once
// Is an endorsement key trusted, now? (docs: attestation, "Trust in a TPM".) Pure.
//
// An EK is trusted when it is listed by itself, or when its certificate fits the EK profile and a
// chain from it to a configured TPM CA verifies. require_endorsement_keys: only listed keys.
// require_certificate_validation together with require_endorsement_keys: both. Neither listed nor
// vouched for by a CA is never trusted, whatever the settings say: there is no accept-all. Denied
// keys, and RSA keys of the generator of CVE-2017-15361, are never trusted whoever vouches.

#include "actors/attestation/trust_index.hpp"
#include "adapters/tpm/ek_certificate.hpp"
#include "adapters/tpm/structures.hpp"
#include "messages/config.hpp"

#include <optional>
#include <vector>

namespace custos::attestation {

/// What is presented for a TPM. What the views show must outlive it.
struct ek_claim {
  crypto::key ek_public;
  std::vector<bytes> chain; ///< DER: EK certificate first, then intermediates; may be empty
  byte_view ak_name = {};   ///< Name of the attestation key it is about; may be empty
};

/// The SHA-256 of the EK's SubjectPublicKeyInfo if it is trusted at `now`. error.check:
/// "ek-denied", "ak-denied" (a denial that names the attestation key), "ek-not-trusted".
result<crypto::sha256_digest> check_ek_trust(const ek_claim& claim, const trust_index& trust,
                                             crypto::unix_seconds now);

/// The judgement of an EK certificate, part by part; empty: that part holds.
struct ek_certificate_judgement {
  tpm::ek_certificate_facts facts;
  std::optional<error> strength;   ///< the key itself: CVE-2017-15361
  std::optional<error> chain;      ///< path, dates, signatures, usage of the CAs
  std::optional<error> revocation; ///< judged only if the chain holds
  std::optional<error> profile;    ///< of the CA that the path leads to
};
ek_certificate_judgement judge_ek_certificate(const crypto::certificate& leaf,
                                              const std::vector<crypto::certificate>& intermediates,
                                              const trust_index& trust, crypto::unix_seconds now);

} // namespace custos::attestation
