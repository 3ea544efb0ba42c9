#include "actors/attestation/ek_trust.hpp"
#include "tests/unit/actors/attestation/denial_of.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"
#include "tests/unit/adapters/crypto/crl_maker.hpp"
#include "tests/unit/adapters/crypto/roca_key.hpp"
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
    return check_ek_trust(claim, trust_index(*config), at);
  }
  void trusted(const ek_claim& claim, std::int64_t at = now) {
    const auto v = verdict(claim, at);
    ASSERT_TRUE(v) << v.failure().message;
    EXPECT_EQ(*v, crypto::sha256(ek.spki_der()));
  }
  error refused(const ek_claim& claim, std::int64_t at = now,
                const std::string& check = "ek-not-trusted",
                const std::string& field = "/ek_certificate") {
    const auto v = verdict(claim, at);
    EXPECT_FALSE(v);
    if (v)
      return {};
    EXPECT_EQ(v.failure().code, errc::attestation_failed);
    EXPECT_EQ(v.failure().check, check) << v.failure().message;
    EXPECT_EQ(v.failure().field, field) << v.failure().message;
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

// ---- settings of the CAs
// --------------------------------------------------------------------------

TEST_F(EkTrust, ARelaxedCaVouchesForCertificatesThatNameNoTpm) {
  const ek_claim plain{
      ek,
      {maker.issue(ek, {.extended_key_usage = "clientAuth", .alternative_name = ""}).der(),
       maker.issuing.der()}};
  trust_vendor();
  EXPECT_NE(refused(plain).message.find("2.23.133.8.1"), std::string::npos);
  config->tpm_cas["vendor"].profile = ek_profile::relaxed;
  trusted(plain);
  trusted(with_chain);
  // What signs is no endorsement key under any profile.
  for (const std::string usage : {"critical,digitalSignature", "critical,keyEncipherment", "",
                                  "critical,keyAgreement,digitalSignature"})
    refused({ek,
             {maker.issue(ek, {.key_usage = usage, .alternative_name = ""}).der(),
              maker.issuing.der()}});
  refused({ek,
           {maker.issue(ek, {.alternative_name = "", .extra = "1.2.3.4.5=critical,DER:0500"}).der(),
            maker.issuing.der()}});
}

TEST_F(EkTrust, TheProfileIsThatOfTheCaThePathLeadsTo) {
  const ek_claim plain{ek, {maker.issue(ek, {.alternative_name = ""}).der(), maker.issuing.der()}};
  config->tpm_cas["other"] = {"other", {vendor().root.der()}, ek_profile::relaxed};
  trust_vendor();
  refused(plain);
  config->tpm_cas["issuer"] = {"issuer", {maker.issuing.der()}, ek_profile::relaxed};
  trusted(plain); // the path ends at the issuer
  // Two CAs say different things of one anchor: the stricter counts.
  config->tpm_cas["issuer-again"] = {"issuer-again", {maker.issuing.der()}};
  refused(plain);
}

TEST_F(EkTrust, DatesByPolicy) {
  const vendor old(4'000'000'000, now - 10);
  config->tpm_cas["vendor"] = {"vendor", {maker.root.der()}};
  config->tpm_cas["old"] = {"old", {old.root.der()}};
  const ek_claim expired{ek, {maker.issue(ek, {.not_after = now - 1}).der(), maker.issuing.der()}};
  const ek_claim old_ca{ek, {old.issue(ek).der(), old.issuing.der()}};
  const ek_claim future{ek, {maker.issue(ek, {.not_before = now + 1}).der(), maker.issuing.der()}};
  refused(expired);
  refused(old_ca);
  config->settings.ek_certificate_dates = certificate_dates::ek_may_expire;
  trusted(expired);
  refused(old_ca);
  refused(future);
  config->settings.ek_certificate_dates = certificate_dates::any_may_expire;
  trusted(expired);
  trusted(old_ca);
  EXPECT_NE(refused(future).message.find("not yet valid"), std::string::npos);
}

TEST_F(EkTrust, Sha1ByFlagOnly) {
  trust_vendor();
  with_chain.chain.front() = maker.issue(ek, {.digest = "SHA1"}).der();
  refused(with_chain);
  config->settings.allow_sha1 = true; // of banks and logs: another thing
  refused(with_chain);
  config->settings.allow_sha1_certificates = true;
  trusted(with_chain);
}

// ---- revocation ---------------------------------------------------------------------------------

TEST_F(EkTrust, ARevokedLeaf) {
  trust_vendor();
  config->tpm_cas["vendor"].crls = {
      crypto::test::make_crl(maker.issuing, maker.issuing_key, {.serials = {4711}}).der()};
  EXPECT_NE(refused(with_chain).message.find("revoked"), std::string::npos);
  // However old the list is.
  config->tpm_cas["vendor"].crls = {
      crypto::test::make_crl(maker.issuing, maker.issuing_key,
                             {.serials = {4711}, .next_update = now - 1000})
          .der()};
  refused(with_chain);
  config->tpm_cas["vendor"].crls = {
      crypto::test::make_crl(maker.issuing, maker.issuing_key, {.serials = {4712}}).der()};
  trusted(with_chain);
}

TEST_F(EkTrust, ARevokedIntermediate) {
  crypto::key issuing_key = must(crypto::generate_p256());
  auto ca = tpm::test::ca_certificate("Lost CA");
  ca.serial = 5;
  const auto issuing = tpm::test::make_ek_certificate(issuing_key, maker.root_key, maker.root, ca);
  const ek_claim claim{
      ek, {tpm::test::make_ek_certificate(ek, issuing_key, issuing).der(), issuing.der()}};
  trust_vendor();
  trusted(claim);
  config->tpm_cas["vendor"].crls = {
      crypto::test::make_crl(maker.root, maker.root_key, {.serials = {5}}).der()};
  refused(claim);
  trusted(with_chain);
}

TEST_F(EkTrust, RequiredCrls) {
  trust_vendor();
  config->settings.require_crls = true;
  EXPECT_NE(refused(with_chain).message.find("CRL"), std::string::npos);
  const auto of_root = crypto::test::make_crl(maker.root, maker.root_key).der();
  const auto of_issuing = crypto::test::make_crl(maker.issuing, maker.issuing_key).der();
  config->tpm_cas["vendor"].crls = {of_issuing};
  refused(with_chain);
  // A list counts wherever it was configured.
  config->tpm_cas["other"] = {"other", {vendor().root.der()}, ek_profile::tcg, {of_root}};
  trusted(with_chain);
  config->tpm_cas["vendor"].crls = {
      crypto::test::make_crl(maker.issuing, maker.issuing_key, {.next_update = now - 1}).der()};
  refused(with_chain);
  config->tpm_cas["vendor"].crls = {bytes(100, 0x30)};
  refused(with_chain);
  // A listed key needs no certificate, so no list either.
  list_key();
  trusted(bare);
}

// ---- denials ------------------------------------------------------------------------------------

class Denials : public EkTrust {
protected:
  Denials() { trust_vendor(); }
  void deny(const denial_of& d) { config->denials["d"] = d; }
  void denies(const denial_of& d, bool it_does, const ek_claim& claim) {
    deny(d);
    if (it_does)
      refused(claim, now, "ek-denied", "/ek_public");
    else
      trusted(claim);
  }
  bytes fingerprint() const {
    const auto f = crypto::sha256(ek.spki_der());
    return {f.begin(), f.end()};
  }
};

TEST_F(Denials, ByEachMember) {
  denies({.manufacturer = "id:00001014"}, true, with_chain);
  denies({.manufacturer = "ID:00001014"}, true, with_chain);
  denies({.manufacturer = "id:0000101"}, false, with_chain);
  denies({.model = "swtpm"}, true, with_chain);
  denies({.model = "hwtpm"}, false, with_chain);
  denies({.firmware = "id:20191023"}, true, with_chain);
  denies({.firmware = "id:20191024"}, false, with_chain);
  denies({.serial = "1267"}, true, with_chain); // 4711
  denies({.serial = "4711"}, false, with_chain);
  denies({.ek_spki_sha256 = fingerprint()}, true, with_chain);
  denies({.ek_spki_sha256 = bytes(32, 1)}, false, with_chain);
}

TEST_F(Denials, EveryMemberMustFit) {
  denies({.manufacturer = "id:00001014",
          .model = "swtpm",
          .firmware = "id:20191023",
          .serial = "1267",
          .ek_spki_sha256 = fingerprint()},
         true, with_chain);
  denies({.manufacturer = "id:00001014", .model = "other"}, false, with_chain);
  denies({.model = "other", .ek_spki_sha256 = fingerprint()}, false, with_chain);
  denies({.firmware = "id:1", .ek_spki_sha256 = fingerprint()}, false, with_chain);
  denies({}, false, with_chain);
}

TEST_F(Denials, TheReasonIsTold) {
  deny({.model = "swtpm", .reason = "TPM-FAIL, update the firmware"});
  const auto e = refused(with_chain, now, "ek-denied", "/ek_public");
  EXPECT_NE(e.message.find("TPM-FAIL, update the firmware"), std::string::npos);
  EXPECT_NE(e.message.find("\"d\""), std::string::npos);
}

TEST_F(Denials, ApplyToListedKeysToo) {
  list_key();
  trusted(bare);
  denies({.ek_spki_sha256 = fingerprint()}, true, bare);
  denies({.model = "swtpm"}, true, with_chain);
  // Without any certificate nobody knows the model.
  trusted(bare);
  // Keeping it back does not help where the key was listed by its certificate.
  config->endorsement_keys["one"].certificate = with_chain.chain.front();
  refused(bare, now, "ek-denied", "/ek_public");
  refused({ek, {maker.issue(ek, {.tpm = "1.2.23.133.2.2=another\n"}).der()}}, now, "ek-denied",
          "/ek_public");
}

TEST_F(Denials, ACertificateOfAnotherKeySaysNothing) {
  list_key();
  deny({.model = "swtpm"});
  trusted({ek, {maker.issue(must(crypto::generate_p256())).der()}});
  config->endorsement_keys["one"].certificate = bytes(40, 0x30);
  trusted(bare);
}

TEST_F(Denials, OfAnAttestationKey) {
  const bytes name(34, 7);
  deny({.ak_name = name, .reason = "stolen"});
  trusted(with_chain);
  auto claim = with_chain;
  const bytes other(34, 8);
  claim.ak_name = other;
  trusted(claim);
  claim.ak_name = name;
  EXPECT_NE(refused(claim, now, "ak-denied", "/ak_public").message.find("stolen"),
            std::string::npos);
  list_key();
  refused(claim, now, "ak-denied", "/ak_public");
  deny({.ek_spki_sha256 = fingerprint(), .ak_name = name});
  refused(claim, now, "ak-denied", "/ak_public");
  claim.ak_name = other;
  trusted(claim);
  deny({.model = "hwtpm", .ak_name = name});
  claim.ak_name = name;
  trusted(claim);
}

TEST_F(Denials, OneOfMany) {
  for (int i = 0; i < 300; ++i) {
    const auto n = std::to_string(i);
    config->denials["ek" + n] =
        denial_of{.name = "ek" + n, .ek_spki_sha256 = bytes(32, static_cast<std::uint8_t>(i))};
    config->denials["model" + n] = denial_of{.name = "model" + n, .model = n};
  }
  trusted(with_chain);
  denies({.serial = "1267"}, true, with_chain);
}

// Refused whoever vouches for it.
TEST_F(EkTrust, CVE_2017_15361) {
  ek = must(crypto::rsa_public_key(crypto::test::roca_modulus(1), 65537));
  trust_vendor();
  list_key();
  const auto e = refused({ek, {}}, now, "ek-denied", "/ek_public");
  EXPECT_NE(e.message.find("CVE-2017-15361"), std::string::npos);
  refused(
      {ek, {maker.issue(ek, {.key_usage = "critical,keyEncipherment"}).der(), maker.issuing.der()}},
      now, "ek-denied", "/ek_public");
  ek = must(crypto::generate_rsa(2048));
  list_key();
  trusted({ek, {}});
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
  const trust_index trust(*config);
  EXPECT_EQ(trust.anchors().certificates().size(), certificates);
  // Among all of them, the one that counts is found.
  const auto ek =
      must(crypto::certificate_from_der(recorded("certs/keylime-ek/st_ecdsa_sha256.der")));
  constexpr crypto::unix_seconds in_2026 = 1'767'225'600;
  const auto held = check_ek_trust({ek.public_key(), {ek.der()}}, trust, in_2026);
  EXPECT_TRUE(held) << held.failure().message;
}

/// The EK certificates as they are in the field: docs of the data, section 5.
class RecordedEks : public testing::Test {
protected:
  static constexpr crypto::unix_seconds in_2026 = 1'767'225'600; // 2026-01-01

  static crypto::certificate read(const std::string& file) {
    const auto content = recorded("certs/" + file);
    return content.at(0) == 0x30 ? must(crypto::certificate_from_der(content))
                                 : must(crypto::certificate_from_pem(content));
  }
  tpm_ca& trust(const std::string& name, const std::vector<std::string>& files) {
    auto& ca = config->tpm_cas[name];
    ca.name = name;
    for (const auto& file : files)
      ca.certificates.push_back(read(file).der());
    return ca;
  }
  result<crypto::sha256_digest> verdict(const std::string& leaf,
                                        const std::vector<std::string>& between = {},
                                        crypto::unix_seconds at = in_2026) {
    const auto cert = read(leaf);
    ek_claim claim{cert.public_key(), {cert.der()}};
    for (const auto& file : between)
      claim.chain.push_back(read(file).der());
    return check_ek_trust(claim, trust_index(*config), at);
  }
  void trusted(const std::string& leaf, const std::vector<std::string>& between = {}) {
    const auto v = verdict(leaf, between);
    EXPECT_TRUE(v) << leaf << ": " << v.failure().message;
  }
  std::string refused(const std::string& leaf, const std::vector<std::string>& between = {},
                      crypto::unix_seconds at = in_2026) {
    const auto v = verdict(leaf, between, at);
    EXPECT_FALSE(v) << leaf;
    if (v)
      return {};
    EXPECT_EQ(v.failure().check, "ek-not-trusted");
    return v.failure().message;
  }

  std::shared_ptr<config_snapshot> config = std::make_shared<config_snapshot>();
};

TEST_F(RecordedEks, OfACloudWithTheTpmInItsName) {
  trust("cloud", {"gce/ca/tpm_ek_root_1.cer"});
  trusted("gce/uca_tpm_rsa_enc_cert.pem", {"gce/ca/tpm_ek_intermediate_3.crt"});
  refused("gce/uca_tpm_rsa_enc_cert.pem");
  refused("gce/uca_tpm_rsa_enc_cert.pem", {"gce/ca/tpm_ek_intermediate_2.crt"});
  // It carries the extended usage of an EK: only the key usage tells it apart.
  EXPECT_NE(refused("gce/uca_tpm_rsa_sign_cert.pem", {"gce/ca/tpm_ek_intermediate_3.crt"})
                .find("key usage"),
            std::string::npos);
}

TEST_F(RecordedEks, OfACloudWithoutNameAndUsage) {
  const std::vector<std::string> between{"gce/ca/gcp_ek_ak_ca_intermediate_v3.crt"};
  auto& ca = trust("cloud", {"gce/ca/gcp_ek_ak_ca_root.crt"});
  EXPECT_NE(refused("gce/pca_tpm_ecc_enc_cert.pem", between).find("TPMManufacturer"),
            std::string::npos);
  refused("gce/pca_tpm_ecc_sign_cert.pem", between);
  ca.profile = ek_profile::relaxed;
  trusted("gce/pca_tpm_ecc_enc_cert.pem", between);
  // The key usage stays decisive.
  EXPECT_NE(refused("gce/pca_tpm_ecc_sign_cert.pem", between).find("key usage"), std::string::npos);
  refused("gce/pca_tpm_ecc_enc_cert.pem");
}

TEST_F(RecordedEks, OfAVendorWhoseRootIsNotThere) {
  trust("st", {"tpm-vendor-ca/STM_ECC_01I.pem"});
  trusted("keylime-ek/st_ecdsa_sha256.der");
  constexpr crypto::unix_seconds in_2029 = 1'861'920'000;
  EXPECT_NE(refused("keylime-ek/st_ecdsa_sha256.der", {}, in_2029).find("expired"),
            std::string::npos);
  config->settings.ek_certificate_dates = certificate_dates::ek_may_expire;
  EXPECT_TRUE(verdict("keylime-ek/st_ecdsa_sha256.der", {}, in_2029));
  config->settings.ek_certificate_dates = certificate_dates::enforced;
  // Nobody has a CRL of it here.
  config->settings.require_crls = true;
  refused("keylime-ek/st_ecdsa_sha256.der");
  config->settings.require_crls = false;
  config->denials["st"] = denial_of{.name = "st", .manufacturer = "id:53544D20"};
  EXPECT_EQ(verdict("keylime-ek/st_ecdsa_sha256.der").failure().check, "ek-denied");
}

TEST_F(RecordedEks, DeviceIdentitiesAreNone) {
  for (const std::string file : {"keylime-ek/iak.der", "keylime-ek/idevid.der"}) {
    refused(file);
    // Not even if whoever signed it were trusted, with every rule relaxed that can be.
    trust("st", {"tpm-vendor-ca/STM_ECC_01I.pem"}).profile = ek_profile::relaxed;
    config->settings.ek_certificate_dates = certificate_dates::any_may_expire;
    refused(file);
    const auto cert = read(file);
    EXPECT_FALSE(tpm::check_ek_certificate(cert, ek_profile::relaxed)) << file;
    EXPECT_LT(cert.not_after(), 1'790'000'000) << "ended in 2026";
    // Nor if it were its own anchor: its time is over.
    crypto::verify_options o;
    o.now = cert.not_after() - 1;
    EXPECT_TRUE(crypto::verify_chain(cert, {}, {cert}, o)) << file;
    o.now = 1'790'000'000;
    const auto late = crypto::verify_chain(cert, {}, {cert}, o);
    ASSERT_FALSE(late) << file;
    EXPECT_NE(late.failure().message.find("expired"), std::string::npos) << late.failure().message;
  }
}

TEST_F(RecordedEks, EveryVendorCaIsOneByItsConstraints) {
  std::size_t sha1 = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(CUSTOS_TEST_DATA) / "attestation/certs/tpm-vendor-ca")) {
    const auto name = "certs/tpm-vendor-ca/" + entry.path().filename().string();
    for (const auto& c : must(crypto::certificates_from_pem(recorded(name)))) {
      EXPECT_TRUE(c.is_ca()) << name;
      // The certificate itself, not OpenSSL's encoding of it: some are not DER.
      const auto text = recorded(name);
      const auto flat = [](std::string s) {
        s.erase(
            std::remove_if(s.begin(), s.end(), [](char ch) { return ch == '\n' || ch == '\r'; }),
            s.end());
        return s;
      };
      EXPECT_NE(flat({text.begin(), text.end()}).find(crypto::base64(c.der())), std::string::npos)
          << name;
    }
  }
  // Infineon's older CAs are signed with SHA-1.
  for (const bool allowed : {false, true}) {
    crypto::verify_options o;
    o.now = in_2026;
    o.allow_sha1 = allowed;
    const auto held = crypto::verify_chain(read("tpm-vendor-ca/IFX_RSA_17I.pem"), {},
                                           {read("tpm-vendor-ca/IFX_RSA_RT.pem")}, o);
    EXPECT_EQ(held.ok(), allowed) << (held ? "" : held.failure().message);
    sha1 += held.ok() ? 1U : 0U;
  }
  EXPECT_EQ(sha1, 1U);
}

// Nuvoton's certificates have SETs out of DER's order: signatures hold over what was received.
TEST_F(RecordedEks, VendorCasThatAreNoDerVerify) {
  std::size_t self_signed = 0;
  for (const std::string name :
       {"NUVO_0100", "NUVO_1110", "NUVO_1111", "NUVO_2110", "NUVO_2111", "NTC1", "NTC2"}) {
    const auto ca = read("tpm-vendor-ca/" + name + ".pem");
    crypto::verify_options o;
    o.now = in_2026;
    o.partial_chain = false;
    o.allow_sha1 = true;
    const auto held = crypto::verify_chain(ca, {}, {ca}, o);
    EXPECT_TRUE(held) << name << ": " << held.failure().message;
    self_signed += held.ok() ? 1U : 0U;
    auto config_of_one = std::make_shared<config_snapshot>();
    config_of_one->tpm_cas["n"] = {"n", {ca.der()}};
    EXPECT_EQ(trust_index(*config_of_one).anchors().certificates().size(), 1U) << name;
  }
  EXPECT_EQ(self_signed, 7U);
}

} // namespace
} // namespace custos::attestation
