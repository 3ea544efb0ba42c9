#include "actors/attestation/manual_check.hpp"

#include "tests/unit/test_data.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

// The recorded quotes of other projects, by hand.
namespace custos::attestation {
namespace {

using custos::test::read_data;
using custos::test::read_text;

const std::string quotes = "attestation/quotes/";

std::vector<pcr_value> values_of(const std::string& file) {
  std::vector<pcr_value> out;
  const auto document = boost::json::parse(read_text(file));
  for (const auto& [bank, list] : document.at("banks").as_object())
    for (const auto& [pcr, value] : list.as_object())
      out.push_back({static_cast<std::uint16_t>(*crypto::hash_alg_of(bank)),
                     static_cast<std::uint32_t>(std::stoul(std::string(pcr))),
                     *crypto::from_hex(value.as_string())});
  return out;
}

manual_evidence cloud_machine(const std::string& bank) {
  const auto folder = quotes + "gce-cos-85-nonce9009/";
  manual_evidence e;
  e.ak = read_data(folder + "ak.tpmt_public.bin");
  e.quote = read_data(folder + "quote." + bank + ".attest.bin");
  e.signature = read_data(folder + "quote." + bank + ".sig.bin");
  e.nonce = {0x90, 0x09};
  e.pcrs = values_of(folder + "pcrs.json");
  e.event_log = read_data(folder + "eventlog.bin");
  return e;
}

/// The checks that failed, with a PCR where there is one: "pcr-digest event-log-replay@4".
std::string failed(const manual_evidence& e) {
  const auto checks = check_manually(e);
  if (!checks)
    return "error in " + checks.failure().field;
  std::string out;
  for (const auto& c : *checks)
    if (c.verdict == check_verdict::failed)
      out += (out.empty() ? "" : " ") + c.check + (c.pcr ? "@" + std::to_string(*c.pcr) : "");
  return out;
}

TEST(ManualCheck, ACloudMachineIsAccepted) {
  EXPECT_EQ(failed(cloud_machine("sha256")), "");
  EXPECT_EQ(failed(cloud_machine("sha384")), "");
}

TEST(ManualCheck, WhatNoBootLogExplainsIsTold) {
  const auto checks = check_manually(cloud_machine("sha256"));
  ASSERT_TRUE(checks);
  EXPECT_EQ(checks->back().check, "event-data");
  EXPECT_TRUE(std::any_of(checks->begin(), checks->end(), [](const auto& c) {
    return c.check == "ima-log" && c.verdict == check_verdict::skipped && c.pcr == 10U;
  }));
}

TEST(ManualCheck, Sha1OnlyWhereItIsAllowed) {
  auto e = cloud_machine("sha1");
  EXPECT_EQ(failed(e), "pcr-selection");
  e.allow_sha1 = true;
  EXPECT_EQ(failed(e), "");
}

TEST(ManualCheck, EachLieIsFoundByItsCheck) {
  auto e = cloud_machine("sha256");
  e.nonce.push_back(0);
  EXPECT_EQ(failed(e), "quote-binding");
  e = cloud_machine("sha256");
  e.nonce.clear();
  EXPECT_EQ(failed(e), "quote-binding") << "an empty nonce is none";
  e = cloud_machine("sha256");
  e.signature.back() ^= 1U;
  EXPECT_EQ(failed(e), "quote-signature");
  e = cloud_machine("sha256");
  for (auto& v : *e.pcrs)
    if (v.pcr == 4)
      v.value[0] ^= 1U;
  EXPECT_EQ(failed(e), "pcr-digest event-log-replay@4");
  e = cloud_machine("sha256");
  std::erase_if(*e.pcrs, [](const auto& v) { return v.pcr == 7; });
  EXPECT_EQ(failed(e), "pcr-selection@7");
  e = cloud_machine("sha256");
  e.event_log = read_data("attestation/eventlogs/cos-93-amd-sev.bin");
  EXPECT_EQ(failed(e).substr(0, 16), "event-log-replay");
}

TEST(ManualCheck, ACertificationIsNoQuote) { // CVE-2024-29038 and its like
  const auto folder = quotes + "veraison-parsec-tpm/";
  manual_evidence e;
  e.ak = read_data(folder + "ak.pub.pem");
  e.quote = read_data(folder + "quote.attest.bin");
  e.signature = read_data(folder + "quote.sig.bin");
  e.nonce = {0xDE, 0xAD, 0xBE, 0xEF, 0xDE, 0xAD, 0xBE, 0xEF};
  EXPECT_EQ(failed(e), "");
  e.quote = read_data(folder + "certify.attest.bin");
  e.signature = read_data(folder + "certify.sig.bin");
  EXPECT_EQ(failed(e), "quote-type");
}

TEST(ManualCheck, AKeyThatSignsAnythingIsNoAttestationKey) { // CVE-2021-3406 and its like
  auto e = cloud_machine("sha256");
  e.ak = read_data(quotes + "veraison-parsec-tpm/key.tpmt_public.bin");
  EXPECT_EQ(failed(e).substr(0, 15), "attestation-key");
}

TEST(ManualCheck, NamesWhatDoesNotRead) {
  for (std::size_t n = 0; n < 4; ++n) {
    auto e = cloud_machine("sha256");
    auto& part = n == 0 ? e.ak : n == 1 ? e.quote : n == 2 ? e.signature : *e.event_log;
    const std::array<std::string, 4> names{"ak", "quote", "signature", "event log"};
    const auto whole = part;
    for (const auto size : {whole.size() - 1, whole.size() / 2, std::size_t{8}}) {
      part.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(failed(e), "error in " + names[n]) << size;
    }
  }
}

TEST(ManualCheck, WithoutValuesTheLogMustLeadToTheQuote) {
  auto e = cloud_machine("sha256");
  e.pcrs.reset();
  EXPECT_EQ(failed(e), "event-log-replay") << "PCR 10 is not in the boot log";
}

} // namespace
} // namespace custos::attestation
