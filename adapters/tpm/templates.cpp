#include "adapters/tpm/templates.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace custos::tpm {

namespace {

/// PolicyA: PolicySecret(TPM_RH_ENDORSEMENT), SHA-256.
constexpr std::array<std::uint8_t, 32> policy_a_sha256{
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
/// PolicyB: PolicyA or PolicyAuthorizeNV of the index 0x01C07F01 (SHA-256), 0x01C07F02 (SHA-384).
constexpr std::array<std::uint8_t, 32> policy_b_sha256{
    0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3,
    0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0};
constexpr std::array<std::uint8_t, 48> policy_b_sha384{
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
    0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
    0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12};

constexpr TPMA_OBJECT low_ek_attributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
constexpr TPMA_OBJECT high_ek_attributes = low_ek_attributes | TPMA_OBJECT_USERWITHAUTH;
constexpr TPMA_OBJECT srk_attributes =
    TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
// Without NODA a machine that loses power while its AK is in use counts a failed authorization
// (Part 1, 19.8.6), and a few of these lock the AK out of a TPM that did nothing wrong. The AK has
// no authorization value that could be guessed.
constexpr TPMA_OBJECT ak_attributes = TPMA_OBJECT_NODA | TPMA_OBJECT_FIXEDTPM |
                                      TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                      TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED |
                                      TPMA_OBJECT_SIGN_ENCRYPT;

constexpr std::array<ek_slot, 6> slots{{
    {ek_kind::rsa_2048, 0x01C00002, 0x01C00003, 0x01C00004, false},
    {ek_kind::ecc_p256, 0x01C0000A, 0x01C0000B, 0x01C0000C, false},
    {ek_kind::ecc_p384, 0x01C00016, 0, 0x01C00017, true},
    {ek_kind::rsa_3072, 0x01C0001C, 0, 0x01C0001D, true},
    {ek_kind::ecc_p256, 0x01C00014, 0, 0x01C00015, true},
    {ek_kind::rsa_2048, 0x01C00012, 0, 0x01C00013, true},
}};

struct ak_shape {
  ak_algorithm alg;
  std::string_view name;
  TPM2_ALG_ID type, scheme, hash;
  std::uint16_t size; ///< RSA: bits; ECC: TPM_ECC_CURVE
};
constexpr std::array<ak_shape, 6> ak_shapes{{
    {ak_algorithm::ecdsa_p256, "ecdsa-p256", TPM2_ALG_ECC, TPM2_ALG_ECDSA, TPM2_ALG_SHA256,
     TPM2_ECC_NIST_P256},
    {ak_algorithm::ecdsa_p384, "ecdsa-p384", TPM2_ALG_ECC, TPM2_ALG_ECDSA, TPM2_ALG_SHA384,
     TPM2_ECC_NIST_P384},
    {ak_algorithm::rsassa_2048, "rsassa-2048", TPM2_ALG_RSA, TPM2_ALG_RSASSA, TPM2_ALG_SHA256,
     2048},
    {ak_algorithm::rsapss_2048, "rsapss-2048", TPM2_ALG_RSA, TPM2_ALG_RSAPSS, TPM2_ALG_SHA256,
     2048},
    {ak_algorithm::rsassa_3072, "rsassa-3072", TPM2_ALG_RSA, TPM2_ALG_RSASSA, TPM2_ALG_SHA256,
     3072},
    {ak_algorithm::rsapss_3072, "rsapss-3072", TPM2_ALG_RSA, TPM2_ALG_RSAPSS, TPM2_ALG_SHA256,
     3072},
}};

constexpr std::array<std::pair<ek_kind, std::string_view>, 5> ek_names{{
    {ek_kind::automatic, "auto"},
    {ek_kind::rsa_2048, "rsa-2048"},
    {ek_kind::ecc_p256, "ecc-p256"},
    {ek_kind::rsa_3072, "rsa-3072"},
    {ek_kind::ecc_p384, "ecc-p384"},
}};

const ak_shape& shape_of(ak_algorithm alg) {
  return *std::find_if(ak_shapes.begin(), ak_shapes.end(),
                       [alg](const ak_shape& s) { return s.alg == alg; });
}

template <std::size_t N>
void set_policy(TPM2B_DIGEST& out, const std::array<std::uint8_t, N>& digest) {
  out.size = N;
  std::memcpy(out.buffer, digest.data(), N);
}

TPMT_SYM_DEF_OBJECT aes_cfb(std::uint16_t bits) {
  TPMT_SYM_DEF_OBJECT s{};
  s.algorithm = TPM2_ALG_AES;
  s.keyBits.aes = bits;
  s.mode.aes = TPM2_ALG_CFB;
  return s;
}

void as_rsa(TPMT_PUBLIC& a, std::uint16_t bits, const TPMT_SYM_DEF_OBJECT& symmetric) {
  a.type = TPM2_ALG_RSA;
  a.parameters.rsaDetail.symmetric = symmetric;
  a.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
  a.parameters.rsaDetail.keyBits = bits;
}

void as_ecc(TPMT_PUBLIC& a, TPM2_ECC_CURVE curve, const TPMT_SYM_DEF_OBJECT& symmetric) {
  a.type = TPM2_ALG_ECC;
  a.parameters.eccDetail.symmetric = symmetric;
  a.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  a.parameters.eccDetail.curveID = curve;
  a.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
}

} // namespace

std::string_view to_string(ak_algorithm alg) {
  return shape_of(alg).name;
}

std::optional<ak_algorithm> ak_algorithm_of(std::string_view text) {
  for (const auto& s : ak_shapes)
    if (s.name == text)
      return s.alg;
  return std::nullopt;
}

std::optional<ak_algorithm> ak_algorithm_of_key(const public_area& area) {
  if (area.attributes != ak_attributes || !area.auth_policy.empty() || area.symmetric ||
      !area.scheme)
    return std::nullopt;
  const auto type = area.key.type();
  for (const auto& s : ak_shapes) {
    const bool same_key = s.type == TPM2_ALG_RSA
                              ? type == crypto::key_type::rsa && area.key.bits() == s.size
                              : type == (s.size == TPM2_ECC_NIST_P384 ? crypto::key_type::p384
                                                                      : crypto::key_type::p256);
    if (same_key && static_cast<TPM2_ALG_ID>(area.scheme->alg) == s.scheme &&
        static_cast<TPM2_ALG_ID>(area.scheme->hash) == s.hash)
      return s.alg;
  }
  return std::nullopt;
}

std::string_view to_string(ek_kind kind) {
  return std::find_if(ek_names.begin(), ek_names.end(),
                      [kind](const auto& n) { return n.first == kind; })
      ->second;
}

std::optional<ek_kind> ek_kind_of(std::string_view text) {
  for (const auto& [kind, name] : ek_names)
    if (name == text)
      return kind;
  return std::nullopt;
}

std::span<const ek_slot> ek_slots() {
  return slots;
}

TPM2B_PUBLIC ek_template(const ek_slot& slot) {
  TPM2B_PUBLIC t{};
  auto& a = t.publicArea;
  const bool large = slot.kind == ek_kind::rsa_3072 || slot.kind == ek_kind::ecc_p384;
  a.nameAlg = large ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
  a.objectAttributes = slot.high_range ? high_ek_attributes : low_ek_attributes;
  if (large)
    set_policy(a.authPolicy, policy_b_sha384);
  else
    set_policy(a.authPolicy, slot.high_range ? policy_b_sha256 : policy_a_sha256);
  const auto symmetric = aes_cfb(large ? 256 : 128);
  switch (slot.kind) {
  case ek_kind::ecc_p256:
    as_ecc(a, TPM2_ECC_NIST_P256, symmetric);
    break;
  case ek_kind::ecc_p384:
    as_ecc(a, TPM2_ECC_NIST_P384, symmetric);
    break;
  case ek_kind::rsa_3072:
    as_rsa(a, 3072, symmetric);
    break;
  case ek_kind::automatic:
  case ek_kind::rsa_2048:
    as_rsa(a, 2048, symmetric);
    break;
  }
  if (slot.high_range)
    return t; // `unique` is empty
  if (a.type == TPM2_ALG_RSA) {
    a.unique.rsa.size = 256; // zeros
  } else {
    a.unique.ecc.x.size = 32;
    a.unique.ecc.y.size = 32;
  }
  return t;
}

TPM2B_PUBLIC srk_template() {
  TPM2B_PUBLIC t{};
  t.publicArea.nameAlg = TPM2_ALG_SHA256;
  t.publicArea.objectAttributes = srk_attributes;
  as_ecc(t.publicArea, TPM2_ECC_NIST_P256, aes_cfb(128));
  return t;
}

TPM2B_PUBLIC ak_template(ak_algorithm alg) {
  const auto& s = shape_of(alg);
  TPM2B_PUBLIC t{};
  auto& a = t.publicArea;
  a.nameAlg = s.hash;
  a.objectAttributes = ak_attributes;
  TPMT_SYM_DEF_OBJECT none{};
  none.algorithm = TPM2_ALG_NULL;
  if (s.type == TPM2_ALG_RSA) {
    as_rsa(a, s.size, none);
    a.parameters.rsaDetail.scheme.scheme = s.scheme;
    a.parameters.rsaDetail.scheme.details.anySig.hashAlg = s.hash;
  } else {
    as_ecc(a, s.size, none);
    a.parameters.eccDetail.scheme.scheme = s.scheme;
    a.parameters.eccDetail.scheme.details.anySig.hashAlg = s.hash;
  }
  return t;
}

} // namespace custos::tpm
