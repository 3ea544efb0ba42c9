#include "cluster/raft/core.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

// What the simulation cannot say: the answers to callers, and single steps by name. Safety under
// faults is the simulation's (tests/simulation/raft).
namespace custos::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

bytes_ptr command(std::string_view text) {
  return std::make_shared<const bytes>(to_bytes(text));
}

/// One replica, its driver and its disk, which is as fast as can be.
class replica {
public:
  replica(replica_id self, membership members, options given = {})
      : core(self, given, {{1, 0}, bootstrap_base(std::move(members)), {}, 1}, self, 1) {}

  /// Does what is to be done, until nothing is.
  void act() {
    for (;;) {
      auto todo = core.take();
      for (const auto& d : todo.deliveries)
        if (const auto* const e = std::get_if<delivered_entry>(&d))
          if (e->what.command)
            applied.emplace_back(as_text(*e->what.command));
      for (auto& m : todo.messages)
        sent.push_back(std::move(m));
      for (const auto& r : todo.reads)
        reads.push_back(r);
      if (todo.writes.empty())
        return;
      core.written(todo.writes.back().number);
    }
  }
  void wait(milliseconds for_ms) {
    now += for_ms;
    core.tick(now);
    act();
  }
  void hear(replica_id from, message m) {
    core.receive(now, from, std::move(m));
    act();
  }
  template <class M>
  [[nodiscard]] std::vector<M> sent_as() const {
    std::vector<M> out;
    for (const auto& m : sent)
      if (const auto* const one = std::get_if<M>(&m.what))
        out.push_back(*one);
    return out;
  }

  raft::core core;
  milliseconds now = 1;
  std::vector<std::string> applied;
  std::vector<outgoing> sent;
  std::vector<read_outcome> reads;
};

membership voters(std::initializer_list<replica_id> ids) {
  membership out;
  for (const auto id : ids)
    out.push_back({id, member_role::voter, {}});
  return out;
}

TEST(raft_core, one_voter_leads_itself) {
  replica one(1, voters({1}));
  EXPECT_EQ(one.core.propose(command("too early")).failure().code, errc::unavailable);
  EXPECT_EQ(one.core.read(1).failure().code, errc::unavailable);
  one.wait(1000);
  ASSERT_EQ(one.core.role(), role::leader);
  EXPECT_EQ(one.core.leader(), 1U);
  const auto at = one.core.propose(command("a"));
  ASSERT_TRUE(at.ok());
  EXPECT_EQ(at->index, 3U) << "behind the beginning and the term's first entry";
  ASSERT_TRUE(one.core.read(7).ok());
  one.act();
  EXPECT_THAT(one.applied, ElementsAre("a"));
  ASSERT_THAT(one.reads, SizeIs(1));
  EXPECT_EQ(one.reads.front().token, 7U);
  EXPECT_GE(one.reads.front().index, 2U);
}

TEST(raft_core, the_only_voter_waits_for_nobody) {
  replica one(1, voters({1}));
  one.wait(0);
  EXPECT_EQ(one.core.role(), role::leader);
  replica of_two(1, voters({1, 2}));
  of_two.wait(0);
  EXPECT_EQ(of_two.core.role(), role::follower);
}

TEST(raft_core, says_what_is_wrong_with_a_command) {
  options small;
  small.command_bytes_max = 3;
  replica one(1, voters({1}), small);
  one.wait(1000);
  EXPECT_TRUE(one.core.propose(command("abc")).ok());
  EXPECT_EQ(one.core.propose(command("abcd")).failure().code, errc::too_large);
}

TEST(raft_core, one_member_changes_at_a_time) {
  replica one(1, voters({1}));
  one.wait(1000);
  const auto refused = [&](membership wanted) {
    const auto r = one.core.change_members(std::move(wanted));
    return r.ok() ? "accepted" : r.failure().field;
  };
  EXPECT_EQ(refused(voters({1, 2})), "members") << "a voter that was no standby";
  EXPECT_EQ(refused({}), "members");
  EXPECT_EQ(refused(voters({1})), "members") << "no change";
  auto wanted = voters({1});
  wanted.push_back({2, member_role::standby, "two"});
  wanted.push_back({3, member_role::standby, "three"});
  EXPECT_EQ(refused(wanted), "members") << "two changes";
  wanted.pop_back();
  ASSERT_TRUE(one.core.change_members(wanted).ok());
  auto next = wanted;
  next.push_back({3, member_role::standby, "three"});
  EXPECT_EQ(one.core.change_members(next).failure().code, errc::revision_conflict);
  one.act();
  next = wanted;
  next.back().role = member_role::voter;
  EXPECT_EQ(refused(next), "accepted") << "it has all but what was just added";
}

// Of two voters the leader removes itself, and is cut off: the other cannot lead without its vote.
TEST(raft_core, campaigns_until_its_removal_is_committed) {
  replica one(1, voters({1, 2}));
  one.wait(1000);
  one.hear(2, vote_response{2, true});
  ASSERT_EQ(one.core.role(), role::leader);
  one.hear(2, append_response{2, true, 1, 2, 0, 0, 0});
  ASSERT_TRUE(one.core.change_members(voters({2})).ok());
  one.act();
  one.wait(600);
  ASSERT_EQ(one.core.role(), role::follower) << "it heard of nobody";
  one.wait(1000);
  ASSERT_EQ(one.core.role(), role::candidate);
  EXPECT_EQ(one.core.term(), 3U);
  one.hear(2, vote_response{3, true});
  ASSERT_EQ(one.core.role(), role::leader) << "the own vote does not count, and is not needed";
  one.hear(2, append_response{3, true, 2, 4, 0, 0, 0});
  EXPECT_EQ(one.core.commit_index(), 4U);
  EXPECT_EQ(one.core.role(), role::follower) << "it is removed now";
  one.wait(10'000);
  EXPECT_EQ(one.core.term(), 3U) << "and stays calm";
}

// The newer snapshot may be on the disk already when the older one's turn would come.
TEST(raft_core, delivers_no_snapshot_that_a_newer_one_replaced) {
  replica two(2, voters({1, 2, 3}));
  const auto chunk_to = [&](log_index index) {
    snapshot_chunk m;
    m.term = 2;
    m.at = {index, 2, std::make_shared<const membership>(voters({1, 2, 3})), 1};
    m.total = 1;
    m.data = {1};
    two.core.receive(two.now, 1, m);
    return two.core.take();
  };
  const auto older = chunk_to(80);
  const auto newer = chunk_to(93);
  ASSERT_THAT(older.writes, SizeIs(1));
  ASSERT_THAT(newer.writes, SizeIs(1));
  two.core.written(older.writes.front().number);
  EXPECT_THAT(two.core.take().deliveries, IsEmpty());
  two.core.written(newer.writes.front().number);
  const auto done = two.core.take();
  ASSERT_THAT(done.deliveries, SizeIs(1));
  EXPECT_EQ(std::get<snapshot_ptr>(done.deliveries.front())->at.index, 93U);
  EXPECT_EQ(two.core.durable_index(), 93U);
}

TEST(raft_core, a_voter_with_a_living_leader_ignores_candidates) {
  replica two(2, voters({1, 2, 3}));
  two.hear(1, append_request{2, 1, 1, 1, 1, {}});
  ASSERT_EQ(two.core.leader(), 1U);
  two.sent.clear();
  two.hear(3, vote_request{9, 50, 2, false});
  EXPECT_THAT(two.sent, IsEmpty());
  EXPECT_EQ(two.core.term(), 2U);
  two.hear(3, vote_request{9, 50, 2, true}); // the leader sent it
  ASSERT_THAT(two.sent_as<vote_response>(), SizeIs(1));
  EXPECT_TRUE(two.sent_as<vote_response>().front().granted);
}

TEST(raft_core, votes_once_a_term_and_only_for_whole_logs) {
  replica two(2, voters({1, 2, 3}));
  two.hear(1, vote_request{5, 0, 0, false});
  EXPECT_FALSE(two.sent_as<vote_response>().back().granted) << "its log is shorter";
  two.hear(1, vote_request{5, 1, 1, false});
  EXPECT_TRUE(two.sent_as<vote_response>().back().granted);
  two.hear(3, vote_request{5, 9, 4, false});
  EXPECT_FALSE(two.sent_as<vote_response>().back().granted);
  two.hear(1, vote_request{5, 1, 1, false});
  EXPECT_TRUE(two.sent_as<vote_response>().back().granted) << "the same, asked again";
}

TEST(raft_core, acknowledges_what_was_compared_and_is_durable) {
  replica two(2, voters({1, 2, 3}));
  entry e;
  e.term = 2;
  two.core.receive(two.now, 1, append_request{2, 1, 1, 1, 1, {e, e}});
  auto todo = two.core.take();
  EXPECT_THAT(todo.messages, IsEmpty()) << "the disk has it not";
  ASSERT_THAT(todo.writes, SizeIs(1));
  EXPECT_THAT(todo.writes.front().entries, SizeIs(2));
  two.core.receive(two.now, 1, append_request{2, 3, 2, 1, 2, {}});
  two.core.written(todo.writes.front().number);
  two.act();
  const auto answers = two.sent_as<append_response>();
  ASSERT_FALSE(answers.empty());
  EXPECT_EQ(answers.front().match, 3U);
}

TEST(raft_core, an_entry_that_was_committed_cannot_change) {
  replica two(2, voters({1, 2, 3}));
  entry e;
  e.term = 2;
  two.hear(1, append_request{2, 1, 1, 2, 1, {e}});
  ASSERT_EQ(two.core.commit_index(), 2U);
  e.term = 3;
  two.hear(3, append_request{3, 1, 1, 1, 1, {e}});
  ASSERT_TRUE(two.core.fault());
  EXPECT_EQ(two.core.fault()->code, errc::corrupted);
  two.sent.clear();
  two.wait(10'000);
  EXPECT_THAT(two.sent, IsEmpty()) << "it does nothing more";
}

TEST(raft_core, drops_entries_that_make_no_sense) {
  replica two(2, voters({1, 2, 3}));
  entry late;
  late.term = 9;
  entry empty;
  empty.term = 2;
  empty.kind = entry_kind::command; // without one
  entry early;
  early.term = 1;
  entry good;
  good.term = 2;
  for (const auto& entries : std::vector<std::vector<entry>>{{late}, {empty}, {good, early}}) {
    two.hear(1, append_request{2, 1, 1, 1, 1, entries});
    EXPECT_EQ(two.core.log().last_index(), 1U);
  }
}

TEST(raft_log, knows_the_membership_of_every_index) {
  raft::log l(bootstrap_base(voters({1})), {});
  const auto add = [&](term_number term, membership_ptr members) {
    entry e;
    e.term = term;
    e.kind = members ? entry_kind::members : entry_kind::nothing;
    e.members = std::move(members);
    l.append(std::move(e));
  };
  add(2, nullptr);
  add(2, std::make_shared<const membership>(voters({1, 2})));
  add(3, nullptr);
  add(3, std::make_shared<const membership>(voters({2})));
  EXPECT_EQ(*l.members(), voters({2}));
  EXPECT_EQ(l.members_index(), 5U);
  EXPECT_EQ(*l.base_at(4).members, voters({1, 2}));
  EXPECT_EQ(l.last_before(5, 2), 3U);
  l.truncate_from(5);
  EXPECT_EQ(*l.members(), voters({1, 2}));
  l.compact_to(3);
  EXPECT_EQ(l.base().term, 2U);
  EXPECT_EQ(l.members_index(), 3U);
  EXPECT_EQ(l.term_at(2), std::nullopt);
  EXPECT_EQ(l.last_before(4, 1), 3U) << "not before the base";
}

} // namespace
} // namespace custos::raft
