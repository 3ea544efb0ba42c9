#include "adapters/crypto/secret_encoding.hpp"

#include "adapters/crypto/crypto.hpp"

#include <gtest/gtest.h>

namespace custos::crypto {

namespace {

std::string text_of(const secret_bytes& s) {
  return std::string(as_text(s.reveal_secret()));
}

TEST(secret_encoding_test, spells_as_the_public_functions_do) {
  for (std::size_t size = 0; size <= 67; ++size) {
    const auto raw = random_bytes(size);
    const secret_bytes secret(raw);
    EXPECT_EQ(text_of(base64url_of(secret)), base64url(raw));
    EXPECT_EQ(text_of(base64_of(secret)), base64(raw));
    EXPECT_EQ(text_of(hex_of(secret)), hex(raw));
  }
}

TEST(secret_encoding_test, reads_what_it_wrote) {
  for (std::size_t size = 1; size <= 67; ++size) {
    const secret_bytes secret(random_bytes(size));
    const auto expected = to_bytes(secret.reveal_secret());
    const auto same = [&expected](const result<secret_bytes>& back) {
      return back.ok() && to_bytes(back->reveal_secret()) == expected;
    };
    EXPECT_TRUE(same(secret_from_base64url(base64url_of(secret)))) << size;
    EXPECT_TRUE(same(secret_from_base64(base64_of(secret)))) << size;
    EXPECT_TRUE(same(secret_from_hex(hex_of(secret)))) << size;
  }
}

TEST(secret_encoding_test, refuses_what_is_no_such_text) {
  const auto secret = [](std::string_view text) { return secret_bytes(as_bytes(text)); };
  EXPECT_EQ(secret_from_base64url(secret("AAA=")).failure().code, errc::malformed);
  EXPECT_EQ(secret_from_base64(secret("AAA")).failure().code, errc::malformed);
  EXPECT_EQ(secret_from_hex(secret("0g")).failure().code, errc::malformed);
  EXPECT_EQ(secret_from_base64url(secret("AB")).failure().code, errc::malformed) << "stray bits";
}

} // namespace

} // namespace custos::crypto
