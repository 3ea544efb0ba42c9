#include "adapters/tpm/make_credential.hpp"
#include "tests/unit/adapters/tpm/credential_opener.hpp"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

namespace custos::tpm {
namespace {

using namespace test;
using crypto::hash_alg;

void round_trip(const credential_opener& tpm) {
  bytes name{0x00, 0x0B};
  name.resize(34, 0x5A);
  for (const std::size_t size : {std::size_t{1}, crypto::digest_size(tpm.ek.name_alg)}) {
    const bytes secret(size, 0x77);
    const auto made = make_credential(tpm.ek, name, secret);
    ASSERT_TRUE(made) << made.failure().message;
    EXPECT_EQ(tpm.activate(*made, name), secret);
    // The same blob for another key of the same TPM opens nothing.
    auto other = name;
    other.back() ^= 1;
    EXPECT_EQ(tpm.activate(*made, other), std::nullopt);
    auto changed = *made;
    changed.id_object.back() ^= 1;
    EXPECT_EQ(tpm.activate(changed, name), std::nullopt);
  }
  const bytes long_secret(crypto::digest_size(tpm.ek.name_alg) + 1, 0x77);
  EXPECT_EQ(make_credential(tpm.ek, name, long_secret).failure().code, errc::invalid_argument);
  EXPECT_FALSE(make_credential(tpm.ek, name, {}));
  EXPECT_FALSE(make_credential(tpm.ek, {}, bytes(32, 1)));
}

TEST(MakeCredential, RsaKeyOpensIt) {
  const auto key = crypto::generate_rsa(2048);
  ASSERT_TRUE(key);
  round_trip(credential_opener(*key, ek_template()));
}

/// TCG EK Credential Profile 2.6, annex B.4: the templates of the high range.
template_of high_range(std::uint16_t name_alg, std::size_t policy_bytes, unsigned aes_bits) {
  auto high = ek_template();
  high.attributes = 0x000300F2;
  high.name_alg = name_alg;
  high.policy = bytes(policy_bytes, 0xB2);
  high.aes_bits = aes_bits;
  return high;
}

TEST(MakeCredential, LargerRsaKeysOpenIt) {
  for (const unsigned bits : {3072U, 4096U}) {
    const auto key = crypto::generate_rsa(bits);
    ASSERT_TRUE(key);
    round_trip(credential_opener(*key, high_range(0x000C, 48, 256))); // H-6 and H-7
  }
}

TEST(MakeCredential, HighRangeOfRsa2048AndP256) {
  const auto rsa = crypto::generate_rsa(2048);
  const auto ecc = crypto::generate_p256();
  ASSERT_TRUE(rsa && ecc);
  for (const auto& key : {*rsa, *ecc}) {
    round_trip(credential_opener(key, high_range(0x000B, 32, 128)));
    round_trip(credential_opener(key, high_range(0x000B, 32, 256)));
    round_trip(credential_opener(key, high_range(0x000D, 64, 256)));
  }
}

TEST(MakeCredential, P256KeyOpensIt) {
  const auto key = crypto::generate_p256();
  ASSERT_TRUE(key);
  round_trip(credential_opener(*key, ek_template()));
}

TEST(MakeCredential, P384KeyOfTheHighRangeOpensIt) {
  const crypto::key key(std::shared_ptr<evp_pkey_st>(EVP_EC_gen("P-384"), EVP_PKEY_free));
  ASSERT_TRUE(key);
  auto high = ek_template();
  high.name_alg = 0x000C;
  high.policy = bytes(48, 0xB2);
  high.aes_bits = 256;
  round_trip(credential_opener(key, high));
}

TEST(MakeCredential, EveryCredentialIsFresh) {
  const auto key = crypto::generate_p256();
  ASSERT_TRUE(key);
  const credential_opener tpm(*key, ek_template());
  const bytes name(34, 1);
  const bytes secret(32, 2);
  const auto a = make_credential(tpm.ek, name, secret);
  const auto b = make_credential(tpm.ek, name, secret);
  ASSERT_TRUE(a && b);
  EXPECT_NE(a->id_object, b->id_object);
  EXPECT_NE(a->encrypted_secret, b->encrypted_secret);
}

TEST(MakeCredential, NeedsAStorageKeysSymmetricAlgorithm) {
  const auto key = crypto::generate_p256();
  ASSERT_TRUE(key);
  const auto ak = parse_public(ecc_public(*key, {}));
  ASSERT_TRUE(ak);
  EXPECT_EQ(make_credential(*ak, bytes(34, 1), bytes(32, 2)).failure().code, errc::unsupported);
}

} // namespace
} // namespace custos::tpm
