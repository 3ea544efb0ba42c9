#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <string>

namespace custos::eventlog {

namespace {

namespace et = event_type;

constexpr std::size_t variable_header_bytes = 32;
/// UEFI_IMAGE_LOAD_EVENT: location, length and link-time address, then the device path's length.
constexpr std::size_t image_load_header_bytes = 32;
constexpr std::size_t device_path_nodes_max = 32;

std::uint16_t u16_at(byte_view data, std::size_t at) {
  return static_cast<std::uint16_t>(data[at] | data[at + 1] << 8);
}

std::uint64_t u64_at(byte_view data, std::size_t at) {
  std::uint64_t out = 0;
  for (std::size_t i = 8; i > 0; --i)
    out = out << 8 | data[at + i - 1];
  return out;
}

/// UCS-2 to UTF-8; surrogates become U+FFFD. `data` has an even size.
std::string utf8_of_ucs2(byte_view data) {
  std::string out;
  for (std::size_t i = 0; i + 1 < data.size(); i += 2) {
    std::uint32_t c = u16_at(data, i);
    if (c >= 0xD800 && c <= 0xDFFF)
      c = 0xFFFD;
    if (c < 0x80) {
      out.push_back(static_cast<char>(c));
    } else if (c < 0x800) {
      out.push_back(static_cast<char>(0xC0 | c >> 6));
      out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
    } else {
      out.push_back(static_cast<char>(0xE0 | c >> 12));
      out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
      out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
    }
  }
  return out;
}

/// Firmware writes strings in either form: every second byte zero means UCS-2.
bool looks_like_ucs2(byte_view data) {
  if (data.size() < 4 || data.size() % 2 != 0)
    return false;
  std::size_t ascii = 0;
  for (std::size_t i = 0; i < data.size(); i += 2)
    ascii += data[i + 1] == 0 && data[i] >= 0x20 && data[i] < 0x7F ? 1 : 0;
  return ascii * 4 >= data.size(); // at least half of the characters
}

std::string text_of(byte_view data) {
  if (data.size() > 4 * hint_chars_max)
    data = data.first(4 * hint_chars_max);
  auto out = looks_like_ucs2(data) ? utf8_of_ucs2(data) : std::string(as_text(data));
  while (!out.empty() && out.back() == '\0')
    out.pop_back();
  return out;
}

std::string hex_number(std::uint64_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  do {
    out.insert(out.begin(), digits[value & 0xF]);
    value >>= 4;
  } while (value != 0);
  return "0x" + out;
}

std::string size_text(byte_view data) {
  return std::to_string(data.size()) + (data.size() == 1 ? " byte" : " bytes");
}

/// One node of a device path (UEFI 2.10, section 10.3), the few kinds that tell people something.
std::string node_text(std::uint8_t type, std::uint8_t subtype, byte_view body) {
  if (type == 4 && subtype == 4)
    return text_of(body);
  if (type == 4 && (subtype == 6 || subtype == 7) && body.size() == 16)
    return (subtype == 6 ? "FvFile(" : "Fv(") + guid_text(body.first<16>()) + ")";
  if (type == 4 && subtype == 1 && body.size() >= 4)
    return "HD(" + std::to_string(body[0] | body[1] << 8) + ")";
  if (type == 2 && subtype == 1)
    return "Acpi";
  if (type == 1 && subtype == 1 && body.size() == 2)
    return "Pci(" + hex_number(body[1]) + "," + hex_number(body[0]) + ")";
  return "Path(" + std::to_string(type) + "," + std::to_string(subtype) + ")";
}

std::string device_path_text(byte_view path) {
  std::string out;
  for (std::size_t nodes = 0; nodes < device_path_nodes_max && path.size() >= 4; ++nodes) {
    const std::size_t size = u16_at(path, 2);
    if (size < 4 || size > path.size() || path[0] == 0x7F)
      break;
    if (!out.empty())
      out += '/';
    out += node_text(path[0], path[1], path.subspan(4, size - 4));
    path = path.subspan(size);
  }
  return out;
}

std::string image_text(byte_view data) {
  if (data.size() < image_load_header_bytes)
    return size_text(data);
  const auto path_bytes = u64_at(data, 24);
  const byte_view rest = data.subspan(image_load_header_bytes);
  auto out = device_path_text(rest.first(std::min<std::uint64_t>(path_bytes, rest.size())));
  return out.empty() ? "image of " + std::to_string(u64_at(data, 8)) + " bytes" : out;
}

std::string variable_text(byte_view data) {
  const auto variable = parse_uefi_variable(data);
  if (!variable)
    return size_text(data);
  auto out = variable->name + " (" + guid_text(variable->guid) + "), " + size_text(variable->data);
  if (!variable->data.empty() && variable->data.size() <= 8)
    out += ": " + crypto::hex(variable->data);
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

std::string tag_text(byte_view data) {
  if (data.size() < 8)
    return size_text(data);
  const auto tag = static_cast<std::uint64_t>(u16_at(data, 0)) |
                   static_cast<std::uint64_t>(u16_at(data, 2)) << 16;
  return "tag " + hex_number(tag) + ": " + text_of(data.subspan(8));
}

std::string raw_hint(const event& e) {
  switch (e.type) {
  case et::efi_variable_driver_config:
  case et::efi_variable_boot:
  case et::efi_variable_boot2:
  case et::efi_variable_authority:
  case et::efi_spdm_device_policy:
  case et::efi_spdm_device_authority:
    return variable_text(e.data);
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
    return text_of(e.data.first(std::min<std::size_t>(e.data.size(), 16)));
  case et::action:
  case et::efi_action:
  case et::ipl:
  case et::s_crtm_version:
  case et::compact_hash:
  case et::omit_boot_device_events:
  case et::efi_hcrtm_event:
    return text_of(e.data);
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

result<uefi_variable> parse_uefi_variable(byte_view data) {
  if (data.size() < variable_header_bytes)
    return make_error(errc::malformed, "UEFI variable: shorter than its header");
  uefi_variable out;
  std::copy_n(data.begin(), out.guid.size(), out.guid.begin());
  const auto name_chars = u64_at(data, 16);
  const auto value_bytes = u64_at(data, 24);
  const byte_view rest = data.subspan(variable_header_bytes);
  if (name_chars > rest.size() / 2 || value_bytes != rest.size() - 2 * name_chars)
    return make_error(errc::malformed, "UEFI variable: its lengths do not add up to its size");
  out.name = utf8_of_ucs2(rest.first(2 * name_chars));
  out.data = rest.subspan(2 * name_chars);
  return out;
}

std::string describe(const event& e) {
  return sanitised(raw_hint(e));
}

} // namespace custos::eventlog
