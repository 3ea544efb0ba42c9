#pragma once
// Makes a base image of what golden hosts booted: what they share is expected in order, what varies
// among them as the caller says. Pure.

#include "actors/attestation/image_match.hpp"

#include <span>
#include <string>
#include <vector>

namespace custos::attestation {

inline constexpr std::size_t golden_boots_max = 64;

/// One boot of one golden host.
struct golden_boot {
  std::string source; ///< file, for messages
  const eventlog::parsed_log* log = nullptr;
  /// PCR values read when the log was; may be empty. The log must lead to them.
  std::vector<pcr_value> values;
};

/// What becomes of a PCR whose events differ from boot to boot.
enum class varying_pcrs : std::uint8_t {
  set = 1, ///< every event that was seen is accepted, in any order
  ignore,
  refuse,
};

struct build_options {
  std::string name;
  std::string version;
  crypto::hash_alg bank = crypto::hash_alg::sha256;
  std::uint32_t pcrs = default_pcrs; ///< judged; PCRs without events and values are left out
  std::uint32_t exact = 0;           ///< judged by value alone
  std::uint32_t ignored = 0;         ///< named, not judged
  varying_pcrs varying = varying_pcrs::set;
};

/// A PCR that is not the same on all golden hosts.
struct varying_pcr {
  std::uint32_t pcr = 0;
  pcr_form form = pcr_form::set;
  std::size_t shared = 0; ///< different events or values that every boot has
  std::size_t all = 0;    ///< different events or values in all
};

struct built_image {
  base_image image;
  std::vector<varying_pcr> varying;
};

/// Errors: invalid_argument with pcr where it applies, naming the boot's source; what match_image
/// says where an image would not match a boot that it was made of.
result<built_image> build_image(std::span<const golden_boot> boots, const build_options& options);

} // namespace custos::attestation
