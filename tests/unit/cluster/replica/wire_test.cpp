#include "cluster/replica/wire.hpp"

#include <gtest/gtest.h>

namespace custos::cluster::replica {

namespace {

using namespace raft;

membership members() {
  return {{1, member_role::voter, "one"},
          {7, member_role::standby, ""},
          {9, member_role::voter, std::string(member_info_bytes_max, 'x')}};
}

membership_ptr shared(membership m) {
  return std::make_shared<const membership>(std::move(m));
}

entry command_of(std::string_view text, term_number term = 3) {
  return {term, entry_kind::command, std::make_shared<const bytes>(to_bytes(text)), nullptr};
}

std::vector<entry> every_kind_of_entry() {
  return {{2, entry_kind::nothing, nullptr, nullptr},
          command_of("a command"),
          command_of(""),
          {4, entry_kind::members, nullptr, shared(members())}};
}

log_base base() {
  return {40, 5, shared(members()), 33};
}

std::vector<message> every_message() {
  constexpr std::uint64_t large = 0xFEDCBA9876543210;
  return {
      vote_request{large, 17, 5, true},
      vote_request{1, 0, 0, false},
      vote_response{8, true},
      vote_response{8, false},
      append_request{9, 40, 5, 39, large, every_kind_of_entry()},
      append_request{9, 40, 5, 39, 1, {}},
      append_response{9, true, 40, 44, 0, 0, 12},
      append_response{9, false, 40, 0, 38, 4, 12},
      snapshot_chunk{9, base(), 1000, 500, to_bytes("part of an image")},
      snapshot_chunk{9, {0, 0, shared({}), 0}, 0, 0, {}},
      snapshot_response{9, 40, 516, false},
      snapshot_response{9, 40, 1000, true},
      timeout_now{large},
  };
}

void expect_same(const entry& a, const entry& b) {
  EXPECT_EQ(a.term, b.term);
  EXPECT_EQ(a.kind, b.kind);
  ASSERT_EQ(a.command == nullptr, b.command == nullptr);
  ASSERT_EQ(a.members == nullptr, b.members == nullptr);
  if (a.command) {
    EXPECT_EQ(*a.command, *b.command);
  }
  if (a.members) {
    EXPECT_EQ(*a.members, *b.members);
  }
}

void expect_same(const log_base& a, const log_base& b) {
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.term, b.term);
  EXPECT_EQ(a.members_index, b.members_index);
  EXPECT_EQ(*a.members, *b.members);
}

void expect_same(const vote_request& a, const vote_request& b) {
  EXPECT_EQ(std::tie(a.term, a.last_index, a.last_term, a.transfer),
            std::tie(b.term, b.last_index, b.last_term, b.transfer));
}
void expect_same(const vote_response& a, const vote_response& b) {
  EXPECT_EQ(std::tie(a.term, a.granted), std::tie(b.term, b.granted));
}
void expect_same(const append_request& a, const append_request& b) {
  EXPECT_EQ(std::tie(a.term, a.prev_index, a.prev_term, a.commit, a.round),
            std::tie(b.term, b.prev_index, b.prev_term, b.commit, b.round));
  ASSERT_EQ(a.entries.size(), b.entries.size());
  for (std::size_t i = 0; i < a.entries.size(); ++i)
    expect_same(a.entries[i], b.entries[i]);
}
void expect_same(const append_response& a, const append_response& b) {
  EXPECT_EQ(std::tie(a.term, a.success, a.prev_index, a.match, a.hint, a.hint_term, a.round),
            std::tie(b.term, b.success, b.prev_index, b.match, b.hint, b.hint_term, b.round));
}
void expect_same(const snapshot_chunk& a, const snapshot_chunk& b) {
  EXPECT_EQ(std::tie(a.term, a.total, a.offset, a.data),
            std::tie(b.term, b.total, b.offset, b.data));
  expect_same(a.at, b.at);
}
void expect_same(const snapshot_response& a, const snapshot_response& b) {
  EXPECT_EQ(std::tie(a.term, a.index, a.offset, a.done),
            std::tie(b.term, b.index, b.offset, b.done));
}
void expect_same(const timeout_now& a, const timeout_now& b) {
  EXPECT_EQ(a.term, b.term);
}

/// Nothing shorter reads, nor anything longer.
template <class Decode>
void expect_whole_only(const bytes& octets, Decode decode) {
  for (std::size_t size = 0; size < octets.size(); ++size)
    EXPECT_FALSE(decode(byte_view(octets).first(size)).ok()) << size << " of " << octets.size();
  auto longer = octets;
  longer.push_back(0);
  EXPECT_FALSE(decode(longer).ok());
  auto other = octets;
  other.front() = 2;
  EXPECT_EQ(decode(other).failure().code, errc::unsupported);
}

} // namespace

TEST(replica_wire, gives_back_every_message) {
  for (const auto& m : every_message()) {
    const auto octets = encode(m);
    const auto read = decode_message(octets);
    ASSERT_TRUE(read.ok()) << m.index() << ": " << read.failure().message;
    ASSERT_EQ(read->index(), m.index());
    std::visit(
        [&](const auto& one) { expect_same(one, std::get<std::decay_t<decltype(one)>>(*read)); },
        m);
    EXPECT_EQ(encode(*read), octets);
    expect_whole_only(octets, [](byte_view o) { return decode_message(o); });
  }
}

TEST(replica_wire, gives_back_what_is_stored) {
  for (const auto& e : every_kind_of_entry()) {
    const auto octets = encode(e);
    expect_same(decode_entry(octets).value(), e);
    expect_whole_only(octets, [](byte_view o) { return decode_entry(o); });
  }
  expect_same(decode_base(encode(base())).value(), base());
  expect_whole_only(encode(base()), [](byte_view o) { return decode_base(o); });
  EXPECT_EQ(decode_members(encode(members())).value(), members());
  EXPECT_TRUE(decode_members(encode(membership{}))->empty());
  expect_whole_only(encode(members()), [](byte_view o) { return decode_members(o); });
}

TEST(replica_wire, knows_its_bytes) {
  EXPECT_EQ(encode(message(vote_response{2, true})), (bytes{1, 2, 0, 0, 0, 0, 0, 0, 0, 2, 1}));
  EXPECT_EQ(encode(command_of("hi", 5)),
            (bytes{1, 0, 0, 0, 0, 0, 0, 0, 5, 2, 0, 0, 0, 2, 'h', 'i'}));
  EXPECT_EQ(encode(membership{{3, member_role::voter, "n"}}),
            (bytes{1, 1, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 1, 'n'}));
}

TEST(replica_wire, refuses_what_it_does_not_know) {
  auto octets = encode(message(timeout_now{4}));
  for (const auto kind : bytes{0, 8, 255}) {
    octets[1] = kind;
    EXPECT_EQ(decode_message(octets).failure().code, errc::unsupported) << int{kind};
  }
  auto flag = encode(message(vote_response{2, true}));
  flag.back() = 2;
  EXPECT_EQ(decode_message(flag).failure().code, errc::malformed);
  auto kind = encode(command_of("hi"));
  for (const auto k : bytes{0, 4, 255}) {
    kind[9] = k;
    EXPECT_FALSE(decode_entry(kind).ok()) << int{k};
  }
}

TEST(replica_wire, refuses_memberships_that_are_none) {
  const auto refused = [](const membership& m) { return !decode_members(encode(m)).ok(); };
  EXPECT_TRUE(refused({{0, member_role::voter, ""}})) << "nobody's number";
  EXPECT_TRUE(refused({{2, member_role::voter, ""}, {2, member_role::voter, ""}}));
  EXPECT_TRUE(refused({{2, member_role::voter, ""}, {1, member_role::voter, ""}}));
  EXPECT_TRUE(refused({{1, static_cast<member_role>(3), ""}}));
  EXPECT_TRUE(refused({{1, member_role::voter, std::string(member_info_bytes_max + 1, 'x')}}));
  membership most;
  for (replica_id id = 1; id <= members_max; ++id)
    most.push_back({id, member_role::standby, ""});
  EXPECT_FALSE(refused(most));
  most.push_back({members_max + 1, member_role::standby, ""});
  EXPECT_TRUE(refused(most));
  auto late = base();
  late.members_index = late.index + 1;
  EXPECT_FALSE(decode_base(encode(late)).ok()) << "a membership from behind the base";
}

TEST(replica_wire, allocates_nothing_for_what_was_only_announced) {
  append_request many;
  many.term = 1;
  for (std::size_t i = 0; i <= entries_max; ++i)
    many.entries.push_back({1, entry_kind::nothing, nullptr, nullptr});
  EXPECT_FALSE(decode_message(encode(message(many))).ok());
  many.entries.pop_back();
  EXPECT_TRUE(decode_message(encode(message(many))).ok());
  // A length of four gigabytes, and nothing behind it.
  bytes entry{1, 0, 0, 0, 0, 0, 0, 0, 5, 2, 0xFF, 0xFF, 0xFF, 0xFF};
  EXPECT_EQ(decode_entry(entry).failure().code, errc::malformed);
}

} // namespace custos::cluster::replica
