#pragma once
// Public keys in certificates, read without OpenSSL's decoders, which take a tenth of a millisecond
// and more for each: for the many certificates of a fleet. Pure.

#include "messages/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace custos::crypto {

/// The SubjectPublicKeyInfo of a certificate (RFC 5280, 4.1), if it is a key of ours in the very
/// octets that key::spki_der() gives for it: RSA as rsaEncryption with NULL (RFC 3279, 2.3.1), or
/// an uncompressed point on the named curve P-256 or P-384 (RFC 5480, 2). Nothing otherwise: ask
/// certificate::public_key(), which knows more forms. A view into `certificate_der`.
///
/// It finds the key; it does not judge the certificate, nor whether the point is on its curve.
std::optional<byte_view> plain_spki_of(byte_view certificate_der);

/// The same of a SubjectPublicKeyInfo alone.
bool is_plain_spki(byte_view der);

/// PEM (RFC 7468) of these octets: lines of 64 characters.
std::string pem_of(std::string_view label, byte_view der);

} // namespace custos::crypto
