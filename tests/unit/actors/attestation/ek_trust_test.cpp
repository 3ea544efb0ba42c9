#include "actors/attestation/ek_trust.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"

#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;
using tpm::test::vendor;

class EkTrust : public testing::Test {
protected:
  vendor maker;
  crypto::key ek = must(crypto::generate_p256());
  std::shared_ptr<config_snapshot> config = std::make_shared<config_snapshot>();
  ek_claim with_chain{ek, {maker.issue(ek).der(), maker.issuing.der()}};
  ek_claim bare{ek, {}};

  result<crypto::sha256_digest> verdict(const ek_claim& claim, std::int64_t at = now) {
    trust_index trust;
    trust.update(config);
    return check_ek_trust(claim, trust, at);
  }
  void trusted(const ek_claim& claim, std::int64_t at = now) {
    const auto v = verdict(claim, at);
    ASSERT_TRUE(v) << v.failure().message;
    EXPECT_EQ(*v, crypto::sha256(ek.spki_der()));
  }
  error refused(const ek_claim& claim, std::int64_t at = now) {
    const auto v = verdict(claim, at);
    EXPECT_FALSE(v);
    if (v)
      return {};
    EXPECT_EQ(v.failure().code, errc::attestation_failed);
    EXPECT_EQ(v.failure().check, "ek-not-trusted");
    EXPECT_EQ(v.failure().field, "/ek_certificate");
    return v.failure();
  }
  void list_key() {
    const auto f = crypto::sha256(ek.spki_der());
    config->endorsement_keys["one"] = {"one", bytes(f.begin(), f.end()), std::nullopt};
  }
  void trust_vendor() { config->tpm_cas["vendor"] = {"vendor", {maker.root.der()}}; }
};

TEST_F(EkTrust, NothingConfiguredTrustsNobody) {
  refused(bare);
  refused(with_chain);
  config->settings.require_certificate_validation = false;
  refused(bare);
  refused(with_chain);
}

TEST_F(EkTrust, AListedKeyNeedsNoCertificate) {
  list_key();
  trusted(bare);
  ek = must(crypto::generate_p256());
  refused({ek, {}});
}

TEST_F(EkTrust, AVendorsChain) {
  trust_vendor();
  trusted(with_chain);
  refused(bare);
}

TEST_F(EkTrust, BothSettingsInEveryCombination) {
  struct expectation {
    bool require_keys, require_certificates, listed, vouched, good;
  };
  const std::vector<expectation> table{
      // A key that is neither listed nor vouched for is never trusted.
      {false, false, false, false, false},
      {false, true, false, false, false},
      {true, false, false, false, false},
      {true, true, false, false, false},
      // Listed: enough by itself, unless both are required.
      {false, false, true, false, true},
      {false, true, true, false, true},
      {true, false, true, false, true},
      {true, true, true, false, false},
      // Vouched for by a CA: enough, unless keys must be listed.
      {false, false, false, true, true},
      {false, true, false, true, true},
      {true, false, false, true, false},
      {true, true, false, true, false},
      // Both.
      {false, false, true, true, true},
      {false, true, true, true, true},
      {true, false, true, true, true},
      {true, true, true, true, true},
  };
  for (const auto& t : table) {
    config = std::make_shared<config_snapshot>();
    config->settings.require_endorsement_keys = t.require_keys;
    config->settings.require_certificate_validation = t.require_certificates;
    trust_vendor();
    if (t.listed)
      list_key();
    EXPECT_EQ(verdict(t.vouched ? with_chain : bare).ok(), t.good)
        << t.require_keys << t.require_certificates << t.listed << t.vouched;
  }
}

TEST_F(EkTrust, TheRefusalOfAnUnlistedKeyNamesIt) {
  trust_vendor();
  config->settings.require_endorsement_keys = true;
  EXPECT_NE(refused(with_chain).message.find(crypto::hex(crypto::sha256(ek.spki_der()))),
            std::string::npos);
}

TEST_F(EkTrust, TheIntermediateIsMissing) {
  trust_vendor();
  with_chain.chain.pop_back();
  refused(with_chain);
  // Unless it is itself configured, with or without its root.
  config->tpm_cas["vendor"].certificates = {maker.issuing.der()};
  trusted(with_chain);
}

TEST_F(EkTrust, TheChainOfAnotherVendor) {
  config->tpm_cas["other"] = {"other", {vendor().root.der()}};
  refused(with_chain);
}

TEST_F(EkTrust, ARootThatComesWithTheEvidenceAnchorsNothing) {
  config->tpm_cas["other"] = {"other", {vendor().root.der()}};
  with_chain.chain.push_back(maker.root.der());
  refused(with_chain);
}

TEST_F(EkTrust, ACertificateOfAnotherKey) {
  trust_vendor();
  with_chain.ek_public = must(crypto::generate_p256());
  EXPECT_NE(refused(with_chain).message.find("another key"), std::string::npos);
}

TEST_F(EkTrust, ACertificateThatIsNoEkCertificate) {
  trust_vendor();
  with_chain.chain.front() = maker.issue(ek, {.key_usage = "critical,digitalSignature"}).der();
  refused(with_chain);
}

TEST_F(EkTrust, DatesOfTheLeaf) {
  trust_vendor();
  with_chain.chain.front() = maker.issue(ek, {.not_before = now, .not_after = now + 10}).der();
  refused(with_chain, now - 1);
  trusted(with_chain, now);
  trusted(with_chain, now + 9);
  refused(with_chain, now + 11);
}

TEST_F(EkTrust, DatesOfTheIntermediateAndTheRoot) {
  for (const bool root : {false, true}) {
    const vendor short_lived(root ? now + 10 : now + 100, root ? now + 100 : now + 10);
    config->tpm_cas["vendor"] = {"vendor", {short_lived.root.der()}};
    const ek_claim claim{ek, {short_lived.issue(ek).der(), short_lived.issuing.der()}};
    trusted(claim, now);
    refused(claim, now + 11);
  }
}

TEST_F(EkTrust, PaddingOfNvIsNoPartOfTheCertificate) {
  trust_vendor();
  with_chain.chain.front().resize(1600, 0xFF);
  trusted(with_chain);
}

TEST_F(EkTrust, GarbledChains) {
  trust_vendor();
  const auto leaf = with_chain.chain.front();
  for (std::size_t n = 0; n < leaf.size(); n += 7) {
    with_chain.chain.front() = to_bytes(byte_view(leaf).first(n));
    refused(with_chain);
  }
  with_chain.chain = {leaf, bytes(50, 0x30)};
  refused(with_chain);
}

TEST_F(EkTrust, AnAnchorThatDoesNotParseAnchorsNothing) {
  config->tpm_cas["broken"] = {"broken", {bytes(100, 0x30)}};
  refused(with_chain);
  config->tpm_cas["vendor"] = {"vendor", {maker.root.der()}};
  trusted(with_chain);
}

TEST_F(EkTrust, TheIndexFollowsTheSnapshot) {
  trust_index trust;
  trust.update(config);
  EXPECT_TRUE(trust.anchors().empty());
  config = std::make_shared<config_snapshot>();
  config->tpm_cas["vendor"] = {"vendor", {maker.root.der(), maker.issuing.der()}};
  trust.update(config);
  EXPECT_EQ(trust.anchors().size(), 2U);
  EXPECT_EQ(trust.present(), config_ptr(config));
  config = std::make_shared<config_snapshot>();
  trust.update(config);
  EXPECT_TRUE(trust.anchors().empty());
}

// ---- recorded -----------------------------------------------------------------------------------

TEST(RecordedTrust, EveryRecordedVendorCaAnchors) {
  auto config = std::make_shared<config_snapshot>();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(CUSTOS_TEST_DATA) / "attestation/certs/tpm-vendor-ca")) {
    const auto name = entry.path().filename().string();
    for (const auto& c :
         must(crypto::certificates_from_pem(recorded("certs/tpm-vendor-ca/" + name))))
      config->tpm_cas[name].certificates.push_back(c.der());
    ++files;
  }
  EXPECT_EQ(files, 45U);
  std::size_t certificates = 0;
  for (const auto& [name, ca] : config->tpm_cas)
    certificates += ca.certificates.size();
  trust_index trust;
  trust.update(config);
  EXPECT_EQ(trust.anchors().size(), certificates);
  // Among all of them, the one that counts is found.
  const auto ek =
      must(crypto::certificate_from_der(recorded("certs/keylime-ek/st_ecdsa_sha256.der")));
  constexpr crypto::unix_seconds in_2026 = 1'767'225'600;
  const auto held = check_ek_trust({ek.public_key(), {ek.der()}}, trust, in_2026);
  EXPECT_TRUE(held) << held.failure().message;
}

TEST(RecordedTrust, ACloudMachine) {
  auto config = std::make_shared<config_snapshot>();
  config->tpm_cas["cloud"] = {
      "cloud",
      {must(crypto::certificate_from_der(recorded("certs/gce/ca/tpm_ek_root_1.cer"))).der()}};
  trust_index trust;
  trust.update(config);
  const auto read = [](const std::string& file) {
    return must(crypto::certificate_from_pem(recorded("certs/gce/" + file)));
  };
  const auto intermediate = [] {
    const auto content = recorded("certs/gce/ca/tpm_ek_intermediate_3.crt");
    return (content.at(0) == 0x30 ? must(crypto::certificate_from_der(content))
                                  : must(crypto::certificate_from_pem(content)))
        .der();
  }();
  const auto ek = read("uca_tpm_rsa_enc_cert.pem");
  EXPECT_TRUE(check_ek_trust({ek.public_key(), {ek.der(), intermediate}}, trust, now));
  EXPECT_FALSE(check_ek_trust({ek.public_key(), {ek.der()}}, trust, now));
  const auto ak = read("uca_tpm_rsa_sign_cert.pem");
  EXPECT_FALSE(check_ek_trust({ak.public_key(), {ak.der(), intermediate}}, trust, now));
}

} // namespace
} // namespace custos::attestation
