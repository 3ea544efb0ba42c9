#include "actors/attestation/host_table.hpp"

#include <gtest/gtest.h>
#include <thread>

namespace custos::attestation {
namespace {

constexpr std::int64_t now = 1'800'000'000;
const bytes ak(34, 1);

tpm::clock_info at(std::uint64_t clock, std::uint32_t resets = 7, std::uint32_t restarts = 3) {
  return {clock, resets, restarts, true};
}

std::string refusal(host_table& t, const tpm::clock_info& c, byte_view key = ak,
                    bool require_safe = false) {
  const auto seen = t.see_clock("h", key, c, require_safe, now);
  return seen ? "" : seen.failure().check;
}

host_verdict verdict(bool accepted, std::int64_t when, bool retryable = false,
                     bool authentic = true) {
  host_verdict v;
  v.at = when;
  v.accepted = accepted;
  v.retryable = retryable;
  v.authentic = authentic;
  v.image = accepted ? "web" : "";
  return v;
}

TEST(HostTable, AClockGoesOn) {
  host_table t;
  EXPECT_EQ(refusal(t, at(1000)), "");
  EXPECT_EQ(refusal(t, at(1001)), "");
  EXPECT_EQ(refusal(t, at(1001)), "clock") << "the same quote time twice";
  EXPECT_EQ(refusal(t, at(900)), "clock");
  EXPECT_EQ(refusal(t, at(1002)), "") << "what was refused moved nothing back";
  const auto behind = t.see_clock("h", ak, at(5), false, now);
  EXPECT_TRUE(behind.failure().retryable) << "two quotes may overtake each other";
}

TEST(HostTable, BootsAreNotSeenBackwards) {
  host_table t;
  EXPECT_EQ(refusal(t, at(5000, 7, 3)), "");
  EXPECT_EQ(refusal(t, at(10, 8, 0)), "") << "a reboot: restarts and, unsaved, the clock go back";
  const auto before = t.see_clock("h", ak, at(6000, 7, 4), false, now);
  ASSERT_FALSE(before);
  EXPECT_EQ(before.failure().check, "clock");
  EXPECT_FALSE(before.failure().retryable);
  EXPECT_EQ(refusal(t, at(20, 8, 1)), "") << "a resume";
  EXPECT_EQ(refusal(t, at(30, 8, 0)), "clock") << "from before that resume";
}

TEST(HostTable, CountsAreComparedModulo) {
  host_table t; // they are obfuscated by a constant of the key, and so may pass zero
  EXPECT_EQ(refusal(t, at(1000, 0xFFFFFFFF, 0xFFFFFFFF)), "");
  EXPECT_EQ(refusal(t, at(1001, 0xFFFFFFFF, 0)), "");
  EXPECT_EQ(refusal(t, at(1002, 0, 5)), "");
  EXPECT_EQ(refusal(t, at(1003, 0xFFFFFFFF, 9)), "clock");
}

TEST(HostTable, AnotherKeyBeginsAnew) {
  host_table t;
  EXPECT_EQ(refusal(t, at(1000)), "");
  EXPECT_EQ(refusal(t, at(1, 1, 1), bytes(34, 2)), "");
  EXPECT_EQ(t.standing("h")->ak_name, bytes(34, 2));
}

TEST(HostTable, AnUnsafeClockOnlyWhereAllowed) {
  host_table t;
  auto c = at(1000);
  c.safe = false;
  EXPECT_EQ(refusal(t, c, ak, true), "clock");
  EXPECT_EQ(refusal(t, c), "");
}

TEST(HostTable, StandingFollowsAuthenticVerdicts) {
  host_table t;
  EXPECT_FALSE(t.standing("h"));
  EXPECT_EQ(refusal(t, at(1000)), "");
  t.settle("h", verdict(true, now));
  EXPECT_EQ(t.standing("h")->failed_since, 0);
  EXPECT_EQ(t.last_attested(), now);
  t.settle("h", verdict(false, now + 1, false, false));
  EXPECT_EQ(t.standing("h")->failed_since, 0) << "somebody else may have sent that";
  EXPECT_FALSE(t.find("h")->last.accepted) << "it is shown all the same";
  t.settle("h", verdict(false, now + 2, true));
  EXPECT_EQ(t.standing("h")->failed_since, 0) << "PCRs moved: not a state of the host";
  t.settle("h", verdict(false, now + 3));
  EXPECT_EQ(t.standing("h")->failed_since, now + 3);
  EXPECT_EQ(t.find("h")->last_attested, now);
  t.settle("h", verdict(true, now + 4));
  EXPECT_EQ(t.standing("h")->failed_since, 0);
  EXPECT_EQ(t.images_last_attested(), (std::map<std::string, std::int64_t>{{"web", now + 4}}));
}

TEST(HostTable, MessagesAndListsAreBounded) {
  host_table t;
  auto v = verdict(false, now);
  v.message = std::string(100000, 'x');
  v.findings.resize(1000);
  v.watched_images.resize(1000);
  t.settle("h", v);
  const auto kept = t.find("h")->last;
  EXPECT_EQ(kept.message.size(), verdict_message_bytes_max);
  EXPECT_EQ(kept.findings.size(), verdict_lists_max);
  EXPECT_EQ(kept.watched_images.size(), verdict_lists_max);
}

TEST(HostTable, ListsByPages) {
  host_table t;
  for (int i = 0; i < 25; ++i)
    t.settle("h" + std::to_string(100 + i), verdict(true, now));
  std::vector<std::string> seen;
  list_host_records page;
  page.hosts_max = 10;
  for (;;) {
    const auto some = t.list(page);
    if (some.empty())
      break;
    EXPECT_LE(some.size(), 10U);
    for (const auto& r : some)
      seen.push_back(r.host);
    page.after = some.back().host;
  }
  EXPECT_EQ(seen.size(), 25U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(HostTable, EvidenceIsKeptWhereItIsNew) {
  host_table t;
  EXPECT_TRUE(t.is_new_evidence("h", bytes(32, 1)));
  EXPECT_FALSE(t.is_new_evidence("h", bytes(32, 1)));
  EXPECT_TRUE(t.is_new_evidence("h", bytes(32, 2)));
  t.drop_evidence("h");
  EXPECT_TRUE(t.is_new_evidence("h", bytes(32, 2)));
}

TEST(HostTable, ARebootEndsWhatImaWasJudgedToBe) {
  host_table t;
  EXPECT_EQ(refusal(t, at(1000)), "");
  ima_state judged;
  judged.entries = 5;
  t.remember_ima("h", judged);
  EXPECT_EQ(refusal(t, at(1001)), "");
  EXPECT_EQ(t.ima_of("h")->entries, 5U);
  EXPECT_EQ(refusal(t, at(1, 8, 0)), "");
  EXPECT_FALSE(t.ima_of("h"));
}

TEST(HostTable, RestoresAndForgets) {
  host_table t;
  host_record r;
  r.host = "h";
  r.ak_name = ak;
  r.clock = 5000;
  r.reset_count = 7;
  r.restart_count = 3;
  r.last = verdict(true, now);
  r.last_attested = now;
  t.restore(r);
  EXPECT_EQ(t.size(), 1U);
  EXPECT_EQ(t.last_attested(), now);
  EXPECT_EQ(refusal(t, at(4000)), "clock") << "a restart of the node forgets no clock";
  t.forget("h");
  EXPECT_EQ(t.size(), 0U);
  EXPECT_EQ(refusal(t, at(1)), "");
}

TEST(HostTable, ManyThreadsOneQuoteEachTime) {
  host_table t; // of a hundred quotes with one clock value, one is first
  std::atomic<int> accepted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (std::uint64_t c = 1; c <= 1000; ++c)
        if (t.see_clock("h", ak, at(c), false, now))
          ++accepted;
    });
  for (auto& one : threads)
    one.join();
  EXPECT_LE(accepted.load(), 1000);
  EXPECT_GE(accepted.load(), 1);
  EXPECT_EQ(refusal(t, at(1000)), "clock");
}

} // namespace
} // namespace custos::attestation
