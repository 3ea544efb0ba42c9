#pragma once
// Separators end what the firmware measures before it hands over to a boot loader (TCG PC Client
// Platform Firmware Profile 1.06, 3.3.2 and 10.4.1): whatever a PCR of 0-7 says was measured by
// the firmware lies before its separator. Pure.

#include "adapters/eventlog/eventlog.hpp"

namespace custos::attestation {

/// The PCRs that firmware ends with a separator: 0-7.
inline constexpr std::uint32_t firmware_pcrs = 0xFF;

enum class separator_kind : std::uint8_t {
  success = 1,    ///< 00000000 was measured
  firmware_error, ///< 00000001 or FFFFFFFF was measured: the firmware gave up
  other,          ///< anything else: no firmware does that
};

/// What an EV_SEPARATOR says, by its digest alone: behind an error, firmware logs a text that it
/// did not measure.
separator_kind kind_of_separator(byte_view digest, crypto::hash_alg bank);

/// Each PCR of `pcrs` that is one of 0-7 has exactly one separator, and it says success. In PCR 4
/// the first "Calling EFI Application from Boot Option", where the firmware logs it, comes before
/// the separator and once. Call it once the replay holds. Errors: check "separator", with pcr and,
/// unless it is missing, event.
result<void> check_separators(const eventlog::parsed_log& log, crypto::hash_alg bank,
                              std::uint32_t pcrs);

} // namespace custos::attestation
