// Known vulnerabilities of others, each shown to be refused here: what concerns endorsement and
// attestation keys. Named after the advisory.

#include "actors/attestation/verifier_core.hpp"
#include "tests/unit/actors/attestation/denial_of.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"
#include "tests/unit/adapters/tpm/credential_opener.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;

class AdvisoriesOfEnrolment : public testing::Test {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  verifier_core core{s.keys};
  tpm::test::vendor maker;

  attestation_key_request request() const {
    attestation_key_request r;
    r.host = host;
    r.ek_public = s.device.ek_public;
    r.ak_public = s.device.ak_public;
    return r;
  }
  result<attestation_key_issued> issue(const attestation_key_request& r) {
    return core.issue_attestation_key(r, s.config, now);
  }
  void refused(const attestation_key_request& r, const std::string& check) {
    const auto issued = issue(r);
    ASSERT_FALSE(issued);
    EXPECT_EQ(issued.failure().check, check) << issued.failure().message;
  }
};

// The EK, its certificate and the AK were not linked, and the AK's attributes not looked at.
TEST_F(AdvisoriesOfEnrolment, CVE_2021_3406) {
  s.config->endorsement_keys.clear();
  s.config->tpm_cas["vendor"] = {"vendor", {maker.root.der(), maker.issuing.der()}};
  auto good = request();
  good.ek_certificate = maker.issue(s.device.ek).der();
  ASSERT_TRUE(issue(good)) << "all of one TPM";
  const software_tpm attacker(ak_kind::p256);

  // The certificate of a good TPM, the EK of another.
  auto r = good;
  r.ek_public = attacker.ek_public;
  refused(r, "ek-not-trusted");
  // The EK of a good TPM, the certificate of another (of the same maker, so that it verifies).
  r = good;
  r.ek_certificate = maker.issue(attacker.ek).der();
  refused(r, "ek-not-trusted");
  // EK and certificate of a good TPM, the AK of another: the answer opens on neither.
  r = good;
  r.ak_public = attacker.ak_public;
  const auto mixed = issue(r);
  ASSERT_TRUE(mixed) << mixed.failure().message;
  const tpm::test::credential_opener good_tpm(s.device.ek, tpm::test::ek_template());
  EXPECT_EQ(good_tpm.activate({mixed->credential_blob, mixed->encrypted_secret},
                              must(tpm::parse_public(s.device.ak_public)).name),
            std::nullopt)
      << "the TPM activates for keys it holds only";
  // An AK that signs whatever it is given.
  r = good;
  r.ak_public = tpm::test::ecc_public(must(crypto::generate_p256()), {.attributes = 0x00040072});
  refused(r, "attestation-key");
}

bool holds(byte_view all, byte_view part) {
  return std::search(all.begin(), all.end(), part.begin(), part.end()) != all.end();
}

// A challenge could be tried again and again, and the answer to a wrong one told the right one.
// Here nothing is tried at the server: the secret is never sent back to it, and what it gives out
// holds neither the secret nor the certificate in clear.
TEST_F(AdvisoriesOfEnrolment, CVE_2023_38201) {
  const tpm::test::credential_opener opener(s.device.ek, tpm::test::ek_template());
  const auto name = must(tpm::parse_public(s.device.ak_public)).name;
  std::vector<bytes> secrets;
  for (int i = 0; i < 3; ++i) {
    const auto issued = must(issue(request()));
    const auto secret = opener.activate({issued.credential_blob, issued.encrypted_secret}, name);
    ASSERT_TRUE(secret);
    ASSERT_EQ(secret->size(), 32U);
    const auto certificate = must(decrypt_ak_certificate(*secret, issued.encrypted_certificate));
    for (const auto& part :
         {issued.credential_blob, issued.encrypted_secret, issued.encrypted_certificate}) {
      EXPECT_FALSE(holds(part, *secret));
      EXPECT_FALSE(holds(part, byte_view(certificate).first(32)));
    }
    EXPECT_EQ(std::find(secrets.begin(), secrets.end(), *secret), secrets.end())
        << "every answer has a secret of its own";
    for (const auto& earlier : secrets)
      EXPECT_FALSE(decrypt_ak_certificate(earlier, issued.encrypted_certificate));
    secrets.push_back(*secret);
  }
}

// One AK was validated, another one used.
TEST_F(AdvisoriesOfEnrolment, CVE_2022_1053) {
  // Two AKs of one host, both certified.
  const software_tpm second(ak_kind::p256);
  auto d = s.begin();
  const auto good = s.sign(d);
  ASSERT_TRUE(core.appraise(good, s.config, now));
  d = s.begin();
  auto e = s.sign(d);
  e.signature = second.sign(e.quote);
  auto verdict = core.appraise(e, s.config, now);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "quote-signature");
  auto other = s.enrolled;
  other.ak = must(tpm::parse_public(second.ak_public));
  d = s.begin();
  d.e.ak_certificate =
      must(issue_ak_certificate(other, s.keys->ak_ca_key, s.keys->ak_ca_certificate)).der();
  verdict = core.appraise(s.sign(d), s.config, now); // signed by the first
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "quote-signature");
}

// Not an advisory, but what an administrator does about one: a stolen AK is denied by its name.
TEST_F(AdvisoriesOfEnrolment, ADeniedAttestationKeyEndsAtOnce) {
  ASSERT_TRUE(core.appraise(s.good(), s.config, now));
  s.config = std::make_shared<config_snapshot>(*s.config);
  s.config->denials["stolen"] =
      denial_of{.name = "stolen",
                .ak_name = must(tpm::parse_public(s.device.ak_public)).name,
                .reason = "seen elsewhere"};
  const auto verdict = core.appraise(s.good(), s.config, now);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.failure().check, "ak-denied");
  refused(request(), "ak-denied");
  s.config = std::make_shared<config_snapshot>(*s.config);
  const auto ek = crypto::sha256(s.device.ek.spki_der());
  s.config->denials.clear();
  s.config->denials["tpm"] =
      denial_of{.name = "tpm", .ek_spki_sha256 = bytes(ek.begin(), ek.end())};
  refused(request(), "ek-denied");
  s.config = std::make_shared<config_snapshot>(*s.config);
  s.config->denials.clear();
  EXPECT_TRUE(core.appraise(s.good(), s.config, now));
}

} // namespace
} // namespace custos::attestation
