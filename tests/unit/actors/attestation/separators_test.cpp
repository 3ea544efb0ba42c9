#include "actors/attestation/separators.hpp"

#include "adapters/eventlog/writer.hpp"
#include "tests/unit/actors/attestation/log_surgery.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
namespace et = eventlog::event_type;

constexpr const char* calling = "Calling EFI Application from Boot Option";

class Separators : public testing::Test {
protected:
  static constexpr std::array<hash_alg, 1> banks{hash_alg::sha256};
  eventlog::writer log{banks};

  void end(std::uint32_t pcr, const bytes& value = bytes(4, 0)) {
    log.add_hashed(pcr, et::separator, value);
  }
  result<void> check(std::uint32_t pcrs = firmware_pcrs) const {
    const auto parsed = must(eventlog::parse(log.log()));
    return check_separators(parsed, hash_alg::sha256, pcrs);
  }
  void accepted(std::uint32_t pcrs = firmware_pcrs) const {
    const auto out = check(pcrs);
    EXPECT_TRUE(out) << out.failure().message;
  }
  void refused(std::uint32_t pcr, std::optional<std::uint32_t> event, const std::string& why,
               std::uint32_t pcrs = firmware_pcrs) const {
    const auto out = check(pcrs);
    ASSERT_FALSE(out) << why;
    EXPECT_EQ(out.failure().code, errc::attestation_failed);
    EXPECT_EQ(out.failure().check, "separator");
    EXPECT_EQ(out.failure().pcr, pcr);
    EXPECT_EQ(out.failure().event, event);
    EXPECT_NE(out.failure().message.find(why), std::string::npos) << out.failure().message;
  }
  void end_all(std::uint32_t but = 8) {
    for (std::uint32_t pcr = 0; pcr < 8; ++pcr)
      if (pcr != but)
        end(pcr);
  }
};

TEST_F(Separators, EveryRecordedMachineHasThemInEveryBank) {
  std::size_t machines = 0;
  for (const auto& file : eventlog::test::all_logs()) {
    const auto bytes_of_log = custos::test::read_data(file);
    const auto parsed = must(eventlog::parse(bytes_of_log));
    if (parsed.events.size() < 10)
      continue; // made up: one or two events
    ++machines;
    for (const auto bank : parsed.known_banks()) {
      const auto out = check_separators(parsed, bank, 0xFFFFFF);
      EXPECT_TRUE(out) << file << ": " << out.failure().message;
    }
  }
  EXPECT_EQ(machines, 19U);
}

TEST_F(Separators, ARecordedMachineWithoutOneOrWithTwo) {
  const log_surgery machine(recorded("eventlogs/rhel8-uefi.bin"));
  std::size_t separators = 0;
  for (const auto& e : machine.events()) {
    if (e.type != et::separator)
      continue;
    ++separators;
    for (const auto& changed :
         {machine.without(e), machine.doubled(e), machine.with_type(e, et::nonhost_code),
          machine.with_type(e, et::no_action)}) {
      const auto parsed = must(eventlog::parse(changed));
      const auto out = check_separators(parsed, hash_alg::sha256, firmware_pcrs);
      ASSERT_FALSE(out) << e.index;
      EXPECT_EQ(out.failure().pcr, e.pcr);
    }
  }
  EXPECT_EQ(separators, 8U);
}

TEST_F(Separators, OneForEachPcr) {
  end_all();
  accepted();
  end(3);
  refused(3, 9, "a second separator");
}

TEST_F(Separators, MissingInOnePcr) {
  end_all(5);
  refused(5, std::nullopt, "the log has none");
  accepted(firmware_pcrs & ~(1U << 5));
}

TEST_F(Separators, OnlyPcrsThatAreAskedForAndThatFirmwareEnds) {
  accepted(0);
  accepted(0xFFFF00);
  end(2);
  accepted(1U << 2 | 1U << 8 | 1U << 23);
  refused(0, std::nullopt, "none");
}

TEST_F(Separators, ErrorSeparators) {
  for (const auto& value : {bytes{1, 0, 0, 0}, bytes{0, 0, 0, 1}, bytes(4, 0xFF)}) {
    log = eventlog::writer(banks);
    end_all(6);
    end(6, value);
    refused(6, 8, "error separator");
    // As the profile has it: the text of the error is logged, the number measured.
    log = eventlog::writer(banks);
    end_all(6);
    log.add_measured(6, et::separator, as_bytes("no bootable device"), value);
    refused(6, 8, "error separator");
    EXPECT_EQ(kind_of_separator(crypto::digest(hash_alg::sha384, {value}), hash_alg::sha384),
              separator_kind::firmware_error);
  }
}

TEST_F(Separators, OverSomethingElse) {
  for (const auto& value : {bytes{}, bytes(1, 0), bytes(5, 0), bytes{2, 0, 0, 0}}) {
    log = eventlog::writer(banks);
    end_all(6);
    end(6, value);
    refused(6, 8, "over something else");
  }
  EXPECT_EQ(kind_of_separator({}, hash_alg::sha256), separator_kind::other);
  EXPECT_EQ(kind_of_separator(crypto::digest(hash_alg::sha1, {bytes(4, 0)}), hash_alg::sha256),
            separator_kind::other);
}

TEST_F(Separators, AnotherEventUnderTheirType) {
  end_all();
  log.add_hashed(1, et::separator, as_bytes("setup"));
  refused(1, 9, "a second separator");
  log = eventlog::writer(banks);
  log.add_hashed(1, et::separator, as_bytes("setup"));
  end_all();
  refused(1, 1, "over something else");
}

TEST_F(Separators, TheBootOptionIsCalledBeforeThem) {
  log.add_hashed(4, et::efi_action, as_bytes(calling));
  end_all();
  accepted();
  // A further option that is tried when the first returns.
  log.add_hashed(4, et::efi_action, as_bytes("Returning from EFI Application from Boot Option"));
  log.add_hashed(4, et::efi_action, as_bytes(calling));
  accepted();
}

TEST_F(Separators, TheBootOptionIsCalledOnceBeforeThem) {
  log.add_hashed(4, et::efi_action, as_bytes(calling));
  log.add_hashed(4, et::efi_action, as_bytes(calling));
  end_all();
  refused(4, 2, "a second call");
  accepted(firmware_pcrs & ~(1U << 4));
}

TEST_F(Separators, TheBootOptionIsCalledBehindThem) {
  end_all();
  log.add_hashed(4, et::efi_action, as_bytes(calling));
  refused(4, 9, "behind the separator");
}

TEST_F(Separators, ACallIsKnownByItsDigest) {
  log.add_hashed(4, et::efi_action, as_bytes(calling));
  log.add_measured(4, et::nonhost_code, as_bytes("harmless"), as_bytes(calling));
  end_all();
  refused(4, 2, "a second call");
}

} // namespace
} // namespace custos::attestation
