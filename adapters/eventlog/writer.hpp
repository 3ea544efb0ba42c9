#pragma once
// Builds crypto-agile event logs: for the measured-boot helper of the tests and the demo, which
// extends a TPM and logs event by event, as firmware does.

#include "adapters/eventlog/eventlog.hpp"
#include "adapters/eventlog/signature_list.hpp"

namespace custos::eventlog {

/// Thread rule: one thread at a time. Wrong use (a bank twice, a digest of the wrong length, a PCR
/// above 23) is a programmer error and asserted.
class writer {
public:
  /// Starts a log with the Spec ID header naming these banks, in this order. 1 to 16 banks.
  explicit writer(std::span<const crypto::hash_alg> banks);

  /// EV_NO_ACTION "StartupLocality"; before the first measurement of PCR 0.
  void add_startup_locality(std::uint8_t locality);
  /// One event whose digests (one a bank, in the order of the banks) the caller has computed.
  void add(std::uint32_t pcr, std::uint32_t type, byte_view data, std::span<const bytes> digests);
  /// One event whose digests are those of `measured`; returns them, for the extend.
  std::vector<bytes> add_measured(std::uint32_t pcr, std::uint32_t type, byte_view data,
                                  byte_view measured);
  /// Same, where the data itself is what is measured.
  std::vector<bytes> add_hashed(std::uint32_t pcr, std::uint32_t type, byte_view data) {
    return add_measured(pcr, type, data, data);
  }

  [[nodiscard]] const std::vector<crypto::hash_alg>& banks() const { return banks_; }
  /// The log so far.
  [[nodiscard]] const bytes& log() const { return log_; }

private:
  std::vector<crypto::hash_alg> banks_;
  bytes log_;
};

/// UEFI_VARIABLE_DATA of a variable with an ASCII name.
bytes make_uefi_variable(std::span<const std::uint8_t, 16> guid, std::string_view name,
                         byte_view data);

/// One EFI_SIGNATURE_LIST of one owner's signatures, all of the same length. At least one.
bytes make_signature_list(signature_kind kind, std::span<const std::uint8_t, 16> owner,
                          std::span<const bytes> signatures);
/// One EFI_SIGNATURE_DATA, as an EV_EFI_VARIABLE_AUTHORITY shows it.
bytes make_signature(std::span<const std::uint8_t, 16> owner, byte_view data);

} // namespace custos::eventlog
