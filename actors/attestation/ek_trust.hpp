#pragma once
// Is an endorsement key trusted, now? (docs: attestation, "Trust in a TPM".) Pure.
//
// An EK is trusted when it is listed by itself, or when its certificate fits the EK profile and a
// chain from it to a configured TPM CA verifies. require_endorsement_keys: only listed keys.
// require_certificate_validation together with require_endorsement_keys: both. Neither listed nor
// vouched for by a CA is never trusted, whatever the settings say: there is no accept-all.

#include "adapters/crypto/x509.hpp"
#include "adapters/tpm/structures.hpp"
#include "messages/config.hpp"

#include <vector>

namespace custos::attestation {

/// The configured TPM CAs, parsed once per configuration snapshot.
class trust_index {
public:
  /// Rebuilds when the snapshot is another one. Certificates in a snapshot have been validated when
  /// they were written; one that does not parse any more anchors nothing.
  void update(const config_ptr& snapshot);
  [[nodiscard]] const std::vector<crypto::certificate>& anchors() const { return anchors_; }
  [[nodiscard]] const config_snapshot& snapshot() const { return *snapshot_; }
  [[nodiscard]] const config_ptr& present() const { return snapshot_; }

private:
  config_ptr snapshot_;
  std::vector<crypto::certificate> anchors_;
};

/// What is presented for a TPM.
struct ek_claim {
  crypto::key ek_public;
  std::vector<bytes> chain; ///< DER: EK certificate first, then intermediates; may be empty
};

/// The SHA-256 of the EK's SubjectPublicKeyInfo if it is trusted at `now`; error.check
/// "ek-not-trusted".
result<crypto::sha256_digest> check_ek_trust(const ek_claim& claim, const trust_index& trust,
                                             crypto::unix_seconds now);

} // namespace custos::attestation
