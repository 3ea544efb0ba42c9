#include "adapters/crypto/spki.hpp"

#include "adapters/crypto/crypto.hpp"

#include <algorithm>
#include <array>

namespace custos::crypto {

namespace {

constexpr std::size_t pem_line_characters = 64;

// Tags (X.690, 8.1.2 and 8.14).
constexpr std::uint8_t der_integer = 0x02;
constexpr std::uint8_t der_bit_string = 0x03;
constexpr std::uint8_t der_sequence = 0x30;
constexpr std::uint8_t der_version = 0xA0;

// AlgorithmIdentifiers, and the start of a point.
constexpr std::array<std::uint8_t, 15> rsa_encryption{
    0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00};
constexpr std::array<std::uint8_t, 21> on_p256{0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                               0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A,
                                               0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr std::array<std::uint8_t, 18> on_p384{0x30, 0x10, 0x06, 0x07, 0x2A, 0x86,
                                               0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06,
                                               0x05, 0x2B, 0x81, 0x04, 0x00, 0x22};
constexpr std::uint8_t uncompressed = 0x04; // SEC 1, 2.3.3

/// Steps over the elements of DER: definite lengths in their shortest form (X.690, 10.1).
class elements {
public:
  explicit elements(byte_view der) : rest_(der) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }
  [[nodiscard]] bool next_is(std::uint8_t tag) const { return !rest_.empty() && rest_[0] == tag; }

  /// The content of the next element, if it has this tag; `whole` is it with its header.
  std::optional<byte_view> next(std::uint8_t tag, byte_view* whole = nullptr) {
    if (rest_.size() < 2 || rest_[0] != tag)
      return std::nullopt;
    std::size_t header = 2;
    std::size_t size = rest_[1];
    if (size >= 0x80) {
      const std::size_t octets = size - 0x80;
      if (octets == 0 || octets > 2 || rest_.size() < 2 + octets)
        return std::nullopt;
      size = 0;
      for (std::size_t i = 0; i < octets; ++i)
        size = size << 8U | rest_[2 + i];
      header += octets;
      if (size < (octets == 1 ? 0x80U : 0x100U))
        return std::nullopt;
    }
    if (rest_.size() - header < size)
      return std::nullopt;
    if (whole != nullptr)
      *whole = rest_.first(header + size);
    const auto content = rest_.subspan(header, size);
    rest_ = rest_.subspan(header + size);
    return content;
  }

private:
  byte_view rest_;
};

template <std::size_t N>
bool starts_with(byte_view octets, const std::array<std::uint8_t, N>& start) {
  return octets.size() >= N && std::equal(start.begin(), start.end(), octets.begin());
}

/// Positive, in its shortest form (X.690, 8.3.2).
bool is_positive(const std::optional<byte_view>& integer) {
  if (!integer || integer->empty())
    return false;
  const auto& i = *integer;
  if (i[0] == 0)
    return i.size() > 1 && i[1] >= 0x80;
  return i[0] < 0x80;
}

/// RSAPublicKey (RFC 8017, A.1.1).
bool is_rsa_key(byte_view key) {
  elements outer(key);
  const auto sequence = outer.next(der_sequence);
  if (!sequence || !outer.empty())
    return false;
  elements numbers(*sequence);
  return is_positive(numbers.next(der_integer)) && is_positive(numbers.next(der_integer)) &&
         numbers.empty();
}

bool is_point(byte_view key, std::size_t field_bytes) {
  return key.size() == 1 + 2 * field_bytes && key[0] == uncompressed;
}

} // namespace

bool is_plain_spki(byte_view der) {
  elements outer(der);
  const auto spki = outer.next(der_sequence);
  if (!spki || !outer.empty())
    return false;
  elements parts(*spki);
  byte_view algorithm;
  if (!parts.next(der_sequence, &algorithm))
    return false;
  const auto bits = parts.next(der_bit_string);
  if (!bits || !parts.empty() || bits->empty() || (*bits)[0] != 0) // no unused bits
    return false;
  const auto key = bits->subspan(1);
  if (starts_with(algorithm, rsa_encryption))
    return is_rsa_key(key);
  if (starts_with(algorithm, on_p256))
    return is_point(key, 32);
  return starts_with(algorithm, on_p384) && is_point(key, 48);
}

std::optional<byte_view> plain_spki_of(byte_view certificate_der) {
  elements outer(certificate_der);
  const auto certificate = outer.next(der_sequence);
  if (!certificate || !outer.empty())
    return std::nullopt;
  elements signed_parts(*certificate);
  const auto to_be_signed = signed_parts.next(der_sequence);
  if (!to_be_signed)
    return std::nullopt;
  elements parts(*to_be_signed);
  if (parts.next_is(der_version) && !parts.next(der_version))
    return std::nullopt;
  if (!parts.next(der_integer)) // serial number
    return std::nullopt;
  for (int before_key = 0; before_key < 4; ++before_key) // signature, issuer, validity, subject
    if (!parts.next(der_sequence))
      return std::nullopt;
  byte_view spki;
  if (!parts.next(der_sequence, &spki) || !is_plain_spki(spki))
    return std::nullopt;
  return spki;
}

std::string pem_of(std::string_view label, byte_view der) {
  const auto text = base64(der);
  std::string out;
  out.reserve(text.size() + text.size() / pem_line_characters + 2 * (label.size() + 17) + 1);
  out.append("-----BEGIN ").append(label).append("-----\n");
  for (std::size_t at = 0; at < text.size(); at += pem_line_characters)
    out.append(text, at, pem_line_characters).append("\n");
  return out.append("-----END ").append(label).append("-----\n");
}

} // namespace custos::crypto
