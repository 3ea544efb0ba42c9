#include "actors/attestation/image_match.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
namespace et = eventlog::event_type;

/// A log of efi_action events, with the quoted values that belong to it unless changed.
class Matching : public testing::Test {
protected:
  static constexpr std::array<hash_alg, 1> banks{hash_alg::sha256};
  eventlog::writer log{banks};
  std::vector<pcr_value> values;
  base_image image{"image", "2", "sha256", {}};

  void boot(std::uint32_t pcr, std::initializer_list<const char*> measured) {
    for (const auto* text : measured)
      log.add_hashed(pcr, et::efi_action, as_bytes(text));
    values = values_of(log.log(), {hash_alg::sha256});
  }
  static image_event event(std::string_view text) {
    return {et::efi_action, crypto::digest(hash_alg::sha256, {as_bytes(text)}), std::string(text)};
  }
  pcr_policy& policy(std::uint32_t pcr, pcr_form form,
                     std::initializer_list<const char*> measured = {}) {
    pcr_policy p;
    p.pcr = pcr;
    p.form = form;
    for (const auto* text : measured)
      p.events.push_back(event(text));
    image.pcrs.push_back(std::move(p));
    return image.pcrs.back();
  }
  std::optional<mismatch> match(std::uint32_t mask = all_pcrs) {
    const auto parsed = must(eventlog::parse(log.log()));
    const auto replayed = must(eventlog::replay(parsed, banks));
    quoted_bank quoted;
    quoted.mask = mask;
    for (const auto& v : values)
      quoted.values.at(v.pcr) = v.value;
    return match_image(image, quoted, parsed, *replayed.find(hash_alg::sha256));
  }
  void matches() {
    const auto m = match();
    EXPECT_FALSE(m) << m->why.message;
  }
  mismatch differs(const std::string& check) {
    auto m = match();
    EXPECT_TRUE(m);
    if (!m)
      return {};
    EXPECT_EQ(m->why.check, check) << m->why.message;
    EXPECT_EQ(m->why.code, errc::attestation_failed);
    return *m;
  }
};

TEST_F(Matching, OrderedEvents) {
  boot(9, {"a", "b", "c"});
  policy(9, pcr_form::ordered, {"a", "b", "c"});
  matches();
}

TEST_F(Matching, OrderedEventsInAnotherOrder) {
  boot(9, {"a", "c", "b"});
  policy(9, pcr_form::ordered, {"a", "b", "c"});
  const auto m = differs("base-image");
  EXPECT_EQ(m.why.pcr, 9U);
  EXPECT_EQ(m.why.event, 2U); // the header is event 0
  EXPECT_EQ(m.matched_events, 1U);
}

TEST_F(Matching, OrderedEventsMoreOrLess) {
  boot(9, {"a", "b"});
  auto& p = policy(9, pcr_form::ordered, {"a", "b", "c"});
  EXPECT_FALSE(differs("base-image").why.event);
  p.events.resize(1);
  EXPECT_EQ(differs("base-image").why.event, 2U);
  p.events.clear();
  EXPECT_EQ(differs("base-image").why.event, 1U);
}

TEST_F(Matching, ASetInAnyOrderAndNumber) {
  boot(9, {"b", "a", "b"});
  auto& p = policy(9, pcr_form::set, {"a", "b", "c"});
  matches();
  p.events.erase(p.events.begin());
  EXPECT_EQ(differs("base-image").why.event, 2U);
}

TEST_F(Matching, AnEmptySetAcceptsNoEvent) {
  boot(9, {"a"});
  policy(9, pcr_form::set);
  differs("base-image");
}

TEST_F(Matching, AnEventOfAnotherTypeIsAnother) {
  boot(9, {"a"});
  for (const auto form : {pcr_form::ordered, pcr_form::set}) {
    image.pcrs.clear();
    auto& p = policy(9, form, {"a"});
    matches();
    p.events.front().type = et::separator;
    differs("base-image");
  }
}

TEST_F(Matching, ADigestOfAnotherLengthIsAnother) {
  boot(9, {"a"});
  auto& p = policy(9, pcr_form::set, {"a"});
  p.events.front().digest.push_back(0);
  differs("base-image");
  p.events.front().digest.resize(31);
  differs("base-image");
  p.events.front().digest.clear();
  differs("base-image");
}

TEST_F(Matching, ExactValues) {
  boot(9, {"a"});
  auto& p = policy(9, pcr_form::exact);
  EXPECT_EQ(differs("base-image").why.pcr, 9U);
  p.values = {bytes(32, 1), values.at(9).value};
  matches();
  p.values = {bytes(32, 1), bytes(), to_bytes(byte_view(values.at(9).value).first(31))};
  differs("base-image");
}

TEST_F(Matching, ExactValuesNeedNoEvents) {
  boot(9, {"a"});
  values.at(11).value.assign(32, 7); // extended by what writes no log
  auto& p = policy(11, pcr_form::exact);
  p.values = {bytes(32, 7)};
  matches();
  p.form = pcr_form::ordered;
  EXPECT_EQ(differs("event-log-replay").why.pcr, 11U);
}

// Where there are events, they must lead to the value even if only the value is judged.
TEST_F(Matching, ExactValuesDoNotExcuseTheLog) {
  boot(9, {"a"});
  values.at(9).value.assign(32, 7);
  policy(9, pcr_form::exact).values = {bytes(32, 7)};
  differs("event-log-replay");
}

TEST_F(Matching, IgnoredIsReplayedAndNotJudged) {
  boot(13, {"varies", "by", "machine"});
  policy(13, pcr_form::ignored);
  matches();
  values.at(13).value.back() ^= 1;
  EXPECT_EQ(differs("event-log-replay").why.pcr, 13U);
}

TEST_F(Matching, OtherPcrsAreNobodysBusiness) {
  boot(9, {"a"});
  boot(8, {"x"});
  values.at(8).value.back() ^= 1;
  policy(9, pcr_form::ordered, {"a"});
  matches();
}

TEST_F(Matching, DataOfAPcrThatTheImageUses) {
  boot(9, {"a"});
  log.add_measured(9, et::efi_action, as_bytes("said"), as_bytes("measured"));
  values = values_of(log.log(), {hash_alg::sha256});
  policy(9, pcr_form::ignored);
  const auto m = differs("event-data");
  EXPECT_EQ(m.why.pcr, 9U);
  EXPECT_EQ(m.why.event, 2U);
  image.pcrs.front().pcr = 12;
  matches();
}

TEST_F(Matching, CountsHowFarItGot) {
  boot(9, {"a", "b", "c"});
  boot(8, {"x", "y"});
  policy(9, pcr_form::ordered, {"a", "z"});
  policy(8, pcr_form::ordered, {"x", "y"});
  EXPECT_EQ(differs("base-image").matched_events, 3U);
}

TEST_F(Matching, ALogWithoutTheBank) {
  boot(9, {"a"});
  policy(9, pcr_form::ordered, {"a"});
  const auto parsed = must(eventlog::parse(log.log()));
  quoted_bank quoted;
  quoted.alg = hash_alg::sha384;
  const auto m = match_image(image, quoted, parsed, eventlog::replayed_bank{});
  ASSERT_TRUE(m);
  EXPECT_EQ(m->why.check, "pcr-bank");
}

TEST_F(Matching, NamesAndHintsCannotSteerATerminal) {
  boot(9, {"\x1B[2J\nforged log line"});
  policy(9, pcr_form::ordered, {"a"});
  const auto message = differs("base-image").why.message;
  EXPECT_EQ(message.find('\x1B'), std::string::npos);
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

// ---- separators ---------------------------------------------------------------------------------

class MatchingFirmware : public Matching {
protected:
  void end(const bytes& value = bytes(4, 0)) {
    log.add_hashed(4, et::separator, value);
    values = values_of(log.log(), {hash_alg::sha256});
  }
};

TEST_F(MatchingFirmware, WhateverFormTheFirmwareEndsThePcr) {
  boot(4, {"a"});
  for (const auto form : {pcr_form::ordered, pcr_form::set, pcr_form::ignored, pcr_form::exact}) {
    image.pcrs.clear();
    policy(4, form, {"a"}).values = {values.at(4).value};
    const auto m = differs("separator");
    EXPECT_EQ(m.why.pcr, 4U);
    EXPECT_FALSE(m.why.event);
  }
}

TEST_F(MatchingFirmware, OnceAndWithSuccess) {
  boot(4, {"a"});
  end();
  policy(4, pcr_form::ignored);
  matches();
  end();
  EXPECT_EQ(differs("separator").why.event, 3U);
  log = eventlog::writer(banks);
  boot(4, {"a"});
  end(bytes{1, 0, 0, 0});
  EXPECT_EQ(differs("separator").why.event, 2U);
}

// An error that the image knows is an error all the same.
TEST_F(MatchingFirmware, AnErrorThatTheImageExpects) {
  boot(4, {"a"});
  end(bytes{1, 0, 0, 0});
  const auto parsed = must(eventlog::parse(log.log()));
  image = must(image_from_log(parsed, hash_alg::sha256, 1U << 4, "image", "2"));
  differs("separator");
}

TEST_F(MatchingFirmware, AValueThatNoEventExplainsStandsForItself) {
  boot(9, {"a"});
  values.at(4).value.assign(32, 7);
  policy(4, pcr_form::exact).values = {bytes(32, 7)};
  matches();
}

TEST_F(Matching, PcrsAndBankOfAnImage) {
  policy(0, pcr_form::ordered);
  policy(7, pcr_form::ignored);
  policy(22, pcr_form::exact);
  EXPECT_EQ(pcrs_of(image), 1U << 0 | 1U << 7 | 1U << 22);
  EXPECT_EQ(must(bank_of(image)), hash_alg::sha256);
  image.bank = "md5";
  EXPECT_FALSE(bank_of(image));
}

// ---- image_from_log -----------------------------------------------------------------------------

TEST(ImageFromLog, TakesTheEventsOfThePcrsAskedFor) {
  const auto log = recorded("eventlogs/rhel8-uefi.bin");
  const auto parsed = must(eventlog::parse(log));
  const auto image = must(image_from_log(parsed, hash_alg::sha384, 0x90, "rhel", "8.2"));
  EXPECT_EQ(image.name, "rhel");
  EXPECT_EQ(image.version, "8.2");
  EXPECT_EQ(image.bank, "sha384");
  ASSERT_EQ(image.pcrs.size(), 2U);
  EXPECT_EQ(image.pcrs[0].pcr, 4U);
  EXPECT_EQ(image.pcrs[1].pcr, 7U);
  std::size_t next = 0;
  for (const auto& e : parsed.events) {
    if (e.pcr != 4 || e.type == et::no_action)
      continue;
    const auto& taken = image.pcrs[0].events.at(next++);
    EXPECT_EQ(taken.type, e.type);
    EXPECT_EQ(taken.digest, to_bytes(parsed.digest(e, hash_alg::sha384)));
    EXPECT_EQ(taken.hint, eventlog::describe(e));
  }
  EXPECT_EQ(next, image.pcrs[0].events.size());
}

TEST(ImageFromLog, RefusesWhatTheLogDoesNotHave) {
  const auto log = recorded("eventlogs/glinux-alex.bin");
  const auto parsed = must(eventlog::parse(log));
  const auto bank = image_from_log(parsed, hash_alg::sha512, default_pcrs, "x", "1");
  ASSERT_FALSE(bank);
  EXPECT_EQ(bank.failure().field, "bank");
  EXPECT_FALSE(image_from_log(parsed, hash_alg::sha256, 0, "x", "1"));
  EXPECT_FALSE(image_from_log(parsed, hash_alg::sha256, 1U << 15, "x", "1"));
}

} // namespace
} // namespace custos::attestation
