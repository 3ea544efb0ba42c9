#include "cluster/replica/wire.hpp"
#include "tests/unit/cluster/replica/world.hpp"

#include <gtest/gtest.h>

// Nodes that come, go, and are taken for others.
namespace custos::cluster::replica::test {

namespace {

class replica_members : public testing::Test {
protected:
  std::string other_than(const std::vector<std::string>& names) {
    for (const auto& name : w.running())
      if (std::find(names.begin(), names.end(), name) == names.end())
        return name;
    return {};
  }
  [[nodiscard]] std::vector<std::string> members_at(const std::string& node) {
    std::vector<std::string> out;
    for (const auto& m : w.core(node).members())
      out.push_back(m.info.name);
    return out;
  }
  [[nodiscard]] bool votes(const std::string& name) {
    const auto leads = w.leader();
    if (leads.empty())
      return false;
    const auto* const m = find_by_name(w.core(leads).members(), name);
    return m != nullptr && m->role == raft::member_role::voter;
  }
  bool lead(const std::string& name) {
    const auto from = w.leader();
    const auto reply = w.answer(from, w.transfer(from, name));
    return std::holds_alternative<settled>(reply) && w.wait_for([&] { return w.leader() == name; });
  }
  /// Signs of life get from that node, entries of the log do not.
  void hold_entries_of(const std::string& from) {
    w.drops = [from](const std::string& sender, const std::string&, parcel& p) {
      auto* const m = std::get_if<raft_parcel>(&p);
      if (sender != from || m == nullptr)
        return false;
      auto message = decode_message(m->message).value();
      if (auto* const append = std::get_if<raft::append_request>(&message)) {
        append->entries.clear();
        m->message = encode(message);
      }
      return false;
    };
  }

  world w;
};

using names = std::vector<std::string>;

} // namespace

TEST_F(replica_members, a_node_joins_as_standby_and_votes_when_the_number_is_odd) {
  w.found("n1");
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(w.applied("n1", put("p" + std::to_string(i))).ok());
  ASSERT_TRUE(w.join("n2", "n1"));
  EXPECT_TRUE(w.core("n2").is_empty());
  ASSERT_TRUE(w.wait_for([&] { return w.converged() && !w.core("n2").is_empty(); }));
  EXPECT_EQ(w.core("n2").state().count(object_kind::principal), 40U);
  w.run_for(1000);
  EXPECT_EQ(w.voters(), 1U) << "two voters survive no failure that one does not";
  EXPECT_EQ(members_at("n2"), (names{"n1", "n2"}));
  ASSERT_TRUE(w.join("n3", "n2")) << "any node may be asked";
  EXPECT_TRUE(w.wait_for([&] { return w.voters() == 3 && w.converged(); }));
  ASSERT_TRUE(w.join("n4", "n3"));
  w.run_for(1000);
  EXPECT_EQ(w.voters(), 3U);
  ASSERT_TRUE(w.join("n5", "n4"));
  EXPECT_TRUE(w.wait_for([&] { return w.voters() == 5 && w.converged(); }));
  EXPECT_EQ(members_at("n5"), (names{"n1", "n2", "n3", "n4", "n5"}));
}

TEST_F(replica_members, a_name_is_taken_once) {
  w.grow(3);
  const auto again = w.changed("n2", member_action::add, info_of("n3", 7));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.failure().code, errc::already_exists);
  EXPECT_EQ(again.failure().field, "node_name");
  // Who asks again because the answer was lost gets it.
  const auto same = w.changed("n2", member_action::add, info_of("n3"));
  ASSERT_TRUE(same.ok()) << same.failure().message;
  EXPECT_EQ(same->id, w.core("n3").self());
}

TEST_F(replica_members, a_follower_is_removed_and_hears_of_it) {
  w.grow(3);
  const auto gone = other_than({w.leader(), "n1"});
  const auto asked = other_than({gone});
  const auto removed = w.changed(asked, member_action::remove, info_of(gone));
  ASSERT_TRUE(removed.ok()) << removed.failure().message;
  EXPECT_EQ(removed->id, 0U);
  EXPECT_EQ(removed->members.size(), 2U);
  EXPECT_TRUE(w.wait_for([&] { return !w.runs(gone); }, 2000));
  EXPECT_TRUE(w.core(gone).is_removed());
  ASSERT_TRUE(w.wait_for([&] { return w.voters() == 1; })) << "two would be no better";
  EXPECT_TRUE(w.applied(asked, put("alice")).ok());
  EXPECT_FALSE(w.core(gone).fault());
  EXPECT_EQ(w.core(gone).state().find(object_kind::principal, "alice"), nullptr);
  const auto again = w.changed(asked, member_action::remove, info_of(gone));
  ASSERT_TRUE(again.ok()) << "it is done already";
  EXPECT_EQ(again->id, 0U);
}

TEST_F(replica_members, the_leader_is_removed_whoever_is_asked) {
  for (const bool by_itself : {true, false}) {
    w = world(by_itself ? 1 : 2);
    w.grow(3);
    const auto gone = w.leader();
    const auto asked = by_itself ? gone : other_than({gone});
    const auto removed = w.changed(asked, member_action::remove, info_of(gone));
    ASSERT_TRUE(removed.ok()) << removed.failure().message;
    EXPECT_TRUE(w.wait_for([&] { return !w.runs(gone); }, 2000));
    EXPECT_TRUE(w.core(gone).is_removed());
    const auto next = w.leader();
    ASSERT_NE(next, "");
    EXPECT_NE(next, gone);
    EXPECT_TRUE(w.applied(next, put("alice")).ok());
  }
}

TEST_F(replica_members, the_only_voter_goes_when_a_standby_can_take_over) {
  w.found("n1");
  const auto alone = w.changed("n1", member_action::remove, info_of("n1"));
  ASSERT_FALSE(alone.ok());
  EXPECT_EQ(alone.failure().code, errc::invalid_argument);
  EXPECT_EQ(alone.failure().field, "node");
  ASSERT_TRUE(w.applied("n1", put("alice")).ok());
  ASSERT_TRUE(w.join("n2", "n1"));
  ASSERT_TRUE(w.wait_for([&] { return w.converged() && !w.core("n2").is_empty(); }));
  const auto removed = w.changed("n1", member_action::remove, info_of("n1"));
  ASSERT_TRUE(removed.ok()) << removed.failure().message;
  ASSERT_TRUE(w.wait_for([&] { return w.leader() == "n2"; }));
  EXPECT_TRUE(w.applied("n2", put("bob")).ok());
  EXPECT_EQ(w.core("n2").state().revision(), 2U);
  EXPECT_EQ(w.voters(), 1U);
}

TEST_F(replica_members, a_standby_takes_the_place_of_a_voter_that_is_removed) {
  w.grow(4);
  std::string standby;
  for (const auto& name : w.running())
    if (!votes(name))
      standby = name;
  ASSERT_NE(standby, "");
  const auto gone = other_than({w.leader(), standby});
  w.crash(gone); // dead, as it may be
  ASSERT_TRUE(w.changed(standby, member_action::remove, info_of(gone)).ok());
  EXPECT_TRUE(w.wait_for([&] { return w.voters() == 3 && votes(standby); }));
}

TEST_F(replica_members, a_node_is_replaced_by_one_of_its_name) {
  w.grow(3);
  ASSERT_TRUE(w.applied("n1", put("alice")).ok());
  const auto gone = other_than({w.leader()});
  const auto before = w.core(gone).self();
  w.crash(gone);
  ASSERT_TRUE(w.join(gone, w.leader(), member_action::replace));
  EXPECT_NE(w.core(gone).self(), before);
  ASSERT_TRUE(w.wait_for([&] { return w.voters() == 3 && w.converged(); }));
  EXPECT_NE(w.core(gone).state().find(object_kind::principal, "alice"), nullptr);
  EXPECT_EQ(members_at("n1").size(), 3U);
  // The new one counts: without the other follower the two go on.
  w.crash(other_than({w.leader(), gone}));
  EXPECT_TRUE(w.applied(gone, put("bob")).ok());
}

TEST_F(replica_members, replacing_a_node_that_is_not_there_adds_it) {
  w.found("n1");
  ASSERT_TRUE(w.join("n2", "n1", member_action::replace));
  EXPECT_TRUE(w.wait_for([&] { return w.converged() && !w.core("n2").is_empty(); }));
}

TEST_F(replica_members, a_node_says_where_it_is_and_what_certificate_it_has) {
  w.grow(3);
  const auto node = other_than({w.leader()});
  auto info = w.at(node).info;
  info.host = "192.0.2.7";
  info.certificates.push_back(crypto::sha256(as_bytes("renewed")));
  const auto updated = w.changed(node, member_action::update, info);
  ASSERT_TRUE(updated.ok()) << updated.failure().message;
  EXPECT_EQ(updated->id, w.core(node).self());
  EXPECT_TRUE(w.wait_for([&] {
    for (const auto& name : w.running())
      if (find_by_name(w.core(name).members(), node)->info != info)
        return false;
    return true;
  }));
  const auto last = w.core(w.leader()).core().log().last_index();
  EXPECT_TRUE(w.changed(node, member_action::update, info).ok());
  EXPECT_EQ(w.core(w.leader()).core().log().last_index(), last) << "it was so already";
  EXPECT_EQ(w.changed(node, member_action::update, info_of("n9")).failure().code, errc::not_found);
}

TEST_F(replica_members, leadership_goes_where_it_is_asked_to) {
  w.grow(4);
  std::string standby;
  for (const auto& name : w.running())
    if (!votes(name))
      standby = name;
  const auto next = other_than({w.leader(), standby});
  const auto reply = w.answer(standby, w.transfer(standby, next));
  ASSERT_TRUE(std::holds_alternative<settled>(reply)) << std::get<error>(reply).message;
  EXPECT_TRUE(w.wait_for([&] { return w.leader() == next; }, 500));
  const auto again = w.answer(next, w.transfer(next, next));
  EXPECT_TRUE(std::holds_alternative<settled>(again)) << "it leads already";
  const auto unknown = w.answer(standby, w.transfer(standby, "n9"));
  EXPECT_EQ(std::get<error>(unknown).code, errc::not_found);
  const auto no_voter = w.answer(standby, w.transfer(standby, standby));
  EXPECT_EQ(std::get<error>(no_voter).code, errc::invalid_argument);
}

TEST_F(replica_members, a_leader_that_stops_hands_over_before) {
  w.grow(3);
  const auto stops = w.leader();
  const auto began = w.now;
  EXPECT_FALSE(w.core(other_than({stops})).step_down());
  EXPECT_TRUE(w.core(stops).step_down());
  ASSERT_TRUE(w.wait_for([&] { return !w.leader().empty() && w.leader() != stops; }));
  EXPECT_LT(w.now - began, w.options.raft.election_ms) << "nobody waited for its silence";
}

TEST_F(replica_members, who_was_away_hears_of_a_leader_that_joined_meanwhile) {
  w.grow(3);
  const auto away = other_than({"n1", w.leader()});
  w.crash(away);
  ASSERT_TRUE(w.join("n4", "n1"));
  ASSERT_TRUE(w.join("n5", "n1"));
  ASSERT_TRUE(w.wait_for([&] { return votes("n4") && votes("n5"); }));
  ASSERT_TRUE(lead("n5"));
  ASSERT_TRUE(w.applied("n5", put("alice")).ok());
  w.start(away);
  EXPECT_TRUE(
      w.wait_for([&] { return w.core(away).core().leader() == w.core("n5").self(); }, 3000));
  EXPECT_TRUE(w.wait_for([&] { return w.converged(); }));
  EXPECT_NE(w.core(away).state().find(object_kind::principal, "alice"), nullptr);
}

TEST_F(replica_members, a_removal_that_came_to_nothing_is_taken_back) {
  w.grow(3);
  const auto old = w.leader();
  const auto kept = other_than({old});
  // In the old leader's log it is removed; the others never hear of it, and go on.
  w.isolate(old);
  w.change(old, member_action::remove, info_of(kept));
  w.run_for(200);
  ASSERT_TRUE(w.wait_for([&] { return !w.leader().empty() && w.leader() != old; }));
  ASSERT_TRUE(w.applied(w.leader(), put("alice")).ok());
  w.run_for(5000);
  w.heal();
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  EXPECT_EQ(members_at(old).size(), 3U);
  EXPECT_EQ(w.voters(), 3U);
  // The two of them get along without the third.
  w.crash(other_than({old, kept}));
  const auto applied = w.applied(kept, put("bob"));
  EXPECT_TRUE(applied.ok()) << applied.failure().message;
}

TEST_F(replica_members, a_removal_that_may_come_to_nothing_is_not_told) {
  w.grow(3);
  const auto old = w.leader();
  const auto a = other_than({old});
  const auto b = other_than({old, a});
  hold_entries_of(old);
  w.change(old, member_action::remove, info_of(b));
  w.run_for(4000); // pulses go back and forth meanwhile
  w.crash(old);
  w.drops = nullptr;
  ASSERT_TRUE(w.wait_for([&] { return !w.leader().empty(); }, 5000));
  EXPECT_TRUE(w.applied(a, put("alice")).ok());
  EXPECT_TRUE(w.applied(b, put("bob")).ok());
}

TEST_F(replica_members, an_answer_is_not_taken_for_that_of_an_earlier_process) {
  w.grow(3);
  const auto leads = w.leader();
  const auto asks = other_than({leads});
  hold_entries_of(leads);
  w.change(leads, member_action::add, info_of("n4")); // not committed: the others wait for it
  w.change(asks, member_action::remove, info_of("n9"));
  w.run_for(100);
  w.crash(asks);
  w.start(asks);
  ASSERT_TRUE(w.wait_for([&] { return w.core(asks).core().leader() != 0; }));
  const auto token = w.change(asks, member_action::update, w.at(asks).info);
  w.run_for(100);
  w.drops = nullptr;
  const auto reply = w.answer(asks, token);
  ASSERT_TRUE(std::holds_alternative<membership_answer>(reply)) << std::get<error>(reply).message;
  EXPECT_EQ(std::get<membership_answer>(reply).id, w.core(asks).self());
}

TEST_F(replica_members, what_nobody_waits_for_any_more_is_not_done) {
  w.grow(3);
  const auto leads = w.leader();
  const auto asks = other_than({leads});
  const auto stays = other_than({leads, asks});
  hold_entries_of(leads);
  w.change(leads, member_action::add, info_of("n4"));
  const auto reply = w.answer(asks, w.change(asks, member_action::remove, info_of(stays)));
  ASSERT_TRUE(std::holds_alternative<error>(reply));
  EXPECT_EQ(std::get<error>(reply).check, "cluster-outcome-unknown");
  EXPECT_EQ(w.leader(), leads);
  w.run_for(500);
  w.drops = nullptr;
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  w.run_for(3000);
  EXPECT_EQ(members_at(leads), (names{"n1", "n2", "n3", "n4"}));
}

} // namespace custos::cluster::replica::test
