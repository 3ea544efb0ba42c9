#pragma once
// The TPM behind a mailbox, on a thread of its own. The TPM is opened when it is needed and opened
// again after it failed, so that a TPM that went away and came back is used again.

#include "adapters/tpm/host_tpm.hpp"
#include "messages/interfaces.hpp"

#include <filesystem>
#include <string>

namespace custos::host {

struct tpm_options {
  std::string tcti;
  tpm::ak_algorithm ak = tpm::ak_algorithm::ecdsa_p256;
  std::filesystem::path ak_file;   ///< where the wrapped AK is kept across restarts
  std::filesystem::path event_log; ///< /sys/kernel/security/tpm0/binary_bios_measurements
  std::uint32_t pcrs = 0x43FF;     ///< quoted: 0-9 and 14
};

tpm_api spawn_tpm(caf::actor_system& system, tpm_options options);

/// Largest event log read.
inline constexpr std::size_t event_log_bytes_max = 2U << 20U;
result<bytes> read_event_log(const std::filesystem::path& file);

} // namespace custos::host
