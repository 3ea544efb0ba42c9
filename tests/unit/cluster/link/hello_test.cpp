#include "cluster/link/hello.hpp"
#include "cluster/link/record.hpp"

#include <gtest/gtest.h>
#include <set>

namespace custos::cluster::link {
namespace {

hello sample() {
  hello h;
  h.cluster.fill(0xc1);
  h.process.fill(0x17);
  h.node = "node-a";
  h.program_version = "0.1.0";
  return h;
}

std::string field_of(const result<hello>& r) {
  return r ? "accepted" : r.failure().field;
}

TEST(LinkHello, KeepsWhatWasWritten) {
  const auto read = read_hello(write_hello(sample()));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->version_min, protocol_version_min);
  EXPECT_EQ(read->version_max, protocol_version_max);
  EXPECT_EQ(read->cluster, sample().cluster);
  EXPECT_EQ(read->process, sample().process);
  EXPECT_EQ(read->node, "node-a");
  EXPECT_EQ(read->program_version, "0.1.0");
}

TEST(LinkHello, HasTheDocumentedLayout) {
  bytes expected = to_bytes("CUSTOSLN");
  expected.insert(expected.end(), {0, 1, 0, 1});
  expected.insert(expected.end(), 16, 0xc1);
  expected.insert(expected.end(), 16, 0x17);
  for (const std::string text : {"node-a", "0.1.0"}) {
    expected.push_back(static_cast<std::uint8_t>(text.size()));
    expected.insert(expected.end(), text.begin(), text.end());
  }
  EXPECT_EQ(write_hello(sample()), expected);
}

TEST(LinkHello, TakesWhatALaterVersionAdds) {
  auto octets = write_hello(sample());
  octets.resize(control_bytes_max, 0xee);
  EXPECT_EQ(field_of(read_hello(octets)), "accepted");
  octets.push_back(0);
  EXPECT_EQ(field_of(read_hello(octets)), "hello");
}

TEST(LinkHello, NoPrefixOfOneIsOne) {
  const auto octets = write_hello(sample());
  for (std::size_t n = 0; n < octets.size(); ++n)
    EXPECT_FALSE(read_hello(byte_view(octets).first(n)).ok()) << n;
}

TEST(LinkHello, NamesTheFieldAtFault) {
  const auto with = [](std::size_t at, std::uint8_t octet) {
    auto octets = write_hello(sample());
    octets[at] = octet;
    return field_of(read_hello(octets));
  };
  EXPECT_EQ(with(0, 'c'), "magic");
  EXPECT_EQ(with(9, 0), "version_max"); // from version 0
  EXPECT_EQ(with(9, 2), "version_max"); // from 2 to 1
  EXPECT_EQ(with(44, 0), "node");       // no name
  EXPECT_EQ(with(44, 255), "node");     // longer than what is left
  EXPECT_EQ(with(45, '-'), "node");
  EXPECT_EQ(with(46, 0), "node");
  EXPECT_EQ(with(51, 33), "program_version");
  EXPECT_EQ(with(53, '\n'), "program_version");
}

TEST(LinkHello, JudgesInThisOrder) {
  const hello own = sample();
  hello theirs = sample();
  theirs.node = "node-b";
  theirs.process.fill(0x18);
  const auto verdict = [&own](const hello& h, std::string_view certificate,
                              std::string_view dialled) {
    const auto v = judge_hello(own, h, {certificate, dialled});
    return v.refused ? std::string(check_of(*v.refused)) : "version " + std::to_string(v.version);
  };
  EXPECT_EQ(verdict(theirs, "node-b", "node-b"), "version 1");
  EXPECT_EQ(verdict(theirs, "node-b", ""), "version 1");
  EXPECT_EQ(verdict(theirs, "node-b", "node-c"), "link-name-differs");
  EXPECT_EQ(verdict(theirs, "node-c", ""), "link-name-differs");
  hello h = theirs;
  h.cluster[0] ^= 1;
  EXPECT_EQ(verdict(h, "node-c", ""), "link-other-cluster");
  h = theirs;
  h.version_min = h.version_max = 2;
  EXPECT_EQ(verdict(h, "node-b", ""), "link-version");
  h.version_min = 1;
  EXPECT_EQ(verdict(h, "node-b", ""), "version 1"); // the highest that both speak
  EXPECT_EQ(verdict(own, "node-a", "node-b"), "link-ourselves");
  h = theirs;
  h.node = "node-a";
  EXPECT_EQ(verdict(h, "node-a", ""), "link-identity-in-use");
}

TEST(LinkHello, EveryRefusalHasAName) {
  std::set<std::string_view> names;
  for (unsigned reason = 1; reason <= 10; ++reason)
    names.insert(check_of(static_cast<refusal_reason>(reason)));
  EXPECT_EQ(names.size(), 10U);
  EXPECT_EQ(read_refusal(200, "b").check, "link-refused");
  EXPECT_EQ(read_refusal(1, "b").check, "link-other-cluster");
}

// ---- records ------------------------------------------------------------------------------------

/// Feeds octets in pieces of a size; records, or the field of the error.
std::vector<record> all_records(record_reader& reader, byte_view octets, std::size_t piece,
                                std::string* failed = nullptr) {
  std::vector<record> out;
  while (!octets.empty()) {
    std::size_t taken = 0;
    auto got = reader.feed(octets.first(std::min(piece, octets.size())), taken);
    if (!got) {
      if (failed != nullptr)
        *failed = got.failure().field;
      return out;
    }
    if (*got)
      out.push_back(**std::move(got));
    octets = octets.subspan(taken);
  }
  return out;
}

TEST(LinkRecord, ComesTogetherFromPiecesOfAnySize) {
  bytes octets = write_record(record_kind::hello, write_hello(sample()));
  for (const auto& more :
       {write_record(record_kind::alive, {}), write_record(record_kind::accept, write_number(7)),
        write_record(record_kind::frame, bytes(70000, 0x5a)), write_record(record_kind::frame, {})})
    octets.insert(octets.end(), more.begin(), more.end());
  for (const std::size_t piece : {1U, 2U, 5U, 7U, 1000U, 100000U}) {
    record_reader reader;
    reader.allow_frames();
    const auto records = all_records(reader, octets, piece);
    ASSERT_EQ(records.size(), 5U) << piece;
    EXPECT_EQ(records[0].content, write_hello(sample()));
    EXPECT_EQ(records[1].kind, record_kind::alive);
    EXPECT_EQ(read_number(records[2].content), 7U);
    EXPECT_EQ(records[3].content, bytes(70000, 0x5a));
    EXPECT_TRUE(records[4].content.empty());
    EXPECT_EQ(reader.held(), 0U);
  }
}

TEST(LinkRecord, HasLimitsForEachKind) {
  const auto failure = [](bytes octets, bool frames) {
    record_reader reader;
    if (frames)
      reader.allow_frames();
    std::string field = "accepted";
    all_records(reader, octets, octets.size(), &field);
    return field;
  };
  EXPECT_EQ(failure({0, 0, 0, 0, 6}, true), "length");
  EXPECT_EQ(failure({0, 0, 0, 1, 0}, true), "kind");
  EXPECT_EQ(failure({0, 0, 0, 1, 10}, true), "kind");
  EXPECT_EQ(failure({0, 0, 0, 2, 6}, true), "length");      // alive is empty
  EXPECT_EQ(failure({0, 0, 0, 8, 4}, true), "length");      // a number of 7 octets
  EXPECT_EQ(failure({0, 0, 2, 2, 1}, true), "length");      // a hello of 513
  EXPECT_EQ(failure({0, 0, 2, 1, 1}, true), "accepted");    // of 512
  EXPECT_EQ(failure({0, 0, 0, 2, 5, 0}, false), "kind");    // frames not yet
  EXPECT_EQ(failure({0, 0x10, 0, 1, 5}, true), "accepted"); // 1 MiB
  EXPECT_EQ(failure({0, 0x10, 0, 2, 5}, true), "length");
  EXPECT_EQ(failure({0xff, 0xff, 0xff, 0xff, 5}, true), "length");
}

TEST(LinkRecord, AnnouncedOctetsTakeNoMemory) {
  record_reader reader;
  reader.allow_frames();
  std::size_t taken = 0;
  ASSERT_TRUE(reader.feed(bytes{0, 0x10, 0, 1, 5, 1, 2, 3}, taken).ok());
  EXPECT_EQ(taken, 8U);
  EXPECT_EQ(reader.held(), 8U);
}

} // namespace
} // namespace custos::cluster::link
