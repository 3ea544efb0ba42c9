#include "adapters/json/quoted.hpp"

#include <algorithm>
#include <cstdint>

namespace custos::json {

namespace {

/// Octets of the well-formed UTF-8 sequence (Unicode 15, table 3-7) at the front, or 0.
std::size_t utf8_length(std::string_view text) {
  const auto at = [&text](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto within = [](std::uint8_t b, std::uint8_t low, std::uint8_t high) {
    return b >= low && b <= high;
  };
  const auto lead = at(0);
  if (lead < 0x80)
    return 1;
  if (within(lead, 0xC2, 0xDF))
    return within(at(1), 0x80, 0xBF) ? 2 : 0;
  if (within(lead, 0xE0, 0xEF)) {
    const std::uint8_t low = lead == 0xE0 ? 0xA0 : 0x80;
    const std::uint8_t high = lead == 0xED ? 0x9F : 0xBF;
    return within(at(1), low, high) && within(at(2), 0x80, 0xBF) ? 3 : 0;
  }
  if (within(lead, 0xF0, 0xF4)) {
    const std::uint8_t low = lead == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = lead == 0xF4 ? 0x8F : 0xBF;
    return within(at(1), low, high) && within(at(2), 0x80, 0xBF) && within(at(3), 0x80, 0xBF) ? 4
                                                                                              : 0;
  }
  return 0;
}

void append_escaped(std::string& out, unsigned code) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4)
    out += digits[code >> static_cast<unsigned>(shift) & 0xFU];
}

} // namespace

void append_quoted(std::string& out, std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view cut_mark = "...";
  const bool cut = text.size() > bytes_max;
  if (cut)
    text = text.substr(0, bytes_max - cut_mark.size());
  out += '"';
  while (!text.empty()) {
    const auto first = static_cast<std::uint8_t>(text.front());
    const auto length = utf8_length(text);
    if (length == 0) {
      append_escaped(out, 0xFFFD);
    } else if (first == '"' || first == '\\') {
      out += '\\';
      out += text.front();
    } else if (first < 0x20 || first == 0x7F) {
      append_escaped(out, first);
    } else if (first == 0xC2 && static_cast<std::uint8_t>(text[1]) < 0xA0) { // C1 controls
      append_escaped(out, static_cast<std::uint8_t>(text[1]));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  if (cut)
    out += cut_mark;
  out += '"';
}

} // namespace custos::json
