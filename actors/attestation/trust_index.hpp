#pragma once
// What the configuration says about TPMs, ready to be asked: CAs as prepared anchors, listed keys
// and denials by digest. Immutable and shared: made once for all verifiers, and again only when one
// of those parts changed; a change of hosts or images leaves it as it is.

#include "adapters/crypto/x509_path.hpp"
#include "messages/config.hpp"

#include <memory>
#include <mutex>
#include <span>
#include <string_view>

namespace custos::attestation {

/// Of the settings, those that decide about endorsement keys.
struct trust_settings {
  bool require_endorsement_keys = false;
  bool require_certificate_validation = true;
  certificate_dates dates = certificate_dates::enforced;
  bool require_crls = false;
  bool allow_sha1_certificates = false;

  trust_settings() = default;
  explicit trust_settings(const attestation_settings& s)
      : require_endorsement_keys(s.require_endorsement_keys),
        require_certificate_validation(s.require_certificate_validation),
        dates(s.ek_certificate_dates), require_crls(s.require_crls),
        allow_sha1_certificates(s.allow_sha1_certificates) {}
  friend bool operator==(const trust_settings&, const trust_settings&) = default;
};

/// What is known of a TPM, to find a denial that applies. Empty: not known, fits no denial.
struct tpm_description {
  std::string_view manufacturer = {}, model = {}, firmware = {}, serial = {};
  byte_view ek_spki_sha256 = {}, ak_name = {};
};

/// Thread rule: may be asked by many threads at once.
class trust_index {
public:
  /// Parts that are the same objects as in `before` are shared with it, not made again. CAs and
  /// CRLs were validated when they were written; one that does not parse any more counts for
  /// nothing.
  explicit trust_index(const config_snapshot& from, const trust_index* before = nullptr);

  /// Would an index made of this snapshot say the same?
  [[nodiscard]] bool is_of(const config_snapshot& snapshot) const;

  [[nodiscard]] const trust_settings& settings() const { return settings_; }

  [[nodiscard]] const crypto::anchor_set& anchors() const;
  [[nodiscard]] std::span<const crypto::certificate_revocation_list> crls() const;
  /// How EK certificates below this anchor are judged: strictly as soon as one of the CAs that have
  /// it demands that.
  [[nodiscard]] ek_profile profile_below(const crypto::certificate& anchor) const;
  /// Where there is no path to tell: relaxed only if every CA is.
  [[nodiscard]] ek_profile profile_of_all() const;

  /// The listed key of this digest; null if there is none. Of several objects for one key, one that
  /// holds its certificate.
  [[nodiscard]] const endorsement_key* listed(const crypto::sha256_digest& ek_spki_sha256) const;

  /// The first denial that applies; null if none does.
  [[nodiscard]] const denial* denies(const tpm_description& tpm) const;
  /// Is there a denial that only the EK certificate can tell to apply?
  [[nodiscard]] bool denies_by_certificate() const;

private:
  struct authorities;
  struct listed_keys;
  struct denied;

  trust_settings settings_;
  std::shared_ptr<const authorities> authorities_;
  std::shared_ptr<const listed_keys> listed_;
  std::shared_ptr<const denied> denied_;
};

using trust_ptr = std::shared_ptr<const trust_index>;

/// Where all verifiers of a process get the index from: whoever asks first after a change makes it.
/// Thread-safe.
class trust_source {
public:
  [[nodiscard]] trust_ptr of(const config_ptr& snapshot) const;

private:
  mutable std::mutex mutex_;
  mutable trust_ptr present_;
};

/// One verifier's hold on it: asks the source only when the snapshot is another one. Not
/// thread-safe.
class trust_reader {
public:
  explicit trust_reader(std::shared_ptr<const trust_source> source) : source_(std::move(source)) {}
  const trust_ptr& at(const config_ptr& snapshot) {
    if (snapshot != snapshot_ || !index_) {
      index_ = source_->of(snapshot);
      snapshot_ = snapshot;
    }
    return index_;
  }

private:
  std::shared_ptr<const trust_source> source_;
  config_ptr snapshot_;
  trust_ptr index_;
};

} // namespace custos::attestation
