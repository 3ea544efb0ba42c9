#pragma once
// TPM 2.0 structures as a verifier reads them (TPM 2.0 Library, Part 2, revision 1.59),
// unmarshalled by tss2-mu and consumed exactly: one byte too many is an error. No function here
// talks to a TPM. Thread rule: pure functions on their arguments.

#include "adapters/crypto/crypto.hpp"
#include "messages/attestation.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace custos::tpm {

inline constexpr std::size_t public_bytes_max = 2048;
inline constexpr std::size_t quote_bytes_max = 4096;
inline constexpr std::size_t signature_bytes_max = 1024;
/// Entries of a TPML_PCR_SELECTION (TPM2_NUM_PCR_BANKS of tss2).
inline constexpr std::size_t selections_max = 16;
/// PCRs of the PC Client platform: 0-23.
inline constexpr std::uint32_t pcrs_max = 24;

// ---- public areas -------------------------------------------------------------------------------

/// TPMA_OBJECT, bit by bit (Part 2, 8.3).
namespace attribute {
inline constexpr std::uint32_t fixed_tpm = 1U << 1;
inline constexpr std::uint32_t st_clear = 1U << 2;
inline constexpr std::uint32_t fixed_parent = 1U << 4;
inline constexpr std::uint32_t sensitive_data_origin = 1U << 5;
inline constexpr std::uint32_t user_with_auth = 1U << 6;
inline constexpr std::uint32_t admin_with_policy = 1U << 7;
inline constexpr std::uint32_t no_da = 1U << 10;
inline constexpr std::uint32_t encrypted_duplication = 1U << 11;
inline constexpr std::uint32_t restricted = 1U << 16;
inline constexpr std::uint32_t decrypt = 1U << 17;
inline constexpr std::uint32_t sign = 1U << 18;
} // namespace attribute

enum class object_type : std::uint16_t { rsa = 0x0001, ecc = 0x0023 };

/// TPM_ALG_ID of the signature schemes that are accepted (Part 2, 6.3).
enum class scheme_alg : std::uint16_t { rsassa = 0x0014, rsapss = 0x0016, ecdsa = 0x0018 };

struct signing_scheme {
  scheme_alg alg = scheme_alg::rsassa;
  crypto::hash_alg hash = crypto::hash_alg::sha256;
};

/// Symmetric parameters of a storage or endorsement key; only AES in CFB mode is known.
struct symmetric_parameters {
  unsigned aes_bits = 0; ///< 128 or 256
};

/// TPMT_PUBLIC of an RSA (2048-4096 bits) or ECC (P-256, P-384) key.
struct public_area {
  object_type type = object_type::rsa;
  crypto::hash_alg name_alg = crypto::hash_alg::sha256;
  std::uint32_t attributes = 0;
  bytes auth_policy;
  crypto::key key;
  std::optional<signing_scheme> scheme;          ///< absent: TPM_ALG_NULL
  std::optional<symmetric_parameters> symmetric; ///< absent: TPM_ALG_NULL
  bytes marshalled;                              ///< TPMT_PUBLIC exactly as received, unwrapped
  bytes name;                                    ///< nameAlg || H_nameAlg(TPMT_PUBLIC), Part 1, 16
};

/// Reads a TPMT_PUBLIC, or one wrapped as TPM2B_PUBLIC. Errors: malformed, unsupported (a type,
/// curve, scheme, hash or symmetric algorithm that is not accepted anywhere in Custos).
result<public_area> parse_public(byte_view data);

/// Same, for an area that was accepted before and whose key a certificate of ours names: it must
/// hold exactly `certified`, which is not validated again (for an RSA key that takes milliseconds).
result<public_area> parse_certified_public(byte_view data, const crypto::key& certified);

/// Is this a key that signs only what the TPM itself made, and that never leaves the TPM?
/// Attributes by mask: restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin set; decrypt
/// clear; a signing scheme with SHA-256 or better, or SHA-1 where that is allowed; no symmetric
/// algorithm; name algorithm SHA-256 or better. Without `restricted` the key would sign forged
/// quotes (CVE-2021-3406 class). error.check is "attestation-key".
result<void> check_attestation_key(const public_area& area, bool allow_sha1 = false);

/// Is this a restricted decryption key of the TCG EK Credential Profile's shape (low- and
/// high-range templates alike): restricted, decrypt, fixedTPM, fixedParent, sensitiveDataOrigin,
/// adminWithPolicy set; sign clear; a policy of the name algorithm's size; AES-128/256 CFB.
/// error.check is "endorsement-key".
result<void> check_endorsement_key(const public_area& area);

// ---- quotes -------------------------------------------------------------------------------------

/// TPMS_CLOCK_INFO (Part 2, 10.11.1). The counts are obfuscated per key: compare only with earlier
/// quotes of the same key.
struct clock_info {
  std::uint64_t clock = 0; ///< milliseconds
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
  bool safe = false;
};

struct pcr_selection {
  crypto::hash_alg bank = crypto::hash_alg::sha256;
  std::uint32_t mask = 0; ///< bit n set: PCR n is selected; n < 24
};

/// TPMS_ATTEST of type TPM_ST_ATTEST_QUOTE (Part 2, 10.12.8).
struct attest {
  bytes qualified_signer;
  bytes extra_data;
  clock_info clock;
  std::uint64_t firmware_version = 0;
  std::vector<pcr_selection> selection; ///< as signed, in the signed order, banks unique
  bytes pcr_digest;
};

/// Reads a quote. error.check is "quote-magic" (not made by a TPM, CVE-2024-29038), "quote-type" (a
/// certify or creation blob) or "quote-malformed" (everything else: trailing bytes, more than 16
/// selections, a sizeofSelect beside 1-4, a bank twice, a PCR above 23, an unknown bank).
/// Check the signature too before believing a word of it.
result<attest> parse_quote(byte_view data);

/// TPMT_SIGNATURE. What it claims about algorithms decides nothing.
struct signature {
  scheme_alg alg = scheme_alg::rsassa;
  crypto::hash_alg hash = crypto::hash_alg::sha256;
  bytes value; ///< RSA: the signature
  bytes r, s;  ///< ECDSA: big-endian, as received, perhaps without leading zeros
};

/// Errors: malformed or unsupported, error.check "quote-signature".
result<signature> parse_signature(byte_view data);

/// Verifies the signature over `attest_bytes` with the scheme and hash of the key's own public
/// area; a signature that claims another scheme or hash is refused before any arithmetic. SHA-1
/// only where `allow_sha1`. error.check is "quote-signature".
result<void> verify_quote_signature(const public_area& ak, byte_view attest_bytes,
                                    const signature& sig, bool allow_sha1);

/// What pcrDigest must be (Part 2, 10.12.1 with Part 3, 18.4): the hash, by the *signature's* hash
/// algorithm, of the selected values in the order of the selection, ascending within an entry.
/// `values` must be exactly the selected PCRs, each once, each as long as its bank's digest: a
/// value beside the selection is refused (CVE-2024-29039). error.check is "pcr-selection", with
/// pcr.
result<bytes> pcr_composite_digest(crypto::hash_alg signature_hash,
                                   std::span<const pcr_selection> selection,
                                   std::span<const pcr_value> values);

} // namespace custos::tpm
