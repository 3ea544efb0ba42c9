#pragma once
// The Verifier (RFC 9334): enrolment of attestation keys and appraisal of evidence. No clock, no
// I/O, no CAF: time and configuration are passed in. One per verifier actor, not thread-safe: it
// remembers parsed certificates and used tickets.

#include "actors/attestation/ak_certificate.hpp"
#include "actors/attestation/boot_judgement.hpp"
#include "actors/attestation/ek_trust.hpp"
#include "actors/attestation/host_table.hpp"
#include "actors/attestation/ticket.hpp"
#include "actors/attestation/token_keyring.hpp"
#include "messages/attestation.hpp"
#include "messages/config.hpp"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace custos::attestation {

/// Keys and names of the cluster that the verifier works with; the same on every node.
struct verifier_keys {
  crypto::secret_ptr challenge_key;
  crypto::key ak_ca_key;
  crypto::certificate ak_ca_certificate;
  std::shared_ptr<token_keyring_source> token_keys;
  std::string issuer;
};

/// What was found when evidence passed all checks.
struct appraisal {
  std::shared_ptr<const base_image> image;
  boot_judgement boot;
  crypto::sha256_digest ek_spki_sha256{};
  crypto::sha256_digest key_thumbprint{};
  crypto::sha256_digest event_log_sha256{};
  bytes nonce;
  bytes ak_name;
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
  /// The host has no binding yet: it must have one (this host, EK and AK) before it gets a token.
  bool unbound = false;
};

/// What all verifiers of a node share.
struct verifier_shared {
  std::shared_ptr<host_table> hosts = std::make_shared<host_table>();
  std::shared_ptr<boot_policy_source> policies = std::make_shared<boot_policy_source>();
  std::shared_ptr<const trust_source> trust = std::make_shared<const trust_source>();
  /// Told when the record of a host changed, with the evidence if that is to be kept. May be empty.
  std::function<void(const host_id&, std::shared_ptr<const kept_evidence>)> changed;
};

/// Checks, by number in docs/attestation.md, and their stable names: 1 evidence-size; 2
/// ticket-invalid, ticket-expired, ticket-replayed; 3 ak-certificate, ek-not-trusted, host-binding,
/// host-quarantined; 4 quote-magic; 5 quote-type, quote-malformed; 6 quote-signature; 7
/// quote-binding; 8 pcr-selection; 9 pcr-bank; 10 pcr-digest; 11 clock; 12 event-log-size,
/// event-log-malformed; 13 event-log-replay; 14 event-data; 15 base-image; 16 secure-boot; 17
/// ima-log.
class verifier_core {
public:
  explicit verifier_core(std::shared_ptr<const verifier_keys> keys, verifier_shared shared = {})
      : keys_(std::move(keys)), shared_(std::move(shared)), token_keys_(keys_->token_keys),
        trust_(shared_.trust) {}

  challenge make_challenge(const config_ptr& config, std::int64_t now) const;
  result<attestation_key_issued> issue_attestation_key(const attestation_key_request& request,
                                                       const config_ptr& config, std::int64_t now);
  /// All checks in their order; the first that says no is the answer. The verdict goes on the
  /// host's record at once, whatever it is, if its AK certificate is good.
  result<appraisal> appraise(const evidence& e, const config_ptr& config, std::int64_t now);
  /// The token for what was found; a host that was unbound has been bound meanwhile.
  result<attestation_granted> issue(const appraisal& found, const evidence& e,
                                    const config_ptr& config, std::int64_t now);
  /// Both, for a host that is bound, or need not be.
  result<attestation_granted> grant(const evidence& e, const config_ptr& config, std::int64_t now);
  /// Is the host bound to what was found, by now? True, or error.check "host-binding".
  static result<bool> check_bound(const host_id& host, const appraisal& found,
                                  const config_ptr& config);
  /// After an appraisal: the host could not be bound, or something else came between.
  void take_back(const evidence& e, const error& why, std::int64_t now);

private:
  struct known_ak {
    ak_identity identity;
    crypto::sha256_digest ek_spki_sha256{};
    trust_ptr trusted_in;           ///< what the EK was last found trusted by
    std::int64_t trusted_until = 0; ///< and until when that finding is believed
    /// The transport key that was used last: parsing it costs as much as checking a signature.
    bytes transport_spki;
    crypto::sha256_digest transport_thumbprint{};
  };
  /// How far evidence got.
  struct progress {
    bool of_host = false;   ///< the AK certificate is the host's
    bool authentic = false; ///< its key signed this
  };
  struct digest_hash {
    std::size_t operator()(const crypto::sha256_digest& d) const;
  };

  result<known_ak*> find_ak(const evidence& e, std::int64_t now);
  result<void> check_ek_of(known_ak& known, const config_ptr& config, std::int64_t now);
  /// True: the host is bound, to this EK and AK.
  static result<bool> check_host(const host_id& host, const crypto::sha256_digest& ek,
                                 byte_view ak_name, const config_snapshot& config);
  static result<void> read_transport_key(known_ak& known, const bytes& spki);
  result<appraisal> run_checks(const evidence& e, const config_ptr& config, std::int64_t now,
                               progress& reached);
  const boot_policy& present_policy(const config_ptr& config);
  void keep_evidence(const evidence& e, const crypto::sha256_digest& event_log,
                     std::uint32_t reset_count, std::int64_t now);
  void note(const evidence& e, const progress& reached, const result<appraisal>& outcome,
            std::int64_t now);

  std::shared_ptr<const verifier_keys> keys_;
  verifier_shared shared_;
  token_keyring_reader token_keys_;
  std::shared_ptr<const boot_policy> policy_;
  trust_reader trust_;
  used_tickets used_;
  std::unordered_map<crypto::sha256_digest, known_ak, digest_hash> known_;
};

} // namespace custos::attestation
