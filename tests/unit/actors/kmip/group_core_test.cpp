#include "actors/kmip/group_core.hpp"

#include <gtest/gtest.h>

namespace custos::kmip {
namespace {

using namespace std::chrono_literals;

const time_point start{1h};

/// Opens the breaker of the only server not tried.
void fail_until_open(group_core& core, const std::vector<bool>& tried, time_point now) {
  for (unsigned i = 0; i < failures_max; ++i) {
    const auto t = core.choose(tried, now);
    ASSERT_TRUE(t.has_value());
    core.finished(*t, verdict::failing, now);
  }
}

TEST(GroupCore, SpreadsLoadOverServersAndConnections) {
  group_core core(2, 2);
  const std::vector<bool> none(2, false);
  const auto a = core.choose(none, start).value();
  const auto b = core.choose(none, start).value();
  const auto c = core.choose(none, start).value();
  EXPECT_EQ(a.server, 0U);
  EXPECT_EQ(b.server, 1U);
  EXPECT_EQ(c.server, 0U);
  EXPECT_NE(a.connection, c.connection);
  core.finished(b, verdict::alive, start);
  EXPECT_EQ(core.choose(none, start)->server, 1U);
}

TEST(GroupCore, AServerThatFailedComesAfterOneThatDidNot) {
  group_core core(2, 1);
  const std::vector<bool> none(2, false);
  core.finished(core.choose(none, start).value(), verdict::failing, start);
  EXPECT_EQ(core.choose(none, start)->server, 1U);
  EXPECT_EQ(core.choose(none, start)->server, 1U) << "health before load";
}

TEST(GroupCore, TriedServersAreNotChosen) {
  group_core core(2, 1);
  EXPECT_EQ(core.choose({true, false}, start)->server, 1U);
  EXPECT_FALSE(core.choose({true, true}, start).has_value());
}

TEST(GroupCore, TheBreakerOpensAndLetsOneProbePass) {
  group_core core(1, 1);
  const std::vector<bool> none(1, false);
  fail_until_open(core, none, start);
  EXPECT_FALSE(core.choose(none, start).has_value());
  EXPECT_EQ(core.retry_after_s(start), 2U);
  EXPECT_EQ(core.probe_at(), start + open_first);
  EXPECT_FALSE(core.choose_probe(start).has_value());
  const auto later = start + open_first;
  const auto probe = core.choose(none, later);
  ASSERT_TRUE(probe.has_value());
  EXPECT_TRUE(probe->probe);
  EXPECT_FALSE(core.choose(none, later).has_value()) << "one at a time";
  EXPECT_FALSE(core.choose_probe(later).has_value());
  core.finished(*probe, verdict::alive, later);
  EXPECT_FALSE(core.choose(none, later)->probe);
  EXPECT_FALSE(core.probe_at().has_value());
}

TEST(GroupCore, AFailedProbeMakesThePauseLongerUpToALimit) {
  group_core core(1, 1);
  const std::vector<bool> none(1, false);
  fail_until_open(core, none, start);
  auto now = start;
  std::chrono::seconds pause = open_first;
  for (int i = 0; i < 8; ++i) {
    now += pause;
    const auto probe = core.choose_probe(now);
    ASSERT_TRUE(probe.has_value()) << i;
    core.finished(*probe, verdict::failing, now);
    pause = std::min(pause * 2, open_max);
    EXPECT_EQ(core.probe_at(), now + pause);
  }
}

TEST(GroupCore, OldFailuresDoNotProlongThePause) {
  group_core core(1, 1);
  const std::vector<bool> none(1, false);
  const auto early = core.choose(none, start).value();
  fail_until_open(core, none, start);
  core.finished(early, verdict::failing, start + 1s);
  EXPECT_EQ(core.probe_at(), start + open_first);
}

TEST(GroupCore, AProbeThatSaysNothingMayBeRepeated) {
  group_core core(1, 1);
  fail_until_open(core, {false}, start);
  const auto later = start + open_first;
  core.finished(core.choose_probe(later).value(), verdict::unknown, later);
  EXPECT_TRUE(core.choose_probe(later).has_value());
}

error of(errc code, std::string check = {}, bool retryable = false) {
  error e = make_error(code, "x");
  e.check = std::move(check);
  e.retryable = retryable;
  return e;
}

TEST(GroupCore, AnotherServerIsAskedOnlyWhenThatDoesNoHarm) {
  EXPECT_TRUE(worth_another_server(of(errc::unavailable), false));
  EXPECT_TRUE(worth_another_server(of(errc::unsupported), false));
  EXPECT_TRUE(worth_another_server(of(errc::kmip_failure, "kmip-permission-denied"), false));
  EXPECT_FALSE(worth_another_server(of(errc::timeout), false));
  EXPECT_FALSE(worth_another_server(of(errc::io_failure), false));
  EXPECT_FALSE(worth_another_server(of(errc::malformed), false));
  EXPECT_FALSE(worth_another_server(of(errc::kmip_failure, "kmip-general-failure", true), false));
  EXPECT_TRUE(worth_another_server(of(errc::timeout), true));
  EXPECT_TRUE(worth_another_server(of(errc::not_found), true));
  EXPECT_TRUE(worth_another_server(of(errc::kmip_failure, "kmip-general-failure", true), true));
  EXPECT_FALSE(worth_another_server(of(errc::kmip_failure, "kmip-permission-denied"), true));
  EXPECT_FALSE(worth_another_server(of(errc::cancelled), true));
}

TEST(GroupCore, WhatAServerSaidTellsMoreThanANetwork) {
  const error said = of(errc::not_found);
  const error away = of(errc::unavailable);
  EXPECT_EQ(more_telling(said, away).code, errc::not_found);
  EXPECT_EQ(more_telling(away, said).code, errc::not_found);
  EXPECT_EQ(verdict_of(said), verdict::alive);
  EXPECT_EQ(verdict_of(away), verdict::failing);
  EXPECT_EQ(verdict_of(of(errc::overloaded)), verdict::unknown);
}

} // namespace
} // namespace custos::kmip
