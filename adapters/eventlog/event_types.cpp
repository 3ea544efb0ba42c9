#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace custos::eventlog {

namespace {

namespace et = event_type;

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 37> names{{
    {et::preboot_cert, "EV_PREBOOT_CERT"},
    {et::post_code, "EV_POST_CODE"},
    {et::no_action, "EV_NO_ACTION"},
    {et::separator, "EV_SEPARATOR"},
    {et::action, "EV_ACTION"},
    {et::event_tag, "EV_EVENT_TAG"},
    {et::s_crtm_contents, "EV_S_CRTM_CONTENTS"},
    {et::s_crtm_version, "EV_S_CRTM_VERSION"},
    {et::cpu_microcode, "EV_CPU_MICROCODE"},
    {et::platform_config_flags, "EV_PLATFORM_CONFIG_FLAGS"},
    {et::table_of_devices, "EV_TABLE_OF_DEVICES"},
    {et::compact_hash, "EV_COMPACT_HASH"},
    {et::ipl, "EV_IPL"},
    {et::ipl_partition_data, "EV_IPL_PARTITION_DATA"},
    {et::nonhost_code, "EV_NONHOST_CODE"},
    {et::nonhost_config, "EV_NONHOST_CONFIG"},
    {et::nonhost_info, "EV_NONHOST_INFO"},
    {et::omit_boot_device_events, "EV_OMIT_BOOT_DEVICE_EVENTS"},
    {et::post_code2, "EV_POST_CODE2"},
    {et::efi_variable_driver_config, "EV_EFI_VARIABLE_DRIVER_CONFIG"},
    {et::efi_variable_boot, "EV_EFI_VARIABLE_BOOT"},
    {et::efi_boot_services_application, "EV_EFI_BOOT_SERVICES_APPLICATION"},
    {et::efi_boot_services_driver, "EV_EFI_BOOT_SERVICES_DRIVER"},
    {et::efi_runtime_services_driver, "EV_EFI_RUNTIME_SERVICES_DRIVER"},
    {et::efi_gpt_event, "EV_EFI_GPT_EVENT"},
    {et::efi_action, "EV_EFI_ACTION"},
    {et::efi_platform_firmware_blob, "EV_EFI_PLATFORM_FIRMWARE_BLOB"},
    {et::efi_handoff_tables, "EV_EFI_HANDOFF_TABLES"},
    {et::efi_platform_firmware_blob2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2"},
    {et::efi_handoff_tables2, "EV_EFI_HANDOFF_TABLES2"},
    {et::efi_variable_boot2, "EV_EFI_VARIABLE_BOOT2"},
    {et::efi_gpt_event2, "EV_EFI_GPT_EVENT2"},
    {et::efi_hcrtm_event, "EV_EFI_HCRTM_EVENT"},
    {et::efi_variable_authority, "EV_EFI_VARIABLE_AUTHORITY"},
    {et::efi_spdm_firmware_blob, "EV_EFI_SPDM_FIRMWARE_BLOB"},
    {et::efi_spdm_firmware_config, "EV_EFI_SPDM_FIRMWARE_CONFIG"},
    {et::efi_spdm_device_policy, "EV_EFI_SPDM_DEVICE_POLICY"},
}};
constexpr std::string_view spdm_device_authority = "EV_EFI_SPDM_DEVICE_AUTHORITY";

/// Loaders that measure a string write it behind one of these, which they do not measure. The two
/// without a colon are GRUB's of older Fedora and RHEL.
constexpr std::array<std::string_view, 5> text_prefixes{
    "grub_cmd: ", "kernel_cmdline: ", "module_cmdline: ", "grub_cmd ", "grub_kernel_cmdline "};
/// Names of sections that systemd-stub measures.
constexpr std::size_t section_name_chars_max = 64;

class digest_match {
public:
  digest_match(crypto::hash_alg alg, byte_view expected) : alg_(alg), expected_(expected) {}
  bool operator()(byte_view part) const {
    std::array<std::uint8_t, digest_bytes_max> buffer{};
    const auto out = std::span(buffer).first(crypto::digest_size(alg_));
    crypto::digest_into(alg_, {part}, out);
    return std::equal(out.begin(), out.end(), expected_.begin(), expected_.end());
  }

private:
  crypto::hash_alg alg_;
  byte_view expected_;
};

byte_view without_terminator(byte_view text) {
  return !text.empty() && text.back() == 0 ? text.first(text.size() - 1) : text;
}

/// systemd-stub logs names of sections in UCS-2 and measures them in ASCII, terminator included.
bool is_section_name(byte_view data, const digest_match& matches) {
  std::array<std::uint8_t, section_name_chars_max> narrow{};
  if (data.size() < 4 || data.size() % 2 != 0 || data.size() / 2 > narrow.size())
    return false;
  for (std::size_t i = 0; i < data.size(); i += 2) {
    const bool last = i + 2 == data.size();
    if (data[i + 1] != 0 || data[i] > 0x7E || (data[i] == 0) != last)
      return false;
    narrow.at(i / 2) = data[i];
  }
  return matches(std::span(narrow).first(data.size() / 2));
}

/// What the digest covers of a string that GRUB or another loader measured; empty if nothing.
byte_view match_text(byte_view data, const digest_match& matches) {
  if (matches(data) || is_section_name(data, matches))
    return data;
  const byte_view text = without_terminator(data);
  if (text.size() != data.size() && matches(text))
    return text;
  if (data.size() >= 2 && data.size() % 2 == 0 && data[data.size() - 1] == 0 &&
      data[data.size() - 2] == 0 && matches(data.first(data.size() - 2)))
    return data.first(data.size() - 2); // UCS-2
  for (const auto prefix : text_prefixes) {
    if (as_text(text).substr(0, prefix.size()) != prefix)
      continue;
    for (const auto part : {text.subspan(prefix.size()), data.subspan(prefix.size())})
      if (matches(part))
        return part;
  }
  return {};
}

error data_error(const event& e, const std::string& what) {
  auto failure = make_error(errc::attestation_failed, "event " + std::to_string(e.index) + " (" +
                                                          type_text(e.type) + ", PCR " +
                                                          std::to_string(e.pcr) + "): " + what);
  failure.check = "event-data";
  failure.pcr = e.pcr;
  failure.event = e.index;
  return failure;
}

} // namespace

std::string_view name_of(std::uint32_t type) {
  if (type == et::efi_spdm_device_authority)
    return spdm_device_authority;
  for (const auto& [value, name] : names)
    if (value == type)
      return name;
  return {};
}

std::string type_text(std::uint32_t type) {
  const auto name = name_of(type);
  if (!name.empty())
    return std::string(name);
  const std::array<std::uint8_t, 4> octets{
      static_cast<std::uint8_t>(type >> 24), static_cast<std::uint8_t>(type >> 16),
      static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type)};
  return "0x" + crypto::hex(octets);
}

std::optional<std::uint32_t> type_of(std::string_view name) {
  if (name == spdm_device_authority)
    return et::efi_spdm_device_authority;
  for (const auto& [value, known] : names)
    if (known == name)
      return value;
  return std::nullopt;
}

bool data_is_hashed(std::uint32_t type) {
  switch (type) {
  case et::separator:
  case et::action:
  case et::s_crtm_version:
  case et::omit_boot_device_events:
  case et::efi_variable_driver_config:
  case et::efi_variable_boot:
  case et::efi_variable_boot2:
  case et::efi_variable_authority:
  case et::efi_spdm_device_policy:
  case et::efi_spdm_device_authority:
  case et::efi_gpt_event:
  case et::efi_gpt_event2:
  case et::efi_action:
    return true;
  default:
    return false;
  }
}

result<byte_view> measured_data(const parsed_log& log, const event& e, crypto::hash_alg bank,
                                const data_rules& rules) {
  if (e.type == et::no_action)
    return byte_view(); // measured nowhere
  const byte_view digest = log.digest(e, bank);
  if (digest.empty())
    return data_error(e, "no digest of bank " + std::string(crypto::to_string(bank)));
  const digest_match matches(bank, digest);
  if (!data_is_hashed(e.type)) {
    switch (e.type) {
    case et::ipl:
    case et::event_tag:
    case et::compact_hash:
    case et::platform_config_flags:
    case et::table_of_devices:
    case et::nonhost_config:
    case et::nonhost_info:
      return match_text(e.data, matches);
    default:
      return byte_view();
    }
  }
  if (matches(e.data))
    return e.data;
  if (e.type == et::efi_variable_boot) {
    // Profiles before 1.05 hash the value alone: then nothing vouches for the variable's name.
    const auto variable = parse_uefi_variable(e.data);
    if (variable && matches(variable->data))
      return variable->data;
  }
  if (e.type == et::efi_variable_authority && rules.shim_extra_byte && !e.data.empty()) {
    const byte_view shorter = e.data.first(e.data.size() - 1);
    if (matches(shorter))
      return shorter;
  }
  return data_error(e, "the digest is not the hash of the event's data");
}

} // namespace custos::eventlog
