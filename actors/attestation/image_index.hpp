#pragma once
// All base images of a configuration, made ready for matching: whatever their number, a boot is
// compared completely only with those whose PCR values it has. The values that ordered events lead
// to are computed once per image; a boot finds its images by the values that were quoted. Finding
// decides nothing: match_image does, for every image that is found.
//
// Thread rule: an index is immutable and shared; the source may be used by any thread. An index
// holds its images alive. Errors are those of match_image, "pcr-selection" and "base-image".

#include "actors/attestation/image_match.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace custos::attestation {

/// Images that are compared completely to explain why none matches.
inline constexpr std::size_t nearest_images_max = 16;
/// Images that lists of several go to.
inline constexpr std::size_t listed_images_max = 16;
/// Combinations of accepted values that an image is filed under; PCRs beyond are left to the
/// comparison.
inline constexpr std::size_t image_keys_max = 64;
/// Images that are looked through one by one for what they accept.
inline constexpr std::size_t images_to_scan_max = 16;
/// Steps through the images that share a PCR value, to find the nearest.
inline constexpr std::size_t nearest_steps_max = 4096;

using image_ptr = std::shared_ptr<const base_image>;

/// What a host says that it booted, behind checks 1 to 12. Views: valid during the call.
struct boot_evidence {
  std::span<const quoted_bank> banks;
  const eventlog::parsed_log& log;
  const eventlog::replayed& replayed; ///< of logged_banks()
};

/// Further demands of an image whose PCRs match (Secure Boot, IMA): success, or why not.
using demand_check = std::function<result<void>(const base_image&)>;

/// An image, and nothing if the boot is one of its own; else why not.
struct image_outcome {
  image_ptr image; ///< null only where no image can be judged at all
  std::optional<error> why;
};

/// What the audit-only images say of a boot.
struct image_audit {
  std::vector<image_ptr> matching;  ///< by name, at most listed_images_max
  std::vector<image_ptr> differing; ///< by name, at most listed_images_max
  std::size_t images = 0;           ///< audit-only images there are
};

class image_index {
public:
  /// `before`: an index of an earlier revision, whose work is taken over for images that it shares.
  explicit image_index(object_index<base_image> images, const image_index* before = nullptr);
  ~image_index();
  image_index(const image_index&) = delete;
  image_index& operator=(const image_index&) = delete;

  /// Was it made of these?
  [[nodiscard]] bool is_of(const object_index<base_image>& images) const {
    return images_.same_as(images);
  }

  /// Check 8: at least one enforced image can be judged from what was signed. Success where there
  /// is no image at all: find() says so.
  [[nodiscard]] result<void> check_selection(std::span<const quoted_bank> banks) const;

  /// Checks 13 to 15, and the further demands. Of several images that match it is the first by
  /// name that `also` accepts; if it accepts none, the first and its reason. If none matches, the
  /// nearest of up to nearest_images_max, with the first difference. Audit-only images are not
  /// looked at.
  [[nodiscard]] image_outcome find(const boot_evidence& boot, const demand_check& also = {}) const;

  /// Every enforced image that matches and that `also` accepts, by name, up to `images_max`.
  [[nodiscard]] std::vector<image_ptr> matching(const boot_evidence& boot,
                                                const demand_check& also = {},
                                                std::size_t images_max = listed_images_max) const;

  /// Enforced and audit-only images that match or are nearest, for explanations: the matching
  /// first. At most `images_max`.
  [[nodiscard]] std::vector<image_ptr>
  worth_explaining(const boot_evidence& boot, std::size_t images_max = listed_images_max) const;

  /// Judges the audit-only images.
  [[nodiscard]] image_audit audit(const boot_evidence& boot, const demand_check& also = {}) const;

private:
  struct filed_image;
  using filed_ptr = std::shared_ptr<const filed_image>;
  /// Images of one bank that need the same PCRs and are found by the same.
  struct group {
    crypto::hash_alg bank = crypto::hash_alg::sha256;
    std::uint32_t needed = 0; ///< PCRs that must be quoted
    std::uint32_t keyed = 0;  ///< PCRs whose values make the key
    std::uint32_t sets = 0;   ///< PCRs of which sets of digests are accepted
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> images;
    /// Where more than images_to_scan_max share a key: who accepts a digest, by key, PCR and
    /// digest.
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_digest;
  };
  /// Images of one kind: enforced, or audit-only.
  struct shelf {
    std::vector<filed_ptr> images; ///< by name
    std::vector<group> groups;
    /// Positions by bank, PCR and value; to find what is near.
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_value;
  };
  class finder;

  static filed_ptr file(const std::string& name, const image_ptr& image);
  static void put(shelf& on, filed_ptr image);
  static void list_digests(shelf& on);

  object_index<base_image> images_;
  shelf enforced_;
  shelf audited_;
};

/// The index of the present configuration, made once per change of the base images and shared.
class image_index_source {
public:
  /// While one thread makes a new index, others that need it wait.
  std::shared_ptr<const image_index> of(const object_index<base_image>& images);

private:
  std::mutex mutex_; ///< guards present_
  std::shared_ptr<const image_index> present_;
};

} // namespace custos::attestation
