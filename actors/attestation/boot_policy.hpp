#pragma once
// The base images of one configuration, made ready for judging: built once a change of the images,
// immutable, shared by all verifiers. boot_policy_source is thread-safe; the rest is pure.

#include "actors/attestation/ima_index.hpp"
#include "actors/attestation/image_index.hpp"
#include "messages/config.hpp"

#include <memory>
#include <mutex>
#include <unordered_map>

namespace custos::attestation {

class boot_policy {
public:
  /// `before`: of an earlier revision, whose work is taken over for images that both have.
  explicit boot_policy(const object_index<base_image>& images, const boot_policy* before = nullptr);

  [[nodiscard]] const image_index& images() const { return images_; }
  /// nullptr: the image demands no IMA log, or its policy cannot be used (a signer's key that does
  /// not parse any more): then it accepts nothing.
  [[nodiscard]] const ima_index* ima_of(const base_image& image) const;

private:
  image_index images_;
  std::unordered_map<const base_image*, std::shared_ptr<const ima_index>> ima_;
};

/// Gives everybody the same policy for the same images.
class boot_policy_source {
public:
  std::shared_ptr<const boot_policy> of(const config_ptr& config);

private:
  std::mutex mutex_; ///< guards present_
  std::shared_ptr<const boot_policy> present_;
};

} // namespace custos::attestation
