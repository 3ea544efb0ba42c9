#include "actors/attestation/ticket.hpp"

#include <array>
#include <gtest/gtest.h>
#include <set>

namespace custos::attestation {
namespace {

constexpr std::int64_t now = 1'800'000'000;

class Ticket : public testing::Test {
protected:
  bytes key = crypto::random_bytes(32);
  challenge given = make_ticket(key, now, 60);

  std::string check_of(std::string_view text, std::int64_t at = now) {
    const auto t = check_ticket(key, text, at);
    if (t)
      return "good";
    EXPECT_EQ(t.failure().code, errc::attestation_failed);
    EXPECT_EQ(t.failure().field, "/ticket");
    return t.failure().check;
  }
};

TEST_F(Ticket, ComesBack) {
  EXPECT_EQ(given.expires, now + 60);
  EXPECT_EQ(given.nonce.size(), nonce_bytes);
  const auto t = check_ticket(key, given.ticket, now);
  ASSERT_TRUE(t);
  EXPECT_EQ(to_bytes(t->nonce), given.nonce);
  EXPECT_EQ(t->expires, given.expires);
}

TEST_F(Ticket, NoTwoAreAlike) {
  std::set<bytes> nonces;
  for (int i = 0; i < 1000; ++i)
    nonces.insert(make_ticket(key, now, 60).nonce);
  EXPECT_EQ(nonces.size(), 1000U);
}

// A nonce that is the same each time lets one quote be good for ever.
TEST_F(Ticket, CVE_2026_6420_EveryNonceIsFresh) { // NOLINT(readability-identifier-naming)
  constexpr std::size_t many = 100'000;
  std::set<bytes> nonces;
  std::set<std::string> tickets;
  std::array<std::size_t, 256> octets{};
  for (std::size_t i = 0; i < many; ++i) {
    auto c = make_ticket(key, now, 60);
    ASSERT_EQ(c.nonce.size(), 32U);
    for (const auto o : c.nonce)
      ++octets.at(o);
    nonces.insert(std::move(c.nonce));
    tickets.insert(std::move(c.ticket));
  }
  EXPECT_EQ(nonces.size(), many);
  EXPECT_EQ(tickets.size(), many);
  for (const auto n : octets) // 12,500 of each are expected, give or take 112
    EXPECT_NEAR(static_cast<double>(n), 12'500.0, 1'500.0);
}

TEST_F(Ticket, LastsUntilItExpires) {
  EXPECT_EQ(check_of(given.ticket, now - ticket_skew_s_max), "good") << "clocks of nodes differ";
  EXPECT_EQ(check_of(given.ticket, now + 59), "good");
  EXPECT_EQ(check_of(given.ticket, now + 60), "ticket-expired");
  EXPECT_TRUE(check_ticket(key, given.ticket, now + 60).failure().retryable);
}

TEST_F(Ticket, OfAnyNodeWithTheSameKeyButNoOther) {
  EXPECT_EQ(check_of(make_ticket(key, now, 60).ticket), "good");
  EXPECT_EQ(check_of(make_ticket(crypto::random_bytes(32), now, 60).ticket), "ticket-invalid");
}

TEST_F(Ticket, EveryBitCounts) {
  const auto raw = *crypto::from_base64url(given.ticket);
  for (std::size_t bit = 0; bit < raw.size() * 8; ++bit) {
    auto flipped = raw;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_EQ(check_of(crypto::base64url(flipped)), "ticket-invalid") << bit;
  }
}

TEST_F(Ticket, EveryLengthButItsOwnIsRefused) {
  for (std::size_t n = 0; n < given.ticket.size(); ++n)
    EXPECT_EQ(check_of(std::string_view(given.ticket).substr(0, n)), "ticket-invalid") << n;
  EXPECT_EQ(check_of(given.ticket + "A"), "ticket-invalid");
  EXPECT_EQ(check_of(given.ticket + "="), "ticket-invalid");
  EXPECT_EQ(check_of(std::string(1'000'000, 'A')), "ticket-invalid");
}

TEST_F(Ticket, ALongerLifeCannotBeWrittenIn) {
  auto raw = *crypto::from_base64url(given.ticket);
  raw.at(9) = 0x7F;
  EXPECT_EQ(check_of(crypto::base64url(raw), now), "ticket-invalid");
}

TEST_F(Ticket, TheKeyOfAnEpochIsTakenInThatEpochAndTheNext) {
  ASSERT_EQ(now % ticket_epoch_s, 0);
  const auto last = now + ticket_epoch_s - 1;
  const auto late = make_ticket(key, last, 3600).ticket;
  EXPECT_EQ(check_of(late, last), "good");
  EXPECT_EQ(check_of(late, last + 3599), "good") << "of the epoch before";
  EXPECT_EQ(check_of(late, last + 3600), "ticket-expired");
}

TEST_F(Ticket, AnOlderEpochIsNotTakenHoweverLongTheTicketSays) {
  const auto long_lived = make_ticket(key, now, 1'000'000).ticket;
  EXPECT_EQ(check_of(long_lived, now + 2 * ticket_epoch_s - 1), "good");
  EXPECT_EQ(check_of(long_lived, now + 2 * ticket_epoch_s), "ticket-expired");
  EXPECT_TRUE(check_ticket(key, long_lived, now + 2 * ticket_epoch_s).failure().retryable);
}

TEST_F(Ticket, ALaterEpochIsTakenWithinClockSkewOnly) {
  EXPECT_EQ(check_of(given.ticket, now - ticket_skew_s_max), "good");
  EXPECT_EQ(check_of(given.ticket, now - ticket_skew_s_max - 1), "ticket-expired");
}

TEST_F(Ticket, OfTheFirstVersionIsRefused) {
  bytes raw = *crypto::from_base64url(given.ticket);
  raw.erase(raw.begin() + 1, raw.begin() + 9); // version 1 had no epoch
  raw.at(0) = 1;
  const auto mac = crypto::hmac_sha256(
      key, {as_bytes("custos-ticket-v1"), byte_view(raw).first(raw.size() - 32)});
  std::copy(mac.begin(), mac.end(), raw.end() - 32);
  EXPECT_EQ(check_of(crypto::base64url(raw)), "ticket-invalid");
}

ticket numbered(std::uint8_t n, std::int64_t expires) {
  ticket t;
  t.nonce.fill(n);
  t.expires = expires;
  return t;
}

TEST(UsedTickets, EachOnce) {
  used_tickets used;
  EXPECT_TRUE(used.use(numbered(1, now + 60), now));
  EXPECT_TRUE(used.use(numbered(2, now + 60), now));
  const auto again = used.use(numbered(1, now + 60), now + 59);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.failure().check, "ticket-replayed");
  EXPECT_EQ(again.failure().field, "/ticket");
}

TEST(UsedTickets, AreForgottenOnlyWhenExpired) {
  used_tickets used;
  for (std::uint8_t i = 0; i < 10; ++i)
    ASSERT_TRUE(used.use(numbered(i, now + 60 + i), now));
  EXPECT_EQ(used.size(), 10U);
  ASSERT_TRUE(used.use(numbered(100, now + 200), now + 65));
  EXPECT_EQ(used.size(), 5U) << "six have expired";
  for (std::uint8_t i = 6; i < 10; ++i)
    EXPECT_FALSE(used.use(numbered(i, now + 60 + i), now + 65)) << int{i};
}

TEST(UsedTickets, AFullMemoryRefusesRatherThanForgets) {
  used_tickets used(3);
  for (std::uint8_t i = 0; i < 3; ++i)
    ASSERT_TRUE(used.use(numbered(i, now + 60), now));
  const auto full = used.use(numbered(3, now + 60), now);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.failure().code, errc::overloaded);
  EXPECT_TRUE(full.failure().retry_after_s);
  EXPECT_EQ(used.use(numbered(0, now + 60), now).failure().check, "ticket-replayed");
  EXPECT_TRUE(used.use(numbered(3, now + 120), now + 60));
}

TEST(Routing, ATicketAlwaysGoesToTheSameVerifier) {
  std::set<std::size_t> taken;
  const auto key = crypto::random_bytes(32);
  for (int i = 0; i < 200; ++i) {
    const auto ticket = make_ticket(key, now, 60).ticket;
    const auto v = verifier_of(ticket, 4);
    EXPECT_EQ(verifier_of(std::string(ticket), 4), v);
    EXPECT_LT(v, 4U);
    taken.insert(v);
  }
  EXPECT_EQ(taken.size(), 4U);
}

TEST(Binding, IsTheHashThatIsDocumented) {
  const bytes nonce(32, 1);
  const bytes thumbprint(32, 2);
  bytes all = to_bytes(std::string_view("custos-attest-v1"));
  all.insert(all.end(), nonce.begin(), nonce.end());
  all.insert(all.end(), thumbprint.begin(), thumbprint.end());
  EXPECT_EQ(quote_binding(nonce, thumbprint), crypto::sha256(all));
}

} // namespace
} // namespace custos::attestation
