#pragma once
// Checks 8, 9 and 12 to 17 of docs/attestation.md: what a quote that is known to be authentic says
// of the boot, against the base images. The same for a fresh quote and for evidence that was kept,
// to explain and to simulate. Pure.

#include "actors/attestation/boot_policy.hpp"
#include "actors/attestation/ima_check.hpp"
#include "actors/attestation/image_match.hpp"
#include "messages/host_verdict.hpp"

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace custos::attestation {

/// All of it vouched for by one quote, or (the logs) judged against what is.
struct attested_boot {
  std::span<const quoted_bank> banks;
  byte_view event_log;
  byte_view ima_log;
  std::uint64_t ima_first = 0;
  byte_view ak_name;
  std::uint32_t reset_count = 0;
  std::optional<ima_state> ima; ///< from the last time
};

struct boot_judgement {
  std::shared_ptr<const base_image> image;
  std::optional<bool> secure_boot; ///< its state, where the image demands one
  std::optional<ima_outcome> ima;  ///< where the image demands a log
  std::vector<audit_finding> findings;
  std::vector<std::pair<std::string, bool>> watched; ///< images only watched: does it match?
};

/// The first image, by name, that demands nothing this boot lacks; else the error is about the one
/// that matched furthest. Errors name field, check, PCR and event; one of an IMA log that moved is
/// retryable.
result<boot_judgement> judge_boot(const attested_boot& evidence, const boot_policy& policy,
                                  const attestation_settings& settings);

} // namespace custos::attestation
