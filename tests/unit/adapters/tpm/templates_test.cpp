#include "adapters/tpm/templates.hpp"

#include "tests/unit/adapters/tpm/tpm_bytes.hpp"

#include <gtest/gtest.h>
#include <set>

namespace custos::tpm {

namespace {

using test::tpm_bytes;

constexpr std::uint32_t policy_secret = 0x00000151;
constexpr std::uint32_t policy_or = 0x00000171;
constexpr std::uint32_t policy_authorize_nv = 0x00000192;
constexpr std::uint32_t endorsement_hierarchy = 0x4000000B;

bytes join(std::initializer_list<byte_view> parts) {
  bytes out;
  for (const auto part : parts)
    out.insert(out.end(), part.begin(), part.end());
  return out;
}

/// TPM2_PolicySecret(TPM_RH_ENDORSEMENT) without policyRef (Part 3, 23.4).
bytes policy_a(crypto::hash_alg alg) {
  const bytes zero(crypto::digest_size(alg), 0);
  const bytes step = tpm_bytes().u32(policy_secret).u32(endorsement_hierarchy);
  return crypto::digest(alg, {crypto::digest(alg, {join({zero, step})})});
}

/// PolicyA or TPM2_PolicyAuthorizeNV with the policy index of the profile (B.6).
bytes policy_b(crypto::hash_alg alg, std::uint32_t index) {
  const auto size = crypto::digest_size(alg);
  const bytes zero(size, 0);
  constexpr std::uint32_t attributes = 0x220F1008;
  const bytes index_public = tpm_bytes()
                                 .u32(index)
                                 .u16(static_cast<std::uint16_t>(alg))
                                 .u32(attributes)
                                 .sized(policy_a(alg))
                                 .u16(size + 2);
  const bytes name = join({bytes(tpm_bytes().u16(static_cast<std::uint16_t>(alg))),
                           crypto::digest(alg, {index_public})});
  const bytes c =
      crypto::digest(alg, {join({zero, bytes(tpm_bytes().u32(policy_authorize_nv)), name})});
  return crypto::digest(alg, {join({zero, bytes(tpm_bytes().u32(policy_or)), policy_a(alg), c})});
}

bytes policy_of(const TPM2B_PUBLIC& t) {
  const auto& p = t.publicArea.authPolicy;
  return {p.buffer, p.buffer + p.size};
}

} // namespace

TEST(templates, of_endorsement_keys_have_the_policies_of_the_profile) {
  for (const auto& slot : ek_slots()) {
    const auto t = ek_template(slot);
    const bool large = slot.kind == ek_kind::rsa_3072 || slot.kind == ek_kind::ecc_p384;
    const auto alg = large ? crypto::hash_alg::sha384 : crypto::hash_alg::sha256;
    EXPECT_EQ(t.publicArea.nameAlg, static_cast<TPM2_ALG_ID>(alg));
    EXPECT_EQ(policy_of(t),
              !slot.high_range ? policy_a(alg) : policy_b(alg, large ? 0x01C07F02 : 0x01C07F01));
    const bool user_with_auth = (t.publicArea.objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0;
    EXPECT_EQ(user_with_auth, slot.high_range);
    EXPECT_EQ(t.publicArea.objectAttributes & ~TPMA_OBJECT_USERWITHAUTH, 0x000300B2U);
  }
}

TEST(templates, have_slots_for_every_kind_and_no_index_twice) {
  std::set<TPM2_HANDLE> seen;
  std::set<ek_kind> kinds;
  for (const auto& slot : ek_slots()) {
    kinds.insert(slot.kind);
    for (const auto index : {slot.certificate, slot.nonce, slot.shape})
      EXPECT_TRUE(index == 0 || seen.insert(index).second) << std::hex << index;
  }
  EXPECT_EQ(kinds.size(), 4U);
  EXPECT_EQ(ek_slots().front().certificate, 0x01C00002U);
}

TEST(templates, names_are_read_as_they_are_written) {
  for (const auto* name :
       {"ecdsa-p256", "ecdsa-p384", "rsassa-2048", "rsapss-2048", "rsassa-3072", "rsapss-3072"}) {
    const auto alg = ak_algorithm_of(name);
    ASSERT_TRUE(alg) << name;
    EXPECT_EQ(to_string(*alg), name);
  }
  EXPECT_FALSE(ak_algorithm_of("rsassa-1024"));
  EXPECT_FALSE(ak_algorithm_of(""));
  for (const auto* name : {"auto", "rsa-2048", "ecc-p256", "rsa-3072", "ecc-p384"}) {
    const auto kind = ek_kind_of(name);
    ASSERT_TRUE(kind) << name;
    EXPECT_EQ(to_string(*kind), name);
  }
  EXPECT_FALSE(ek_kind_of("rsa-4096"));
}

TEST(templates, tell_keys_that_we_make_from_others) {
  const auto key = crypto::generate_p256().value();
  test::template_of good{.attributes = 0x00050472};
  const auto area = parse_public(test::ecc_public(key, good)).value();
  EXPECT_EQ(ak_algorithm_of_key(area), ak_algorithm::ecdsa_p256);
  auto unrestricted = good;
  unrestricted.attributes = 0x00040472;
  EXPECT_FALSE(ak_algorithm_of_key(parse_public(test::ecc_public(key, unrestricted)).value()));
  auto other_hash = good;
  other_hash.scheme_hash = 0x000C;
  EXPECT_FALSE(ak_algorithm_of_key(parse_public(test::ecc_public(key, other_hash)).value()));
  auto policy = good;
  policy.policy = bytes(32, 1);
  EXPECT_FALSE(ak_algorithm_of_key(parse_public(test::ecc_public(key, policy)).value()));
  const auto rsa = test::modulus_of(crypto::generate_rsa(2048).value());
  auto pss = good;
  pss.scheme = 0x0016;
  EXPECT_EQ(ak_algorithm_of_key(parse_public(test::rsa_public(rsa, pss)).value()),
            ak_algorithm::rsapss_2048);
}

} // namespace custos::tpm
