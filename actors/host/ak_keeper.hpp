#pragma once
// The attestation key across restarts of agent and machine. Nodes bind a host to its key, so that a
// new key is a matter for an administrator: one is made only where there is none, or where the TPM
// that held it was cleared. Kept twice: wrapped in a file of the data directory, and, if a handle
// is given, in the TPM itself, which also saves loading it for every quote. Pure but for the file.
// Thread rule: one caller at a time.

#include "adapters/tpm/host_tpm.hpp"
#include "messages/error.hpp"

#include <filesystem>
#include <functional>
#include <string>

namespace custos::host {

/// Told what an administrator should know; `event` is the log line's name.
using say_function = std::function<void(const std::string& event, const std::string& detail)>;

struct ak_options {
  std::filesystem::path file;
  std::uint32_t handle = 0; ///< persistent, of the owner's range; 0: in the file only
  tpm::ak_algorithm algorithm = tpm::ak_algorithm::ecdsa_p256;
};

/// Handles that belong to the owner of the TPM (Part 2, 7.5; TCG registry of reserved handles).
inline constexpr std::uint32_t ak_handle_min = 0x81000000;
inline constexpr std::uint32_t ak_handle_max = 0x817FFFFF;
/// "none" or "0x81010010". errc::invalid_argument.
result<std::uint32_t> read_ak_handle(std::string_view text);

/// The kept key, or a new one, that was kept before this returns:
/// - the file is good: its key, from the handle if it is there, else loaded from the file and, if
///   the handle is free, put there;
/// - the TPM does not know the file's key (cleared, another TPM): said, the file put aside, a new
///   key;
/// - the file is missing or damaged: the key at the handle if it is one that we make, and of the
///   algorithm asked for; else a new one. The handle is freed only of a key that was ours; other
///   keys are left where they are, and ours is then in the file only.
/// A TPM that does not answer, or a file that cannot be read, is an error and never a new key.
result<tpm::ak_blob> keep_ak(tpm::ak_device& device, const ak_options& options,
                             const say_function& say);

/// Name of a key from its TPM2B_PUBLIC.
result<bytes> ak_name_of(const tpm::ak_blob& ak);

// ---- the file

/// Nothing: there is no such file. errc::corrupted: damaged. errc::io_failure.
result<std::optional<tpm::ak_blob>> read_ak_file(const std::filesystem::path& file);
/// Mode 0600, whole or not at all. Wrapped by the TPM: no secret outside it.
result<void> write_ak_file(const std::filesystem::path& file, const tpm::ak_blob& ak);

} // namespace custos::host
