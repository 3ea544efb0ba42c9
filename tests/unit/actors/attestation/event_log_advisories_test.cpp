#include "actors/attestation/secure_boot.hpp"
#include "actors/attestation/separators.hpp"
#include "actors/attestation/verifier_core.hpp"
#include "tests/unit/actors/attestation/log_surgery.hpp"
#include "tests/unit/actors/attestation/pcr7_steps.hpp"
#include "tests/unit/actors/attestation/refusals.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <gtest/gtest.h>

// Published flaws of verifiers that concern boot logs, each as an attack that is refused. Those
// that concern quotes and keys are with the tests of quotes and keys.
namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
namespace et = eventlog::event_type;

// NOLINTBEGIN(readability-identifier-naming): names of advisories are written as they are found.

/// A machine with two banks, as its TPM and its log show it.
class AdvisoryBanks : public testing::Test {
protected:
  static constexpr std::array<hash_alg, 2> both{hash_alg::sha256, hash_alg::sha384};
  bytes log = recorded("eventlogs/rhel8-uefi.bin");
  std::vector<pcr_value> values = values_of(log, {hash_alg::sha256, hash_alg::sha384});

  result<void> agree(std::uint32_t pcrs = firmware_pcrs) const {
    const auto parsed = must(eventlog::parse(log));
    std::vector<hash_alg> logged;
    for (const auto alg : both)
      if (parsed.bank_index(alg))
        logged.push_back(alg);
    return check_banks_agree(quoted(), parsed, must(eventlog::replay(parsed, logged)), pcrs);
  }
  std::vector<quoted_bank> quoted() const {
    tpm::attest quote;
    for (const auto alg : both)
      quote.selection.push_back({alg, all_pcrs});
    return quoted_banks(quote, values);
  }
};

TEST_F(AdvisoryBanks, GHSA_c4qg_jj77_rcc3_CVE_2021_42299_BanksAgree) {
  EXPECT_TRUE(agree());
  EXPECT_TRUE(agree(all_pcrs));
}

// The attack: the firmware measured into one bank only; software extends the other with the log of
// a good machine.
TEST_F(AdvisoryBanks, GHSA_c4qg_jj77_rcc3_CVE_2021_42299_OneBankTellsAnotherStory) {
  const auto other = values_of(recorded("eventlogs/ubuntu-2104-no-dbx.bin"), {hash_alg::sha384});
  for (auto& v : values)
    if (v.bank == 0x000C)
      v.value = other.at(v.pcr).value;
  const auto verdict = agree();
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "event-log-replay");
  EXPECT_EQ(verdict.failure().pcr, 1U); // the same firmware, other settings
  EXPECT_TRUE(agree(1));
}

TEST_F(AdvisoryBanks, GHSA_c4qg_jj77_rcc3_CVE_2021_42299_ABankThatTheLogHides) {
  // The same events, of one bank only.
  const auto whole = must(eventlog::parse(log));
  eventlog::writer one(std::array<hash_alg, 1>{hash_alg::sha256});
  for (const auto& e : whole.events)
    if (e.type != et::no_action)
      one.add(e.pcr, e.type, e.data,
              std::vector<bytes>{to_bytes(whole.digest(e, hash_alg::sha256))});
  const auto hidden = one.log();
  log = hidden;
  const auto verdict = agree();
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "pcr-bank");
  EXPECT_NE(verdict.failure().message.find("sha384"), std::string::npos);
}

TEST_F(AdvisoryBanks, GHSA_c4qg_jj77_rcc3_CVE_2021_42299_ABankThatWasNeverExtended) {
  for (const auto fill : bytes{0x00, 0xFF})
    for (std::uint32_t pcr = 0; pcr < 8; ++pcr) {
      auto bank = quoted().at(1);
      const bytes never(48, fill);
      bank.values.at(pcr) = never;
      const auto verdict = check_extended(bank);
      ASSERT_FALSE(verdict);
      EXPECT_EQ(verdict.failure().check, "pcr-bank");
      EXPECT_EQ(verdict.failure().pcr, pcr);
    }
}

class Advisory : public testing::Test {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  verifier_core core{s.keys};

  error refused(const evidence& e, const std::string& check) {
    return refusal_of(core, s, e, check);
  }
};

// The image decides by SHA-256; the bank beside it was extended with the log of another machine.
TEST_F(Advisory, GHSA_c4qg_jj77_rcc3_CVE_2021_42299_TheBankThatNoImageJudges) {
  const auto other = values_of(recorded("eventlogs/ubuntu-2104-no-dbx.bin"), {hash_alg::sha384});
  auto d = s.begin();
  for (auto& v : d.e.pcrs)
    if (v.bank == 0x000C)
      v.value = other.at(v.pcr).value;
  d.requote();
  EXPECT_EQ(refused(s.sign(d), "event-log-replay").pcr, 1U);
}

// The verifier believed values of PCRs that the quote had not covered.
TEST_F(Advisory, CVE_2022_0317_AValueBesideTheQuote) {
  auto e = s.good();
  e.pcrs.push_back({0x000B, 7, e.pcrs.at(7).value}); // once more
  EXPECT_EQ(refused(e, "pcr-selection").pcr, 7U);
  auto d = s.begin();
  std::erase_if(d.e.pcrs, [](const pcr_value& v) { return v.pcr == 23; });
  d.requote();
  e = s.sign(d);
  e.pcrs.push_back({0x000B, 23, bytes(32, 0)});
  EXPECT_EQ(refused(e, "pcr-selection").pcr, 23U);
  // PCR 4 is not quoted: what the log and the values say of it is nothing.
  d = s.begin();
  std::erase_if(d.e.pcrs, [](const pcr_value& v) { return v.pcr == 4; });
  d.requote();
  e = s.sign(d);
  EXPECT_EQ(refused(e, "pcr-selection").pcr, 4U);
}

// Types are not measured: the log of a machine without Secure Boot, its genuine events called
// something that a careless reader skips, and the events of a machine with Secure Boot behind them,
// which software has extended after boot. It replays.
TEST(AdvisoryLog, go_attestation_event_log_disclosure_TypesAreNotMeasured) {
  pcr7_steps genuine;
  genuine.set("SecureBoot", global_variable, {0});
  const auto wished = pcr7_steps().steps();
  for (const auto hidden : {et::nonhost_config, et::post_code, et::ipl, et::event_tag,
                            et::efi_action, et::efi_variable_authority, et::no_action}) {
    auto forged = genuine;
    for (auto& step : forged.steps())
      step.type = hidden;
    for (const auto& step : wished)
      forged.steps().push_back(step);
    auto honest = genuine;
    for (const auto& step : wished)
      honest.steps().push_back(step);
    const auto forged_log = forged.log();
    if (hidden != et::no_action) {
      EXPECT_EQ(values_of(forged_log, {hash_alg::sha256}).at(7).value,
                values_of(honest.log(), {hash_alg::sha256}).at(7).value)
          << "the forgery does not even replay";
    }
    const auto parsed = must(eventlog::parse(forged_log));
    const auto found = read_secure_boot(parsed, hash_alg::sha256);
    ASSERT_FALSE(found) << eventlog::type_text(hidden);
    EXPECT_EQ(found.failure().pcr, 7U);
  }
}

/// PCR 7 of a machine whose variable has this value.
result<secure_boot_facts> with_value(const std::string& name, const bytes& value) {
  pcr7_steps steps;
  steps.set(name, name.front() == 'd' ? image_security : global_variable, value);
  const auto log = steps.log();
  const auto parsed = must(eventlog::parse(log));
  return read_secure_boot(parsed, hash_alg::sha256);
}

void put_u32(bytes& list, std::size_t at, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i)
    list.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

// A list of 29 bytes with a signature of 4 GiB was allocated before it was read.
TEST(AdvisoryLog, go_attestation_500_ASignatureLargerThanItsList) {
  for (const std::string name : {"PK", "KEK", "db", "dbx"})
    for (const auto& one : {certificate("any"), bytes(32, 1)}) {
      auto list = list_of(one);
      list.resize(29);
      put_u32(list, 16, 29);
      put_u32(list, 24, 0xFFFFFFFF);
      const auto found = with_value(name, list);
      ASSERT_FALSE(found) << name;
      EXPECT_EQ(found.failure().check, "secure-boot");
      EXPECT_TRUE(found.failure().event);
    }
}

// The bytes of a header that the type does not have were read as hashes that db lists.
TEST(AdvisoryLog, go_attestation_502_GHSA_9r4w_jg96_92mv_HashesInTheHeader) {
  auto list = list_of(bytes(32, 0x41));
  put_u32(list, 20, 48);
  const auto found = with_value("db", list);
  ASSERT_FALSE(found);
  EXPECT_NE(found.failure().message.find("SignatureHeaderSize"), std::string::npos);
}

// Tagged events of Windows, one within the other: each took a frame of the stack.
TEST(AdvisoryLog, go_attestation_506_GHSA_hcm6_rjfh_f25p_NestedTags) {
  constexpr std::size_t data_bytes = std::size_t{1} << 20;
  bytes nested(data_bytes, 0);
  for (std::size_t at = 0; at + 8 <= data_bytes; at += 8) {
    put_u32(nested, at, 0x40010001);
    put_u32(nested, at + 4, static_cast<std::uint32_t>(data_bytes - at - 8));
  }
  eventlog::writer log(pcr7_steps::banks);
  log.add_hashed(13, et::event_tag, nested);
  const auto parsed = must(eventlog::parse(log.log()));
  EXPECT_LE(eventlog::describe(parsed.events.back()).size(), eventlog::hint_chars_max);
  EXPECT_EQ(must(eventlog::measured_data(parsed, parsed.events.back(), hash_alg::sha256)).size(),
            data_bytes);
}

// Sizes of headers beyond the event: allocated first and found wrong then (also #490, #512).
TEST(AdvisoryLog, go_attestation_486_509_513_515_SizesThatTheEventDoesNotHave) {
  bytes tag(8, 1);
  for (const std::uint32_t size : {1U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
    put_u32(tag, 4, size);
    eventlog::writer log(pcr7_steps::banks);
    log.add_hashed(13, et::event_tag, tag);
    log.add_hashed(2, et::efi_boot_services_driver, bytes(32, 0xFF)); // path of 2^64-1 bytes
    const auto parsed = must(eventlog::parse(log.log()));
    for (const auto& e : parsed.events)
      EXPECT_LE(eventlog::describe(e).size(), eventlog::hint_chars_max);
  }
  for (const std::size_t at : {16U, 24U}) // lengths of a variable's name and value
    for (const auto top : bytes{0x00, 0x7F, 0x80, 0xFF}) {
      pcr7_steps steps;
      auto& step = steps.at("db");
      std::fill_n(step.data.begin() + static_cast<long>(at), 7, std::uint8_t{0xFF});
      step.data.at(at + 7) = top;
      step.measured = step.data;
      const auto log = steps.log();
      const auto found = read_secure_boot(must(eventlog::parse(log)), hash_alg::sha256);
      ASSERT_FALSE(found);
      EXPECT_EQ(found.failure().event, steps.index("db"));
    }
}

// Of every recorded machine, with every event of PCR 7 cut, grown or garbled and measured as such:
// the verifier gives an answer.
TEST(AdvisoryLog, go_attestation_486_500_506_509_513_515_GarbledEventsOfRecordedMachines) {
  std::size_t answers = 0;
  for (const auto& file : eventlog::test::all_logs()) {
    const auto recorded_log = custos::test::read_data(file);
    const auto whole = must(eventlog::parse(recorded_log));
    for (const auto& broken : whole.events) {
      if (broken.pcr != 7 || broken.type == et::no_action)
        continue;
      for (std::size_t size = 0; size <= broken.data.size() + 1; size += 1 + size / 8) {
        eventlog::writer log(pcr7_steps::banks);
        for (const auto& e : whole.events) {
          if (e.pcr != 7 || e.type == et::no_action)
            continue;
          auto data = to_bytes(e.data);
          if (e.index == broken.index)
            data.resize(size, 0xFF);
          log.add_hashed(7, e.type, data);
        }
        const auto parsed = must(eventlog::parse(log.log()));
        const auto found = read_secure_boot(parsed, hash_alg::sha256);
        if (!found) {
          EXPECT_EQ(found.failure().pcr, 7U);
        }
        if (broken.type == et::efi_variable_driver_config && size != broken.data.size()) {
          EXPECT_FALSE(found) << file << " event " << broken.index << " of " << size;
        }
        ++answers;
      }
    }
  }
  EXPECT_GT(answers, 4000U);
}

// NOLINTEND(readability-identifier-naming)

} // namespace
} // namespace custos::attestation
