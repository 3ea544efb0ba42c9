#include "adapters/eventlog/device_path.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <string_view>

namespace custos::eventlog {

namespace {

constexpr std::size_t node_header_bytes = 4;
constexpr std::size_t text_bytes_max = 1024;
constexpr std::uint8_t end_of_path = 0x7F;
/// EISA id PNP0A03: the root of a PCI bus.
constexpr std::uint32_t pci_root_id = 0x0A0341D0;

std::uint64_t number_at(byte_view data, std::size_t at, std::size_t octets) {
  std::uint64_t out = 0;
  for (std::size_t i = octets; i > 0; --i)
    out = out << 8 | data[at + i - 1];
  return out;
}

std::string dotted(byte_view address) {
  std::string out;
  for (const auto octet : address) {
    if (!out.empty())
      out += '.';
    out += std::to_string(octet);
  }
  return out;
}

std::string guid_at(byte_view body, const char* name) {
  return body.size() < 16 ? std::string(name)
                          : std::string(name) + "(" + guid_text(body.first<16>()) + ")";
}

std::string hardware_text(std::uint8_t subtype, byte_view body) {
  if (subtype == 1 && body.size() == 2)
    return "Pci(" + hex_number(body[1]) + "," + hex_number(body[0]) + ")";
  if (subtype == 4)
    return guid_at(body, "VenHw");
  return {};
}

std::string acpi_text(std::uint8_t subtype, byte_view body) {
  if (subtype != 1 || body.size() != 8)
    return "Acpi";
  const auto id = number_at(body, 0, 4);
  const auto uid = hex_number(number_at(body, 4, 4));
  return id == pci_root_id ? "PciRoot(" + uid + ")" : "Acpi(" + hex_number(id) + "," + uid + ")";
}

std::string messaging_text(std::uint8_t subtype, byte_view body) {
  switch (subtype) {
  case 2:
    if (body.size() == 4)
      return "Scsi(" + hex_number(number_at(body, 0, 2)) + "," + hex_number(number_at(body, 2, 2)) +
             ")";
    break;
  case 5:
    if (body.size() == 2)
      return "USB(" + hex_number(body[0]) + "," + hex_number(body[1]) + ")";
    break;
  case 10:
    return guid_at(body, "VenMsg");
  case 11:
    if (body.size() == 33) // room for other networks' addresses; Ethernet's has six octets
      return "MAC(" + crypto::hex(body.first(6)) + ")";
    break;
  case 12:
    if (body.size() >= 8)
      return "IPv4(" + dotted(body.subspan(4, 4)) + ")";
    break;
  case 13:
    if (body.size() >= 32)
      return "IPv6(" + crypto::hex(body.subspan(16, 16)) + ")";
    break;
  case 18:
    if (body.size() == 6)
      return "Sata(" + hex_number(number_at(body, 0, 2)) + ")";
    break;
  case 23:
    if (body.size() == 12)
      return "NVMe(" + hex_number(number_at(body, 0, 4)) + ")";
    break;
  case 24:
    return "Uri(" + text_of(body) + ")";
  default:
    break;
  }
  return {};
}

std::string media_text(std::uint8_t subtype, byte_view body) {
  switch (subtype) {
  case 1:
    if (body.size() == 38 && body[37] == 2) // partition table of GUIDs
      return "HD(" + std::to_string(number_at(body, 0, 4)) + ",GPT," +
             guid_text(body.subspan<20, 16>()) + ")";
    if (body.size() >= 4)
      return "HD(" + std::to_string(number_at(body, 0, 4)) + ")";
    break;
  case 3:
    return guid_at(body, "VenMedia");
  case 4:
    return text_of(body);
  case 6:
    return guid_at(body, "FvFile");
  case 7:
    return guid_at(body, "Fv");
  default:
    break;
  }
  return {};
}

std::string node_text(std::uint8_t type, std::uint8_t subtype, byte_view body) {
  std::string out;
  if (type == 1)
    out = hardware_text(subtype, body);
  else if (type == 2)
    out = acpi_text(subtype, body);
  else if (type == 3)
    out = messaging_text(subtype, body);
  else if (type == 4)
    out = media_text(subtype, body);
  return out.empty() ? "Path(" + std::to_string(type) + "," + std::to_string(subtype) + ")" : out;
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

} // namespace

std::string device_path_text(byte_view path) {
  std::string out;
  for (std::size_t nodes = 0; nodes < device_path_nodes_max && path.size() >= node_header_bytes &&
                              out.size() < device_path_chars_max;
       ++nodes) {
    const auto size = static_cast<std::size_t>(number_at(path, 2, 2));
    if (size < node_header_bytes || size > path.size() || path[0] == end_of_path)
      break;
    if (!out.empty())
      out += '/';
    out += node_text(path[0], path[1], path.subspan(node_header_bytes, size - node_header_bytes));
    path = path.subspan(size);
  }
  out.resize(std::min(out.size(), device_path_chars_max));
  return out;
}

std::string utf8_of_ucs2(byte_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    auto c = static_cast<std::uint32_t>(number_at(text, i, 2));
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

std::string text_of(byte_view data) {
  data = data.first(std::min(data.size(), text_bytes_max));
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

} // namespace custos::eventlog
