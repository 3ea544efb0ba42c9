#pragma once
// Check 16: what the events of PCR 7 say of UEFI Secure Boot (TCG PC Client Platform Firmware
// Profile 1.06, 3.3.4.8), and whether that is what an image demands. To be called only for a log
// whose replay equals the quoted value of PCR 7; data counts only where the digest vouches for it.
// Thread rule: pure functions on their arguments. Every error is errc::attestation_failed with
// pcr 7 and, where one event is at fault, its index; check "secure-boot", or "event-data" where
// data is not what was measured.

#include "adapters/crypto/crypto.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "messages/config.hpp"

#include <optional>
#include <string>
#include <vector>

namespace custos::attestation {

inline constexpr std::uint32_t secure_boot_pcr = 7;
/// EV_EFI_VARIABLE_AUTHORITY events; firmware and shim log each authority once.
inline constexpr std::size_t authorities_max = 256;

/// Who vouched for something that ran.
enum class authority_origin : std::uint8_t {
  db = 1,  ///< an entry of the firmware's signature database
  shim,    ///< a certificate built into shim ("Shim", "vendor_db")
  mok,     ///< a machine owner key ("MokList")
  setting, ///< nobody: state that shim logs the same way ("SbatLevel", "MokListTrusted")
  other,   ///< something that we do not know
};

struct secure_boot_authority {
  std::uint32_t event = 0;
  authority_origin origin = authority_origin::other;
  /// Option ROMs and drivers are verified before the separator, boot loaders behind it.
  bool before_separator = false;
  std::string variable; ///< UTF-8
  /// SHA-256 of the certificate (DER); the hash itself where an image's hash is listed.
  crypto::sha256_digest id{};
};

struct secure_boot_facts {
  bool enabled = false;
  /// Where the firmware logs them.
  std::optional<bool> setup_mode;
  std::optional<bool> audit_mode;
  std::optional<bool> deployed_mode;
  /// SHA-256 of the variables' values.
  crypto::sha256_digest pk{};
  crypto::sha256_digest kek{};
  crypto::sha256_digest db{};
  crypto::sha256_digest dbx{};
  /// What db and dbx list, by id as of authorities, sorted.
  std::vector<crypto::sha256_digest> db_entries;
  std::vector<crypto::sha256_digest> dbx_entries;
  std::vector<secure_boot_authority> authorities;
  bool dma_protection_disabled = false;
  /// MokSBState: shim was told to verify nothing that it starts.
  bool shim_validation_disabled = false;
  std::uint32_t secure_boot_event = 0; ///< of the variable SecureBoot
  std::uint32_t dbx_event = 0;
};

/// Goes through the events of PCR 7 and refuses a log that no firmware in order would write:
/// SecureBoot, PK, KEK, db and dbx exactly once and before the separator, exactly one separator, no
/// error, no debug mode, no type of event that does not belong there; with Secure Boot enabled PK,
/// KEK and db not empty, and an authority for what was started that db lists.
result<secure_boot_facts> read_secure_boot(const eventlog::parsed_log& log, crypto::hash_alg bank,
                                           const eventlog::data_rules& rules = {
                                               .shim_extra_byte = true});

/// Are the facts what the image demands? An authority of unknown origin is accepted only where the
/// demand lists it.
result<void> check_secure_boot(const secure_boot_demand& demand, const secure_boot_facts& facts);

} // namespace custos::attestation
