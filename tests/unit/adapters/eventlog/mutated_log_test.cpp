#include "adapters/eventlog/event_types.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>

// Every field of every event of every recorded log, made wrong: it is refused or found out.
namespace custos::eventlog {
namespace {

using namespace test;

void set_u32(bytes& log, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    log.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

/// What holds for every log that parses, whatever it says: events follow each other without a gap.
void expect_accounted(const bytes& log, const parsed_log& parsed, const std::string& what) {
  std::size_t end = 0;
  for (const auto& e : parsed.events) {
    ASSERT_EQ(e.offset, end) << what;
    end = static_cast<std::size_t>(e.data.data() - log.data()) + e.data.size();
    ASSERT_LE(end, log.size()) << what;
    ASSERT_TRUE(e.pcr < pcrs_max || e.type == event_type::no_action) << what;
  }
  ASSERT_EQ(end + parsed.padding_bytes, log.size()) << what;
}

/// Bytes of an event before its data and behind its digests: PCR, type, digest count and
/// algorithms, data size.
std::vector<std::size_t> field_bytes(const bytes& log, const parsed_log& parsed, const event& e) {
  std::vector<std::size_t> out;
  const auto data_at = static_cast<std::size_t>(e.data.data() - log.data());
  const bool agile = parsed.crypto_agile && e.index > 0;
  const auto fixed = agile ? 12U : 8U;
  for (std::size_t at = e.offset; at < e.offset + fixed; ++at)
    out.push_back(at);
  for (std::size_t bank = 0; agile && bank < parsed.banks.size(); ++bank)
    if (const auto digest = parsed.digest(e, bank); !digest.empty())
      for (const std::size_t back : {2U, 1U})
        out.push_back(static_cast<std::size_t>(digest.data() - log.data()) - back);
  for (std::size_t at = data_at - 4; at < data_at; ++at)
    out.push_back(at);
  return out;
}

/// The values of all banks that we know, or nothing where the log does not lead to any.
std::optional<std::vector<replayed_bank>> values_of(const parsed_log& parsed) {
  auto values = replay(parsed, parsed.known_banks());
  return values ? std::optional(std::move(values->banks)) : std::nullopt;
}

bool same_values(const std::vector<replayed_bank>& a, const std::vector<replayed_bank>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.values == y.values; });
}

// The one field that may change without a trace in any PCR is the type of an event.
TEST(MutatedLog, EveryBitOfEveryFieldOfEveryRecordedLog) {
  std::size_t flips = 0;
  for (const auto& file : all_logs()) {
    auto log = read_data(file);
    const auto original = log;
    const auto whole = parse(original);
    ASSERT_TRUE(whole);
    const auto right = values_of(*whole);
    for (const auto& e : whole->events)
      for (const auto at : field_bytes(original, *whole, e))
        for (unsigned bit = 0; bit < 8; ++bit) {
          log[at] ^= static_cast<std::uint8_t>(1U << bit);
          const auto what = file + " event " + std::to_string(e.index) + " byte " +
                            std::to_string(at - e.offset) + " bit " + std::to_string(bit);
          const auto parsed = parse(log);
          ++flips;
          if (parsed)
            expect_accounted(log, *parsed, what);
          const bool is_type = at >= e.offset + 4U && at < e.offset + 8U;
          // What is not measured may claim any PCR.
          if (parsed && bit == 0 && right && !is_type && e.type != event_type::no_action) {
            const auto values = values_of(*parsed);
            EXPECT_FALSE(values && same_values(*values, *right)) << what;
          }
          log[at] ^= static_cast<std::uint8_t>(1U << bit);
        }
    ASSERT_EQ(log, original);
  }
  EXPECT_GT(flips, 190'000U);
}

TEST(MutatedLog, EveryDigestOfEveryRecordedLogCounts) {
  for (const auto& file : all_logs()) {
    auto log = read_data(file);
    const auto original = log;
    const auto whole = parse(original);
    ASSERT_TRUE(whole);
    const auto right = values_of(*whole);
    if (!right)
      continue; // declares more banks than it has digests of
    for (const auto& e : whole->events) {
      if (e.type == event_type::no_action)
        continue;
      for (const auto bank : whole->known_banks()) {
        const auto at = static_cast<std::size_t>(whole->digest(e, bank).data() - original.data()) +
                        e.index % crypto::digest_size(bank);
        log[at] ^= static_cast<std::uint8_t>(1U << e.index % 8);
        const auto parsed = parse(log);
        ASSERT_TRUE(parsed);
        const auto values = values_of(*parsed);
        ASSERT_TRUE(values);
        EXPECT_FALSE(same_values(*values, *right)) << file << " event " << e.index;
        log[at] = original[at];
      }
    }
  }
}

TEST(MutatedLog, LengthsAtTheirExtremesInEveryRecordedLog) {
  for (const auto& file : all_logs()) {
    const auto original = read_data(file);
    const auto whole = parse(original);
    ASSERT_TRUE(whole);
    for (const auto& e : whole->events) {
      const auto data_at = static_cast<std::size_t>(e.data.data() - original.data());
      const auto left = static_cast<std::uint32_t>(original.size() - data_at);
      std::vector<std::pair<std::size_t, std::uint32_t>> lengths;
      for (const std::uint32_t size : {left + 1, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU})
        lengths.emplace_back(data_at - 4, size);
      const auto banks = static_cast<std::uint32_t>(whole->banks.size());
      if (whole->crypto_agile && e.index > 0)
        for (const std::uint32_t count : {0U, banks + 1, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU})
          lengths.emplace_back(e.offset + 8, count);
      for (const auto& [at, value] : lengths) {
        auto log = original;
        set_u32(log, at, value);
        const auto parsed = parse(log);
        ASSERT_FALSE(parsed) << file;
        EXPECT_EQ(parsed.failure().check, "event-log-malformed");
        EXPECT_EQ(parsed.failure().event, e.index) << file;
      }
      // All that is left is data of this event: nothing is behind it, and nothing beyond is read.
      auto log = original;
      set_u32(log, data_at - 4, left);
      if (const auto parsed = parse(log); parsed)
        expect_accounted(log, *parsed, file + " event " + std::to_string(e.index));
      set_u32(log, data_at - 4, 0);
      if (const auto parsed = parse(log); parsed)
        expect_accounted(log, *parsed, file + " event " + std::to_string(e.index));
    }
  }
}

// The header: one event of the old form, in it the list of banks and the vendor's information.
TEST(MutatedLog, LengthsOfTheHeaderOfEveryRecordedLog) {
  constexpr std::size_t event_size_at = 28;
  constexpr std::size_t algorithms_at = event_size_at + 4 + 24;
  std::size_t headers = 0;
  for (const auto& file : all_logs()) {
    const auto original = read_data(file);
    const auto whole = parse(original);
    ASSERT_TRUE(whole);
    if (!whole->crypto_agile)
      continue;
    ++headers;
    const auto refused = [&](const bytes& log, const std::string& what) {
      const auto parsed = parse(log);
      ASSERT_FALSE(parsed) << file << " " << what;
      EXPECT_EQ(parsed.failure().check, "event-log-malformed") << file << " " << what;
    };
    const auto size = static_cast<std::uint32_t>(whole->events[0].data.size());
    const auto banks = static_cast<std::uint32_t>(whole->banks.size());
    for (const std::uint32_t value : {0U, size - 1, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
      auto log = original;
      set_u32(log, event_size_at, value);
      refused(log, "event size " + std::to_string(value));
    }
    for (const std::uint32_t value :
         {0U, banks - 1, banks + 1, 17U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
      auto log = original;
      set_u32(log, algorithms_at, value);
      refused(log, "algorithms " + std::to_string(value));
    }
    for (const auto value : bytes{0x7F, 0x80, 0xFF}) {
      auto log = original;
      log.at(algorithms_at + 4 + 4 * banks) = value;
      refused(log, "vendor information " + std::to_string(value));
    }
    for (std::size_t n = 1; n < banks; ++n) { // the first bank once more
      auto log = original;
      std::copy_n(log.begin() + algorithms_at + 4, 2,
                  log.begin() + static_cast<long>(algorithms_at + 4 + 4 * n));
      refused(log, "bank " + std::to_string(n));
    }
  }
  EXPECT_GT(headers, 15U);
}

TEST(MutatedLog, AnAlgorithmTwiceInAnyEventOfEveryRecordedLog) {
  std::size_t tried = 0;
  for (const auto& file : all_logs()) {
    const auto original = read_data(file);
    const auto whole = parse(original);
    ASSERT_TRUE(whole);
    for (const auto& e : whole->events)
      for (std::size_t bank = 1; whole->crypto_agile && bank < whole->banks.size(); ++bank) {
        const auto first = whole->digest(e, std::size_t{0});
        const auto digest = whole->digest(e, bank);
        if (first.empty() || digest.empty())
          continue;
        auto log = original;
        const auto from = first.data() - original.data() - 2;
        const auto to = digest.data() - original.data() - 2;
        std::copy_n(original.begin() + from, 2, log.begin() + to);
        const auto parsed = parse(log);
        ASSERT_FALSE(parsed) << file << " event " << e.index;
        EXPECT_EQ(parsed.failure().check, "event-log-malformed");
        EXPECT_EQ(parsed.failure().event, e.index) << file;
        ++tried;
      }
  }
  EXPECT_GT(tried, 1000U);
}

} // namespace
} // namespace custos::eventlog
