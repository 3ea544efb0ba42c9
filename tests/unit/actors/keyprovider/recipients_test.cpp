#include "actors/keyprovider/recipients.hpp"

#include <gtest/gtest.h>
#include <set>

namespace custos::keyprovider {
namespace {

constexpr std::int64_t now = 1000;

class recipients_test : public testing::Test {
protected:
  /// The JWE's header, which says what ephemeral key it was agreed with.
  std::string header_of(const std::string& kid, std::int64_t at) {
    const auto jwe = to.encrypt(host, kid, as_bytes("key of 16 octets"), at);
    EXPECT_TRUE(jwe.ok());
    const auto opened = jose::decrypt_ecdh_es_a256kw(host, *jwe);
    EXPECT_TRUE(opened.ok() && as_text(opened->reveal_secret()) == "key of 16 octets");
    EXPECT_TRUE(seen.insert(*jwe).second) << "no two answers are the same";
    return jwe->substr(0, jwe->find('.'));
  }

  crypto::key host = *crypto::generate_p256();
  recipients to{{2, 60, 3}};
  std::set<std::string> seen;
};

TEST_F(recipients_test, share_an_agreement_for_a_while) {
  const auto first = header_of("a", now);
  EXPECT_EQ(header_of("a", now + 60), first);
  EXPECT_NE(header_of("a", now + 61), first) << "too old";
}

TEST_F(recipients_test, share_an_agreement_so_many_times) {
  const auto first = header_of("a", now);
  EXPECT_EQ(header_of("a", now), first);
  EXPECT_EQ(header_of("a", now), first);
  EXPECT_NE(header_of("a", now), first);
}

TEST_F(recipients_test, trust_no_clock_that_was_set_back) {
  const auto first = header_of("a", now);
  EXPECT_NE(header_of("a", now - 1), first);
}

TEST_F(recipients_test, each_have_their_own) {
  EXPECT_NE(header_of("a", now), header_of("b", now));
}

TEST_F(recipients_test, the_oldest_leaves_first) {
  const auto a = header_of("a", now);
  const auto b = header_of("b", now);
  header_of("c", now);
  EXPECT_EQ(to.size(), 2U);
  EXPECT_EQ(header_of("b", now), b);
  EXPECT_NE(header_of("a", now), a);
}

TEST_F(recipients_test, what_is_old_is_wiped) {
  header_of("a", now);
  header_of("b", now + 30);
  to.sweep(now + 61);
  EXPECT_EQ(to.size(), 1U);
  to.sweep(now + 91);
  EXPECT_EQ(to.size(), 0U);
  header_of("a", now + 91);
  EXPECT_EQ(to.size(), 1U);
}

TEST_F(recipients_test, keep_nothing_that_was_not_agreed) {
  EXPECT_EQ(to.encrypt(crypto::key(), "a", {}, now).failure().code, errc::invalid_argument);
  EXPECT_EQ(to.size(), 0U);
}

} // namespace
} // namespace custos::keyprovider
