#include "actors/attestation/boot_policy.hpp"

namespace custos::attestation {

std::shared_ptr<const boot_policy> boot_policy::build(const object_index<base_image>& images) {
  auto out = std::make_shared<boot_policy>();
  for (auto it = images.begin(); it != images.end(); ++it) {
    const auto& image = it.shared();
    const auto bank = crypto::hash_alg_of(image->bank);
    if (!bank)
      continue;
    if (image->ima) {
      auto index = ima_index::build(*image->ima);
      if (!index)
        continue;
      out->ima_.emplace(image.get(), *std::move(index));
    }
    (image->audit_only ? out->watched_ : out->images_).push_back(image);
    out->banks_.insert(*bank);
  }
  return out;
}

const ima_index* boot_policy::ima_of(const base_image& image) const {
  const auto found = ima_.find(&image);
  return found == ima_.end() ? nullptr : &found->second;
}

std::shared_ptr<const boot_policy> boot_policy_source::of(const config_ptr& config) {
  const std::lock_guard guard(mutex_);
  if (!present_ || !built_from_.same_as(config->base_images)) {
    built_from_ = config->base_images;
    present_ = boot_policy::build(built_from_);
  }
  return present_;
}

} // namespace custos::attestation
