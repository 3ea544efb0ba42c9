#include "actors/attestation/reappraisal.hpp"
#include "actors/attestation/verifier_core.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

// What a node remembers of a host: its binding, its clock, its last verdict, its evidence.
namespace custos::attestation {
namespace {

using namespace test;

class KnownHost : public testing::Test {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  verifier_shared shared;
  std::vector<std::shared_ptr<const kept_evidence>> kept;
  std::unique_ptr<verifier_core> core;

  KnownHost() {
    s.freeze();
    shared.changed = [this](const host_id& id, std::shared_ptr<const kept_evidence> e) {
      EXPECT_EQ(id, host);
      if (e)
        kept.push_back(std::move(e));
    };
    core = std::make_unique<verifier_core>(s.keys, shared);
  }
  std::string check_of(const evidence& e, std::int64_t at = now) {
    const auto found = core->appraise(e, s.config, at);
    return found ? "" : found.failure().check;
  }
  std::string check_of(const draft& d, std::int64_t at = now) { return check_of(s.sign(d), at); }
  host_record record() const { return *shared.hosts->find(host); }
  void reconfigure() { s.config = std::make_shared<config_snapshot>(*s.config); }
};

TEST_F(KnownHost, SaysWhetherItIsBound) {
  EXPECT_TRUE(must(core->appraise(s.good(), s.config, now)).unbound);
  s.bind();
  EXPECT_FALSE(must(core->appraise(s.good(), s.config, now)).unbound);
  reconfigure();
  s.config->hosts[host].ak_name = bytes(34, 9);
  EXPECT_EQ(check_of(s.good()), "host-binding");
  reconfigure();
  s.config->hosts[host].ak_name.clear();
  EXPECT_EQ(check_of(s.good()), "") << "bound by hand, to the endorsement key only";
}

/// The AK that was certified is the AK that must have signed; another of the same host is another.
TEST_F(KnownHost, Cve2022_1053_AnotherAkOfTheSameHost) {
  s.bind();
  const software_tpm other(ak_kind::p256);
  auto e = s.good();
  e.signature = other.sign(e.quote);
  EXPECT_EQ(check_of(e), "quote-signature");
  auto enrolled = s.enrolled;
  enrolled.ak = must(tpm::parse_public(other.ak_public));
  auto d = s.begin();
  d.e.ak_certificate =
      must(issue_ak_certificate(enrolled, s.keys->ak_ca_key, s.keys->ak_ca_certificate)).der();
  d.e.quote = tpm::test::quote_bytes(d.quote);
  d.e.signature = other.sign(d.e.quote);
  EXPECT_EQ(check_of(d.e), "host-binding") << "certified, but not the one the host is bound to";
}

TEST_F(KnownHost, ClockOfTheQuote) {
  auto d = s.begin();
  d.quote.clock = 5000;
  EXPECT_EQ(check_of(d), "");
  d = s.begin();
  d.quote.clock = 4999;
  EXPECT_EQ(check_of(d), "clock");
  d = s.begin();
  d.quote.clock = 100;
  d.quote.reset_count = 8;
  d.quote.restart_count = 0;
  EXPECT_EQ(check_of(d), "") << "a reboot";
  EXPECT_EQ(shared.hosts->standing(host)->reset_count, 8U);
  d = s.begin();
  d.quote.clock = 6000;
  EXPECT_EQ(check_of(d), "clock") << "a quote of the boot before";
  EXPECT_EQ(shared.hosts->standing(host)->reset_count, 8U);
}

TEST_F(KnownHost, AClockThatIsAuditedOnlyLeavesAFinding) {
  reconfigure();
  s.config->settings.require_safe_clock = true;
  auto d = s.begin();
  d.quote.safe = 0;
  EXPECT_EQ(check_of(d), "clock");
  reconfigure();
  s.config->settings.audit_only = {"clock"};
  d = s.begin();
  d.quote.safe = 0;
  const auto found = must(core->appraise(s.sign(d), s.config, now));
  ASSERT_EQ(found.boot.findings.size(), 1U);
  EXPECT_EQ(found.boot.findings[0].check, "clock");
  EXPECT_EQ(record().last.findings.size(), 1U);
}

/// A bad signature shows at once; it does not end tokens, since anybody could have sent it.
TEST_F(KnownHost, Cve2023_3674_AFailureIsOnRecordAtOnce) {
  EXPECT_EQ(check_of(s.good()), "");
  EXPECT_TRUE(record().last.accepted);
  auto e = s.good();
  e.signature.back() ^= 1;
  EXPECT_EQ(check_of(e, now + 1), "quote-signature");
  EXPECT_FALSE(record().last.accepted);
  EXPECT_EQ(record().last.check, "quote-signature");
  EXPECT_EQ(record().last.at, now + 1);
  EXPECT_EQ(record().failed_since, 0);
  EXPECT_EQ(record().last_attested, now);
}

TEST_F(KnownHost, AChangedBootEndsTheHostsStanding) {
  EXPECT_EQ(check_of(s.good()), "");
  reconfigure();
  s.config->base_images.at("good").pcrs.at(4).events.back().digest.back() ^= 1;
  EXPECT_EQ(check_of(s.good(), now + 5), "base-image");
  EXPECT_EQ(record().failed_since, now + 5);
  EXPECT_EQ(record().last.pcr, 4U);
  EXPECT_TRUE(record().last.event);
}

TEST_F(KnownHost, ANameAloneLeavesNoRecord) {
  auto e = s.good();
  e.ak_certificate.back() ^= 1;
  EXPECT_EQ(check_of(e), "ak-certificate");
  EXPECT_FALSE(shared.hosts->find(host));
  auto other = s.good();
  other.host = "victim";
  EXPECT_EQ(check_of(other), "ak-certificate");
  EXPECT_FALSE(shared.hosts->find("victim"));
}

TEST_F(KnownHost, EvidenceIsKeptOnce) {
  EXPECT_EQ(check_of(s.good()), "");
  EXPECT_EQ(check_of(s.good()), "");
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0]->event_log, s.log);
  EXPECT_FALSE(record().evidence_sha256.empty());
}

TEST_F(KnownHost, WatchedImagesDecideNothing) {
  reconfigure();
  s.config->base_images["watched"] = s.image();
  s.config->base_images["watched"].audit_only = true;
  s.config->base_images["watched"].name = "watched";
  s.config->base_images["watched-too"] = s.config->base_images.at("watched");
  s.config->base_images["watched-too"].name = "watched-too";
  s.config->base_images["watched-too"].pcrs.at(4).events.back().digest.back() ^= 1;
  const auto found = must(core->appraise(s.good(), s.config, now));
  EXPECT_EQ(found.image->name, "good");
  EXPECT_EQ(found.boot.watched,
            (std::vector<std::pair<std::string, bool>>{{"watched", true}, {"watched-too", false}}));
  reconfigure();
  s.config->base_images.erase("good");
  EXPECT_EQ(check_of(s.good()), "base-image") << "a watched image grants nothing";
}

TEST_F(KnownHost, DemandsOfSecureBoot) {
  reconfigure();
  auto& image = s.config->base_images["good"];
  image.secure_boot = secure_boot_demand{};
  const auto found = must(core->appraise(s.good(), s.config, now));
  EXPECT_EQ(found.boot.secure_boot, true) << "the recorded machine had it on";
  reconfigure();
  s.config->base_images["good"].secure_boot->enabled = false;
  EXPECT_EQ(check_of(s.good()), "secure-boot");
  reconfigure();
  s.config->settings.audit_only = {"secure-boot"};
  const auto audited = must(core->appraise(s.good(), s.config, now));
  ASSERT_EQ(audited.boot.findings.size(), 1U);
  EXPECT_EQ(audited.boot.findings[0].check, "secure-boot");
  reconfigure();
  s.config->settings.audit_only.clear();
  s.config->base_images["good"].secure_boot = secure_boot_demand{true, {}, {bytes(32, 0x77)}};
  EXPECT_EQ(check_of(s.good()), "secure-boot") << "dbx lacks what it must hold";
}

TEST_F(KnownHost, AnImaLogThatIsDemanded) {
  reconfigure();
  ima_policy policy;
  policy.ignored = {"/usr"};
  s.config->base_images["good"].ima = policy;
  const auto e = s.good();
  const auto found = core->appraise(e, s.config, now);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.failure().check, "ima-log");
  EXPECT_EQ(found.failure().field, "/ima_log");
}

TEST_F(KnownHost, KeptEvidenceIsJudgedAgain) {
  EXPECT_EQ(check_of(s.good()), "");
  ASSERT_EQ(kept.size(), 1U);
  const auto present = make_context(s.config, s.keys->ak_ca_certificate, now);
  const auto again = reappraise(*kept[0], present);
  ASSERT_TRUE(again) << again.failure().message;
  EXPECT_EQ(again->image->name, "good");

  auto changed = std::make_shared<config_snapshot>(*s.config);
  changed->base_images.at("good").pcrs.at(4).events.back().digest.back() ^= 1;
  const auto outcome =
      simulate(*kept[0], present, make_context(changed, s.keys->ak_ca_certificate, now));
  EXPECT_TRUE(outcome.before.ok());
  ASSERT_FALSE(outcome.after.ok());
  EXPECT_EQ(outcome.after.failure().check, "base-image");
  const auto shown = outcome.document();
  EXPECT_EQ(shown.at("after").at("check").as_string(), "base-image");
  EXPECT_EQ(shown.at("before").at("image").as_string(), "good");

  auto distrusted = std::make_shared<config_snapshot>(*s.config);
  distrusted->endorsement_keys.clear();
  EXPECT_EQ(reappraise(*kept[0], make_context(distrusted, s.keys->ak_ca_certificate, now))
                .failure()
                .check,
            "ek-not-trusted");
  auto quarantined = std::make_shared<config_snapshot>(*s.config);
  s.bind();
  quarantined->hosts[host] = s.config->hosts.at(host);
  quarantined->hosts[host].quarantined = true;
  EXPECT_EQ(reappraise(*kept[0], make_context(quarantined, s.keys->ak_ca_certificate, now))
                .failure()
                .check,
            "host-quarantined");
}

} // namespace
} // namespace custos::attestation
