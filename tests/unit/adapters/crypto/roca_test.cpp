#include "adapters/crypto/roca.hpp"

#include "adapters/crypto/x509.hpp"
#include "tests/unit/adapters/crypto/roca_key.hpp"
#include "tests/unit/test_data.hpp"

#include <filesystem>
#include <gtest/gtest.h>

// CVE-2017-15361.
namespace custos::crypto {
namespace {

TEST(CVE_2017_15361, keys_of_the_flawed_generator_have_the_mark) {
  for (const unsigned seed : {1U, 2U}) {
    auto modulus = test::roca_modulus(seed);
    ASSERT_EQ(modulus.size(), 256U);
    EXPECT_TRUE(has_roca_mark(modulus));
    modulus.insert(modulus.begin(), {0, 0}); // the number counts, not its form
    EXPECT_TRUE(has_roca_mark(modulus));
    modulus.back() ^= 2;
    EXPECT_FALSE(has_roca_mark(modulus));
  }
}

TEST(CVE_2017_15361, other_keys_have_not) {
  const auto k = generate_rsa(2048);
  ASSERT_TRUE(k);
  EXPECT_FALSE(has_roca_mark(rsa_numbers_of(*k)->modulus));
  EXPECT_FALSE(has_roca_mark({}));
  EXPECT_FALSE(has_roca_mark(bytes(256, 0)));
}

TEST(CVE_2017_15361, no_recorded_vendor_ca_has) {
  std::size_t keys = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           custos::test::data_path("attestation/certs/tpm-vendor-ca"))) {
    const auto all = certificates_from_pem(custos::test::read_data(
        "attestation/certs/tpm-vendor-ca/" + entry.path().filename().string()));
    ASSERT_TRUE(all) << entry.path();
    for (const auto& c : *all)
      if (const auto k = c.public_key(); k.type() == key_type::rsa) {
        EXPECT_FALSE(has_roca_mark(rsa_numbers_of(k)->modulus)) << c.subject();
        ++keys;
      }
  }
  EXPECT_GE(keys, 20U);
}

} // namespace
} // namespace custos::crypto
