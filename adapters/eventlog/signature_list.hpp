#pragma once
// EFI_SIGNATURE_LIST (UEFI 2.10, 32.4.1): what the variables PK, KEK, db and dbx hold, one list
// behind the other. Little-endian; every byte is accounted for.
// Thread rule: pure functions on their arguments. Lifetime: results look into the caller's bytes.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace custos::eventlog {

/// Signatures in one variable; the fullest dbx in the field has less than a thousand.
inline constexpr std::size_t signatures_max = 16384;

/// EFI_GUID as stored (mixed-endian).
using efi_guid = std::array<std::uint8_t, 16>;
inline constexpr std::size_t owner_bytes = 16;
/// EFI_CERT_X509_GUID.
inline constexpr efi_guid x509_list_guid{0xA1, 0x59, 0xC0, 0xA5, 0xE4, 0x94, 0xA7, 0x4A,
                                         0x87, 0xB5, 0xAB, 0x15, 0x5C, 0x2B, 0xF0, 0x72};
/// EFI_CERT_SHA256_GUID.
inline constexpr efi_guid sha256_list_guid{0x26, 0x16, 0xC4, 0xC1, 0x4C, 0x50, 0x92, 0x40,
                                           0xAC, 0xA9, 0x41, 0xF9, 0x36, 0x93, 0x43, 0x28};

enum class signature_kind : std::uint8_t {
  x509 = 1, ///< a certificate, DER
  sha256,   ///< the Authenticode hash of an image
};

/// EFI_SIGNATURE_DATA.
struct signature {
  signature_kind kind = signature_kind::x509;
  byte_view owner; ///< SignatureOwner, 16 octets: who put it there
  byte_view data;  ///< never empty; 32 octets for sha256
};

struct signature_lists {
  std::vector<signature> signatures; ///< certificates and SHA-256 hashes, in their order
  std::size_t others = 0;            ///< signatures of other types: skipped
};

/// Reads a whole variable; none at all is no list and no error. Errors: malformed, with the list's
/// offset, where a size is too small, too large, does not divide what it should, or anything is
/// left over; too_large above signatures_max.
result<signature_lists> parse_signature_lists(byte_view data);

} // namespace custos::eventlog
