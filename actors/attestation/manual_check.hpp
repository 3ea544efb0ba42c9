#pragma once
// Evidence judged by hand: a quote and what goes with it, against a key and a nonce that somebody
// vouches for, without a cluster and without base images (`custos evidence verify`). Every check is
// made and told, for comparison with other tools; it grants nothing. Pure.

#include "adapters/eventlog/eventlog.hpp"
#include "adapters/tpm/structures.hpp"

#include <optional>
#include <string>
#include <vector>

namespace custos::attestation {

struct manual_evidence {
  /// TPMT_PUBLIC or TPM2B_PUBLIC (Part 2, 12.2.4, 12.2.5), or a PEM public key: that one says
  /// nothing of the key's attributes and scheme, so those are not judged.
  bytes ak;
  bytes quote;     ///< TPMS_ATTEST
  bytes signature; ///< TPMT_SIGNATURE
  bytes nonce;     ///< what extraData must be, exactly
  /// May hold more banks and PCRs than were quoted: only what was signed is looked at.
  std::optional<std::vector<pcr_value>> pcrs;
  std::optional<bytes> event_log;
  bool allow_sha1 = false;
};

enum class check_verdict : std::uint8_t { passed, failed, skipped };
std::string_view to_string(check_verdict v);

struct check_outcome {
  std::string check; ///< as in docs/attestation.md
  check_verdict verdict = check_verdict::passed;
  std::string reason; ///< empty if passed
  std::optional<std::uint32_t> pcr;
  std::optional<std::uint32_t> event;
};

/// Checks 4 to 10 and 12 to 14 of docs/attestation.md that apply to what is given; accepted when
/// none failed. Of check 9 only what concerns the banks quoted: a quote by hand is often of one
/// bank of several. Of check 8 nothing, there being no images; "pcr-selection" is told when it
/// fails. Errors, with the member as field ("quote"): malformed, too_large, unsupported: input that
/// cannot be judged at all.
result<std::vector<check_outcome>> check_manually(const manual_evidence& e);

} // namespace custos::attestation
