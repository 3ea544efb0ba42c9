// Known vulnerabilities of others, each shown to be refused here: what concerns quotes, the values
// shown with them, and what a verifier remembers. Named after the advisory.

#include "actors/attestation/image_match.hpp"
#include "actors/attestation/token.hpp"
#include "actors/attestation/verifier_core.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/actors/attestation/refusals.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <stdexcept>

namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
namespace et = eventlog::event_type;

// NOLINTBEGIN(readability-identifier-naming): names of advisories are written as they are found.

class AdvisoriesOfEvidence : public testing::Test {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  verifier_shared shared;
  std::unique_ptr<verifier_core> core = std::make_unique<verifier_core>(s.keys, shared);

  error refused(const evidence& e, const std::string& check, std::int64_t at = now) {
    return refusal_of(*core, s, e, check, at);
  }
  void affirmed(const evidence& e, std::int64_t at = now) { expect_affirmed(*core, s, e, at); }
  void reconfigure() { s.config = std::make_shared<config_snapshot>(*s.config); }
  host_record record() const { return *shared.hosts->find(host); }
};

// A key that signs whatever it is given signs a structure that no TPM made, and nobody looked at
// the magic. A restricted key never signs what begins with the magic, so the two belong together.
TEST_F(AdvisoriesOfEvidence, CVE_2024_29038_CVE_2024_29040_charra_90_ForgedStructures) {
  attestation_key_request r;
  r.host = host;
  r.ek_public = s.device.ek_public;
  const auto free_key = must(crypto::generate_p256());
  r.ak_public = tpm::test::ecc_public(free_key, {.attributes = 0x00040072});
  const auto issued = core->issue_attestation_key(r, s.config, now);
  ASSERT_FALSE(issued);
  EXPECT_EQ(issued.failure().check, "attestation-key");
  EXPECT_NE(issued.failure().message.find("restricted"), std::string::npos);

  // Had it been certified all the same, what it forges is no quote.
  s.enrolled.ak = must(tpm::parse_public(r.ak_public));
  const auto forged = [&](std::uint32_t magic) {
    auto d = s.begin();
    d.quote.magic = magic;
    d.e.quote = tpm::test::quote_bytes(d.quote);
    d.e.signature =
        tpm::test::ecdsa_signature(must(crypto::ecdsa_sign(free_key, hash_alg::sha256, d.e.quote)));
    return d.e;
  };
  affirmed(forged(0xFF544347));
  for (unsigned bit = 0; bit < 32; ++bit)
    EXPECT_EQ(refused(forged(0xFF544347U ^ 1U << bit), "quote-magic").field, "/quote") << bit;
  for (const auto magic : {0U, 0xFFFFFFFFU, 0x474354FFU})
    refused(forged(magic), "quote-magic");
}

/// A machine with one bank, and an image that judges PCR 0 alone.
scene machine_of_one_pcr() {
  constexpr std::array<hash_alg, 1> banks{hash_alg::sha256};
  eventlog::writer log(banks);
  for (std::uint32_t pcr = 0; pcr < 8; ++pcr) {
    log.add_hashed(pcr, et::s_crtm_version, as_bytes("1.2.3"));
    log.add_hashed(pcr, et::separator, bytes(4, 0));
  }
  scene s(log.log(), ak_kind::p256, {hash_alg::sha256});
  s.config->base_images["good"] = s.image(1);
  return s;
}

// The PCRs asked for were believed to be those signed: software extends the debug PCR 16 to the
// value of a good PCR 0, has that quoted, and calls it PCR 0.
TEST(AdvisoriesOfQuotes, CVE_2024_29039_ADebugPcrPassedOffAsPcr0) {
  const scene s = machine_of_one_pcr();
  verifier_core core(s.keys);
  const auto quoted_as = [&](std::uint32_t signed_pcr, std::uint32_t shown_pcr) {
    auto d = s.begin();
    const auto good = d.e.pcrs.at(0).value;
    d.e.pcrs = {{0x000B, signed_pcr, good}};
    d.requote();
    d.e.pcrs.at(0).pcr = shown_pcr;
    const auto verdict = core.appraise(s.sign(d), s.config, now);
    return verdict ? std::string("affirmed") : verdict.failure().check;
  };
  EXPECT_EQ(quoted_as(0, 0), "affirmed");
  EXPECT_EQ(quoted_as(16, 0), "pcr-selection");
  EXPECT_EQ(quoted_as(16, 16), "pcr-selection");
  EXPECT_EQ(quoted_as(0, 16), "pcr-selection");
  // The bank is signed as well as the PCR.
  auto d = s.begin();
  d.e.pcrs = {{0x0004, 0, bytes(20, 1)}};
  d.requote();
  d.e.pcrs = {{0x000B, 0, s.begin().e.pcrs.at(0).value}};
  const auto verdict = core.appraise(s.sign(d), s.config, now);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "pcr-selection");
}

// Claims were made of PCR 8, which the quote had not covered.
TEST_F(AdvisoriesOfEvidence, attestation_rs_69_ClaimsAreOfQuotedPcrsOnly) {
  constexpr std::uint32_t without_8 = default_pcrs & ~(1U << 8);
  s.config->base_images["good"] = s.image(without_8);
  const auto drop_8 = [](draft& d) {
    std::erase_if(d.e.pcrs, [](const pcr_value& v) { return v.pcr == 8; });
    d.requote();
  };
  auto d = s.begin();
  const auto of_8 = d.e.pcrs.at(8);
  ASSERT_EQ(of_8.pcr, 8U);
  drop_8(d);
  const auto granted = must(core->grant(s.sign(d), s.config, now));
  const auto keys = trusted_keys(*s.keys, s.config);
  const auto token = must(jose::verify_compact(granted.token, keys, token_type));
  const auto claims = boost::json::parse(token.payload);
  const auto& ours = claims.at("submods").at("host").at("custos");
  EXPECT_EQ(boost::json::serialize(ours.at("pcrs_used")), "[0,1,2,3,4,5,6,7,9,14]");
  EXPECT_EQ(boost::json::serialize(ours.at("pcrs_ignored")), "[]");
  // A value beside the signed selection is not even passed over.
  d = s.begin();
  drop_8(d);
  auto e = s.sign(d);
  e.pcrs.push_back(of_8);
  EXPECT_EQ(refused(e, "pcr-selection").pcr, 8U);
  // Nor is one seen by whoever asks for the values.
  const auto quote = must(tpm::parse_quote(e.quote));
  for (const auto& bank : quoted_banks(quote, e.pcrs)) {
    EXPECT_EQ(bank.mask >> 8 & 1U, 0U);
    EXPECT_TRUE(bank.values.at(8).empty());
    EXPECT_FALSE(bank.values.at(9).empty());
  }
  // An image that lists PCR 8, though it ignores its value, has it in the token: it must be quoted.
  reconfigure();
  s.config->base_images.at("good").pcrs.push_back({8, pcr_form::ignored, {}, {}});
  d = s.begin();
  drop_8(d);
  EXPECT_EQ(refused(s.sign(d), "pcr-selection").pcr, 8U);
}

// An exception ended the attestations of a host, and nobody was told.
TEST_F(AdvisoriesOfEvidence, CVE_2022_3500_WhatNoCheckForesawIsAFailureOnRecord) {
  affirmed(s.good());
  bool broken = true;
  shared.changed = [&](const host_id&, const std::shared_ptr<const kept_evidence>& kept) {
    if (kept && broken)
      throw std::runtime_error("the disk is on fire");
  };
  shared.hosts->drop_evidence(host);
  core = std::make_unique<verifier_core>(s.keys, shared);
  const auto verdict = core->appraise(s.good(), s.config, now + 1);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().code, errc::internal);
  EXPECT_NE(verdict.failure().message.find("on fire"), std::string::npos);
  EXPECT_FALSE(record().last.accepted);
  EXPECT_EQ(record().last.at, now + 1);
  EXPECT_EQ(record().last.check, "internal");
  EXPECT_EQ(record().failed_since, now + 1) << "a check that cannot be made is a failure";
  EXPECT_EQ(record().last_attested, now);
  broken = false;
  affirmed(s.good(now + 2), now + 2);
  EXPECT_EQ(record().failed_since, 0);
}

/// As if IMA had been judged with the last quote.
void remember_ima(verifier_shared& shared) {
  ima_state judged;
  judged.entries = 5;
  shared.hosts->remember_ima(host, judged);
}

// Pulling the reset line of the TPM alone lets software replay the measurements of a good boot.
// One quote cannot show it; but the count goes up, and with it ends all that was known before.
TEST_F(AdvisoriesOfEvidence, tpm_reset_hacky_solutions_2024_TPM_Genie_IsANewBootAtOnce) {
  const auto granted = must(core->grant(s.good(), s.config, now));
  remember_ima(shared);
  const auto keys = trusted_keys(*s.keys, s.config);
  const auto before = must(read_token(granted.token, {keys, s.keys->issuer}, now));
  auto genuine = s.begin(); // of the boot before the reset, kept for later
  genuine.quote.clock = 1'000'000;

  auto d = s.begin();
  d.quote.reset_count = 8;
  d.quote.restart_count = 0;
  d.quote.clock = 10;
  affirmed(s.sign(d), now + 50);
  const auto seen = *shared.hosts->standing(host);
  EXPECT_GT(seen.reset_count, before.reset_count) << "by which the gate ends the older token";
  EXPECT_EQ(seen.first_seen_in_boot, now + 50);
  EXPECT_FALSE(shared.hosts->ima_of(host)) << "the whole list is judged again";
  EXPECT_FALSE(refused(s.sign(genuine), "clock").retryable) << "the two do not stand side by side";
  // A TPM whose clock ran backwards without a reset was not that TPM.
  d = s.begin();
  d.quote.reset_count = 8;
  d.quote.restart_count = 0;
  d.quote.clock = 9;
  refused(s.sign(d), "clock", now + 50);
}

// A sleep from which the TPM came back without its PCRs, which were then extended to anything.
TEST_F(AdvisoriesOfEvidence, CVE_2018_6622_ASleepOfTheTpmIsJudgedFromScratch) {
  affirmed(s.good());
  EXPECT_EQ(shared.hosts->standing(host)->restart_count, 3U);
  remember_ima(shared);
  affirmed(s.good());
  EXPECT_TRUE(shared.hosts->ima_of(host));
  const auto after_sleep = [&] {
    auto d = s.begin();
    d.quote.restart_count = 4;
    return d;
  };
  auto without_log = after_sleep();
  without_log.e.event_log.clear();
  refused(s.sign(without_log), "event-log-malformed", now + 50);
  EXPECT_FALSE(shared.hosts->ima_of(host)) << "the whole list is judged again";
  auto reset_pcrs = after_sleep();
  for (auto& v : reset_pcrs.e.pcrs)
    v.value.assign(v.value.size(), 0);
  reset_pcrs.requote();
  refused(s.sign(reset_pcrs), "pcr-bank", now + 50);
  affirmed(s.sign(after_sleep()), now + 50);
  EXPECT_EQ(shared.hosts->standing(host)->restart_count, 4U);
  refused(s.good(now + 51), "clock", now + 51); // a quote of before the sleep
}

// NOLINTEND(readability-identifier-naming)

} // namespace
} // namespace custos::attestation
