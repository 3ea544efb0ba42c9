#include "actors/attestation/verifier_core.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "tests/unit/actors/attestation/refusals.hpp"

#include <gtest/gtest.h>

// One host with a recorded boot is affirmed; then each check says no alone, under its own name.
namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;

class Verifier : public testing::Test {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  verifier_core core{s.keys};

  error refused(const evidence& e, const std::string& check, const std::string& field,
                std::int64_t at = now) {
    auto why = refusal_of(core, s, e, check, at);
    EXPECT_EQ(why.field, field) << why.message;
    EXPECT_FALSE(why.message.empty());
    return why;
  }
  void affirmed(const evidence& e, std::int64_t at = now) { expect_affirmed(core, s, e, at); }
  /// The next snapshot: verifiers tell snapshots apart by address.
  void reconfigure() { s.config = std::make_shared<config_snapshot>(*s.config); }
};

TEST_F(Verifier, AffirmsWhatItKnows) {
  for (const auto kind : {ak_kind::p256, ak_kind::rsa}) {
    const scene own(recorded("eventlogs/rhel8-uefi.bin"), kind);
    verifier_core verifier(own.keys);
    const auto verdict = verifier.appraise(own.good(), own.config, now);
    ASSERT_TRUE(verdict) << verdict.failure().message;
    EXPECT_EQ(verdict->image.get(), &std::as_const(own.config->base_images).at("good"));
    EXPECT_EQ(verdict->ek_spki_sha256, crypto::sha256(own.device.ek.spki_der()));
    EXPECT_EQ(to_bytes(verdict->key_thumbprint), must(jose::thumbprint_digest(own.transport)));
    EXPECT_EQ(verdict->ak_name, must(tpm::parse_public(own.device.ak_public)).name);
    EXPECT_EQ(verdict->nonce.size(), nonce_bytes);
    EXPECT_EQ(verdict->reset_count, 7U);
  }
}

TEST_F(Verifier, AffirmsAgainAndAgain) {
  for (int i = 0; i < 20; ++i)
    affirmed(s.good(now + i), now + i);
}

// ---- 1 ------------------------------------------------------------------------------------------

TEST_F(Verifier, SizeOfTheWholeEvidence) {
  auto e = s.good();
  std::size_t total = e.ak_certificate.size() + e.quote.size() + e.signature.size() +
                      e.event_log.size() + e.transport_key.size();
  for (const auto& v : e.pcrs)
    total += v.value.size();
  s.config->settings.evidence_bytes_max = static_cast<std::uint32_t>(total - 1);
  refused(e, "evidence-size", "");
  s.config->settings.evidence_bytes_max = static_cast<std::uint32_t>(total);
  affirmed(e);
}

TEST_F(Verifier, SizeOfTheEventLog) {
  s.config->settings.event_log_bytes_max = static_cast<std::uint32_t>(s.log.size() - 1);
  refused(s.good(), "evidence-size", "/event_log");
  s.config->settings.event_log_bytes_max = static_cast<std::uint32_t>(s.log.size());
  affirmed(s.good());
}

// ---- 2 ------------------------------------------------------------------------------------------

TEST_F(Verifier, TicketOfAnotherCluster) {
  auto d = s.begin();
  d.e.ticket = make_ticket(crypto::random_bytes(32), now, 60).ticket;
  EXPECT_FALSE(refused(s.sign(d), "ticket-invalid", "/ticket").retryable);
}

TEST_F(Verifier, TicketAfterItsLife) {
  affirmed(s.good(now), now + 59);
  EXPECT_TRUE(refused(s.good(now), "ticket-expired", "/ticket", now + 60).retryable);
}

TEST_F(Verifier, TicketTwice) {
  const auto e = s.good();
  affirmed(e);
  EXPECT_TRUE(refused(e, "ticket-replayed", "/ticket").retryable);
}

TEST_F(Verifier, AFailedAppraisalUsesTheTicketUp) {
  auto d = s.begin();
  auto bad = s.sign(d);
  bad.signature.back() ^= 1;
  refused(bad, "quote-signature", "/signature");
  refused(s.sign(d), "ticket-replayed", "/ticket");
}

// ---- 3 ------------------------------------------------------------------------------------------

TEST_F(Verifier, AkCertificateOfAnotherCa) {
  const auto other = make_cluster();
  auto d = s.begin();
  d.e.ak_certificate =
      must(issue_ak_certificate(s.enrolled, other->ak_ca_key, other->ak_ca_certificate)).der();
  refused(s.sign(d), "ak-certificate", "/ak_certificate");
}

TEST_F(Verifier, AkCertificateOutsideItsLife) {
  s.enrolled.not_before = now;
  s.enrolled.not_after = now + 5;
  refused(s.good(), "ak-certificate", "/ak_certificate", now - 1);
  affirmed(s.good(), now);
  affirmed(s.good(), now + 4);
  refused(s.good(), "ak-certificate", "/ak_certificate", now + 5);
}

TEST_F(Verifier, AkCertificateOfAnotherHost) {
  auto d = s.begin();
  d.e.host = "host-8";
  refused(s.sign(d), "ak-certificate", "/host");
}

TEST_F(Verifier, ARemovedEndorsementKeyEndsItsAttestationKeys) {
  affirmed(s.good());
  reconfigure();
  s.config->endorsement_keys.clear();
  refused(s.good(), "ek-not-trusted", "/ek_certificate");
}

TEST_F(Verifier, AQuarantinedHost) {
  affirmed(s.good());
  const auto ek = crypto::sha256(s.device.ek.spki_der());
  reconfigure();
  s.config->hosts[host] = {host, bytes(ek.begin(), ek.end()), false};
  affirmed(s.good());
  reconfigure();
  s.config->hosts[host].quarantined = true;
  refused(s.good(), "host-quarantined", "/host");
}

TEST_F(Verifier, AHostIdBoundToAnotherEndorsementKey) {
  s.config->hosts[host] = {host, bytes(32, 1), false};
  refused(s.good(), "host-binding", "/host");
}

// ---- 4 to 7 -------------------------------------------------------------------------------------

TEST_F(Verifier, QuoteThatNoTpmMade) {
  auto d = s.begin();
  d.quote.magic = 0x12345678;
  refused(s.sign(d), "quote-magic", "/quote");
}

TEST_F(Verifier, QuoteThatIsACertification) {
  for (const auto type : std::vector<std::uint16_t>{0x8014, 0x8017, 0x801A}) {
    auto d = s.begin();
    d.quote.type = type;
    refused(s.sign(d), "quote-type", "/quote");
  }
}

TEST_F(Verifier, SignatureOfAnotherKey) {
  for (const auto kind : {ak_kind::p256, ak_kind::rsa}) {
    const software_tpm other(kind);
    auto e = s.good();
    e.signature = other.sign(e.quote);
    refused(e, "quote-signature", "/signature");
  }
}

TEST_F(Verifier, SignatureOverAnotherQuote) {
  auto e = s.good();
  e.signature = s.good().signature;
  refused(e, "quote-signature", "/signature");
}

TEST_F(Verifier, SignatureThatClaimsAnotherHash) {
  auto e = s.good();
  ASSERT_EQ(e.signature.at(3), 0x0B);
  e.signature.at(3) = 0x0C;
  refused(e, "quote-signature", "/signature");
}

TEST_F(Verifier, SignatureWithSha1OnlyWhereAllowed) {
  const auto key = must(crypto::generate_p256());
  const auto area = tpm::test::ecc_public(key, {.scheme_hash = 0x0004});
  s.enrolled.ak = must(tpm::parse_public(area));
  const auto sign = [&](draft d) {
    d.e.quote = tpm::test::quote_bytes(d.quote);
    d.e.signature = tpm::test::ecdsa_signature(
        must(crypto::ecdsa_sign(key, hash_alg::sha1, d.e.quote)), 0x0004);
    return d.e;
  };
  auto d = s.begin();
  refused(sign(d), "quote-signature", "/signature");
  d = s.begin();
  bytes all;
  for (const auto& v : d.e.pcrs)
    all.insert(all.end(), v.value.begin(), v.value.end());
  d.quote.digest = crypto::digest(hash_alg::sha1, {all});
  s.config->settings.allow_sha1 = true;
  // With SHA-1 allowed, its active bank counts as well.
  refused(sign(d), "pcr-bank", "/quote");
}

TEST_F(Verifier, QuoteForAnotherChallenge) {
  auto d = s.begin();
  d.quote.extra = s.begin().quote.extra;
  EXPECT_FALSE(refused(s.sign(d), "quote-binding", "/quote").retryable);
}

TEST_F(Verifier, QuoteRelayedToAnotherTransportKey) {
  auto d = s.begin();
  d.e.transport_key = must(crypto::generate_p256()).spki_der();
  refused(s.sign(d), "quote-binding", "/quote");
}

TEST_F(Verifier, BindingIsNeitherAPrefixNorPadded) {
  const auto changes = std::vector<std::function<void(bytes&)>>{
      [](bytes& b) { b.clear(); }, [](bytes& b) { b.pop_back(); }, [](bytes& b) { b.push_back(0); },
      [](bytes& b) { b.assign(32, 0); }};
  for (const auto& change : changes) {
    auto d = s.begin();
    change(d.quote.extra);
    refused(s.sign(d), "quote-binding", "/quote");
  }
}

TEST_F(Verifier, TransportKeyIsOnP256) {
  for (const auto& key : {must(crypto::generate_rsa(2048)).spki_der(), bytes(), bytes(91, 0x30)}) {
    auto d = s.begin();
    d.e.transport_key = key;
    const auto why = refused(s.sign(d), "", "/transport_key");
    EXPECT_EQ(why.code, errc::invalid_argument);
  }
}

// ---- 8 to 10 ------------------------------------------------------------------------------------

TEST_F(Verifier, SelectionWithoutAPcrThatTheImageNeeds) {
  auto d = s.begin();
  std::erase_if(d.e.pcrs, [](const pcr_value& v) { return v.bank == 0x000B && v.pcr == 7; });
  d.requote();
  EXPECT_EQ(refused(s.sign(d), "pcr-selection", "/quote").pcr, 7U);
}

TEST_F(Verifier, SelectionWithoutTheBankThatTheImageNeeds) {
  auto d = s.begin();
  std::erase_if(d.e.pcrs, [](const pcr_value& v) { return v.bank == 0x000B; });
  d.requote();
  EXPECT_EQ(refused(s.sign(d), "pcr-selection", "/quote").pcr, 0U);
}

// The signature covers the selection; a value beside it would be the attacker's (CVE-2024-29039).
TEST_F(Verifier, ValuesAreExactlyThoseSelected) {
  const auto of = [](std::uint16_t bank, std::uint32_t pcr, std::size_t size) {
    return pcr_value{bank, pcr, bytes(size, 0)};
  };
  struct change {
    const char* what;
    std::uint32_t pcr;
    std::function<void(std::vector<pcr_value>&)> apply;
  };
  const std::vector<change> changes{
      {"of a bank that is not selected", 0, [&](auto& v) { v.push_back(of(0x0004, 0, 20)); }},
      {"of a PCR that is none", 24, [&](auto& v) { v.push_back(of(0x000B, 24, 32)); }},
      {"of no PCR by far", 0xFFFFFFFF, [&](auto& v) { v.push_back(of(0x000B, 0xFFFFFFFF, 32)); }},
      {"twice", 3, [](auto& v) { v.push_back(v[3]); }},
      {"dropped", 5, [](auto& v) { v.erase(v.begin() + 5); }},
      {"too short", 4, [](auto& v) { v[4].value.pop_back(); }},
      {"too long", 4, [](auto& v) { v[4].value.insert(v[4].value.begin(), 0); }},
      {"empty", 4, [](auto& v) { v[4].value.clear(); }},
      {"relabelled", 9, [](auto& v) { v[8].pcr = 9; }},
      {"of another bank", 7, [](auto& v) { v[7].bank = 0x000C; }},
  };
  for (const auto& c : changes) {
    auto e = s.good();
    c.apply(e.pcrs);
    EXPECT_EQ(refused(e, "pcr-selection", "/pcrs").pcr, c.pcr) << c.what;
  }
}

TEST_F(Verifier, SwappedValuesAreNotThoseQuoted) {
  auto e = s.good();
  std::swap(e.pcrs[4].value, e.pcrs[7].value);
  refused(e, "pcr-digest", "/pcrs");
}

TEST_F(Verifier, AChangedValueOfAnyPcrIsNotTheOneQuoted) {
  for (std::size_t i = 0; i < 48; ++i) {
    auto e = s.good();
    e.pcrs.at(i).value.back() ^= 1;
    EXPECT_TRUE(refused(e, "pcr-digest", "/pcrs").retryable) << i;
  }
}

TEST_F(Verifier, AnActiveBankThatIsNotQuoted) {
  auto d = s.begin();
  std::erase_if(d.e.pcrs, [](const pcr_value& v) { return v.bank == 0x000C; });
  d.requote();
  refused(s.sign(d), "pcr-bank", "/quote");
}

// CVE-2021-42299: what the firmware never extended, software can extend to anything.
TEST_F(Verifier, ABankThatWasNeverExtended) {
  for (const auto fill : bytes{0x00, 0xFF}) {
    auto d = s.begin();
    for (auto& v : d.e.pcrs)
      if (v.bank == 0x000C && v.pcr == 2)
        v.value.assign(v.value.size(), fill);
    d.requote();
    EXPECT_EQ(refused(s.sign(d), "pcr-bank", "/pcrs").pcr, 2U);
  }
}

TEST_F(Verifier, OnlyTheSelectionCountsNotTheOrderOfTheValues) {
  auto e = s.good();
  std::reverse(e.pcrs.begin(), e.pcrs.end());
  affirmed(e);
}

} // namespace
} // namespace custos::attestation
