#include "adapters/eventlog/device_path.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/signature_list.hpp"

#include <algorithm>
#include <string>

namespace custos::eventlog {

namespace {

namespace et = event_type;

constexpr std::size_t variable_header_bytes = 32;
/// UEFI_IMAGE_LOAD_EVENT: location, length and link-time address, then the device path's length.
constexpr std::size_t image_load_header_bytes = 32;

std::uint64_t u64_at(byte_view data, std::size_t at) {
  std::uint64_t out = 0;
  for (std::size_t i = 8; i > 0; --i)
    out = out << 8 | data[at + i - 1];
  return out;
}

std::string size_text(byte_view data) {
  return std::to_string(data.size()) + (data.size() == 1 ? " byte" : " bytes");
}

/// Text where it is text, and else how much there is.
std::string text_or_size(byte_view data) {
  auto text = text_of(data);
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7E; });
  return printable && !text.empty() ? text : size_text(data);
}

std::string image_text(byte_view data) {
  if (data.size() < image_load_header_bytes)
    return size_text(data);
  const auto path_bytes = u64_at(data, 24);
  const byte_view rest = data.subspan(image_load_header_bytes);
  auto out = device_path_text(rest.first(std::min<std::uint64_t>(path_bytes, rest.size())));
  return out.empty() ? "image of " + std::to_string(u64_at(data, 8)) + " bytes" : out;
}

/// EFI_LOAD_OPTION (UEFI 2.10, 3.1.3): attributes, length of the paths, then a description.
std::string load_option_text(byte_view data) {
  constexpr std::size_t header_bytes = 6;
  if (data.size() < header_bytes)
    return {};
  const auto text = data.subspan(header_bytes);
  std::size_t end = 0;
  while (end + 1 < text.size() && (text[end] != 0 || text[end + 1] != 0))
    end += 2;
  return utf8_of_ucs2(text.first(end));
}

bool is_load_option(std::string_view name) {
  return name.size() == 8 && name.substr(0, 4) == "Boot" &&
         name.find_first_not_of("0123456789ABCDEFabcdef", 4) == std::string_view::npos;
}

bool is_database(std::string_view name) {
  return name == "PK" || name == "KEK" || name == "db" || name == "dbx";
}

std::string variable_text(const event& e) {
  const bool authority = e.type == et::efi_variable_authority;
  const auto variable = parse_uefi_variable(e.data, authority ? surplus_bytes_max : 0);
  if (!variable)
    return size_text(e.data);
  auto out = variable->name + " (" + guid_text(variable->guid) + "), " + size_text(variable->data);
  if (!variable->data.empty() && variable->data.size() <= 8)
    out += ": " + crypto::hex(variable->data);
  else if (is_load_option(variable->name))
    out += ": " + load_option_text(variable->data);
  else if (e.type == et::efi_variable_driver_config && is_database(variable->name))
    if (const auto lists = parse_signature_lists(variable->data); lists)
      out += ": signatures " + std::to_string(lists->signatures.size() + lists->others);
  return out;
}

std::string firmware_blob_text(byte_view data) {
  if (data.size() == 16)
    return "base " + hex_number(u64_at(data, 0)) + ", length " + hex_number(u64_at(data, 8));
  return text_of(data);
}

/// With a description in front (EV_EFI_PLATFORM_FIRMWARE_BLOB2, EV_EFI_HANDOFF_TABLES2, POST code
/// 2).
std::string described_blob_text(byte_view data) {
  if (data.empty() || data[0] > data.size() - 1)
    return size_text(data);
  return text_of(data.subspan(1, data[0]));
}

/// TCG_PCClientTaggedEvent: id, size, data. Windows nests them; Linux and systemd-stub write text.
std::string tag_text(byte_view data) {
  constexpr std::size_t header_bytes = 8;
  if (data.size() < header_bytes)
    return size_text(data);
  const auto tag = u64_at(data, 0) & 0xFFFFFFFFU;
  const auto size = u64_at(data, 0) >> 32;
  const auto rest = data.subspan(header_bytes);
  return "tag " + hex_number(tag) + ": " +
         text_or_size(rest.first(std::min<std::uint64_t>(size, rest.size())));
}

std::string no_action_text(byte_view data) {
  constexpr std::size_t signature_bytes = 16;
  auto out = text_of(data.first(std::min(data.size(), signature_bytes)));
  if (out == "StartupLocality" && data.size() > signature_bytes)
    out += " " + std::to_string(data[signature_bytes]);
  return out;
}

std::string raw_hint(const event& e) {
  switch (e.type) {
  case et::efi_variable_driver_config:
  case et::efi_variable_boot:
  case et::efi_variable_boot2:
  case et::efi_variable_authority:
  case et::efi_spdm_device_policy:
  case et::efi_spdm_device_authority:
    return variable_text(e);
  case et::efi_boot_services_application:
  case et::efi_boot_services_driver:
  case et::efi_runtime_services_driver:
    return image_text(e.data);
  case et::separator:
    return e.data.size() <= 16 ? crypto::hex(e.data) : size_text(e.data);
  case et::post_code:
  case et::efi_platform_firmware_blob:
    return firmware_blob_text(e.data);
  case et::post_code2:
  case et::efi_platform_firmware_blob2:
  case et::efi_handoff_tables2:
    return described_blob_text(e.data);
  case et::event_tag:
    return tag_text(e.data);
  case et::no_action:
    return no_action_text(e.data);
  case et::action:
  case et::efi_action:
  case et::ipl:
  case et::s_crtm_version:
  case et::omit_boot_device_events:
  case et::efi_hcrtm_event:
    return text_of(e.data);
  case et::compact_hash:
  case et::platform_config_flags:
  case et::table_of_devices:
  case et::cpu_microcode:
  case et::nonhost_code:
  case et::nonhost_config:
  case et::nonhost_info:
  case et::s_crtm_contents:
    return text_or_size(e.data);
  case et::efi_gpt_event:
  case et::efi_gpt_event2:
    return "GUID partition table, " + size_text(e.data);
  default:
    return size_text(e.data);
  }
}

/// One line of printable ASCII: what goes to terminals and logs must not steer them.
std::string sanitised(const std::string& text) {
  constexpr std::string_view ellipsis = "...";
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    std::string piece(1, c);
    if (octet < 0x20 || octet > 0x7E)
      piece = {'\\', 'x', digits[octet >> 4], digits[octet & 0xF]};
    if (out.size() + piece.size() > hint_chars_max - ellipsis.size()) {
      out += ellipsis;
      break;
    }
    out += piece;
  }
  return out;
}

} // namespace

std::string guid_text(std::span<const std::uint8_t, 16> guid) {
  // The first three groups are little-endian (RFC 9562, 4, variant "Microsoft").
  constexpr std::array<std::uint8_t, 16> order{3, 2, 1,  0,  5,  4,  7,  6,
                                               8, 9, 10, 11, 12, 13, 14, 15};
  std::array<std::uint8_t, 16> sorted{};
  for (std::size_t i = 0; i < order.size(); ++i)
    sorted.at(i) = guid[order.at(i)];
  auto out = crypto::hex(sorted);
  for (const std::size_t at : {8U, 13U, 18U, 23U})
    out.insert(at, 1, '-');
  return out;
}

result<uefi_variable> parse_uefi_variable(byte_view data, std::size_t surplus_bytes) {
  if (data.size() < variable_header_bytes)
    return make_error(errc::malformed, "UEFI variable: shorter than its header");
  uefi_variable out;
  std::copy_n(data.begin(), out.guid.size(), out.guid.begin());
  const auto name_chars = u64_at(data, 16);
  const auto value_bytes = u64_at(data, 24);
  const byte_view rest = data.subspan(variable_header_bytes);
  const auto lengths_error = [] {
    return make_error(errc::malformed, "UEFI variable: its lengths do not add up to its size");
  };
  if (name_chars > rest.size() / 2)
    return lengths_error();
  const byte_view value = rest.subspan(2 * name_chars);
  if (value_bytes > value.size() || value.size() - value_bytes > surplus_bytes)
    return lengths_error();
  out.name = utf8_of_ucs2(rest.first(2 * name_chars));
  out.data = value.first(value_bytes);
  return out;
}

std::string describe(const event& e) {
  return sanitised(raw_hint(e));
}

} // namespace custos::eventlog
