#include "adapters/crypto/scalar_key.hpp"

#include <algorithm>
#include <array>

namespace custos::crypto {

namespace {

/// Order of the group, n (SP 800-186, 3.2.1.3).
constexpr std::array<std::uint8_t, 32> p256_order{
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51};

/// PKCS#8 (RFC 5208) of a P-256 key up to its scalar: version 0, id-ecPublicKey with prime256v1
/// (RFC 5480, 2), and an ECPrivateKey (RFC 5915) of version 1 without the optional parameters and
/// public key.
constexpr std::array<std::uint8_t, 35> p256_pkcs8_head{
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
    0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03,
    0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20};

} // namespace

result<key> p256_of_scalar(byte_view scalar) {
  if (scalar.size() != p256_order.size() ||
      std::all_of(scalar.begin(), scalar.end(), [](std::uint8_t octet) { return octet == 0; }) ||
      !std::lexicographical_compare(scalar.begin(), scalar.end(), p256_order.begin(),
                                    p256_order.end()))
    return make_error(errc::invalid_argument,
                      "P-256 private key: expected 32 octets, a number from 1 to n-1");
  secret_bytes der(p256_pkcs8_head.size() + scalar.size());
  const auto out = der.writable_secret();
  std::copy(p256_pkcs8_head.begin(), p256_pkcs8_head.end(), out.begin());
  std::copy(scalar.begin(), scalar.end(),
            out.begin() + static_cast<std::ptrdiff_t>(p256_pkcs8_head.size()));
  return private_key_from_pkcs8(der.reveal_secret());
}

} // namespace custos::crypto
