#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>

namespace custos::eventlog {
namespace {

using namespace test;
using crypto::hash_alg;

constexpr std::array<hash_alg, 2> two_banks{hash_alg::sha256, hash_alg::sha384};
constexpr std::size_t old_header_bytes = 4 + 4 + 20 + 4;

void set_u32(bytes& log, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    log.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

void set_u16(bytes& log, std::size_t at, std::uint16_t value) {
  log.at(at) = static_cast<std::uint8_t>(value);
  log.at(at + 1) = static_cast<std::uint8_t>(value >> 8);
}

/// Two ordinary events behind the header.
bytes small_log() {
  writer w(two_banks);
  w.add_hashed(7, event_type::separator, bytes(4, 0));
  w.add_hashed(4, event_type::efi_action, as_bytes("Calling EFI Application from Boot Option"));
  return w.log();
}

error malformed(byte_view log) {
  const auto parsed = parse(log);
  EXPECT_FALSE(parsed);
  if (parsed)
    return {};
  EXPECT_EQ(parsed.failure().check, "event-log-malformed") << parsed.failure().message;
  return parsed.failure();
}

TEST(EventLog, EveryRecordedLogParsesToItsLastByte) {
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    ASSERT_TRUE(parsed) << file << ": " << parsed.failure().message;
    EXPECT_FALSE(parsed->events.empty());
    const auto& last = parsed->events.back();
    const auto end = static_cast<std::size_t>(last.data.data() - log.data()) + last.data.size();
    EXPECT_EQ(end + parsed->padding_bytes, log.size()) << file;
  }
}

TEST(EventLog, ReadsTheHeaderAndCountsIt) {
  const auto log = read_data(logs_dir + "rhel8-uefi.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->crypto_agile);
  ASSERT_EQ(parsed->banks.size(), 3U);
  EXPECT_EQ(parsed->banks[2].digest_bytes, 48);
  EXPECT_EQ(parsed->events.size(), 83U);
  EXPECT_EQ(parsed->events[0].type, event_type::no_action);
  EXPECT_TRUE(parsed->digest(parsed->events[0], hash_alg::sha1).empty());
  EXPECT_EQ(parsed->digest(parsed->events[1], hash_alg::sha384).size(), 48U);
  EXPECT_TRUE(parsed->digest(parsed->events[1], hash_alg::sha512).empty());
}

TEST(EventLog, ReadsTheOldFormAsOneSha1Bank) {
  const auto log = read_data(logs_dir + "debian-10.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->crypto_agile);
  ASSERT_EQ(parsed->banks.size(), 1U);
  EXPECT_EQ(parsed->digest(parsed->events[0], hash_alg::sha1).size(), 20U);
}

TEST(EventLog, ReadsTheStartupLocality) {
  const auto log = read_data(logs_dir + "glinux-alex.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->startup_locality, 3);
}

TEST(EventLog, EmptyIsAnError) {
  const auto e = malformed({});
  EXPECT_EQ(e.code, errc::malformed);
  EXPECT_TRUE(read_data(logs_dir + "keylime/binary_bios_measurements-empty.bin").empty());
}

// A log cut anywhere either fails or ends exactly behind one of its own events.
TEST(EventLog, TruncationAtEveryByteOfEveryRecordedLog) {
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto whole = parse(log);
    ASSERT_TRUE(whole);
    std::vector<bool> ends(log.size() + 1, false);
    for (const auto& e : whole->events)
      ends[static_cast<std::size_t>(e.data.data() - log.data()) + e.data.size()] = true;
    for (std::size_t size = 1; size < log.size(); ++size) {
      const auto cut = parse(byte_view(log).first(size));
      if (!cut) {
        EXPECT_FALSE(ends[size]) << file << " " << size;
        continue;
      }
      // What is left of an event that starts with zeros looks like padding; nothing is made of it.
      EXPECT_TRUE(ends[size - cut->padding_bytes]) << file << " " << size;
    }
  }
}

TEST(EventLog, PaddingIsToleratedOnlyToTheEnd) {
  for (const auto fill : bytes{0x00, 0xFF}) {
    auto log = small_log();
    const auto events = parse(log)->events.size();
    log.resize(log.size() + 4096, fill);
    const auto padded = parse(log);
    ASSERT_TRUE(padded) << padded.failure().message;
    EXPECT_EQ(padded->events.size(), events);
    EXPECT_EQ(padded->padding_bytes, 4096U);
    log.push_back(0x01);
    malformed(log);
  }
  auto log = small_log();
  log.resize(log.size() + 16, 0x00);
  log.resize(log.size() + 16, 0xFF);
  malformed(log);
  malformed(bytes(512, 0x00));
  malformed(bytes(512, 0xFF));
}

TEST(EventLog, RecordedLogsMayBePaddedByTheKernel) {
  for (const auto& file : all_logs()) {
    auto log = read_data(file);
    const auto events = parse(log)->events.size();
    log.resize(log.size() + 4096, 0x00);
    const auto padded = parse(log);
    ASSERT_TRUE(padded) << file;
    EXPECT_EQ(padded->events.size(), events) << file;
    EXPECT_EQ(padded->padding_bytes, 4096U) << file;
  }
}

TEST(EventLog, HostileCountsAreRefusedBeforeTheyCostAnything) {
  const auto good = small_log();
  const auto parsed = parse(good);
  ASSERT_TRUE(parsed);
  const std::size_t algorithms_at = old_header_bytes + 24;
  auto log = good;
  set_u32(log, algorithms_at, 0xFFFFFFFF);
  malformed(log);
  set_u32(log, algorithms_at, 17);
  malformed(log);
  set_u32(log, algorithms_at, 0);
  malformed(log);
  log = good;
  set_u32(log, old_header_bytes - 4, 0xFFFFFFFF); // size of the header event
  malformed(log);
  const std::size_t first = parsed->events[1].offset;
  log = good;
  set_u32(log, first + 8, 0xFFFFFFFF); // digest count
  const auto e = malformed(log);
  EXPECT_EQ(e.event, 1U);
  EXPECT_NE(e.message.find("offset " + std::to_string(first)), std::string::npos);
  log = good;
  set_u32(log, first + 8, 0);
  malformed(log);
  set_u32(log, first + 8, 3);
  malformed(log);
  log = good;
  const auto size_at = static_cast<std::size_t>(parsed->events[1].data.data() - good.data()) - 4;
  set_u32(log, size_at, 0xFFFFFFFF);
  malformed(log);
}

TEST(EventLog, DigestsMustBeTheDeclaredOnesOnceEach) {
  const auto good = small_log();
  const std::size_t first = parse(good)->events[1].offset;
  const std::size_t second_alg_at = first + 12 + 2 + 32;
  auto log = good;
  set_u16(log, first + 12, 0x0004); // SHA-1 is not declared
  malformed(log);
  // The same algorithm twice, with lengths that add up.
  writer w(std::array<hash_alg, 2>{hash_alg::sha256, hash_alg::sha512});
  w.add_hashed(7, event_type::separator, bytes(4, 0));
  log = w.log();
  set_u16(log, second_alg_at, 0x000B);
  malformed(log);
}

TEST(EventLog, HeaderRules) {
  const auto good = small_log();
  const std::size_t spec = old_header_bytes;
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto log = good;
    log.at(at) = value;
    return log;
  };
  EXPECT_EQ(malformed(with(spec + 21, 1)).code, errc::unsupported) << "version 1";
  EXPECT_EQ(malformed(with(spec + 20, 1)).code, errc::unsupported) << "version 2.1";
  malformed(with(spec + 23, 8));        // uintnSize
  malformed(with(spec + 28 + 2, 31));   // SHA-256 of 31 bytes
  malformed(with(spec + 28 + 4, 0x0B)); // SHA-256 twice (second entry's algorithm)
  malformed(with(spec + 28 + 8, 1));    // vendor information beyond the event
  malformed(with(0, 1));                // PCR of the header
  malformed(with(8, 1));                // digest of the header
  auto unknown = good;
  set_u16(unknown, spec + 28, 0x0012); // SM3 declared, SHA-256 used
  malformed(unknown);
}

TEST(EventLog, ABankWeCannotComputeIsReadButNotReplayed) {
  auto log = small_log();
  const auto parsed_before = parse(log);
  ASSERT_TRUE(parsed_before);
  set_u16(log, old_header_bytes + 28, 0x0012);
  for (const auto& e : parsed_before->events)
    if (e.index > 0)
      set_u16(log, e.offset + 12, 0x0012);
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed) << parsed.failure().message;
  EXPECT_EQ(parsed->banks[0].alg, 0x0012);
  const std::vector<hash_alg> known{hash_alg::sha384};
  EXPECT_TRUE(replay(*parsed, known));
  const std::vector<hash_alg> gone{hash_alg::sha256};
  EXPECT_FALSE(replay(*parsed, gone));
}

TEST(EventLog, PcrsAbove23AreOnlyForWhatIsNotMeasured) {
  auto log = small_log();
  const std::size_t first = parse(log)->events[1].offset;
  set_u32(log, first, 24);
  malformed(log);
  set_u32(log, first, 0xFFFFFFFF);
  malformed(log);
  set_u32(log, first + 4, event_type::no_action);
  EXPECT_TRUE(parse(log));
}

TEST(EventLog, LimitsAreLimits) {
  const auto log = small_log();
  auto parsed = parse(log, {.log_bytes_max = log.size() - 1});
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.failure().code, errc::too_large);
  EXPECT_EQ(parsed.failure().check, "event-log-size");
  parsed = parse(log, {.events_max = 2}); // the header counts
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.failure().check, "event-log-size");
  EXPECT_TRUE(parse(log, {.log_bytes_max = log.size(), .events_max = 3}));
}

class Locality : public testing::Test {
protected:
  static constexpr std::array<hash_alg, 1> banks{hash_alg::sha256};
  writer log{banks};

  void add_raw(std::uint32_t pcr, byte_view data) {
    log.add(pcr, event_type::no_action, data, std::vector<bytes>{bytes(32, 0)});
  }
  static bytes entry(std::uint8_t locality) {
    auto data = to_bytes(std::string_view("StartupLocality\0", 16));
    data.push_back(locality);
    return data;
  }
};

TEST_F(Locality, OnlyTheThreeThatExist) {
  for (const auto locality : bytes{0, 3, 4}) {
    writer w(banks);
    w.add_startup_locality(locality);
    const auto parsed = parse(w.log());
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->startup_locality, locality);
  }
  for (const auto locality : bytes{1, 2, 5, 255}) {
    writer w(banks);
    w.add_startup_locality(locality);
    malformed(w.log());
  }
}
TEST_F(Locality, TwiceIsMalformed) {
  log.add_startup_locality(3);
  log.add_startup_locality(3);
  malformed(log.log());
}
TEST_F(Locality, BehindAMeasurementOfPcrZeroIsMalformed) {
  log.add_hashed(1, event_type::separator, bytes(4, 0)); // another PCR is fine
  log.add_hashed(0, event_type::separator, bytes(4, 0));
  log.add_startup_locality(3);
  malformed(log.log());
}
TEST_F(Locality, OfAnotherPcrIsMalformed) {
  add_raw(1, entry(3));
  malformed(log.log());
}
TEST_F(Locality, WithoutALocalityIsMalformed) {
  add_raw(0, byte_view(entry(3)).first(16));
  malformed(log.log());
}
TEST_F(Locality, InALargerEntryIsRead) {
  auto data = entry(3);
  data.resize(48, 0);
  add_raw(0, data);
  const auto parsed = parse(log.log());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->startup_locality, 3);
}

} // namespace
} // namespace custos::eventlog
