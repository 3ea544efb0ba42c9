#include "actors/attestation/boot_policy.hpp"

namespace custos::attestation {

boot_policy::boot_policy(const object_index<base_image>& images, const boot_policy* before)
    : images_(images, before == nullptr ? nullptr : &before->images_) {
  for (auto it = images.begin(); it != images.end(); ++it) {
    const auto* const image = it.shared().get();
    if (!image->ima)
      continue;
    // The index holds the images alive, so that one address is one image.
    if (before != nullptr)
      if (const auto known = before->ima_.find(image); known != before->ima_.end()) {
        ima_.emplace(image, known->second);
        continue;
      }
    if (auto made = ima_index::build(*image->ima))
      ima_.emplace(image, std::make_shared<const ima_index>(*std::move(made)));
  }
}

const ima_index* boot_policy::ima_of(const base_image& image) const {
  const auto found = ima_.find(&image);
  return found == ima_.end() ? nullptr : found->second.get();
}

std::shared_ptr<const boot_policy> boot_policy_source::of(const config_ptr& config) {
  const std::lock_guard guard(mutex_);
  if (!present_ || !present_->images().is_of(config->base_images))
    present_ = std::make_shared<const boot_policy>(config->base_images, present_.get());
  return present_;
}

} // namespace custos::attestation
