#include "adapters/crypto/crypto.hpp"

#include <array>

namespace custos::crypto {

namespace {

constexpr std::string_view alphabet_url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view alphabet_std =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_digit = 0xFF;

constexpr std::array<std::uint8_t, 256> table_of(std::string_view alphabet) {
  std::array<std::uint8_t, 256> table{};
  for (auto& t : table)
    t = no_digit;
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    table[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  return table;
}

void encode(std::string& out, byte_view data, std::string_view alphabet, bool padding) {
  const std::size_t whole = data.size() / 3;
  std::size_t at = out.size();
  out.resize(at + whole * 4); // whole groups are written in place: tokens go through here
  std::size_t i = 0;
  for (; i + 3 <= data.size(); i += 3) {
    const std::uint32_t v =
        (std::uint32_t{data[i]} << 16U) | (std::uint32_t{data[i + 1]} << 8U) | data[i + 2];
    for (const unsigned shift : {18U, 12U, 6U, 0U})
      out[at++] = alphabet[(v >> shift) & 63U];
  }
  const std::size_t rest = data.size() - i;
  if (rest == 0)
    return;
  const std::uint32_t v =
      (std::uint32_t{data[i]} << 16U) | (rest == 2 ? std::uint32_t{data[i + 1]} << 8U : 0U);
  out.push_back(alphabet[(v >> 18U) & 63U]);
  out.push_back(alphabet[(v >> 12U) & 63U]);
  if (rest == 2)
    out.push_back(alphabet[(v >> 6U) & 63U]);
  if (padding)
    out.append(3 - rest, '=');
}

std::string encoded(byte_view data, std::string_view alphabet, bool padding) {
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  encode(out, data, alphabet, padding);
  return out;
}

/// `text` without padding. One octet string has exactly one encoding: left-over bits must be zero.
result<bytes> decode(std::string_view text, const std::array<std::uint8_t, 256>& table,
                     const char* expected) {
  if (text.size() % 4 == 1)
    return make_error(errc::malformed, std::string("expected ") + expected + ": length is wrong");
  bytes out;
  out.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t v = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto digit = table[static_cast<std::uint8_t>(c)];
    if (digit == no_digit)
      return make_error(errc::malformed, std::string("expected ") + expected +
                                             ": a character is not of the alphabet");
    v = (v << 6U) | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>(v >> bits));
      v &= (1U << bits) - 1U;
    }
  }
  if (v != 0)
    return make_error(errc::malformed,
                      std::string("expected ") + expected + ": the last character has stray bits");
  return out;
}

} // namespace

std::string base64url(byte_view data) {
  return encoded(data, alphabet_url, false);
}

void append_base64url(std::string& out, byte_view data) {
  encode(out, data, alphabet_url, false);
}

result<bytes> from_base64url(std::string_view text) {
  static constexpr auto table = table_of(alphabet_url);
  return decode(text, table, "base64url without padding");
}

std::string base64(byte_view data) {
  return encoded(data, alphabet_std, true);
}

result<bytes> from_base64(std::string_view text) {
  static constexpr auto table = table_of(alphabet_std);
  if (text.size() % 4 != 0)
    return make_error(errc::malformed, "expected base64 with padding: length is no multiple of 4");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
    ++padding;
  return decode(text.substr(0, text.size() - padding), table, "base64 with padding");
}

void append_hex(std::string& out, byte_view data) {
  static constexpr std::string_view digits = "0123456789abcdef";
  for (const auto b : data) {
    out.push_back(digits[b >> 4U]);
    out.push_back(digits[b & 15U]);
  }
}

std::string hex(byte_view data) {
  std::string out;
  out.reserve(data.size() * 2);
  append_hex(out, data);
  return out;
}

result<bytes> from_hex(std::string_view text) {
  const auto digit = [](char c) -> std::uint8_t {
    if (c >= '0' && c <= '9')
      return static_cast<std::uint8_t>(c - '0');
    if (c >= 'a' && c <= 'f')
      return static_cast<std::uint8_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
      return static_cast<std::uint8_t>(c - 'A' + 10);
    return no_digit;
  };
  if (text.size() % 2 != 0)
    return make_error(errc::malformed, "expected an even number of hexadecimal digits");
  bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = digit(text[i]);
    const auto low = digit(text[i + 1]);
    if (high == no_digit || low == no_digit)
      return make_error(errc::malformed, "expected hexadecimal digits");
    out.push_back(static_cast<std::uint8_t>((high << 4U) | low));
  }
  return out;
}

} // namespace custos::crypto
