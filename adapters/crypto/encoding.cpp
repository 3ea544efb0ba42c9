#include "adapters/crypto/crypto.hpp"

#include "adapters/crypto/secret_encoding.hpp"

#include <algorithm>
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

std::size_t encoded_size(std::size_t octets, bool padding) {
  const std::size_t rest = octets % 3;
  return octets / 3 * 4 + (rest == 0 ? 0 : padding ? 4 : rest + 1);
}

/// Writes encoded_size characters.
void encode(char* out, byte_view data, std::string_view alphabet, bool padding) {
  std::size_t i = 0;
  for (; i + 3 <= data.size(); i += 3) {
    const std::uint32_t v =
        (std::uint32_t{data[i]} << 16U) | (std::uint32_t{data[i + 1]} << 8U) | data[i + 2];
    for (const unsigned shift : {18U, 12U, 6U, 0U})
      *out++ = alphabet[(v >> shift) & 63U];
  }
  const std::size_t rest = data.size() - i;
  if (rest == 0)
    return;
  const std::uint32_t v =
      (std::uint32_t{data[i]} << 16U) | (rest == 2 ? std::uint32_t{data[i + 1]} << 8U : 0U);
  *out++ = alphabet[(v >> 18U) & 63U];
  *out++ = alphabet[(v >> 12U) & 63U];
  if (rest == 2)
    *out++ = alphabet[(v >> 6U) & 63U];
  if (padding)
    std::fill_n(out, 3 - rest, '=');
}

void append(std::string& out, byte_view data, std::string_view alphabet, bool padding) {
  const std::size_t at = out.size();
  out.resize(at + encoded_size(data.size(), padding)); // written in place: tokens go through here
  encode(out.data() + at, data, alphabet, padding);
}

std::string encoded(byte_view data, std::string_view alphabet, bool padding) {
  std::string out;
  append(out, data, alphabet, padding);
  return out;
}

secret_bytes encoded_secret(const secret_bytes& data, std::string_view alphabet, bool padding) {
  secret_bytes out(encoded_size(data.size(), padding));
  encode(reinterpret_cast<char*>(out.writable_secret().data()), data.reveal_secret(), alphabet,
         padding);
  return out;
}

std::uint8_t hex_digit_of(char c) {
  if (c >= '0' && c <= '9')
    return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f')
    return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F')
    return static_cast<std::uint8_t>(c - 'A' + 10);
  return no_digit;
}

/// A decoder gives vectors that grow to no more than they reserve: one buffer, wiped here.
result<secret_bytes> kept_secret(result<bytes> decoded) {
  if (!decoded)
    return decoded.failure();
  secret_bytes out(*decoded);
  wipe(decoded->data(), decoded->size());
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
    if (digit == no_digit) {
      wipe(out.data(), out.size()); // it may be a secret that was mistyped
      return make_error(errc::malformed, std::string("expected ") + expected +
                                             ": a character is not of the alphabet");
    }
    v = (v << 6U) | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<std::uint8_t>(v >> bits));
      v &= (1U << bits) - 1U;
    }
  }
  if (v != 0) {
    wipe(out.data(), out.size());
    return make_error(errc::malformed,
                      std::string("expected ") + expected + ": the last character has stray bits");
  }
  return out;
}

} // namespace

std::string base64url(byte_view data) {
  return encoded(data, alphabet_url, false);
}

void append_base64url(std::string& out, byte_view data) {
  append(out, data, alphabet_url, false);
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
  if (text.size() % 2 != 0)
    return make_error(errc::malformed, "expected an even number of hexadecimal digits");
  bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto high = hex_digit_of(text[i]);
    const auto low = hex_digit_of(text[i + 1]);
    if (high == no_digit || low == no_digit) {
      wipe(out.data(), out.size());
      return make_error(errc::malformed, "expected hexadecimal digits");
    }
    out.push_back(static_cast<std::uint8_t>((high << 4U) | low));
  }
  return out;
}

secret_bytes base64url_of(const secret_bytes& data) {
  return encoded_secret(data, alphabet_url, false);
}

secret_bytes base64_of(const secret_bytes& data) {
  return encoded_secret(data, alphabet_std, true);
}

secret_bytes hex_of(const secret_bytes& data) {
  static constexpr std::string_view digits = "0123456789abcdef";
  secret_bytes out(data.size() * 2);
  auto* at = out.writable_secret().data();
  for (const auto b : data.reveal_secret()) {
    *at++ = static_cast<std::uint8_t>(digits[b >> 4U]);
    *at++ = static_cast<std::uint8_t>(digits[b & 15U]);
  }
  return out;
}

result<secret_bytes> secret_from_base64url(const secret_bytes& text) {
  return kept_secret(from_base64url(as_text(text.reveal_secret())));
}

result<secret_bytes> secret_from_base64(const secret_bytes& text) {
  return kept_secret(from_base64(as_text(text.reveal_secret())));
}

result<secret_bytes> secret_from_hex(const secret_bytes& text) {
  return kept_secret(from_hex(as_text(text.reveal_secret())));
}

} // namespace custos::crypto
