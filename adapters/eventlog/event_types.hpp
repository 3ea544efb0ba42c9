#pragma once
// Event types (TCG PC Client Platform Firmware Profile 1.06, table 27), which of them have data
// that the digest vouches for, and readable hints. Type and data of an event are not measured by
// themselves: decide on digests, and use data only through measured_data.
// Thread rule: pure functions on their arguments.

#include "adapters/eventlog/eventlog.hpp"

#include <string>
#include <string_view>

namespace custos::eventlog {

/// TCG_EVENTTYPE.
namespace event_type {
inline constexpr std::uint32_t preboot_cert = 0x00000000;
inline constexpr std::uint32_t post_code = 0x00000001;
inline constexpr std::uint32_t no_action = 0x00000003;
inline constexpr std::uint32_t separator = 0x00000004;
inline constexpr std::uint32_t action = 0x00000005;
inline constexpr std::uint32_t event_tag = 0x00000006;
inline constexpr std::uint32_t s_crtm_contents = 0x00000007;
inline constexpr std::uint32_t s_crtm_version = 0x00000008;
inline constexpr std::uint32_t cpu_microcode = 0x00000009;
inline constexpr std::uint32_t platform_config_flags = 0x0000000A;
inline constexpr std::uint32_t table_of_devices = 0x0000000B;
inline constexpr std::uint32_t compact_hash = 0x0000000C;
inline constexpr std::uint32_t ipl = 0x0000000D;
inline constexpr std::uint32_t ipl_partition_data = 0x0000000E;
inline constexpr std::uint32_t nonhost_code = 0x0000000F;
inline constexpr std::uint32_t nonhost_config = 0x00000010;
inline constexpr std::uint32_t nonhost_info = 0x00000011;
inline constexpr std::uint32_t omit_boot_device_events = 0x00000012;
inline constexpr std::uint32_t post_code2 = 0x00000013;
inline constexpr std::uint32_t efi_variable_driver_config = 0x80000001;
inline constexpr std::uint32_t efi_variable_boot = 0x80000002;
inline constexpr std::uint32_t efi_boot_services_application = 0x80000003;
inline constexpr std::uint32_t efi_boot_services_driver = 0x80000004;
inline constexpr std::uint32_t efi_runtime_services_driver = 0x80000005;
inline constexpr std::uint32_t efi_gpt_event = 0x80000006;
inline constexpr std::uint32_t efi_action = 0x80000007;
inline constexpr std::uint32_t efi_platform_firmware_blob = 0x80000008;
inline constexpr std::uint32_t efi_handoff_tables = 0x80000009;
inline constexpr std::uint32_t efi_platform_firmware_blob2 = 0x8000000A;
inline constexpr std::uint32_t efi_handoff_tables2 = 0x8000000B;
inline constexpr std::uint32_t efi_variable_boot2 = 0x8000000C;
inline constexpr std::uint32_t efi_gpt_event2 = 0x8000000D;
inline constexpr std::uint32_t efi_hcrtm_event = 0x80000010;
inline constexpr std::uint32_t efi_variable_authority = 0x800000E0;
inline constexpr std::uint32_t efi_spdm_firmware_blob = 0x800000E1;
inline constexpr std::uint32_t efi_spdm_firmware_config = 0x800000E2;
inline constexpr std::uint32_t efi_spdm_device_policy = 0x800000E3;
inline constexpr std::uint32_t efi_spdm_device_authority = 0x800000E4;
} // namespace event_type

/// "EV_EFI_VARIABLE_AUTHORITY"; empty for an unknown type.
std::string_view name_of(std::uint32_t type);
/// The name, or "0x800000FF" for an unknown type.
std::string type_text(std::uint32_t type);
/// The reverse of name_of.
std::optional<std::uint32_t> type_of(std::string_view name);

/// The digest of such an event is the hash of its data (or, for EV_EFI_VARIABLE_BOOT, at least of
/// the variable's value): a mismatch is an attack or broken firmware.
bool data_is_hashed(std::uint32_t type);

struct data_rules {
  /// Old shim versions log an EV_EFI_VARIABLE_AUTHORITY with one byte more than they hashed.
  bool shim_extra_byte = false;
};

/// The part of the event's data that its digest of that bank vouches for. Where data_is_hashed, a
/// digest that does not fit is an error ("event-data", with pcr and event). For types where only
/// some software hashes what it writes (GRUB's commands, the kernel command line, tagged events)
/// the part is empty when it does not fit: then only the digest is evidence.
result<byte_view> measured_data(const parsed_log& log, const event& e, crypto::hash_alg bank,
                                const data_rules& rules = {});

/// UEFI_VARIABLE_DATA (section 10.2.6 of the profile).
struct uefi_variable {
  std::array<std::uint8_t, 16> guid{}; ///< mixed-endian as stored
  std::string name;                    ///< UTF-8 of the UCS-2 name
  byte_view data;
};
/// Consumed but for at most `surplus_bytes` behind the value. Errors: malformed.
result<uefi_variable> parse_uefi_variable(byte_view data, std::size_t surplus_bytes = 0);
/// Old shim versions leave room that they do not fill behind a variable that vouched for something.
inline constexpr std::size_t surplus_bytes_max = 8;
/// "8be4df61-93ca-11d2-aa0d-00e098032b8c".
std::string guid_text(std::span<const std::uint8_t, 16> guid);

/// A hint for people about what the event is: variable name, path, command line. One line of
/// printable ASCII, at most hint_chars_max; never a base for decisions. Never fails.
inline constexpr std::size_t hint_chars_max = 256;
std::string describe(const event& e);

} // namespace custos::eventlog
