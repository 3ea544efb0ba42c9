#include "adapters/tpm/ek_certificate.hpp"

#include "adapters/tpm/structures.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"
#include "tests/unit/test_data.hpp"

#include <gtest/gtest.h>

// TCG EK Credential Profile 2.6, section 3: on certificates made for it, and on recorded ones.
namespace custos::tpm {
namespace {

using namespace test;
using custos::test::read_data;

const std::string certs = "attestation/certs/";
/// Within the life of the recorded certificates.
constexpr crypto::unix_seconds recorded_now = 1'767'225'600; // 2026-01-01

crypto::certificate read(const std::string& file) {
  const auto content = read_data(certs + file);
  const auto cert = content.at(0) == 0x30 ? crypto::certificate_from_der(content)
                                          : crypto::certificate_from_pem(content);
  EXPECT_TRUE(cert) << file;
  return *cert;
}

class EkProfile : public testing::Test {
protected:
  vendor maker;
  crypto::key ek = *crypto::generate_p256();

  std::string refusal(const ek_certificate_of& what) {
    const auto facts = check_ek_certificate(maker.issue(ek, what));
    if (facts)
      return {};
    EXPECT_EQ(facts.failure().check, "ek-not-trusted");
    EXPECT_EQ(facts.failure().field, "/ek_certificate");
    return facts.failure().message;
  }
  void refused(const ek_certificate_of& what, const std::string& because) {
    const auto why = refusal(what);
    EXPECT_NE(why.find(because), std::string::npos) << (why.empty() ? "accepted" : why);
  }
};

TEST_F(EkProfile, AGoodOneSaysWhichTpmItIs) {
  const auto facts = check_ek_certificate(maker.issue(ek));
  ASSERT_TRUE(facts) << facts.failure().message;
  EXPECT_EQ(facts->manufacturer, "id:00001014");
  EXPECT_EQ(facts->model, "swtpm");
  EXPECT_EQ(facts->version, "id:20191023");
}

TEST_F(EkProfile, AnRsaKeyEnciphers) {
  ek = *crypto::generate_rsa(2048);
  EXPECT_EQ(refusal({.key_usage = "critical,keyEncipherment"}), "");
  refused({.key_usage = "critical,keyAgreement"}, "keyEncipherment");
}

TEST_F(EkProfile, ExtendedUsageIsOptionalButNotAnother) {
  EXPECT_EQ(refusal({.extended_key_usage = ""}), "");
  EXPECT_EQ(refusal({.extended_key_usage = "clientAuth,2.23.133.8.1"}), "");
  refused({.extended_key_usage = "clientAuth"}, "2.23.133.8.1");
  refused({.extended_key_usage = "2.23.133.8.3"}, "2.23.133.8.1"); // tcg-kp-AIKCertificate
}

TEST_F(EkProfile, KeyUsage) {
  refused({.key_usage = ""}, "keyAgreement");
  refused({.key_usage = "critical,keyEncipherment"}, "keyAgreement");
  refused({.key_usage = "critical,digitalSignature"}, "keyAgreement");
  refused({.key_usage = "critical,keyAgreement,digitalSignature"}, "signs");
}

TEST_F(EkProfile, IsNoCa) {
  refused({.basic_constraints = "critical,CA:TRUE"}, "no CA");
}

TEST_F(EkProfile, IsVersion3) {
  refused({.version = 0}, "version 3");
}

TEST_F(EkProfile, EveryAttributeOfTheTpmIsThere) {
  const std::string one = "1.2.23.133.2.1=id:00001014\n";
  const std::string two = "2.2.23.133.2.2=swtpm\n";
  const std::string three = "3.2.23.133.2.3=id:20191023\n";
  EXPECT_EQ(refusal({.tpm = three + one + two}), "");
  refused({.tpm = one + two}, "TPMManufacturer");
  refused({.tpm = one + three}, "TPMManufacturer");
  refused({.tpm = two + three}, "TPMManufacturer");
  refused({.alternative_name = "DNS:tpm.example"}, "TPMManufacturer");
  refused({.alternative_name = ""}, "TPMManufacturer");
}

TEST_F(EkProfile, UnknownCriticalExtensions) {
  EXPECT_EQ(refusal({.extra = "1.2.3.4.5=DER:0500"}), "");
  refused({.extra = "1.2.3.4.5=critical,DER:0500"}, "1.2.3.4.5");
}

TEST_F(EkProfile, NoCertificateIsNone) {
  EXPECT_FALSE(check_ek_certificate({}));
}

// ---- recorded -----------------------------------------------------------------------------------

result<void> chain(const std::string& leaf, const std::vector<std::string>& intermediates,
                   const std::string& anchor, crypto::unix_seconds now = recorded_now) {
  std::vector<crypto::certificate> between;
  for (const auto& file : intermediates)
    between.push_back(read(file));
  crypto::verify_options options;
  options.now = now;
  return crypto::verify_chain(read(leaf), between, {read(anchor)}, options);
}

TEST(RecordedEk, ACloudsEndorsementKeyFitsAndLeadsToItsRoot) {
  const std::string file = "gce/uca_tpm_rsa_enc_cert.pem";
  const auto facts = check_ek_certificate(read(file));
  ASSERT_TRUE(facts) << facts.failure().message;
  EXPECT_EQ(facts->manufacturer, "id:474F4F47");
  EXPECT_EQ(facts->model, "vTPM");
  const auto held = chain(file, {"gce/ca/tpm_ek_intermediate_3.crt"}, "gce/ca/tpm_ek_root_1.cer");
  EXPECT_TRUE(held) << held.failure().message;
  EXPECT_FALSE(chain(file, {}, "gce/ca/tpm_ek_root_1.cer"));
  EXPECT_FALSE(chain(file, {"gce/ca/tpm_ek_intermediate_2.crt"}, "gce/ca/tpm_ek_root_1.cer"));
}

// It carries the extended usage of an EK: only the key usage tells them apart.
TEST(RecordedEk, ACloudsAttestationKeyIsNoEndorsementKey) {
  const std::string file = "gce/uca_tpm_rsa_sign_cert.pem";
  EXPECT_TRUE(chain(file, {"gce/ca/tpm_ek_intermediate_3.crt"}, "gce/ca/tpm_ek_root_1.cer"));
  EXPECT_FALSE(check_ek_certificate(read(file)));
}

TEST(RecordedEk, CertificatesThatNameNoTpmDoNotFit) {
  for (const std::string file : {"gce/pca_tpm_ecc_enc_cert.pem", "gce/pca_tpm_ecc_sign_cert.pem"}) {
    const auto held =
        chain(file, {"gce/ca/gcp_ek_ak_ca_intermediate_v3.crt"}, "gce/ca/gcp_ek_ak_ca_root.crt");
    EXPECT_TRUE(held) << file << ": " << held.failure().message;
    EXPECT_FALSE(check_ek_certificate(read(file))) << file;
  }
}

TEST(RecordedEk, TheQuotedMachinesAkCertificateLeadsToItsRoot) {
  const std::string leaf = "../quotes/gce-cos-85-nonce9009/ak_cert.der";
  const auto held = chain(leaf, {"gce/ca/tpm_ek_intermediate_2.crt"}, "gce/ca/tpm_ek_root_1.cer");
  EXPECT_TRUE(held) << held.failure().message;
  const auto area =
      parse_public(read_data("attestation/quotes/gce-cos-85-nonce9009/ak.tpmt_public.bin"));
  ASSERT_TRUE(area);
  EXPECT_TRUE(read(leaf).public_key().same_public(area->key));
}

TEST(RecordedEk, AVendorsKeyLeadsToAnIntermediateOnly) {
  const std::string leaf = "keylime-ek/st_ecdsa_sha256.der";
  const auto facts = check_ek_certificate(read(leaf));
  ASSERT_TRUE(facts) << facts.failure().message;
  EXPECT_EQ(facts->manufacturer, "id:53544D20"); // "STM "
  const auto held = chain(leaf, {}, "tpm-vendor-ca/STM_ECC_01I.pem");
  EXPECT_TRUE(held) << held.failure().message;
  crypto::verify_options strict;
  strict.now = recorded_now;
  strict.partial_chain = false;
  EXPECT_FALSE(
      crypto::verify_chain(read(leaf), {}, {read("tpm-vendor-ca/STM_ECC_01I.pem")}, strict));
  EXPECT_FALSE(chain(leaf, {}, "tpm-vendor-ca/STM_ECC_01I.pem", 1'861'920'000))
      << "2029-01-01, after its end";
}

TEST(RecordedEk, DeviceIdentitiesAreNoEndorsementKeys) {
  for (const std::string file : {"keylime-ek/iak.der", "keylime-ek/idevid.der"})
    EXPECT_FALSE(check_ek_certificate(read(file))) << file;
}

} // namespace
} // namespace custos::tpm
