#pragma once
// The base images of one configuration, made ready for judging: built once a change of the images,
// immutable, shared by all verifiers. boot_policy_source is thread-safe; the rest is pure.

#include "actors/attestation/ima_index.hpp"
#include "messages/config.hpp"

#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

namespace custos::attestation {

class boot_policy {
public:
  /// An image whose IMA policy cannot be used (a key that does not parse any more) matches nothing.
  static std::shared_ptr<const boot_policy> build(const object_index<base_image>& images);

  /// Images that grant, by name.
  [[nodiscard]] const std::vector<std::shared_ptr<const base_image>>& images() const {
    return images_;
  }
  /// Images that are only watched, by name.
  [[nodiscard]] const std::vector<std::shared_ptr<const base_image>>& watched() const {
    return watched_;
  }
  /// Some image judges this bank.
  [[nodiscard]] bool judges(crypto::hash_alg bank) const { return banks_.contains(bank); }
  /// nullptr: the image demands no IMA log.
  [[nodiscard]] const ima_index* ima_of(const base_image& image) const;

private:
  std::vector<std::shared_ptr<const base_image>> images_;
  std::vector<std::shared_ptr<const base_image>> watched_;
  std::set<crypto::hash_alg> banks_;
  std::unordered_map<const base_image*, ima_index> ima_;
};

/// Gives everybody the same policy for the same images.
class boot_policy_source {
public:
  std::shared_ptr<const boot_policy> of(const config_ptr& config);

private:
  std::mutex mutex_;
  object_index<base_image> built_from_;
  std::shared_ptr<const boot_policy> present_;
};

} // namespace custos::attestation
