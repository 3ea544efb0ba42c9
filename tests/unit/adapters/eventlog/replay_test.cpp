#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>

namespace custos::eventlog {
namespace {

using namespace test;
using crypto::hash_alg;

void expect_pcrs(const std::string& file, const expected_pcrs& expected) {
  const auto log = read_data(file);
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed) << file << ": " << parsed.failure().message;
  ASSERT_FALSE(expected.empty()) << file;
  for (const auto& [name, pcrs] : expected) {
    const std::vector<hash_alg> banks{*crypto::hash_alg_of(name)};
    const auto values = replay(*parsed, banks);
    ASSERT_TRUE(values) << file << ": " << values.failure().message;
    const auto* bank = values->find(banks[0]);
    ASSERT_NE(bank, nullptr);
    std::uint32_t listed = 0;
    for (const auto& [pcr, value] : pcrs) {
      EXPECT_EQ(crypto::hex(bank->value(pcr)), value) << file << " " << name << " PCR " << pcr;
      listed |= 1U << pcr;
    }
    // Some sources list the firmware's PCRs only.
    EXPECT_EQ(bank->touched & listed, listed) << file << " " << name;
  }
}

TEST(Replay, RecordedLogsGiveThePcrsTheirSourcesState) {
  for (const auto& name : independent_logs)
    expect_pcrs(logs_dir + name + ".bin", pcrs_of_json(logs_dir + name + ".pcrs.json"));
}

TEST(Replay, RecordedLogsGiveThePcrsOfTpm2Tools) {
  for (const auto& name : tool_logs)
    expect_pcrs(logs_dir + name + ".bin", pcrs_of_yaml(logs_dir + name + ".pcrs.yaml"));
}

TEST(Replay, TheQuotedMachinesLogGivesItsPcrsInThreeBanks) {
  const std::string dir = "attestation/quotes/gce-cos-85-nonce9009/";
  const auto log = read_data(dir + "eventlog.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  const auto banks = parsed->known_banks();
  ASSERT_EQ(banks.size(), 3U);
  const auto values = replay(*parsed, banks);
  ASSERT_TRUE(values);
  for (const auto& [name, pcrs] : pcrs_of_json(dir + "pcrs.json")) {
    const auto* bank = values->find(*crypto::hash_alg_of(name));
    ASSERT_NE(bank, nullptr);
    // The kernel extends PCR 10 (IMA) behind the firmware's back; every other one is explained.
    for (const auto& [pcr, value] : pcrs)
      if (pcr != 10) {
        EXPECT_EQ(crypto::hex(bank->value(pcr)), value) << name << " PCR " << pcr;
      }
  }
}

/// The event's own bytes in the log.
bytes event_bytes(const bytes& log, const event& e) {
  const auto end = static_cast<std::size_t>(e.data.data() - log.data()) + e.data.size();
  return {log.begin() + e.offset, log.begin() + static_cast<long>(end)};
}

TEST(Replay, ARecordedLogWithoutOrWithTwiceAnyOneEventGivesAnotherValue) {
  const auto log = read_data(logs_dir + "rhel8-uefi.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  const std::vector<hash_alg> banks{hash_alg::sha256};
  const auto right = replay(*parsed, banks);
  ASSERT_TRUE(right);
  for (const auto& e : parsed->events) {
    if (e.type == event_type::no_action)
      continue;
    const auto one = event_bytes(log, e);
    auto without = log;
    without.erase(without.begin() + e.offset,
                  without.begin() + e.offset + static_cast<long>(one.size()));
    auto twice = log;
    twice.insert(twice.begin() + e.offset, one.begin(), one.end());
    for (const auto& mutated : {without, twice}) {
      const auto again = parse(mutated);
      ASSERT_TRUE(again);
      const auto values = replay(*again, banks);
      ASSERT_TRUE(values);
      EXPECT_NE(to_bytes(values->banks[0].value(e.pcr)), to_bytes(right->banks[0].value(e.pcr)))
          << e.index;
    }
  }
}

TEST(Replay, AnEventWithoutADigestOfTheBankIsAnError) {
  const auto log = read_data(logs_dir + "tpm2-tools/event-uefivar.bin"); // declares four, gives two
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  const std::vector<hash_alg> banks{hash_alg::sha256, hash_alg::sha384};
  const auto values = replay(*parsed, banks);
  ASSERT_FALSE(values);
  EXPECT_EQ(values.failure().check, "event-log-malformed");
  EXPECT_EQ(values.failure().event, 1U);
  EXPECT_EQ(values.failure().pcr, 7U);
}

TEST(Replay, ABankTheLogLacksIsAnError) {
  const auto log = read_data(logs_dir + "debian-10.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->crypto_agile);
  const std::vector<hash_alg> banks{hash_alg::sha256};
  EXPECT_FALSE(replay(*parsed, banks));
}

class WrittenLog : public testing::Test {
protected:
  static constexpr std::array<hash_alg, 1> banks{hash_alg::sha256};
  writer log{banks};

  bytes pcr(std::uint32_t index) {
    const auto parsed = parse(log.log());
    EXPECT_TRUE(parsed) << parsed.failure().message;
    const auto values = replay(*parsed, banks);
    EXPECT_TRUE(values);
    return to_bytes(values->banks[0].value(index));
  }
};

TEST_F(WrittenLog, UntouchedPcrsHaveTheirResetValues) {
  EXPECT_EQ(pcr(0), bytes(32, 0x00));
  EXPECT_EQ(pcr(16), bytes(32, 0x00));
  EXPECT_EQ(pcr(17), bytes(32, 0xFF));
  EXPECT_EQ(pcr(22), bytes(32, 0xFF));
  EXPECT_EQ(pcr(23), bytes(32, 0x00));
}

TEST_F(WrittenLog, ExtendsHashOldValueAndDigest) {
  const auto digests = log.add_hashed(4, event_type::separator, bytes(4, 0));
  EXPECT_EQ(pcr(4), crypto::digest(hash_alg::sha256, {bytes(32, 0), digests[0]}));
}

TEST_F(WrittenLog, StartupLocalityChangesPcrZeroOnly) {
  log.add_startup_locality(3);
  bytes start(32, 0);
  start.back() = 3;
  EXPECT_EQ(pcr(0), start);
  EXPECT_EQ(pcr(1), bytes(32, 0));
  const auto digests = log.add_hashed(0, event_type::separator, bytes(4, 0));
  EXPECT_EQ(pcr(0), crypto::digest(hash_alg::sha256, {start, digests[0]}));
}

TEST_F(WrittenLog, AnHcrtmMeasurementStartsPcrZeroAtLocalityFour) {
  const auto digests = log.add_hashed(0, event_type::efi_hcrtm_event, as_bytes("HCRTM"));
  bytes start(32, 0);
  start.back() = 4;
  EXPECT_EQ(pcr(0), crypto::digest(hash_alg::sha256, {start, digests[0]}));
}

TEST_F(WrittenLog, NoActionExtendsNothing) {
  log.add(5, event_type::no_action, as_bytes("anything"), std::vector<bytes>{bytes(32, 0xAB)});
  EXPECT_EQ(pcr(5), bytes(32, 0));
}

// Reordering, dropping or doubling an event must change the replayed value, whatever else it does.
TEST_F(WrittenLog, OrderAndNumberOfEventsMatter) {
  const auto value_of = [](std::initializer_list<const char*> measured) {
    writer w(banks);
    for (const auto* text : measured)
      w.add_hashed(4, event_type::efi_action, as_bytes(text));
    const auto parsed = parse(w.log());
    return to_bytes(replay(*parsed, banks)->banks[0].value(4));
  };
  const auto right = value_of({"first", "second", "separator"});
  EXPECT_NE(right, value_of({"second", "first", "separator"}));
  EXPECT_NE(right, value_of({"first", "separator"}));
  EXPECT_NE(right, value_of({"first", "second", "separator", "separator"}));
}

} // namespace
} // namespace custos::eventlog
