#include "actors/attestation/sequence_diff.hpp"

#include <gtest/gtest.h>
#include <random>

namespace custos::attestation {
namespace {

using numbers = std::vector<std::uint32_t>;

/// "=1 -2 +3": shared, only in a, only in b.
std::string shown(const numbers& a, const numbers& b) {
  std::string out;
  for (const auto& s : diff_of(a, b)) {
    out += out.empty() ? "" : " ";
    switch (s.kind) {
    case step_kind::both:
      EXPECT_EQ(a.at(s.a), b.at(s.b));
      out += "=" + std::to_string(a.at(s.a));
      break;
    case step_kind::only_a:
      out += "-" + std::to_string(a.at(s.a));
      break;
    case step_kind::only_b:
      out += "+" + std::to_string(b.at(s.b));
      break;
    }
  }
  return out;
}

/// Both sequences come out again, every position once and in order.
void expect_whole(const numbers& a, const numbers& b) {
  std::uint32_t i = 0;
  std::uint32_t j = 0;
  for (const auto& s : diff_of(a, b)) {
    if (s.kind != step_kind::only_b) {
      ASSERT_EQ(s.a, i++);
    }
    if (s.kind != step_kind::only_a) {
      ASSERT_EQ(s.b, j++);
    }
    if (s.kind == step_kind::both) {
      ASSERT_EQ(a[s.a], b[s.b]);
    }
  }
  EXPECT_EQ(i, a.size());
  EXPECT_EQ(j, b.size());
}

std::size_t shared(const numbers& a, const numbers& b) {
  std::size_t n = 0;
  for (const auto& s : diff_of(a, b))
    n += s.kind == step_kind::both ? 1U : 0U;
  return n;
}

TEST(sequence_diff, of_little) {
  EXPECT_EQ(shown({}, {}), "");
  EXPECT_EQ(shown({1}, {}), "-1");
  EXPECT_EQ(shown({}, {1}), "+1");
  EXPECT_EQ(shown({1, 2}, {1, 2}), "=1 =2");
}

TEST(sequence_diff, finds_what_is_shared) {
  EXPECT_EQ(shown({1, 2, 3}, {1, 3}), "=1 -2 =3");
  EXPECT_EQ(shown({1, 3}, {1, 2, 3}), "=1 +2 =3");
  EXPECT_EQ(shown({1, 2, 3}, {1, 4, 3}), "=1 -2 +4 =3");
  EXPECT_EQ(shown({5, 1, 2, 3, 6}, {7, 1, 2, 3, 8}), "-5 +7 =1 =2 =3 -6 +8");
  EXPECT_EQ(shown({1, 1}, {1, 1, 1}), "=1 =1 +1");
}

TEST(sequence_diff, keeps_every_position) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    numbers a(random() % 12);
    numbers b(random() % 12);
    for (auto* const list : {&a, &b})
      for (auto& x : *list)
        x = random() % 4;
    expect_whole(a, b);
    EXPECT_EQ(shared(a, b), shared(b, a));
  }
}

// Too long to compare every pair: linear, and what is in the middle is still found.
TEST(sequence_diff, of_long_sequences_is_bounded) {
  numbers a(16384);
  for (std::uint32_t i = 0; i < a.size(); ++i)
    a[i] = i;
  auto b = a;
  b.front() = b.back() = 99999;
  b.insert(b.begin() + 8000, {100000, 100001});
  b.erase(b.begin() + 4000);
  expect_whole(a, b);
  EXPECT_EQ(shared(a, b), a.size() - 3);
  numbers c(16384, 1);
  numbers d(16384, 2);
  expect_whole(c, d);
  EXPECT_EQ(shared(c, d), 0U);
  c.front() = c.back() = 3;
  d.assign(16384, 1);
  expect_whole(c, d);
}

TEST(numbering, equal_things_have_equal_numbers) {
  numbering n;
  const auto a = n.of("a");
  EXPECT_NE(n.of("b"), a);
  EXPECT_EQ(n.of("a"), a);
}

} // namespace
} // namespace custos::attestation
