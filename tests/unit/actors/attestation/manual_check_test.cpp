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

/// The recorded quote of keylime's unit test: PCR 16 of the SHA-256 bank.
manual_evidence debug_pcr_machine() {
  const auto folder = quotes + "keylime-unittest/";
  manual_evidence e;
  e.ak = read_data(folder + "ak.pub.pem");
  e.quote = read_data(folder + "quote.attest.bin");
  e.signature = read_data(folder + "quote.sig.bin");
  e.nonce = read_data(folder + "nonce.txt");
  // A C structure of tpm2-tools: the one value lies behind the selection.
  const auto values = read_data(folder + "pcrs.tpm2tools-struct.bin");
  e.pcrs = std::vector<pcr_value>{{0x000B, 16, to_bytes(byte_view(values).subspan(0x8E, 32))}};
  return e;
}

TEST(ManualCheck, AMachineOfTrusteeIsAcceptedWithItsNonce) {
  const auto document = boost::json::parse(read_text(quotes + "trustee-tpm/tpm_evidence.json"));
  const auto octets = [](const boost::json::value& v) {
    return *crypto::from_base64(std::string_view(v.as_string()));
  };
  manual_evidence e;
  const auto pem = crypto::public_key_from_spki(octets(document.at("ak_public")))->public_pem();
  e.ak.assign(pem.begin(), pem.end());
  e.quote = octets(document.at("tpm_quote").at("message"));
  e.signature = octets(document.at("tpm_quote").at("signature"));
  e.nonce = *crypto::from_hex("a04182b506878d4f29b91ee606a71a0d3361ccf1b22db20c98adcaa537bea393"
                              "ef0e41a18b3569ab678f1497fbc5c120");
  e.nonce.resize(64, 0); // as the file has it
  e.pcrs.emplace();
  for (const auto& value : document.at("tpm_quote").at("pcrs").as_array())
    e.pcrs->push_back({0x000B, static_cast<std::uint32_t>(e.pcrs->size()),
                       *crypto::from_hex(std::string_view(value.as_string()))});
  EXPECT_EQ(failed(e), "");
  const auto checks = *check_manually(e);
  EXPECT_TRUE(std::any_of(checks.begin(), checks.end(), [](const auto& c) {
    return c.check == "attestation-key" && c.verdict == check_verdict::skipped;
  })) << "nobody vouches for the key";
  e.nonce.back() ^= 1U;
  EXPECT_EQ(failed(e), "quote-binding");
}

TEST(ManualCheck, AQuoteOfTheDebugPcrIsGenuine) {
  auto e = debug_pcr_machine();
  EXPECT_EQ(failed(e), "");
  e.nonce.pop_back();
  EXPECT_EQ(failed(e), "quote-binding");
}

TEST(ManualCheck, CVE_2024_29039_ADebugPcrIsNoOther) { // NOLINT(readability-identifier-naming)
  for (std::uint32_t pcr = 0; pcr < 24; ++pcr) {
    if (pcr == 16)
      continue;
    auto e = debug_pcr_machine();
    e.pcrs->front().pcr = pcr;
    EXPECT_EQ(failed(e), "pcr-selection@16") << pcr;
  }
}

// Of the values shown, as recorded, each one changed, left out, under another number or bank.
TEST(ManualCheck, EveryValueOfTheCloudMachineCounts) {
  for (const auto& bank :
       {std::pair<std::string, std::uint16_t>{"sha256", 0x000B}, {"sha384", 0x000C}})
    for (std::uint32_t pcr = 0; pcr < 24; ++pcr) {
      const auto whole = cloud_machine(bank.first);
      const auto changed = [&](auto&& change) {
        auto e = whole;
        const auto at = std::find_if(e.pcrs->begin(), e.pcrs->end(), [&](const auto& v) {
          return v.bank == bank.second && v.pcr == pcr;
        });
        change(*at);
        return failed(e);
      };
      const auto n = std::to_string(pcr);
      EXPECT_EQ(changed([](auto& v) { v.value.back() ^= 1U; }).substr(0, 10), "pcr-digest") << n;
      EXPECT_EQ(changed([](auto& v) { v.value.pop_back(); }), "pcr-selection@" + n);
      EXPECT_EQ(changed([](auto& v) { v.bank = 0x0004; }), "pcr-selection@" + n);
      EXPECT_EQ(changed([](auto& v) { v.pcr = 24; }), "pcr-selection@" + n);
      // Under its neighbour's number that one is there twice.
      EXPECT_EQ(changed([](auto& v) { v.pcr ^= 1U; }), "pcr-selection@" + std::to_string(pcr ^ 1U));
    }
}

TEST(ManualCheck,
     CVE_2024_29038_CVE_2024_29040_charra_90) { // NOLINT(readability-identifier-naming)
  auto e = cloud_machine("sha256");
  for (unsigned bit = 0; bit < 32; ++bit) {
    auto forged = e;
    forged.quote.at(bit / 8) ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_EQ(failed(forged), "quote-magic") << bit;
  }
}

TEST(ManualCheck, AnAttestationKeyWithSha1OnlyWhereItIsAllowed) {
  const std::string folder = "attestation/enrolment/goattest-infineon-rsa-ak/";
  manual_evidence e;
  e.ak = read_data(folder + "ak.tpmt_public.bin");
  e.quote = read_data(folder + "creation.attest.bin");
  e.signature = read_data(folder + "creation.sig.bin");
  EXPECT_EQ(failed(e), "attestation-key quote-type");
  e.allow_sha1 = true;
  EXPECT_EQ(failed(e), "quote-type") << "of a creation, but of a good key";
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
