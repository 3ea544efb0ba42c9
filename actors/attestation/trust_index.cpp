#include "actors/attestation/trust_index.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace custos::attestation {

namespace {

struct digest_hash {
  std::size_t operator()(const crypto::sha256_digest& d) const {
    std::size_t h = 0;
    std::memcpy(&h, d.data(), sizeof h);
    return h;
  }
};

bool digest_of(byte_view octets, crypto::sha256_digest& out) {
  if (octets.size() != out.size())
    return false;
  std::copy(octets.begin(), octets.end(), out.begin());
  return true;
}

/// Makers write "id:474f4f47" and "id:474F4F47": letter case does not tell TPMs apart.
bool same_text(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

bool fits(std::string_view denied, std::string_view own) {
  return denied.empty() || same_text(denied, own);
}
bool fits(byte_view denied, byte_view own) {
  return denied.empty() || std::equal(denied.begin(), denied.end(), own.begin(), own.end());
}

bool applies(const denial& d, const tpm_description& tpm) {
  return fits(d.manufacturer, tpm.manufacturer) && fits(d.model, tpm.model) &&
         fits(d.firmware, tpm.firmware) && fits(d.serial, tpm.serial) &&
         fits(byte_view(d.ek_spki_sha256), tpm.ek_spki_sha256) &&
         fits(byte_view(d.ak_name), tpm.ak_name);
}

bool needs_certificate(const denial& d) {
  return !d.manufacturer.empty() || !d.model.empty() || !d.firmware.empty() || !d.serial.empty();
}

std::string text_of(byte_view octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

} // namespace

// Each part holds the objects it was made of: so long, a changed index has another identity.

struct trust_index::authorities {
  object_index<tpm_ca> source;
  crypto::anchor_set anchors;
  std::unordered_map<const x509_st*, ek_profile> profiles;
  std::vector<crypto::certificate_revocation_list> crls;
  bool all_relaxed = false;

  explicit authorities(const object_index<tpm_ca>& from) : source(from) {
    std::vector<crypto::certificate> parsed;
    std::unordered_map<std::string, const x509_st*> known; // DER, to tell one from its copies
    all_relaxed = !from.empty();
    for (const auto& [name, ca] : from) {
      all_relaxed = all_relaxed && ca.profile == ek_profile::relaxed;
      for (const auto& der : ca.certificates)
        add(der, ca.profile, parsed, known);
      for (const auto& der : ca.crls)
        if (auto crl = crypto::crl_from_der(der); crl)
          crls.push_back(*std::move(crl));
    }
    anchors = crypto::anchor_set(std::move(parsed));
  }

private:
  void add(const bytes& der, ek_profile profile, std::vector<crypto::certificate>& parsed,
           std::unordered_map<std::string, const x509_st*>& known) {
    const auto seen = known.find(text_of(der));
    if (seen != known.end()) {
      if (profile == ek_profile::tcg)
        profiles[seen->second] = profile;
      return;
    }
    auto one = crypto::certificate_from_der(der);
    if (!one)
      return;
    known.emplace(text_of(der), one->handle());
    profiles.emplace(one->handle(), profile);
    parsed.push_back(*std::move(one));
  }
};

struct trust_index::listed_keys {
  using key_index = decltype(config_snapshot::endorsement_keys);
  key_index source;
  std::unordered_map<crypto::sha256_digest, const endorsement_key*, digest_hash> by_digest;

  explicit listed_keys(const key_index& from) : source(from) {
    by_digest.reserve(source.size());
    for (const auto& [name, key] : source) {
      crypto::sha256_digest digest{};
      if (!digest_of(key.spki_sha256, digest))
        continue;
      auto& slot = by_digest[digest];
      if (slot == nullptr || !slot->certificate)
        slot = &key;
    }
  }
};

struct trust_index::denied {
  object_index<denial> source;
  /// Looked up by the member that tells most; one with both keys is found by the EK.
  std::unordered_multimap<std::string, const denial*> by_ek, by_ak;
  std::vector<const denial*> others;
  bool by_certificate = false;

  explicit denied(const object_index<denial>& from) : source(from) {
    for (const auto& [name, d] : source) {
      by_certificate = by_certificate || needs_certificate(d);
      if (!d.ek_spki_sha256.empty())
        by_ek.emplace(text_of(d.ek_spki_sha256), &d);
      else if (!d.ak_name.empty())
        by_ak.emplace(text_of(d.ak_name), &d);
      else if (needs_certificate(d))
        others.push_back(&d); // one without any member would deny everybody: it denies nobody
    }
  }

  static const denial* find(const std::unordered_multimap<std::string, const denial*>& in,
                            byte_view key, const tpm_description& tpm) {
    if (key.empty() || in.empty())
      return nullptr;
    const auto [first, last] = in.equal_range(text_of(key));
    for (auto at = first; at != last; ++at)
      if (applies(*at->second, tpm))
        return at->second;
    return nullptr;
  }
};

trust_index::trust_index(const config_snapshot& from, const trust_index* before)
    : settings_(from.settings) {
  authorities_ = before != nullptr && before->authorities_->source.same_as(from.tpm_cas)
                     ? before->authorities_
                     : std::make_shared<const authorities>(from.tpm_cas);
  listed_ = before != nullptr && before->listed_->source.same_as(from.endorsement_keys)
                ? before->listed_
                : std::make_shared<const listed_keys>(from.endorsement_keys);
  denied_ = before != nullptr && before->denied_->source.same_as(from.denials)
                ? before->denied_
                : std::make_shared<const denied>(from.denials);
}

bool trust_index::is_of(const config_snapshot& snapshot) const {
  return settings_ == trust_settings(snapshot.settings) &&
         authorities_->source.same_as(snapshot.tpm_cas) &&
         listed_->source.same_as(snapshot.endorsement_keys) &&
         denied_->source.same_as(snapshot.denials);
}

const crypto::anchor_set& trust_index::anchors() const {
  return authorities_->anchors;
}

std::span<const crypto::certificate_revocation_list> trust_index::crls() const {
  return authorities_->crls;
}

ek_profile trust_index::profile_below(const crypto::certificate& anchor) const {
  const auto found = authorities_->profiles.find(anchor.handle());
  return found == authorities_->profiles.end() ? ek_profile::tcg : found->second;
}

ek_profile trust_index::profile_of_all() const {
  return authorities_->all_relaxed ? ek_profile::relaxed : ek_profile::tcg;
}

const endorsement_key* trust_index::listed(const crypto::sha256_digest& ek_spki_sha256) const {
  const auto found = listed_->by_digest.find(ek_spki_sha256);
  return found == listed_->by_digest.end() ? nullptr : found->second;
}

const denial* trust_index::denies(const tpm_description& tpm) const {
  if (const auto* const d = denied::find(denied_->by_ek, tpm.ek_spki_sha256, tpm); d != nullptr)
    return d;
  if (const auto* const d = denied::find(denied_->by_ak, tpm.ak_name, tpm); d != nullptr)
    return d;
  for (const auto* const d : denied_->others)
    if (applies(*d, tpm))
      return d;
  return nullptr;
}

bool trust_index::denies_by_certificate() const {
  return denied_->by_certificate;
}

trust_ptr trust_source::of(const config_ptr& snapshot) const {
  const std::lock_guard guard(mutex_);
  if (!present_ || !present_->is_of(*snapshot))
    present_ = std::make_shared<const trust_index>(*snapshot, present_.get());
  return present_;
}

} // namespace custos::attestation
