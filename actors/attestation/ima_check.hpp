#pragma once
// Check 17: has a host run only what its image allows? Decided from the IMA list up to the entry
// that leads to the quoted PCR 10; every such entry must be accounted for. Pure.
// Errors have check "ima-log" and, where one entry is at fault, its number in the whole list.

#include "actors/attestation/ima_index.hpp"
#include "actors/attestation/image_match.hpp"
#include "adapters/ima/ima.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace custos::attestation {

/// What is known of a boot's IMA list from earlier attestations, so that its first entries need
/// not be sent and judged again. Only of use for the same AK, boot and policy.
struct ima_state {
  bytes ak_name;
  std::uint32_t reset_count = 0;
  crypto::sha256_digest policy{};         ///< ima_index::fingerprint, with allow_sha1 mixed in
  std::uint64_t entries = 0;              ///< judged so far
  std::vector<ima::aggregate> aggregates; ///< PCR 10 behind them, one a bank
};

struct ima_input {
  byte_view log;           ///< ASCII or binary, from entry `first` on
  std::uint64_t first = 0; ///< entries left out: those of the state, or none
  std::span<const quoted_bank> banks;
  /// Values that the boot log leads to, if there are any: the boot aggregate covers PCRs 8 and 9,
  /// which user space may extend once more before the quote.
  const eventlog::replayed* boot = nullptr;
  byte_view ak_name;
  std::uint32_t reset_count = 0;
  bool allow_sha1 = false;
  ima::limits limits = {};
};

/// How the entries judged this time were accounted for.
struct ima_counts {
  std::uint64_t listed = 0; ///< files and buffers by digest, and boot aggregates
  std::uint64_t by_signature = 0;
  std::uint64_t ignored = 0;
};

struct ima_outcome {
  ima_state state; ///< to remember
  ima_counts counts;
  std::uint64_t judged = 0;   ///< entries judged this time
  std::uint64_t unjudged = 0; ///< entries behind the quoted value
};

/// Judges a list. With `first` 0 it is the whole list, and a state is not looked at: whoever sends
/// all again is judged anew (keylime/rust-keylime#1077). With more it must go on exactly where the
/// state ends; else the error is retryable and asks for the whole list. It is retryable, too, if
/// the list does not lead to the quoted value: PCR 10 moves while it is read.
/// A violation is refused whatever path it names: its text is not measured.
/// SHA-1 banks do not decide, SHA-1 digests of files and banks extended with a padded SHA-1 are not
/// taken, unless allow_sha1 is set.
result<ima_outcome> check_ima(const ima_index& index, const ima_input& input,
                              const std::optional<ima_state>& state);
result<ima_outcome> check_ima(const ima_policy& policy, const ima_input& input,
                              const std::optional<ima_state>& state);

/// Makes a policy of the list of a golden host: whatever `base` (signers, ignored paths, more
/// files) does not account for is listed. An entry that no list could account for is an error: a
/// violation, a digest that is too weak.
result<ima_policy> ima_policy_from_log(byte_view log, const ima_policy& base,
                                       bool allow_sha1 = false, const ima::limits& limits = {});

} // namespace custos::attestation
