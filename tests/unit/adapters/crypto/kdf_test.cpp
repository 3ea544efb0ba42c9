#include "adapters/crypto/crypto.hpp"

#include <gtest/gtest.h>

namespace custos::crypto {
namespace {

bytes octets(std::string_view text) {
  return from_hex(text).value();
}

std::string derived(byte_view secret, byte_view salt, byte_view info, std::size_t size) {
  const auto out = hkdf_sha256(secret, salt, info, size);
  return out ? hex(out->reveal_secret()) : "error: " + out.failure().message;
}

} // namespace

TEST(hkdf, rfc_5869_appendix_a) {
  EXPECT_EQ(derived(bytes(22, 0x0b), octets("000102030405060708090a0b0c"),
                    octets("f0f1f2f3f4f5f6f7f8f9"), 42),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(derived(bytes(22, 0x0b), {}, {}, 42),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(hkdf, everything_counts) {
  const bytes secret(32, 1);
  const auto one = derived(secret, bytes(32, 2), as_bytes("a"), 32);
  EXPECT_EQ(derived(secret, bytes(32, 2), as_bytes("a"), 32), one);
  EXPECT_NE(derived(bytes(32, 9), bytes(32, 2), as_bytes("a"), 32), one);
  EXPECT_NE(derived(secret, bytes(32, 9), as_bytes("a"), 32), one);
  EXPECT_NE(derived(secret, bytes(32, 2), as_bytes("b"), 32), one);
}

} // namespace custos::crypto
