#include "actors/attestation/host_records.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

host_record full() {
  host_record r;
  r.host = "web-1";
  r.ak_name = bytes(34, 3);
  r.clock = 123456789;
  r.reset_count = 0xFFFFFFFF;
  r.restart_count = 2;
  r.first_seen_in_boot = 1700000000;
  r.last_attested = 1700000100;
  r.failed_since = 1700000200;
  r.evidence_sha256 = bytes(32, 4);
  r.last.at = 1700000200;
  r.last.check = "base-image";
  r.last.message = "PCR 4: \"expected\" \xC3\xA4";
  r.last.pcr = 4;
  r.last.event = 25;
  r.last.authentic = true;
  r.last.findings = {{"clock", "unsafe"}};
  r.last.watched_images = {{"next", true}, {"other", false}};
  return r;
}

TEST(HostRecords, RoundTrip) {
  const auto text = encode_record(full());
  const auto again = decode_record("web-1", text);
  ASSERT_TRUE(again) << again.failure().message;
  EXPECT_EQ(encode_record(*again), text);
  EXPECT_EQ(again->reset_count, 0xFFFFFFFFU);
  EXPECT_EQ(again->last.watched_images.size(), 2U);
  EXPECT_EQ(again->last.pcr, 4U);
}

/// What an older version stored lacks members, what a newer one stored has more: both load.
TEST(HostRecords, Cve2025_1057_RecordsOfOtherVersionsLoad) {
  for (const auto* const text :
       {"{}", R"({"ak_name":"00","clock":5})", R"({"last":{}})", R"({"later":{"member":[1,2]}})",
        R"({"last":{"accepted":true,"image":"web","later":1}})"}) {
    const auto r = decode_record("h", text);
    ASSERT_TRUE(r) << text << ": " << r.failure().message;
    EXPECT_EQ(r->host, "h");
  }
}

TEST(HostRecords, DamageIsToldWithTheHost) {
  for (const auto* const text :
       {"", "[]", "{", R"({"clock":-1})", R"({"ak_name":"xyz"})", R"({"last":[]})",
        R"({"last":{"pcr":"four"}})", R"({"clock":"many"})"}) {
    const auto r = decode_record("web-1", text);
    ASSERT_FALSE(r) << text;
    EXPECT_EQ(r.failure().code, errc::corrupted) << text;
    EXPECT_NE(r.failure().message.find("web-1"), std::string::npos);
  }
}

TEST(HostRecords, EvidenceRoundTrip) {
  kept_evidence e;
  e.host = "web-1";
  e.at = 1700000000;
  e.ak_certificate = bytes(700, 1);
  e.event_log = bytes(40000, 2);
  e.pcrs = {{0x000B, 0, bytes(32, 5)}, {0x000C, 23, bytes(48, 6)}};
  e.reset_count = 9;
  for (const auto& ima : {bytes(), bytes(1000, 3)}) {
    e.ima_log = ima;
    const auto again = decode_kept_evidence("web-1", encode_kept_evidence(e));
    ASSERT_TRUE(again) << again.failure().message;
    EXPECT_EQ(again->ak_certificate, e.ak_certificate);
    EXPECT_EQ(again->event_log, e.event_log);
    EXPECT_EQ(again->ima_log, ima);
    ASSERT_EQ(again->pcrs.size(), 2U);
    EXPECT_EQ(again->pcrs[1].value, bytes(48, 6));
    EXPECT_EQ(again->pcrs[1].pcr, 23U);
    EXPECT_EQ(again->reset_count, 9U);
  }
  for (const auto* const text :
       {"{}",
        R"({"at":1,"ak_certificate":"","event_log":"","pcrs":[{"bank":11,"pcr":24,"value":""}]})"})
    EXPECT_EQ(decode_kept_evidence("h", text).failure().code, errc::corrupted) << text;
}

} // namespace
} // namespace custos::attestation
