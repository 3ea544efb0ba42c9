#include "adapters/crypto/secret_bytes.hpp"
#include "adapters/crypto/wiped_bytes.hpp"

#include <array>
#include <gtest/gtest.h>
#include <type_traits>

namespace custos::crypto {
namespace {

static_assert(!std::is_copy_constructible_v<secret_bytes>);
static_assert(!std::is_copy_assignable_v<secret_bytes>);

TEST(secret_bytes, starts_zeroed) {
  const secret_bytes s(33);
  ASSERT_EQ(s.size(), 33U);
  for (const auto b : s.reveal_secret())
    EXPECT_EQ(b, 0);
}

TEST(secret_bytes, copies_its_source) {
  const std::array<std::uint8_t, 3> source{1, 2, 3};
  const secret_bytes s{byte_view(source)};
  EXPECT_TRUE(std::equal(source.begin(), source.end(), s.reveal_secret().begin()));
  EXPECT_NE(s.reveal_secret().data(), source.data());
}

TEST(secret_bytes, moves_and_leaves_nothing_behind) {
  secret_bytes a(as_bytes("abc"));
  secret_bytes b(std::move(a));
  EXPECT_TRUE(a.empty()); // NOLINT: what a moved-from secret holds is the point
  EXPECT_EQ(as_text(b.reveal_secret()), "abc");
  secret_bytes c(as_bytes("xyz"));
  c = std::move(b);
  EXPECT_EQ(as_text(c.reveal_secret()), "abc");
}

TEST(secret_bytes, clones_on_demand) {
  const secret_bytes a(as_bytes("abc"));
  const auto b = a.clone();
  EXPECT_EQ(as_text(b.reveal_secret()), "abc");
  EXPECT_NE(a.reveal_secret().data(), b.reveal_secret().data());
}

TEST(secret_bytes, shrinking_wipes_the_tail) {
  secret_bytes s(as_bytes("abcdef"));
  const auto* const data = s.reveal_secret().data();
  s.shrink(2);
  EXPECT_EQ(as_text(s.reveal_secret()), "ab");
  for (std::size_t i = 2; i < 6; ++i)
    EXPECT_EQ(data[i], 0) << i;
  s.shrink(0);
  EXPECT_TRUE(s.empty());
}

TEST(secret_bytes, is_never_printed) {
  EXPECT_EQ(to_string(secret_bytes(as_bytes("hunter2"))), "<secret>");
}

TEST(secret_bytes, wipe_overwrites) {
  std::array<std::uint8_t, 4> data{1, 2, 3, 4};
  wipe(data.data(), data.size());
  EXPECT_EQ(data, (std::array<std::uint8_t, 4>{}));
  wipe(nullptr, 0);
}

TEST(wiped_bytes, behaves_as_a_vector) {
  wiped_bytes b(3, 7);
  b.insert(b.end(), 100, 9);
  const auto copy = b;
  EXPECT_EQ(copy.size(), 103U);
  EXPECT_EQ(copy, b);
}

} // namespace
} // namespace custos::crypto
