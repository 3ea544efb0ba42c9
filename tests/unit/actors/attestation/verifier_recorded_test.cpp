#include "actors/attestation/verifier_core.hpp"
#include "adapters/eventlog/writer.hpp"
#include "tests/unit/actors/attestation/log_surgery.hpp"
#include "tests/unit/adapters/eventlog/recorded_logs.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <sstream>

// What other projects recorded on real machines, through the whole verifier.
namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
using custos::test::read_data;
using custos::test::read_text;
namespace et = eventlog::event_type;

/// As attested: every active bank that we accept is quoted.
std::vector<hash_alg> banks_of(const bytes& log) {
  auto banks = must(eventlog::parse(log)).known_banks();
  if (banks.size() > 1)
    std::erase(banks, hash_alg::sha1);
  return banks;
}

std::string verdict_of(const scene& s, const evidence& e) {
  verifier_core core(s.keys);
  const auto verdict = core.appraise(e, s.config, now);
  return verdict ? "affirmed" : verdict.failure().check;
}

// The lists are those of the data as it was handed over; a file that is missing or was changed
// would make every verdict about another one.
TEST(RecordedData, EveryFileIsAsItWasReceived) {
  std::istringstream lines(read_text("attestation/MANIFEST.md"));
  std::size_t files = 0;
  for (std::string line; std::getline(lines, line);) {
    // "<SHA-256>  <path>"
    if (line.size() < 67 || line.substr(64, 2) != "  " ||
        line.find_first_not_of("0123456789abcdef") != 64)
      continue;
    const auto content = read_data("attestation/" + line.substr(66));
    EXPECT_EQ(crypto::hex(crypto::sha256(content)), line.substr(0, 64)) << line.substr(66);
    ++files;
  }
  EXPECT_EQ(files, 136U);
}

TEST(RecordedBoot, RealMachinesAreAffirmedWithTheirOwnImage) {
  const std::vector<std::string> logs{"rhel8-uefi",
                                      "ubuntu-1804-amd-sev",
                                      "ubuntu-2104-no-dbx",
                                      "ubuntu-2104-no-secure-boot",
                                      "glinux-alex",
                                      "cos-85-amd-sev",
                                      "cos-93-amd-sev",
                                      "eventlogwithsp800155",
                                      "confidential-gke-debug-251000_eventlog",
                                      "tpm2-tools/event-sd-boot-fedora37",
                                      "tpm2-tools/event-postcode",
                                      "tpm2-tools/event-bootorder",
                                      "go-attestation/crypto_agile_eventlog",
                                      "keylime/binary_bios_measurements",
                                      "keylime/binary_bios_measurements-secureboot"};
  for (const auto& name : logs) {
    const auto log = recorded("eventlogs/" + name + ".bin");
    const scene s(log, ak_kind::p256, banks_of(log));
    EXPECT_EQ(verdict_of(s, s.good()), "affirmed") << name;
  }
}

TEST(RecordedBoot, NoMachineIsTakenForAnother) {
  const std::vector<std::string> logs{"rhel8-uefi", "ubuntu-1804-amd-sev", "ubuntu-2104-no-dbx",
                                      "ubuntu-2104-no-secure-boot"};
  for (const auto& mine : logs)
    for (const auto& other : logs) {
      const auto log = recorded("eventlogs/" + mine + ".bin");
      const scene s(log, ak_kind::p256, banks_of(log));
      const scene accepted(recorded("eventlogs/" + other + ".bin"));
      s.config->base_images = accepted.config->base_images;
      EXPECT_EQ(verdict_of(s, s.good()), mine == other ? "affirmed" : "base-image")
          << mine << " against " << other;
    }
}

TEST(RecordedBoot, NumbersOfEventsAreThoseOfTheSources) {
  const std::vector<std::pair<std::string, std::size_t>> logs{
      {"go-attestation/crypto_agile_eventlog", 27},
      {"go-attestation/short_no_action_eventlog", 1},
      {"keylime/binary_bios_measurements", 121},
      {"keylime/binary_bios_measurements-secureboot", 99}};
  for (const auto& [name, events] : logs) {
    const auto log = recorded("eventlogs/" + name + ".bin");
    EXPECT_EQ(must(eventlog::parse(log)).events.size(), events) << name;
  }
}

TEST(RecordedBoot, AnEmptyLogIsRefused) {
  const scene s(recorded("eventlogs/rhel8-uefi.bin"));
  auto d = s.begin();
  d.e.event_log = read_data("attestation/eventlogs/keylime/binary_bios_measurements-empty.bin");
  EXPECT_EQ(verdict_of(s, s.sign(d)), "event-log-malformed");
}

TEST(RecordedBoot, Sha1LogsOnlyWhereSha1IsAllowed) {
  for (const std::string name :
       {"debian-10", "go-attestation/option_rom_eventlog", "tpm2-tools/event-uefi-sha1-log"}) {
    const scene s(recorded("eventlogs/" + name + ".bin"), ak_kind::p256, {hash_alg::sha1});
    EXPECT_EQ(verdict_of(s, s.good()), "event-log-malformed") << name;
    s.config->settings.allow_sha1 = true;
    EXPECT_EQ(verdict_of(s, s.good()), "affirmed") << name;
  }
  // One short unmeasured event in the old form.
  const scene s(recorded("eventlogs/rhel8-uefi.bin"));
  auto d = s.begin();
  d.e.event_log = recorded("eventlogs/go-attestation/short_no_action_eventlog.bin");
  EXPECT_EQ(verdict_of(s, s.sign(d)), "event-log-malformed");
}

TEST(RecordedBoot, AMinimalLogLeavesPcrsUnextended) {
  const auto log = recorded("eventlogs/tpm2-tools/event.bin");
  auto banks = banks_of(log);
  const scene s(log, ak_kind::p256, banks);
  EXPECT_EQ(verdict_of(s, s.good()), "pcr-bank");
}

// ---- the cloud machine that was quoted ----------------------------------------------------------

const std::string gce = "quotes/gce-cos-85-nonce9009/";

/// Its values as recorded, PCR 10 included, which the kernel extends behind the log's back.
draft gce_draft(const scene& s, const std::vector<std::string>& banks) {
  const auto document = boost::json::parse(read_text("attestation/" + gce + "pcrs.json"));
  auto d = s.begin();
  d.e.pcrs.clear();
  for (const auto& bank : banks)
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
      const auto& value = document.at("banks").at(bank).at(std::to_string(pcr)).as_string();
      d.e.pcrs.push_back({static_cast<std::uint16_t>(must(crypto::hash_alg_of(bank))), pcr,
                          must(crypto::from_hex(value))});
    }
  d.requote();
  return d;
}

TEST(RecordedQuote, TheCloudMachinesValuesAreAffirmed) {
  const scene s(recorded(gce + "eventlog.bin"), ak_kind::rsa);
  EXPECT_EQ(verdict_of(s, s.sign(gce_draft(s, {"sha256", "sha384"}))), "affirmed");
  EXPECT_EQ(verdict_of(s, s.sign(gce_draft(s, {"sha384", "sha256"}))), "affirmed");
  EXPECT_EQ(verdict_of(s, s.sign(gce_draft(s, {"sha1", "sha256", "sha384"}))), "affirmed");
}

TEST(RecordedQuote, TheCloudMachinesSha1BankDecidesNothing) {
  const scene s(recorded(gce + "eventlog.bin"), ak_kind::rsa, {hash_alg::sha1});
  EXPECT_EQ(verdict_of(s, s.sign(gce_draft(s, {"sha1"}))), "pcr-bank");
  EXPECT_EQ(verdict_of(s, s.sign(gce_draft(s, {"sha1", "sha256", "sha384"}))), "base-image");
  s.config->settings.allow_sha1 = true;
  EXPECT_EQ(verdict_of(s, s.sign(gce_draft(s, {"sha1", "sha256", "sha384"}))), "affirmed");
}

TEST(RecordedQuote, ItsMeasuredKernelLogCannotBeJudgedByTheBootLog) {
  const scene s(recorded(gce + "eventlog.bin"));
  s.config->base_images.at("good").pcrs.push_back({10, pcr_form::ignored, {}, {}});
  EXPECT_EQ(verdict_of(s, s.sign(gce_draft(s, {"sha256", "sha384"}))), "event-log-replay");
}

/// Enrols the recorded key, presents the recorded quote: the signature holds, and then the quote
/// turns out to be somebody else's.
struct recorded_quote {
  bytes ak_public, quote, signature;
};

std::string verdict_on(const recorded_quote& q) {
  scene s(recorded("eventlogs/rhel8-uefi.bin"));
  s.enrolled.ak = must(tpm::parse_public(q.ak_public));
  auto e = s.begin().e;
  e.quote = q.quote;
  e.signature = q.signature;
  return verdict_of(s, e);
}

bytes public_of(const crypto::key& key) {
  if (key.type() == crypto::key_type::p256)
    return tpm::test::ecc_public(key, {});
  return tpm::test::rsa_public(tpm::test::modulus_of(key), {.scheme = 0x0014});
}

std::vector<recorded_quote> recorded_quotes() {
  std::vector<recorded_quote> out;
  for (const std::string bank : {"sha1", "sha256", "sha384"})
    out.push_back({recorded(gce + "ak.tpmt_public.bin"),
                   recorded(gce + "quote." + bank + ".attest.bin"),
                   recorded(gce + "quote." + bank + ".sig.bin")});
  for (const std::string dir : {"quotes/veraison-parsec-tpm/", "quotes/keylime-unittest/"})
    out.push_back({public_of(must(crypto::public_key_from_pem(recorded(dir + "ak.pub.pem")))),
                   recorded(dir + "quote.attest.bin"), recorded(dir + "quote.sig.bin")});
  const auto trustee =
      boost::json::parse(read_text("attestation/quotes/trustee-tpm/tpm_evidence.json"));
  const auto octets = [](const boost::json::value& v) {
    return must(crypto::from_base64(std::string_view(v.as_string())));
  };
  out.push_back({public_of(must(crypto::public_key_from_spki(octets(trustee.at("ak_public"))))),
                 octets(trustee.at("tpm_quote").at("message")),
                 octets(trustee.at("tpm_quote").at("signature"))});
  return out;
}

TEST(RecordedQuote, GenuineQuotesOfOthersStopAtTheBinding) {
  for (const auto& q : recorded_quotes())
    EXPECT_EQ(verdict_on(q), "quote-binding");
}

TEST(RecordedQuote, ACertificationStopsAtItsType) {
  auto q = recorded_quotes().at(3);
  q.quote = recorded("quotes/veraison-parsec-tpm/certify.attest.bin");
  q.signature = recorded("quotes/veraison-parsec-tpm/certify.sig.bin");
  EXPECT_EQ(verdict_on(q), "quote-type");
  q.ak_public = recorded("enrolment/goattest-infineon-rsa-ak/ak.tpmt_public.bin");
  q.quote = recorded("enrolment/goattest-infineon-rsa-ak/creation.attest.bin");
  q.signature = recorded("enrolment/goattest-infineon-rsa-ak/creation.sig.bin");
  EXPECT_EQ(verdict_on(q), "quote-type");
}

TEST(RecordedQuote, TheKeyOfOneSignedNothingOfAnother) {
  const auto all = recorded_quotes();
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j) {
      if (all[i].ak_public == all[j].ak_public)
        continue;
      auto mixed = all[j];
      mixed.ak_public = all[i].ak_public;
      EXPECT_EQ(verdict_on(mixed), "quote-signature") << i << " " << j;
    }
}

// ---- Secure Boot --------------------------------------------------------------------------------

constexpr std::array<std::uint8_t, 16> some_guid{0x61, 0xDF, 0xE4, 0x8B, 0xCA, 0x93, 0xD2, 0x11,
                                                 0xAA, 0x0D, 0x00, 0xE0, 0x98, 0x03, 0x2B, 0x8C};

/// A boot whose Secure Boot variables are these.
bytes boot_with(bool secure_boot, const std::vector<std::string>& db) {
  constexpr std::array<hash_alg, 1> banks{hash_alg::sha256};
  eventlog::writer log(banks);
  const auto variable = [&](const char* name, byte_view data) {
    log.add_hashed(7, et::efi_variable_driver_config,
                   eventlog::make_uefi_variable(some_guid, name, data));
  };
  variable("SecureBoot", bytes(1, secure_boot ? 1 : 0));
  variable("PK", recorded("secureboot/GcePk.crt"));
  variable("KEK", recorded("secureboot/MicCorKEKCA2011_2011-06-24.crt"));
  bytes certificates;
  for (const auto& name : db) {
    const auto one = recorded("secureboot/" + name);
    EXPECT_TRUE(crypto::certificate_from_der(one)) << name;
    certificates.insert(certificates.end(), one.begin(), one.end());
  }
  variable("db", certificates);
  variable("dbx", {});
  for (std::uint32_t pcr = 0; pcr < 8; ++pcr)
    log.add_hashed(pcr, et::separator, bytes(4, 0));
  return log.log();
}

TEST(RecordedSecureBoot, WhatTheImageSawOfItIsDemanded) {
  const std::vector<std::string> microsoft{"MicWinProPCA2011_2011-10-19.crt",
                                           "MicCorUEFCA2011_2011-06-27.crt"};
  const scene good(boot_with(true, microsoft), ak_kind::p256, {hash_alg::sha256});
  EXPECT_EQ(verdict_of(good, good.good()), "affirmed");
  const auto refused = [&](const bytes& log, std::uint32_t event, const char* variable) {
    const scene s(log, ak_kind::p256, {hash_alg::sha256});
    s.config->base_images = good.config->base_images;
    verifier_core core(s.keys);
    const auto verdict = core.appraise(s.good(), s.config, now);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.failure().check, "base-image");
    EXPECT_EQ(verdict.failure().pcr, 7U);
    EXPECT_EQ(verdict.failure().event, event);
    EXPECT_NE(verdict.failure().message.find(variable), std::string::npos)
        << verdict.failure().message;
  };
  refused(boot_with(false, microsoft), 1, "SecureBoot");
  // A signer whose boot loaders can be made to load anything, and that dbx does not name.
  for (const std::string revoked :
       {"canonical-boothole.crt", "cisco-boothole.crt", "debian-boothole.crt"}) {
    auto db = microsoft;
    db.push_back(revoked);
    refused(boot_with(true, db), 4, "db");
  }
}

} // namespace
} // namespace custos::attestation
