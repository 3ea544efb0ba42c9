#include "tests/unit/cluster/replica/world.hpp"

#include <gtest/gtest.h>

// Changes and reads, asked of any node.
namespace custos::cluster::replica::test {

namespace {

const error& failure_of(const reply_value& reply) {
  static const error none;
  const auto* const found = std::get_if<error>(&reply);
  EXPECT_NE(found, nullptr);
  return found == nullptr ? none : *found;
}

class replica_changes : public testing::Test {
protected:
  std::string follower() {
    for (const auto& name : w.running())
      if (name != w.leader())
        return name;
    return {};
  }
  bool everywhere(const std::string& name) {
    for (const auto& node : w.running())
      if (w.core(node).state().find(object_kind::principal, name) == nullptr)
        return false;
    return true;
  }
  void TearDown() override {
    for (const auto& name : w.running())
      EXPECT_TRUE(w.at(name).answered_twice.empty()) << name;
  }

  world w;
};

} // namespace

TEST_F(replica_changes, of_a_node_alone) {
  w.found("n1");
  const auto applied = w.applied("n1", put("alice"));
  ASSERT_TRUE(applied.ok()) << applied.failure().message;
  EXPECT_EQ(applied->revision, 1U);
  EXPECT_TRUE(applied->changed);
  EXPECT_EQ(applied->fingerprint, w.core("n1").state().fingerprint());
  EXPECT_FALSE(w.applied("n1", put("alice"))->changed);
}

TEST_F(replica_changes, asked_of_any_node_are_applied_on_all_and_read_where_they_were_asked) {
  w.grow(3);
  std::uint64_t revision = w.core("n1").state().revision();
  for (const auto& node : {"n1", "n2", "n3"}) {
    const std::string name = std::string("from-") + node;
    const auto token = w.apply(node, put(name));
    const auto reply = w.answer(node, token);
    const auto* const applied = std::get_if<config_applied>(&reply);
    ASSERT_NE(applied, nullptr) << node << ": " << failure_of(reply).message;
    EXPECT_EQ(applied->revision, ++revision);
    EXPECT_NE(w.core(node).state().find(object_kind::principal, name), nullptr) << node;
    EXPECT_EQ(w.core(node).state().revision(), revision);
    EXPECT_TRUE(w.wait_for([&] { return everywhere(name); })) << node;
  }
  EXPECT_TRUE(w.converged());
}

TEST_F(replica_changes, are_refused_with_the_field_on_every_node) {
  w.grow(3);
  auto bad = put("alice");
  bad.document = R"({"role":"root"})";
  for (const auto& node : w.running()) {
    const auto before = w.core(w.leader()).core().log().last_index();
    const auto refused = w.applied(node, bad);
    EXPECT_EQ(refused.failure().code, errc::invalid_argument);
    EXPECT_EQ(refused.failure().field, "/role");
    EXPECT_EQ(w.core(w.leader()).core().log().last_index(), before) << "it is in no log";
    auto missing = put("nobody");
    missing.action = config_action::erase;
    missing.document.clear();
    EXPECT_EQ(w.applied(node, missing).failure().code, errc::not_found);
  }
  EXPECT_EQ(w.core("n1").state().revision(), 0U);
}

TEST_F(replica_changes, at_a_revision_are_refused_at_another_whichever_node_is_asked) {
  w.grow(3);
  const auto first = w.applied("n1", put("alice"));
  ASSERT_TRUE(first.ok());
  auto a = put("bob");
  a.if_revision = first->revision;
  auto b = put("carol");
  b.if_revision = first->revision;
  const auto one = w.apply("n2", a);
  const auto two = w.apply("n3", b);
  const auto from_two = w.answer("n2", one);
  const auto from_three = w.answer("n3", two);
  const bool two_won = std::holds_alternative<config_applied>(from_two);
  EXPECT_NE(two_won, std::holds_alternative<config_applied>(from_three));
  EXPECT_EQ(failure_of(two_won ? from_three : from_two).code, errc::revision_conflict);
  EXPECT_EQ(w.core("n1").state().revision(), first->revision + 1);
}

TEST_F(replica_changes, of_one_operation_id_happen_once) {
  w.grow(3);
  auto create = put("alice", "auditor", "op-1");
  create.action = config_action::create;
  const auto one = w.apply("n2", create);
  const auto again = w.apply("n2", create);
  const auto elsewhere = w.apply("n3", create);
  const auto first = w.answer("n2", one);
  ASSERT_TRUE(std::holds_alternative<config_applied>(first)) << failure_of(first).message;
  for (const auto& [node, token] : {std::pair("n2", again), std::pair("n3", elsewhere)}) {
    const auto reply = w.answer(node, token);
    ASSERT_TRUE(std::holds_alternative<config_applied>(reply)) << failure_of(reply).message;
    EXPECT_EQ(std::get<config_applied>(reply).revision, std::get<config_applied>(first).revision);
  }
  const auto late = w.applied("n1", create);
  ASSERT_TRUE(late.ok()) << late.failure().message;
  EXPECT_EQ(late->revision, std::get<config_applied>(first).revision);
}

TEST_F(replica_changes, that_differ_and_share_an_operation_id_are_not_answered_for_each_other) {
  w.grow(3);
  const auto one = w.apply("n2", put("alice", "auditor", "op-1"));
  const auto here = w.apply("n2", put("carol", "auditor", "op-1"));
  const auto two = w.apply("n3", put("bob", "auditor", "op-1"));
  EXPECT_EQ(failure_of(w.answer("n2", here)).field, "operation_id");
  const auto from_two = w.answer("n2", one);
  const auto from_three = w.answer("n3", two);
  const bool alice = std::holds_alternative<config_applied>(from_two);
  EXPECT_NE(alice, std::holds_alternative<config_applied>(from_three));
  const auto& loser = failure_of(alice ? from_three : from_two);
  EXPECT_EQ(loser.code, errc::invalid_argument);
  EXPECT_EQ(loser.field, "operation_id");
  const auto& state = w.core("n1").state();
  EXPECT_EQ(state.find(object_kind::principal, "alice") != nullptr, alice);
  EXPECT_EQ(state.find(object_kind::principal, "bob") != nullptr, !alice);
}

TEST_F(replica_changes, that_wait_are_answered_once_when_the_leader_is_lost) {
  w.grow(3);
  const auto lost = w.leader();
  std::vector<std::pair<std::string, request_token>> asked;
  for (int i = 0; i < 30; ++i) {
    for (const auto& node : w.running())
      if (node != lost)
        asked.emplace_back(node, w.apply(node, put("p" + std::to_string(asked.size()))));
    if (i == 15)
      w.crash(lost);
    w.step();
  }
  for (const auto& [node, token] : asked) {
    const auto reply = w.answer(node, token);
    EXPECT_TRUE(std::holds_alternative<config_applied>(reply)) << failure_of(reply).message;
  }
  w.start(lost);
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  EXPECT_EQ(w.core(lost).state().count(object_kind::principal), asked.size());
  EXPECT_EQ(w.core(lost).state().revision(), asked.size());
}

TEST_F(replica_changes, without_a_majority_fail_in_time_and_reads_go_on) {
  w.grow(3);
  ASSERT_TRUE(w.applied("n1", put("alice")).ok());
  ASSERT_TRUE(w.wait_for([&] { return w.converged(); }));
  const auto stays = w.leader();
  for (const auto& name : w.running())
    if (name != stays)
      w.crash(name);
  // The leader took it, and cannot know what becomes of it.
  const auto asked_at = w.now;
  const auto taken = failure_of(w.answer(stays, w.apply(stays, put("bob", "auditor", "op-b"))));
  EXPECT_EQ(taken.code, errc::unavailable);
  EXPECT_EQ(taken.check, "cluster-outcome-unknown");
  EXPECT_NE(taken.message.find("op-b"), std::string::npos);
  EXPECT_GT(taken.retry_after_s, 0U);
  EXPECT_NEAR(static_cast<double>(w.now - asked_at), 5000, 50);
  // By now it knows that it leads nobody.
  EXPECT_FALSE(w.core(stays).leads());
  const auto not_taken = failure_of(w.answer(stays, w.apply(stays, put("carol"))));
  EXPECT_EQ(not_taken.code, errc::unavailable);
  EXPECT_EQ(not_taken.check, "cluster-no-quorum");
  EXPECT_EQ(failure_of(w.answer(stays, w.settle(stays, 0, true))).check, "cluster-no-quorum");
  const auto local = w.answer(stays, w.settle(stays, 1, false));
  ASSERT_TRUE(std::holds_alternative<settled>(local));
  EXPECT_EQ(std::get<settled>(local).revision, 1U);
  EXPECT_NE(w.core(stays).state().find(object_kind::principal, "alice"), nullptr);
  // With the others back, the operation's outcome can be had.
  for (const auto& name : {"n1", "n2", "n3"})
    if (!w.runs(name))
      w.start(name);
  const auto retried = w.applied(stays, put("bob", "auditor", "op-b"));
  ASSERT_TRUE(retried.ok()) << retried.failure().message;
  EXPECT_TRUE(w.wait_for([&] { return everywhere("bob"); }));
}

TEST_F(replica_changes, beyond_what_a_node_takes_are_refused_at_once) {
  w.options.requests_max = 3;
  w.grow(3);
  const auto node = follower();
  std::vector<request_token> tokens;
  for (int i = 0; i < 4; ++i)
    tokens.push_back(w.apply(node, put("p" + std::to_string(i))));
  const auto* const refused = w.reply_to(node, tokens.back());
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(failure_of(*refused).code, errc::overloaded);
  EXPECT_EQ(failure_of(w.answer(node, w.settle(node, 99, false))).code, errc::overloaded);
  tokens.pop_back();
  for (const auto token : tokens)
    EXPECT_TRUE(std::holds_alternative<config_applied>(w.answer(node, token)));
}

TEST_F(replica_changes, a_session_never_goes_back) {
  w.grow(3);
  const auto behind = follower();
  w.isolate(behind);
  const auto via = w.leader();
  const auto applied = w.applied(via, put("alice"));
  ASSERT_TRUE(applied.ok());
  const auto token = w.settle(behind, applied->revision, false);
  w.run_for(500);
  EXPECT_EQ(w.reply_to(behind, token), nullptr);
  w.heal();
  const auto reply = w.answer(behind, token);
  ASSERT_TRUE(std::holds_alternative<settled>(reply)) << failure_of(reply).message;
  EXPECT_GE(std::get<settled>(reply).revision, applied->revision);
  EXPECT_NE(w.core(behind).state().find(object_kind::principal, "alice"), nullptr);
  // A revision that never was.
  const auto never = failure_of(w.answer(behind, w.settle(behind, 99, false)));
  EXPECT_EQ(never.code, errc::unavailable);
  EXPECT_EQ(never.check, "cluster-behind");
}

TEST_F(replica_changes, a_linearizable_read_sees_what_was_acknowledged_anywhere) {
  w.grow(3);
  const auto reader = follower();
  for (int i = 0; i < 10; ++i) {
    const auto name = "p" + std::to_string(i);
    // The reader has not got the change when it is acknowledged elsewhere.
    w.drops = [&](const std::string&, const std::string& to, parcel& p) {
      const auto* const m = std::get_if<raft_parcel>(&p);
      return to == reader && m != nullptr && w.random() % 2 == 0;
    };
    ASSERT_TRUE(w.applied(w.leader(), put(name)).ok());
    const auto reply = w.answer(reader, w.settle(reader, 0, true));
    ASSERT_TRUE(std::holds_alternative<settled>(reply)) << failure_of(reply).message;
    EXPECT_NE(w.core(reader).state().find(object_kind::principal, name), nullptr) << name;
  }
  w.drops = nullptr;
  // Nobody reads from a leader that was replaced and does not know it.
  const auto old = w.leader();
  w.isolate(old);
  const auto token = w.settle(old, 0, true);
  ASSERT_TRUE(w.wait_for([&] { return !w.leader().empty() && w.leader() != old; }));
  ASSERT_TRUE(w.applied(w.leader(), put("newest")).ok());
  EXPECT_EQ(w.reply_to(old, token), nullptr);
  w.heal();
  const auto reply = w.answer(old, token);
  ASSERT_TRUE(std::holds_alternative<settled>(reply)) << failure_of(reply).message;
  EXPECT_NE(w.core(old).state().find(object_kind::principal, "newest"), nullptr);
}

} // namespace custos::cluster::replica::test
