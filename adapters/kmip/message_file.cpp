#include "adapters/kmip/message_file.hpp"

#include <algorithm>
#include <optional>

namespace custos::kmip {

namespace {

constexpr ttlv_limits limits{message_bytes_max, items_max, depth_max};

error at_place(error e, const std::string& where) {
  e.message = where + ": " + e.message;
  return e;
}

error too_many() {
  return make_error(errc::too_large,
                    "expected at most " + std::to_string(file_messages_max) + " messages");
}

/// The message that begins the octets; offsets of errors begin at `base`.
result<kept_message> next_message(byte_view rest, std::size_t base) {
  const auto at = [base](std::size_t offset) { return "offset " + std::to_string(base + offset); };
  std::size_t fault_at = 0;
  if (rest.size() >= ttlv_header_bytes)
    if (const auto total = ttlv_total_bytes(rest, limits); total && *total <= rest.size())
      rest = rest.first(*total);
  // Too short, or with a header that is wrong: the parser says what and where.
  if (auto item = parse_ttlv(rest, limits, fault_at); !item)
    return at_place(std::move(item).failure(), at(fault_at));
  kept_message out;
  out.offset = base;
  out.octets.assign(rest.begin(), rest.end());
  return out;
}

result<std::vector<kept_message>> read_binary(byte_view file) {
  std::vector<kept_message> out;
  for (std::size_t at = 0; at < file.size(); at += out.back().octets.size()) {
    if (out.size() == file_messages_max)
      return too_many();
    CUSTOS_TRY(auto message, next_message(file.subspan(at), at));
    out.push_back(std::move(message));
  }
  return out;
}

std::optional<std::uint8_t> digit_of(char c) {
  if (c >= '0' && c <= '9')
    return static_cast<std::uint8_t>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f')
    return static_cast<std::uint8_t>(lower - 'a' + 10);
  return std::nullopt;
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

error wrong_text(std::size_t line, std::size_t column, const std::string& expected) {
  return make_error(errc::malformed, "line " + std::to_string(line) + ", column " +
                                         std::to_string(column + 1) + ": expected " + expected);
}

/// Hex digits with white space anywhere; `column` is where they begin in their line.
result<crypto::wiped_bytes> read_hex(std::string_view text, std::size_t line, std::size_t column) {
  crypto::wiped_bytes out;
  unsigned octet = 1; // a leading 1 says how many digits are in it
  for (const char c : text) {
    ++column;
    if (is_space(c))
      continue;
    const auto digit = digit_of(c);
    if (!digit)
      return wrong_text(line, column - 1, "hex digits, two an octet");
    octet = (octet << 4U) | *digit;
    if (octet < 0x100U)
      continue;
    out.push_back(static_cast<std::uint8_t>(octet & 0xFFU));
    octet = 1;
  }
  if (octet != 1)
    return wrong_text(line, column, "a second hex digit of the octet");
  return out;
}

/// A line to its message; none for an empty line or a comment.
result<std::optional<kept_message>> read_line(std::string_view line, std::size_t number) {
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos || line[begin] == '#')
    return std::optional<kept_message>();
  kept_message out;
  out.line = number;
  const bool marked = line[begin] == '>' || line[begin] == '<';
  if (marked)
    out.mark = line[begin];
  const auto hex_at = begin + (marked ? 1 : 0);
  CUSTOS_TRY(out.octets, read_hex(line.substr(hex_at), number, hex_at));
  std::size_t fault_at = 0;
  if (auto item = parse_ttlv(out.octets, limits, fault_at); !item)
    return at_place(std::move(item).failure(),
                    "line " + std::to_string(number) + ", offset " + std::to_string(fault_at));
  return std::optional<kept_message>(std::move(out));
}

result<std::vector<kept_message>> read_lines(std::string_view text) {
  std::vector<kept_message> out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    CUSTOS_TRY(auto message, read_line(text.substr(0, end), number));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!message)
      continue;
    if (out.size() == file_messages_max)
      return too_many();
    out.push_back(*std::move(message));
  }
  if (out.empty())
    return make_error(errc::malformed, "expected at least one line with a message in hex");
  return out;
}

} // namespace

ttlv_item kept_message::item() const {
  const auto read = parse_ttlv(octets, limits);
  return read.value(); // it was in order when the file was read
}

result<std::vector<kept_message>> read_message_file(byte_view file) {
  if (file.size() > message_file_bytes_max)
    return make_error(errc::too_large, "expected a file of at most " +
                                           std::to_string(message_file_bytes_max) + " bytes");
  if (file.empty())
    return make_error(errc::malformed, "offset 0: expected a message; there is nothing");
  // What is neither text nor begins as a message is wrong in its first octet, and is told so.
  const auto first = file.front();
  const bool text =
      first != 0x42 && first != 0x54 &&
      (first < 0x80 && (first >= 0x20 || first == '\n' || first == '\r' || first == '\t'));
  return text ? read_lines(as_text(file)) : read_binary(file);
}

} // namespace custos::kmip
