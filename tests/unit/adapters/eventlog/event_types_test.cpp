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

// GRUB of RHEL 8 measures the terminator of a command, but not that of the kernel's.
TEST_F(Measured, OlderGrubMeasuresTheTerminator) {
  constexpr std::string_view text{"grub_cmd set pager=1\0", 21};
  log.add_measured(8, et::ipl, as_bytes(text), as_bytes(text.substr(9)));
  EXPECT_EQ(as_text(*part()), text.substr(9));
  log.add_measured(8, et::ipl, as_bytes(text), as_bytes("set pager=0"));
  EXPECT_TRUE(part()->empty());
}

bytes ucs2(std::string_view text) {
  bytes out;
  for (const char c : text) {
    out.push_back(static_cast<std::uint8_t>(c));
    out.push_back(0);
  }
  return out;
}

TEST_F(Measured, SystemdStubLogsNamesOfSectionsInUcs2AndMeasuresAscii) {
  constexpr std::string_view name{".linux\0", 7};
  log.add_measured(11, et::ipl, ucs2(name), as_bytes(name));
  EXPECT_EQ(to_bytes(*part()), ucs2(name));
  // Then the section itself, under the same text.
  log.add_measured(11, et::ipl, ucs2(name), as_bytes("a kernel"));
  EXPECT_TRUE(part()->empty());
  // Without its end it is another text, and so is one in another script.
  log.add_measured(11, et::ipl, ucs2(".linux"), as_bytes(".linux"));
  EXPECT_TRUE(part()->empty());
  log.add_measured(11, et::ipl, bytes{'a', 1, 0, 0}, bytes{'a', 0});
  EXPECT_TRUE(part()->empty());
  const std::string longest(63, 'x');
  log.add_measured(11, et::ipl, ucs2(longest + '\0'), to_bytes(longest + '\0'));
  EXPECT_FALSE(part()->empty());
  log.add_measured(11, et::ipl, ucs2(longest + "x" + '\0'), to_bytes(longest + "x" + '\0'));
  EXPECT_TRUE(part()->empty());
}

TEST_F(Measured, ACommandLineInUcs2WithOrWithoutItsEnd) {
  constexpr std::string_view text{"quiet splash\0", 13};
  log.add_hashed(12, et::ipl, ucs2(text));
  EXPECT_EQ(part()->size(), 26U);
  log.add_measured(12, et::ipl, ucs2(text), ucs2("quiet splash"));
  EXPECT_EQ(part()->size(), 24U);
  log.add_measured(12, et::ipl, ucs2(text), ucs2("quiet"));
  EXPECT_TRUE(part()->empty());
}

TEST_F(Measured, ATagIsVouchedForWholeOrNotAtAll) {
  auto tag = bytes{0xEC, 0x22, 0x3B, 0x8F, 13, 0, 0, 0};
  const auto text = to_bytes(std::string_view("Linux initrd\0", 13));
  tag.insert(tag.end(), text.begin(), text.end());
  log.add_hashed(13, et::event_tag, tag); // as Windows does
  EXPECT_EQ(part()->size(), tag.size());
  log.add_measured(9, et::event_tag, tag, as_bytes("a ram disk")); // as Linux does
  EXPECT_TRUE(part()->empty());
}

// What GRUB says that it did is what it measured, on every machine.
TEST(MeasuredData, VouchesForTheCommandsOfEveryRecordedGrub) {
  std::size_t commands = 0;
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    ASSERT_TRUE(parsed);
    for (const auto& e : parsed->events) {
      if (e.pcr != 8 || e.type != et::ipl)
        continue;
      for (const auto bank : parsed->known_banks()) {
        const auto part = measured_data(*parsed, e, bank);
        ASSERT_TRUE(part);
        EXPECT_FALSE(part->empty()) << file << " event " << e.index << ": " << describe(e);
      }
      ++commands;
    }
  }
  EXPECT_EQ(commands, 499U);
}

TEST(MeasuredData, VouchesForTheCommandLineThatSystemdBootMeasured) {
  const auto log = read_data(logs_dir + "tpm2-tools/event-sd-boot-fedora37.bin");
  const auto parsed = parse(log);
  ASSERT_TRUE(parsed);
  for (const std::size_t index : {23U, 24U}) {
    const auto& e = parsed->events.at(index);
    EXPECT_EQ(e.pcr, 12U);
    EXPECT_EQ(measured_data(*parsed, e, hash_alg::sha256)->size(), e.data.size());
    EXPECT_EQ(describe(e), " console=ttyS0 console=tty0 efi=debug ");
  }
  const auto& initrd = parsed->events.at(25);
  EXPECT_EQ(initrd.pcr, 9U);
  EXPECT_TRUE(measured_data(*parsed, initrd, hash_alg::sha256)->empty());
  EXPECT_EQ(describe(initrd), "tag 0x8f3b22ec: Linux initrd");
}

TEST(MeasuredData, ListsOfMachineOwnersAreKnownByTheirDigestsOnly) {
  std::size_t lists = 0;
  for (const auto& file : all_logs()) {
    const auto log = read_data(file);
    const auto parsed = parse(log);
    ASSERT_TRUE(parsed);
    for (const auto& e : parsed->events)
      if (e.pcr == 14 && e.type == et::ipl) {
        EXPECT_EQ(describe(e).substr(0, 7), "MokList") << file;
        EXPECT_TRUE(measured_data(*parsed, e, parsed->known_banks().back())->empty()) << file;
        ++lists;
      }
  }
  EXPECT_EQ(lists, 18U);
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

} // namespace
} // namespace custos::eventlog
