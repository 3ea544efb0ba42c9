#pragma once
// The TPM behind a mailbox, on a thread of its own. The TPM is opened when it is needed and opened
// again after it failed, so that a TPM that went away and came back is used again.

#include "actors/host/ak_keeper.hpp"
#include "messages/interfaces.hpp"

#include <filesystem>
#include <string>

namespace custos::host {

struct tpm_options {
  std::string tcti;
  tpm::ek_kind ek = tpm::ek_kind::automatic;
  ak_options ak;
  std::filesystem::path event_log; ///< /sys/kernel/security/tpm0/binary_bios_measurements
  /// /sys/kernel/security/ima/binary_runtime_measurements or ascii_...; empty, or no such file: no
  /// IMA log is sent.
  std::filesystem::path ima_log;
  std::uint32_t pcrs = 0xFBFF; ///< quoted: 0-9 and 11-15; 10 too where there is an IMA log
  say_function say;            ///< from this actor's thread
};

tpm_api spawn_tpm(caf::actor_system& system, tpm_options options);

} // namespace custos::host
