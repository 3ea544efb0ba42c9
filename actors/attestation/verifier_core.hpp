#pragma once
// The Verifier (RFC 9334): enrolment of attestation keys and appraisal of evidence. No clock, no
// I/O, no CAF: time and configuration are passed in. One per verifier actor, not thread-safe: it
// remembers parsed certificates and used tickets.

#include "actors/attestation/ak_certificate.hpp"
#include "actors/attestation/ek_trust.hpp"
#include "actors/attestation/image_match.hpp"
#include "actors/attestation/ticket.hpp"
#include "messages/attestation.hpp"
#include "messages/config.hpp"

#include <memory>
#include <string>
#include <unordered_map>

namespace custos::attestation {

/// Keys and names of the cluster that the verifier works with; the same on every node.
struct verifier_keys {
  crypto::secret_ptr challenge_key;
  crypto::key ak_ca_key;
  crypto::certificate ak_ca_certificate;
  crypto::key token_key;
  std::string token_kid;
  std::string issuer;
};

/// What was found when evidence passed all checks.
struct appraisal {
  const base_image* image = nullptr; ///< of the snapshot appraised against
  crypto::sha256_digest ek_spki_sha256{};
  crypto::sha256_digest key_thumbprint{};
  bytes nonce;
  bytes ak_name;
  std::uint32_t reset_count = 0;
};

/// Checks, by number in docs/attestation.md, and their stable names: 1 evidence-size; 2
/// ticket-invalid, ticket-expired, ticket-replayed; 3 ak-certificate, ek-not-trusted, host-binding,
/// host-quarantined; 4 quote-magic; 5 quote-type, quote-malformed; 6 quote-signature; 7
/// quote-binding; 8 pcr-selection; 9 pcr-bank; 10 pcr-digest; 12 event-log-size,
/// event-log-malformed; 13 event-log-replay; 14 event-data; 15 base-image.
class verifier_core {
public:
  /// What is made of the configuration once is shared by all that have the same source.
  explicit verifier_core(
      std::shared_ptr<const verifier_keys> keys,
      std::shared_ptr<const trust_source> trust = std::make_shared<trust_source>())
      : keys_(std::move(keys)), trust_(std::move(trust)) {}

  challenge make_challenge(const config_ptr& config, std::int64_t now) const;
  result<attestation_key_issued> issue_attestation_key(const attestation_key_request& request,
                                                       const config_ptr& config, std::int64_t now);
  /// All checks in their order; the first that says no is the answer.
  result<appraisal> appraise(const evidence& e, const config_ptr& config, std::int64_t now);
  /// Appraisal and the token.
  result<attestation_granted> grant(const evidence& e, const config_ptr& config, std::int64_t now);

private:
  struct known_ak {
    ak_identity identity;
    crypto::sha256_digest ek_spki_sha256{};
    trust_ptr trusted_in;           ///< what the EK was last found trusted by
    std::int64_t trusted_until = 0; ///< and until when that finding is believed
  };
  struct digest_hash {
    std::size_t operator()(const crypto::sha256_digest& d) const;
  };

  result<known_ak*> check_ak(const evidence& e, const config_ptr& config, std::int64_t now);

  std::shared_ptr<const verifier_keys> keys_;
  trust_reader trust_;
  used_tickets used_;
  std::unordered_map<crypto::sha256_digest, known_ak, digest_hash> known_;
};

} // namespace custos::attestation
