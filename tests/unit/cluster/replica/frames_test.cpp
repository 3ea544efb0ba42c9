#include "cluster/replica/frames.hpp"

#include "cluster/replica/member_change.hpp"
#include "cluster/replica/wire.hpp"
#include "tests/unit/cluster/replica/first_replica.hpp"

#include <gtest/gtest.h>

namespace custos::cluster::replica {

namespace {

constexpr std::size_t frame_max = 100;

bytes octets_of(std::size_t size) {
  bytes out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::uint8_t>(i * 7);
  return out;
}

std::vector<parcel> every_parcel(std::size_t size) {
  pulse_parcel pulse;
  pulse.from = 3;
  pulse.applied = 99;
  pulse.state_hash.fill(0xAB);
  pulse.revision = 77;
  pulse.members_index = 12;
  pulse.program_version = "0.1.0";
  auto failure = field_error(errc::already_exists, "node_name", "expected another");
  return {
      raft_parcel{1, 2, octets_of(size)},
      proposal_parcel{octets_of(size)},
      question_parcel{0xFEDCBA9876543210, question_kind::change_member, 1234, octets_of(size)},
      answer_parcel{5, std::nullopt, octets_of(size)},
      answer_parcel{5, failure, {}},
      pulse,
      members_parcel{40, octets_of(size)},
  };
}

void expect_same(const raft_parcel& a, const raft_parcel& b) {
  EXPECT_EQ(std::tie(a.from, a.to, a.message), std::tie(b.from, b.to, b.message));
}
void expect_same(const proposal_parcel& a, const proposal_parcel& b) {
  EXPECT_EQ(a.command, b.command);
}
void expect_same(const question_parcel& a, const question_parcel& b) {
  EXPECT_EQ(std::tie(a.id, a.kind, a.patience_ms, a.body),
            std::tie(b.id, b.kind, b.patience_ms, b.body));
}
void expect_same(const answer_parcel& a, const answer_parcel& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.body, b.body);
  ASSERT_EQ(a.failure.has_value(), b.failure.has_value());
  if (a.failure) {
    EXPECT_EQ(std::tie(a.failure->code, a.failure->field, a.failure->message),
              std::tie(b.failure->code, b.failure->field, b.failure->message));
  }
}
void expect_same(const pulse_parcel& a, const pulse_parcel& b) {
  EXPECT_EQ(
      std::tie(a.from, a.applied, a.state_hash, a.revision, a.members_index, a.program_version),
      std::tie(b.from, b.applied, b.state_hash, b.revision, b.members_index, b.program_version));
}
void expect_same(const members_parcel& a, const members_parcel& b) {
  EXPECT_EQ(std::tie(a.index, a.members), std::tie(b.index, b.members));
}
void expect_same(const parcel& a, const parcel& b) {
  ASSERT_EQ(a.index(), b.index());
  std::visit([&](const auto& one) { expect_same(one, std::get<std::decay_t<decltype(one)>>(b)); },
             a);
}

/// What comes of the frames; nothing if they never make a whole.
std::optional<parcel> assembled(assembler& a, const std::vector<bytes>& frames) {
  std::optional<parcel> out;
  for (const auto& frame : frames) {
    EXPECT_FALSE(out.has_value()) << "a parcel before its last frame";
    auto taken = a.take(frame);
    EXPECT_TRUE(taken.ok()) << (taken.ok() ? "" : taken.failure().message);
    if (taken && *taken)
      out = **std::move(taken);
  }
  return out;
}

} // namespace

TEST(replica_frames, carry_parcels_of_any_length) {
  assembler a;
  for (const std::size_t size : {0U, 1U, 82U, 83U, 84U, 90U, 91U, 92U, 181U, 182U, 183U, 5000U})
    for (const auto& p : every_parcel(size)) {
      const auto frames = to_frames(p, frame_max);
      for (const auto& frame : frames)
        EXPECT_LE(frame.size(), frame_max);
      const auto got = assembled(a, frames);
      ASSERT_TRUE(got.has_value()) << p.index() << " of " << size;
      expect_same(p, *got);
    }
  EXPECT_GT(to_frames(proposal_parcel{octets_of(5000)}, frame_max).size(), 50U);
  EXPECT_EQ(to_frames(proposal_parcel{octets_of(98)}, frame_max).size(), 1U);
  EXPECT_EQ(to_frames(proposal_parcel{octets_of(99)}, frame_max).size(), 2U);
}

TEST(replica_frames, a_parcel_that_lost_a_part_is_lost_and_the_next_one_is_not) {
  const auto first = to_frames(proposal_parcel{octets_of(300)}, frame_max);
  const auto second = to_frames(members_parcel{7, octets_of(300)}, frame_max);
  ASSERT_EQ(first.size(), 4U);
  for (std::size_t lost = 0; lost < first.size(); ++lost) {
    assembler a;
    auto frames = first;
    frames.erase(frames.begin() + static_cast<long>(lost));
    EXPECT_FALSE(assembled(a, frames).has_value()) << lost;
    const auto got = assembled(a, second);
    ASSERT_TRUE(got.has_value()) << lost;
    EXPECT_EQ(std::get<members_parcel>(*got).members, octets_of(300));
  }
}

TEST(replica_frames, parts_of_two_parcels_never_make_one) {
  const auto one = to_frames(proposal_parcel{bytes(300, 1)}, frame_max);
  const auto two = to_frames(proposal_parcel{bytes(300, 2)}, frame_max);
  const auto longer = to_frames(proposal_parcel{bytes(400, 3)}, frame_max);
  const auto small = to_frames(members_parcel{7, {}}, frame_max);
  assembler a;
  EXPECT_FALSE(assembled(a, {one[0], one[1], two[0], two[1], one[2], one[2]}).has_value());
  EXPECT_FALSE(assembled(a, {one[0], one[1], longer[2], longer[3]}).has_value());
  // One that is whole ends what was begun.
  EXPECT_FALSE(assembled(a, {one[0], one[1]}).has_value());
  EXPECT_TRUE(assembled(a, small).has_value());
  EXPECT_FALSE(assembled(a, {one[2], one[3]}).has_value());
  // Begun again, it comes through.
  const auto got = assembled(a, {one[0], one[1], one[0], one[1], one[2], one[3]});
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(std::get<proposal_parcel>(*got).command, bytes(300, 1));
}

TEST(replica_frames, what_does_not_read_is_an_error) {
  assembler a;
  EXPECT_FALSE(a.take({}).ok());
  EXPECT_EQ(a.take(bytes{3, 1}).failure().code, errc::unsupported);
  EXPECT_EQ(a.take(bytes{1, 99}).failure().code, errc::unsupported);
  EXPECT_EQ(a.take(bytes{1, 0}).failure().code, errc::unsupported);
  EXPECT_EQ(a.take(bytes{1}).failure().code, errc::unsupported) << "no kind at all";
  for (const auto& bad : {bytes{2}, bytes{2, 0, 0, 0, 0, 0, 0, 0}, bytes{2, 0, 0, 0, 0, 0, 0, 0, 0},
                          bytes{2, 0, 0, 0, 5, 0, 0, 0, 5}})
    EXPECT_EQ(a.take(bad).failure().code, errc::malformed);
  for (const auto& p : every_parcel(0)) {
    if (std::holds_alternative<raft_parcel>(p) || std::holds_alternative<proposal_parcel>(p) ||
        std::holds_alternative<members_parcel>(p))
      continue; // what they carry has no length of its own
    auto frame = to_frames(p, 1000).front();
    for (std::size_t size = 2; size < frame.size(); ++size)
      EXPECT_FALSE(a.take(byte_view(frame).first(size)).ok()) << p.index() << ' ' << size;
    frame.push_back(0);
    EXPECT_EQ(a.take(frame).failure().code, errc::malformed) << p.index();
  }
}

TEST(replica_frames, a_parcel_without_end_is_refused) {
  const std::size_t part_bytes = 1U << 20U;
  assembler a;
  bytes frame{2, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  frame.resize(part_bytes, 0x55);
  std::uint32_t part = 0;
  for (; part < 100; ++part) {
    frame[4] = static_cast<std::uint8_t>(part);
    const auto taken = a.take(frame);
    if (taken)
      continue;
    EXPECT_EQ(taken.failure().code, errc::too_large);
    break;
  }
  EXPECT_EQ(part, message_bytes_max / part_bytes);
  const auto got = assembled(a, to_frames(members_parcel{7, {1}}, frame_max));
  EXPECT_TRUE(got.has_value());
}

TEST(replica_frames, an_error_of_a_later_version_is_an_error_all_the_same) {
  auto frame = to_frames(answer_parcel{5, make_error(errc::internal, "new"), {}}, 1000).front();
  ASSERT_EQ(frame[10], static_cast<std::uint8_t>(errc::internal));
  frame[10] = 250;
  assembler a;
  const auto got = a.take(frame);
  ASSERT_TRUE(got.ok() && *got);
  const auto& failure = std::get<answer_parcel>(**got).failure;
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->code, errc::internal);
  EXPECT_EQ(failure->message, "new");
}

TEST(replica_frames, long_errors_are_cut) {
  const auto long_one = field_error(errc::internal, std::string(9000, 'f'), std::string(9000, 'm'));
  assembler a;
  const auto got = assembled(a, to_frames(answer_parcel{5, long_one, {}}, 1U << 20U));
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(std::get<answer_parcel>(*got).failure->message.size(), 4096U);
}

TEST(replica_frames, an_index_is_eight_octets) {
  EXPECT_EQ(decode_index(encode_index(0x0102030405060708)).value(), 0x0102030405060708U);
  EXPECT_FALSE(decode_index(bytes(7)).ok());
  EXPECT_FALSE(decode_index(bytes(9)).ok());
}

TEST(replica_frames, changes_of_the_membership_read_as_they_were_written) {
  for (const auto action :
       {member_action::add, member_action::replace, member_action::remove, member_action::update}) {
    const auto octets = encode(member_change{action, test::info_of("n7")});
    const auto read = decode_member_change(octets);
    ASSERT_TRUE(read.ok()) << read.failure().message;
    EXPECT_EQ(read->action, action);
    EXPECT_EQ(read->info, test::info_of("n7"));
    for (std::size_t size = 0; size < octets.size(); ++size)
      EXPECT_FALSE(decode_member_change(byte_view(octets).first(size)).ok()) << size;
  }
  auto odd = encode(member_change{member_action::add, test::info_of("n7")});
  for (const auto action : bytes{0, 5}) {
    odd.front() = action;
    EXPECT_FALSE(decode_member_change(odd).ok());
  }
  const membership_answer answer{9, {{1, raft::member_role::voter, "a"}}};
  const auto octets = encode(answer);
  const auto read = decode_membership_answer(octets);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->id, 9U);
  EXPECT_EQ(read->members, answer.members);
  for (std::size_t size = 0; size < octets.size(); ++size)
    EXPECT_FALSE(decode_membership_answer(byte_view(octets).first(size)).ok()) << size;
}

} // namespace custos::cluster::replica
