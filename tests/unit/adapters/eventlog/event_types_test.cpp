#include "adapters/eventlog/event_types.hpp"

#include "adapters/eventlog/writer.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>
#include <set>

namespace custos::eventlog {
namespace {

using namespace test;
using crypto::hash_alg;
namespace et = event_type;

constexpr std::array<hash_alg, 1> sha256_bank{hash_alg::sha256};
/// EFI_GLOBAL_VARIABLE.
constexpr std::array<std::uint8_t, 16> global_guid{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11,
                                                   0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C};

TEST(EventTypes, NamesReadBack) {
  std::set<std::string_view> names;
  for (std::uint32_t low = 0; low <= 0xFF; ++low)
    for (const std::uint32_t type : {low, 0x80000000U | low})
      if (const auto name = name_of(type); !name.empty()) {
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_EQ(type_of(name), type);
        EXPECT_EQ(type_text(type), name);
      }
  EXPECT_EQ(names.size(), 38U);
  EXPECT_EQ(type_text(0x800000FF), "0x800000ff");
  EXPECT_EQ(type_of("EV_NONSENSE"), std::nullopt);
}

// Where the profile says that the digest is the hash of the data, real firmware agrees.
TEST(MeasuredData, HoldsForEveryEventOfEveryRecordedLog) {
  std::size_t checked = 0;
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    ASSERT_TRUE(parsed);
    for (const auto& e : parsed->events)
      for (const auto bank : parsed->known_banks()) {
        if (e.type == et::no_action || parsed->digest(e, bank).empty())
          continue;
        const auto part = measured_data(*parsed, e, bank, {.shim_extra_byte = true});
        EXPECT_TRUE(part) << file << ": " << part.failure().message;
        if (part && data_is_hashed(e.type)) {
          // A hash over something else must be an error, and never an empty part.
          EXPECT_TRUE(!part->empty() || e.data.empty() || e.type == et::efi_variable_boot) << file;
          ++checked;
        }
      }
  }
  EXPECT_GT(checked, 500U);
}

TEST(MeasuredData, ShimsExtraByteIsBehindAFlag) {
  const auto log = read_data(logs_dir + "cos-85-amd-sev.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  std::size_t strict = 0;
  std::size_t relaxed = 0;
  for (const auto& e : parsed->events)
    if (e.type == et::efi_variable_authority) {
      strict += measured_data(*parsed, e, hash_alg::sha256) ? 1 : 0;
      const auto part = measured_data(*parsed, e, hash_alg::sha256, {.shim_extra_byte = true});
      relaxed += part ? 1 : 0;
    }
  EXPECT_EQ(strict, 1U);
  EXPECT_EQ(relaxed, 3U);
}

// Mutation: the log still replays, for data is not measured; the digest's hash tells.
TEST(MeasuredData, ChangedVariableDataIsFound) {
  auto log = read_data(logs_dir + "rhel8-uefi.bin");
  const auto original = parse(log);
  ASSERT_TRUE(original);
  const auto before = replay(*original, sha256_bank);
  std::size_t changed = 0;
  for (const auto& e : original->events) {
    if (e.type != et::efi_variable_driver_config && e.type != et::efi_variable_authority)
      continue;
    auto mutated = log;
    mutated[static_cast<std::size_t>(e.data.data() - log.data()) + e.data.size() - 1] ^= 1;
    const auto parsed = parse(mutated);
    ASSERT_TRUE(parsed);
    const auto after = replay(*parsed, sha256_bank);
    ASSERT_TRUE(after);
    EXPECT_EQ(before->banks[0].values, after->banks[0].values);
    const auto part = measured_data(*parsed, parsed->events[e.index], hash_alg::sha256);
    ASSERT_FALSE(part);
    EXPECT_EQ(part.failure().check, "event-data");
    EXPECT_EQ(part.failure().event, e.index);
    EXPECT_EQ(part.failure().pcr, e.pcr);
    ++changed;
  }
  EXPECT_GE(changed, 6U);
}

// Mutation: a changed type replays too; what the data then counts for must not grow.
TEST(MeasuredData, ATypeChangedToNoActionCountsForNothing) {
  writer w(sha256_bank);
  const auto variable = make_uefi_variable(global_guid, "SecureBoot", bytes{1});
  w.add(7, et::no_action, variable,
        std::vector<bytes>{crypto::digest(hash_alg::sha256, {variable})});
  const auto parsed = parse(w.log());
  ASSERT_TRUE(parsed);
  const auto part = measured_data(*parsed, parsed->events[1], hash_alg::sha256);
  ASSERT_TRUE(part);
  EXPECT_TRUE(part->empty());
}

class Measured : public testing::Test {
protected:
  writer log{sha256_bank};

  result<byte_view> part(const data_rules& rules = {}) {
    parsed_ = std::make_unique<result<parsed_log>>(parse(log.log()));
    EXPECT_TRUE(*parsed_);
    return measured_data(**parsed_, (*parsed_)->events.back(), hash_alg::sha256, rules);
  }

private:
  std::unique_ptr<result<parsed_log>> parsed_;
};

TEST_F(Measured, AVariableOfBootIsVouchedForWholeOrByValue) {
  const auto variable = make_uefi_variable(global_guid, "BootOrder", bytes{1, 0, 2, 0});
  log.add_hashed(1, et::efi_variable_boot, variable);
  EXPECT_EQ(part()->size(), variable.size());
  log.add_measured(1, et::efi_variable_boot, variable, bytes{1, 0, 2, 0});
  EXPECT_EQ(to_bytes(*part()), (bytes{1, 0, 2, 0}));
  log.add_measured(1, et::efi_variable_boot2, variable, bytes{1, 0, 2, 0});
  EXPECT_FALSE(part()) << "the second form hashes everything";
}

TEST_F(Measured, GrubsPrefixIsNotMeasured) {
  constexpr std::string_view text{"kernel_cmdline: /vmlinuz root=/dev/sda1\0", 40};
  log.add_measured(8, et::ipl, as_bytes(text), as_bytes("/vmlinuz root=/dev/sda1"));
  EXPECT_EQ(as_text(*part()), "/vmlinuz root=/dev/sda1");
  log.add_measured(8, et::ipl, as_bytes(text), as_bytes("/vmlinuz root=/dev/sdb1"));
  EXPECT_TRUE(part()->empty()) << "only the digest is evidence";
  log.add_hashed(12, et::ipl, as_bytes(text));
  EXPECT_EQ(part()->size(), text.size());
}

TEST_F(Measured, AnImageIsNeverVouchedForByItsPath) {
  log.add_hashed(4, et::efi_boot_services_application, as_bytes("device path"));
  EXPECT_TRUE(part()->empty());
}

TEST_F(Measured, AnErrorSeparatorIsAnError) {
  log.add_measured(7, et::separator, as_bytes("why"), bytes{1, 0, 0, 0});
  EXPECT_FALSE(part());
}

TEST(UefiVariable, LengthsMustAddUp) {
  const auto good = make_uefi_variable(global_guid, "SecureBoot", bytes{1});
  const auto variable = parse_uefi_variable(good);
  ASSERT_TRUE(variable);
  EXPECT_EQ(variable->name, "SecureBoot");
  EXPECT_EQ(guid_text(variable->guid), "8be4df61-93ca-11d2-aa0d-00e098032b8c");
  EXPECT_EQ(to_bytes(variable->data), bytes{1});
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_uefi_variable(byte_view(good).first(size)));
  auto longer = good;
  longer.push_back(0);
  EXPECT_FALSE(parse_uefi_variable(longer));
  for (const std::size_t at : {16U, 24U}) { // name and data length: every octet to 0xFF
    auto hostile = good;
    std::fill_n(hostile.begin() + static_cast<long>(at), 8, std::uint8_t{0xFF});
    EXPECT_FALSE(parse_uefi_variable(hostile));
    hostile[at + 7] = 0x80;
    EXPECT_FALSE(parse_uefi_variable(hostile));
  }
}

std::string hint(std::uint32_t type, byte_view data) {
  event e;
  e.type = type;
  e.data = data;
  return describe(e);
}

TEST(Describe, TellsWhatPeopleLookFor) {
  EXPECT_EQ(
      hint(et::efi_variable_driver_config, make_uefi_variable(global_guid, "SecureBoot", bytes{1})),
      "SecureBoot (8be4df61-93ca-11d2-aa0d-00e098032b8c), 1 byte: 01");
  EXPECT_EQ(hint(et::separator, bytes(4, 0)), "00000000");
  EXPECT_EQ(hint(et::efi_action, as_bytes("Exit Boot Services Invocation")),
            "Exit Boot Services Invocation");
  EXPECT_EQ(hint(et::ipl, as_bytes(std::string_view("kernel_cmdline: quiet\0", 22))),
            "kernel_cmdline: quiet");
  EXPECT_EQ(hint(et::s_crtm_version, bytes{'1', 0, '.', 0, '0', 0, 0, 0}), "1.0");
  EXPECT_EQ(hint(et::efi_gpt_event, bytes(92, 0)), "GUID partition table, 92 bytes");
}

TEST(Describe, NamesTheBootLoaderOfARecordedLog) {
  const auto log = read_data(logs_dir + "ubuntu-2104-no-secure-boot.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  bool found = false;
  for (const auto& e : parsed->events)
    found = found || (e.type == et::efi_boot_services_application &&
                      describe(e).find("\\EFI\\") != std::string::npos);
  EXPECT_TRUE(found);
}

TEST(Describe, CannotSteerATerminalOrForgeALogLine) {
  EXPECT_EQ(hint(et::ipl, as_bytes("a\x1b[2J\r\nb\x7f")), "a\\x1b[2J\\x0d\\x0ab\\x7f");
  EXPECT_LE(hint(et::ipl, bytes(10000, 'x')).size(), hint_chars_max);
  EXPECT_LE(hint(et::ipl, bytes(10000, 0x01)).size(), hint_chars_max);
}

TEST(Describe, EveryTypeTakesAnyData) {
  for (std::uint32_t low = 0; low <= 0xE4; ++low)
    for (const std::uint32_t type : {low, 0x80000000U | low})
      for (const std::size_t size : {0U, 1U, 3U, 4U, 7U, 8U, 15U, 16U, 31U, 32U, 33U, 64U})
        for (const auto fill : bytes{0x00, 0x04, 0x41, 0xFF})
          EXPECT_LE(hint(type, bytes(size, fill)).size(), hint_chars_max);
}

TEST(Describe, EveryEventOfEveryRecordedLogIsOneLineOfText) {
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    ASSERT_TRUE(parsed);
    for (const auto& e : parsed->events)
      for (const char c : describe(e))
        ASSERT_TRUE(c >= 0x20 && c <= 0x7E) << file << " event " << e.index;
  }
}

} // namespace
} // namespace custos::eventlog
