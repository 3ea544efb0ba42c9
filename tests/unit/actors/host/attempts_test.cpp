#include "actors/host/attempt_clock.hpp"
#include "actors/host/attempt_policy.hpp"
#include "actors/host/services.hpp"

#include <gtest/gtest.h>

namespace custos::host {

namespace {

constexpr std::int64_t now = 1'800'000'000;

error refused(const char* check, bool retryable) {
  auto e = make_error(errc::attestation_failed, "no");
  e.check = check;
  e.retryable = retryable;
  return e;
}

} // namespace

TEST(attempt_clock, sleeps_in_slices_until_it_is_time) {
  attempt_clock c;
  c.plan(now, 100);
  EXPECT_EQ(c.due(), now + 100);
  auto t = now;
  int slices = 0;
  do {
    const auto span = c.sleep(t);
    EXPECT_GT(span, 0);
    EXPECT_LE(span, slice_s_max);
    t += span;
    ++slices;
  } while (!c.woke(t, 255));
  EXPECT_EQ(t, now + 100);
  EXPECT_EQ(slices, 4);
}

TEST(attempt_clock, is_due_soon_after_a_sleep_of_the_machine) {
  attempt_clock c;
  c.plan(now, 20'000);
  static_cast<void>(c.sleep(now));
  const auto awake = now + 3600;
  EXPECT_FALSE(c.woke(awake, 7));
  EXPECT_EQ(c.due(), awake + 7) << "spread, so that a fleet does not come together";
  EXPECT_TRUE(c.woke(awake + c.sleep(awake), 7));
  c.plan(now, 20'000);
  static_cast<void>(c.sleep(now));
  EXPECT_TRUE(c.woke(now + 30'000, 255)) << "the time passed meanwhile";
}

TEST(attempt_clock, is_due_soon_after_the_clock_was_put_back) {
  attempt_clock c;
  c.plan(now, 20'000);
  static_cast<void>(c.sleep(now));
  const auto back = now - 1'000'000;
  EXPECT_FALSE(c.woke(back, 9));
  EXPECT_EQ(c.due(), back + 9);
}

TEST(attempt_clock, takes_late_timers_for_no_jump) {
  attempt_clock c;
  c.plan(now, 20'000);
  const auto span = c.sleep(now);
  EXPECT_FALSE(c.woke(now + span + clock_jump_s_min - 1, 0));
  EXPECT_EQ(c.due(), now + 20'000);
}

TEST(attempt_policy, tries_what_a_new_quote_may_cure_at_once_a_few_times) {
  attempt_policy p;
  for (unsigned i = 0; i < soon_attempts_max; ++i) {
    const auto then = p.failed(refused("pcr-digest", true), 0);
    EXPECT_EQ(then.wait_s, 1U);
    EXPECT_FALSE(then.drop_token) << "the last verdict stands until it is known";
  }
  const auto then = p.failed(refused("pcr-digest", true), 0);
  EXPECT_EQ(then.wait_s, back_off_s(soon_attempts_max + 1, 0));
  EXPECT_TRUE(then.drop_token);
  p.granted();
  EXPECT_EQ(p.failed(refused("pcr-digest", true), 0).wait_s, 1U);
}

TEST(attempt_policy, takes_a_refusal_for_what_it_is) {
  attempt_policy p;
  const auto then = p.failed(refused("base-image", false), 0);
  EXPECT_TRUE(then.drop_token);
  EXPECT_FALSE(then.forget_enrolment);
  const auto old = p.failed(refused("ak-certificate", false), 0);
  EXPECT_TRUE(old.drop_token);
  EXPECT_TRUE(old.forget_enrolment);
  EXPECT_EQ(old.wait_s, 1U) << "a new enrolment may cure it";
  EXPECT_TRUE(p.failed(refused("ek-not-trusted", false), 0).forget_enrolment);
}

TEST(attempt_policy, waits_longer_and_longer_and_as_long_as_it_is_told) {
  attempt_policy p;
  auto away = make_error(errc::unavailable, "away");
  away.retryable = true;
  std::uint32_t last = 0;
  for (int i = 0; i < 12; ++i) {
    const auto then = p.failed(away, 0);
    EXPECT_FALSE(then.drop_token);
    EXPECT_GE(then.wait_s, last);
    last = then.wait_s;
  }
  EXPECT_EQ(last, 300U);
  p.begin_anew();
  away.retry_after_s = 40;
  EXPECT_EQ(p.failed(away, 0).wait_s, 40U);
  away.retry_after_s = 1'000'000;
  EXPECT_EQ(p.failed(away, 0).wait_s, retry_after_s_max);
  auto curable = refused("ticket-expired", true);
  curable.retry_after_s = 20;
  EXPECT_EQ(p.failed(curable, 0).wait_s, 20U);
}

TEST(attempt_policy, answers_the_gate_at_once_but_not_without_end) {
  attempt_policy p;
  EXPECT_EQ(p.refused_by_gate(0), 0U);
  std::uint32_t last = 0;
  for (int i = 0; i < 12; ++i) {
    const auto wait = p.refused_by_gate(0);
    EXPECT_GE(wait, std::max(1U, last));
    last = wait;
  }
  EXPECT_EQ(last, 300U);
  p.key_released();
  EXPECT_EQ(p.refused_by_gate(0), 0U);
}

TEST(attempt_policy, knows_which_refusals_of_the_gate_a_new_token_may_cure) {
  const auto by_gate = [](errc code, const char* check) {
    auto e = make_error(code, "no");
    e.check = check;
    return wants_new_token(e);
  };
  EXPECT_TRUE(by_gate(errc::token_invalid, "token-signature"));
  EXPECT_TRUE(by_gate(errc::unauthenticated, ""));
  EXPECT_TRUE(by_gate(errc::forbidden, "gate-image"));
  EXPECT_TRUE(by_gate(errc::forbidden, "gate-host"));
  EXPECT_FALSE(by_gate(errc::forbidden, "gate-access"));
  EXPECT_FALSE(by_gate(errc::forbidden, "provider-access"));
  EXPECT_FALSE(by_gate(errc::unavailable, "gate-image"));
}

} // namespace custos::host
