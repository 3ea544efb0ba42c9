#include "adapters/crypto/scalar_key.hpp"

#include <gtest/gtest.h>
#include <string>

namespace custos::crypto {
namespace {

/// The key of RFC 6979, A.2.5.
TEST(scalar_key, has_its_public_point) {
  const auto k =
      p256_of_scalar(*from_hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"));
  ASSERT_TRUE(k) << k.failure().message;
  const auto point = ec_point_of(*k);
  ASSERT_TRUE(point);
  EXPECT_EQ(hex(point->x), "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6");
  EXPECT_EQ(hex(point->y), "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
  const auto other = *generate_p256();
  const auto public_only = *public_key_from_spki(k->spki_der());
  EXPECT_TRUE(equal(ecdh(*k, other)->reveal_secret(), ecdh(other, public_only)->reveal_secret()));
}

TEST(scalar_key, out_of_range_is_none) {
  const std::string n = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC6325";
  EXPECT_TRUE(p256_of_scalar(*from_hex(n + "50"))) << "n-1";
  EXPECT_TRUE(p256_of_scalar(*from_hex(std::string(62, '0').append("01"))));
  for (const auto& bad : {n + "51", n + "52", std::string(64, 'F'), std::string(64, '0'),
                          std::string(62, '0'), n + "5000"})
    EXPECT_EQ(p256_of_scalar(*from_hex(bad)).failure().code, errc::invalid_argument) << bad;
}

} // namespace
} // namespace custos::crypto
