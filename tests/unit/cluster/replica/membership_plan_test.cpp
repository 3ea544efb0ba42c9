#include "cluster/replica/membership_plan.hpp"

#include <gtest/gtest.h>

namespace custos::cluster::replica {

namespace {

using raft::member_role;

/// One letter a member, 1 leads and always votes: V a voter, S a standby that is caught up, s one
/// that is behind, v a voter that is away, d a standby that is away.
struct case_of {
  std::string before;
  std::string after; ///< roles only, V and S; empty: no step
};

raft::membership members_of(const std::string& letters) {
  raft::membership out;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    const bool votes = letters[i] == 'V' || letters[i] == 'v';
    out.push_back({i + 1, votes ? member_role::voter : member_role::standby, ""});
  }
  return out;
}

members_seen seen_of(const std::string& letters) {
  members_seen out;
  out.leader = 1;
  for (std::size_t i = 1; i < letters.size(); ++i) {
    if (letters[i] == 'v' || letters[i] == 'd')
      continue;
    out.alive.insert(i + 1);
    if (letters[i] != 's')
      out.caught_up.insert(i + 1);
  }
  return out;
}

std::string roles_of(const raft::membership& members) {
  std::string out;
  for (const auto& m : members)
    out += m.role == member_role::voter ? 'V' : 'S';
  return out;
}

} // namespace

TEST(membership_plan, takes_one_step_towards_the_largest_odd_number) {
  const std::vector<case_of> cases{
      // growing
      {"V", ""},
      {"VS", ""},
      {"VSS", "VVS"},
      {"VVS", "VVV"},
      {"VVVS", ""},
      {"VVVSS", "VVVVS"},
      {"VVVVS", "VVVVV"},
      {"VVVVVSS", "VVVVVVS"},
      {"VVVVVVS", "VVVVVVV"},
      {"VVVVVVVSS", ""}, // seven are enough
      // who is behind, or away, is waited for
      {"Vss", ""},
      {"VSs", ""},
      {"VVs", ""}, // the third catches up
      {"VSd", ""},
      {"Vdd", ""},
      // shrinking: two are no better than one
      {"VV", "VS"},
      {"Vv", "VS"},
      {"VVVV", "VVVS"},
      {"VVVv", "VVVS"}, // who is away first
      {"VvVV", "VSVV"},
      {"VVd", "VSS"},
      {"VVVVVV", "VVVVVS"},
      // a voter that is away stays: it comes back
      {"VVv", ""},
      {"Vvv", ""},
      {"VVvS", ""},
      {"VVVvv", ""},
      // replacing: what is left stands by until it is asked for
      {"VVS", "VVV"},
      {"VvS", "VVV"},
      {"VVVVS", "VVVVV"},
      {"VVVVs", ""},
  };
  for (const auto& c : cases) {
    const auto present = members_of(c.before);
    const auto next = next_membership(present, seen_of(c.before));
    EXPECT_EQ(next ? roles_of(*next) : "", c.after) << c.before;
    if (!next)
      continue;
    int changed = 0;
    for (std::size_t i = 0; i < present.size(); ++i)
      changed += present[i] == next->at(i) ? 0 : 1;
    EXPECT_EQ(changed, 1) << c.before;
    EXPECT_EQ(next->front().role, member_role::voter) << "the leader stays";
  }
}

TEST(membership_plan, comes_to_rest_at_an_odd_number) {
  for (std::size_t all = 1; all <= 9; ++all)
    for (std::size_t voters = 1; voters <= std::min<std::size_t>(all, 7); ++voters) {
      auto letters = std::string(voters, 'V') + std::string(all - voters, 'S');
      std::size_t steps = 0;
      while (const auto next = next_membership(members_of(letters), seen_of(letters))) {
        letters = roles_of(*next);
        ASSERT_LT(++steps, 10U) << letters;
      }
      const auto now = raft::voters_of(members_of(letters));
      EXPECT_EQ(now, std::min<std::size_t>(all % 2 == 0 ? all - 1 : all, 7))
          << all << ' ' << voters;
    }
}

TEST(membership_plan, the_first_that_is_caught_up_follows) {
  EXPECT_EQ(successor(members_of("VvVV"), seen_of("VvVV"), member_role::voter), 3U);
  EXPECT_EQ(successor(members_of("VsS"), seen_of("VsS"), member_role::standby), 3U);
  EXPECT_EQ(successor(members_of("VSS"), seen_of("VSS"), member_role::voter), std::nullopt);
  EXPECT_EQ(successor(members_of("Vvd"), seen_of("Vvd"), member_role::standby), std::nullopt);
}

} // namespace custos::cluster::replica
