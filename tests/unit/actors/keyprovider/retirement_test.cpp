#include "actors/keyprovider/retirement.hpp"

#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

constexpr std::int64_t now = 1'800'000'000;
constexpr std::int64_t month = 30 * 24 * 3600;

/// A node that has counted for two months, under primary key "new", and needed "old" long ago.
node_uses quiet(const std::string& name) {
  node_uses n;
  n.node = name;
  n.present = "new";
  n.since = now - 2 * month;
  n.complete = true;
  n.keys = {{"vault", "old", 5, 2, now - month - 10, now - month - 20},
            {"vault", "new", 9, 0, now - 1, 0}};
  return n;
}

class retirement_test : public ::testing::Test {
protected:
  std::vector<node_uses> nodes{quiet("n1"), quiet("n2"), quiet("n3")};
  retirement judged(std::string_view key = "old") const {
    return judge_retirement(nodes, key, month, now);
  }
  void expect_against(const std::string& why, std::string_view key = "old") const {
    const auto r = judged(key);
    EXPECT_FALSE(r.may);
    ASSERT_EQ(r.reasons.size(), 1U);
    EXPECT_EQ(r.reasons[0], why);
  }
};

TEST_F(retirement_test, a_key_that_nobody_needed_may_go) {
  const auto r = judged();
  EXPECT_TRUE(r.may);
  EXPECT_TRUE(r.reasons.empty());
  EXPECT_EQ(r.last_used, now - month - 10);
  EXPECT_TRUE(judged("never seen").may);
  EXPECT_EQ(judged("never seen").last_used, 0);
  EXPECT_TRUE(judged("").may);
}

TEST_F(retirement_test, one_use_at_one_node_keeps_it) {
  nodes[1].keys[0].last_decrypt = now - month + 1;
  expect_against("node n2: needed at " + std::to_string(now - month + 1));
  nodes[1].keys[0].last_decrypt = now - month;
  EXPECT_TRUE(judged().may) << "the day is over";
  nodes[2].keys[0].last_rewrap = now;
  expect_against("node n3: needed at " + std::to_string(now));
  EXPECT_EQ(judged().last_used, now);
}

TEST_F(retirement_test, the_present_key_stays_even_at_one_node) {
  nodes[0].present = "old";
  expect_against("node n1: it is the present primary key");
}

TEST_F(retirement_test, a_node_that_is_away_may_know_better) {
  nodes[2] = {};
  nodes[2].node = "n3";
  nodes[2].problem = "no connection";
  expect_against("node n3: cannot be asked: no connection");
  expect_against("node n3: cannot be asked: no connection", "");
  nodes.clear();
  expect_against("no node was asked");
}

TEST_F(retirement_test, a_node_that_counts_for_a_short_time_may_know_nothing) {
  nodes[0].since = now - month + 1;
  expect_against("node n1: it counts only since " + std::to_string(now - month + 1));
  nodes[0].since = now - month;
  EXPECT_TRUE(judged().may);
  nodes[1].complete = false;
  expect_against("node n2: it has not counted every use");
}

TEST_F(retirement_test, older_keys_are_those_that_are_present_nowhere) {
  nodes[1].keys.push_back({"vault", "oldest", 1, 0, 1, 0});
  EXPECT_EQ(older_keys(nodes), (std::vector<std::string>{"old", "oldest"}));
  nodes[2].present = "old"; // a node that is behind
  EXPECT_EQ(older_keys(nodes), std::vector<std::string>{"oldest"});
  EXPECT_TRUE(older_keys({}).empty());
}

TEST_F(retirement_test, reads_what_nodes_show) {
  use_table t(100);
  t.count("vault", "old", counted_use::decrypt, 200);
  t.count("vault", "old", counted_use::rewrap, 300);
  const auto shown = uses_document(t, "n1", "vault", "new");
  const auto one = read_node_uses(shown);
  ASSERT_TRUE(one) << one.failure().message;
  EXPECT_EQ(one->node, "n1");
  EXPECT_EQ(one->present, "new");
  EXPECT_EQ(one->since, 100);
  EXPECT_TRUE(one->complete);
  ASSERT_EQ(one->keys.size(), 1U);
  EXPECT_EQ(one->keys[0].last_rewrap, 300);
  const auto all = read_cluster_uses("{\"nodes\":[" + shown + R"(,{"node":"n2","error":"away"}]})");
  ASSERT_TRUE(all) << all.failure().message;
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[1].problem, "away");
}

TEST_F(retirement_test, what_does_not_read_is_no_answer) {
  EXPECT_EQ(read_node_uses("{}").failure().code, errc::malformed);
  EXPECT_EQ(read_node_uses("no").failure().code, errc::malformed);
  EXPECT_EQ(read_cluster_uses("{}").failure().code, errc::malformed);
  EXPECT_EQ(read_cluster_uses(R"({"nodes":[1]})").failure().code, errc::malformed);
  EXPECT_EQ(read_cluster_uses(R"({"nodes":[{"node":"n1"}]})").failure().code, errc::malformed);
}

} // namespace
} // namespace custos::keyprovider
