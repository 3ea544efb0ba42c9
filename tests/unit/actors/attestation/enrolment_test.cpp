#include "actors/attestation/verifier_core.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"
#include "tests/unit/adapters/tpm/credential_opener.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"

#include <gtest/gtest.h>

// POST /attestation/v1/attestation-keys: only the TPM that holds both keys gets the certificate.
namespace custos::attestation {
namespace {

using namespace test;

class AkEnrolment : public testing::Test {
protected:
  scene s{recorded("eventlogs/rhel8-uefi.bin")};
  verifier_core core{s.keys};
  tpm::test::credential_opener opener{s.device.ek, tpm::test::ek_template()};

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
  error refused(const attestation_key_request& r, const std::string& check,
                const std::string& field) {
    const auto issued = issue(r);
    EXPECT_FALSE(issued);
    if (issued)
      return {};
    EXPECT_EQ(issued.failure().check, check) << issued.failure().message;
    EXPECT_EQ(issued.failure().field, field) << issued.failure().message;
    return issued.failure();
  }
  bytes open(const attestation_key_issued& issued) const {
    const auto secret = opener.activate({issued.credential_blob, issued.encrypted_secret},
                                        must(tpm::parse_public(s.device.ak_public)).name);
    if (!secret)
      return {};
    return must(decrypt_ak_certificate(*secret, issued.encrypted_certificate));
  }
};

TEST_F(AkEnrolment, TheCertificateIsForThatHostAndItsKeys) {
  const auto issued = issue(request());
  ASSERT_TRUE(issued) << issued.failure().message;
  const auto read = read_ak_certificate(open(*issued), s.keys->ak_ca_certificate);
  ASSERT_TRUE(read) << read.failure().message;
  EXPECT_EQ(read->host, host);
  EXPECT_EQ(read->ak.marshalled, s.device.ak_public);
  EXPECT_EQ(read->ek_spki, s.device.ek.spki_der());
  EXPECT_LE(read->not_before, now);
  EXPECT_EQ(read->not_after, now + s.config->settings.ak_certificate_life_s);
}

TEST_F(AkEnrolment, AttestsWithWhatItWasGiven) {
  auto d = s.begin();
  d.e.ak_certificate = open(must(issue(request())));
  const auto verdict = core.appraise(s.sign(d), s.config, now);
  EXPECT_TRUE(verdict) << verdict.failure().message;
}

TEST_F(AkEnrolment, AnotherTpmOpensNothing) {
  opener = tpm::test::credential_opener(must(crypto::generate_p256()), tpm::test::ek_template());
  EXPECT_TRUE(open(must(issue(request()))).empty());
}

TEST_F(AkEnrolment, ATpmWithoutThatAttestationKeyOpensNothing) {
  const auto issued = must(issue(request()));
  const software_tpm other(ak_kind::p256);
  EXPECT_EQ(opener.activate({issued.credential_blob, issued.encrypted_secret},
                            must(tpm::parse_public(other.ak_public)).name),
            std::nullopt);
}

TEST_F(AkEnrolment, ByTheVendorsChain) {
  const tpm::test::vendor maker;
  s.config->endorsement_keys.clear();
  s.config->tpm_cas["vendor"] = {"vendor", {maker.root.der()}};
  auto r = request();
  refused(r, "ek-not-trusted", "/ek_certificate");
  r.ek_certificate = maker.issue(s.device.ek).der();
  refused(r, "ek-not-trusted", "/ek_certificate");
  r.ek_intermediates = {maker.issuing.der()};
  const auto certificate = open(must(issue(r)));
  EXPECT_EQ(must(read_ak_certificate(certificate, s.keys->ak_ca_certificate)).ek_chain.size(), 2U);
  // The chain is judged again with the certificate alone, at the time of the evidence.
  auto d = s.begin();
  d.e.ak_certificate = certificate;
  EXPECT_TRUE(core.appraise(s.sign(d), s.config, now));
}

TEST_F(AkEnrolment, AChainThatExpiresEndsTheAttestationKey) {
  const tpm::test::vendor maker;
  s.config->endorsement_keys.clear();
  s.config->tpm_cas["vendor"] = {"vendor", {maker.root.der()}};
  s.enrolled.ek_chain = {maker.issue(s.device.ek, {.not_after = now + 100}).der(),
                         maker.issuing.der()};
  EXPECT_TRUE(core.appraise(s.good(), s.config, now));
  EXPECT_TRUE(core.appraise(s.good(now + 90), s.config, now + 90));
  // Trust found at +90 is believed for a minute, and no longer.
  const auto late = core.appraise(s.good(now + 150), s.config, now + 150);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.failure().check, "ek-not-trusted");
}

TEST_F(AkEnrolment, HostIds) {
  auto r = request();
  for (const std::string good : {"a", "host-7.example.org", "A_b-C.9"}) {
    r.host = good;
    EXPECT_TRUE(issue(r)) << good;
  }
  r.host.assign(128, 'a'); // longer than a common name may be
  EXPECT_EQ(must(read_ak_certificate(open(must(issue(r))), s.keys->ak_ca_certificate)).host,
            r.host);
  r.host.assign(129, 'a');
  refused(r, "", "/host");
  for (const std::string bad :
       {"", ".", "..", ".hidden", "a b", "a/b", "../etc", "a\n", "\xC3\xA4"}) {
    r.host = bad;
    EXPECT_EQ(refused(r, "", "/host").code, errc::invalid_argument) << bad;
  }
  r.host = std::string("a\0b", 3);
  refused(r, "", "/host");
}

TEST_F(AkEnrolment, AHostIdIsNotReboundSilently) {
  s.config->hosts[host] = {host, bytes(32, 9), false};
  refused(request(), "host-binding", "/host");
  const auto ek = crypto::sha256(s.device.ek.spki_der());
  s.config = std::make_shared<config_snapshot>(*s.config);
  s.config->hosts[host] = {host, bytes(ek.begin(), ek.end()), false};
  EXPECT_TRUE(issue(request()));
  s.config = std::make_shared<config_snapshot>(*s.config);
  s.config->hosts[host].quarantined = true;
  refused(request(), "host-quarantined", "/host");
}

TEST_F(AkEnrolment, AnUnlistedKey) {
  s.config->endorsement_keys.clear();
  refused(request(), "ek-not-trusted", "/ek_certificate");
}

TEST_F(AkEnrolment, AttestationKeysThatSignAnything) {
  const auto key = must(crypto::generate_p256());
  auto r = request();
  r.ak_public = tpm::test::ecc_public(key, {.attributes = 0x00040072}); // not restricted
  refused(r, "attestation-key", "/ak_public");
  r.ak_public = tpm::test::ecc_public(key, {.scheme_hash = 0x0004});
  refused(r, "attestation-key", "/ak_public");
  r.ak_public = recorded("quotes/veraison-parsec-tpm/key.tpmt_public.bin");
  refused(r, "attestation-key", "/ak_public");
  r.ak_public = recorded("enrolment/goattest-infineon-rsa-ak/ak.tpmt_public.bin"); // SHA-1
  refused(r, "attestation-key", "/ak_public");
  r.ak_public = s.device.ek_public;
  refused(r, "attestation-key", "/ak_public");
}

TEST_F(AkEnrolment, AnAttestationKeyWithSha1OnlyWhereItIsAllowed) {
  auto r = request();
  r.ak_public = recorded("enrolment/goattest-infineon-rsa-ak/ak.tpmt_public.bin");
  EXPECT_NE(refused(r, "attestation-key", "/ak_public").message.find("SHA-1"), std::string::npos);
  s.config = std::make_shared<config_snapshot>(*s.config);
  s.config->settings.allow_sha1 = true;
  EXPECT_TRUE(issue(r));
}

TEST_F(AkEnrolment, EndorsementKeysThatAreNone) {
  auto r = request();
  r.ek_public = s.device.ak_public;
  refused(r, "endorsement-key", "/ek_public");
}

TEST_F(AkEnrolment, EveryPrefixOfThePublicAreas) {
  for (std::size_t n = 0; n < s.device.ak_public.size(); ++n) {
    auto r = request();
    r.ak_public.resize(n);
    EXPECT_EQ(refused(r, "", "/ak_public").code, errc::invalid_argument);
  }
  for (std::size_t n = 0; n < s.device.ek_public.size(); ++n) {
    auto r = request();
    r.ek_public.resize(n);
    EXPECT_EQ(refused(r, "", "/ek_public").code, errc::invalid_argument);
  }
}

TEST_F(AkEnrolment, CertificatesThatAreNone) {
  auto r = request();
  for (const auto& junk : {bytes(10, 0), bytes(10, 0x30), bytes(2000, 0xFF)}) {
    r.ek_certificate = junk;
    const auto issued = issue(r);
    ASSERT_FALSE(issued);
    EXPECT_EQ(issued.failure().field, "/ek_certificate") << issued.failure().message;
  }
  r = request();
  r.ek_intermediates.assign(6, bytes(10, 0x30));
  EXPECT_EQ(refused(r, "", "/ek_intermediates").code, errc::too_large);
}

TEST_F(AkEnrolment, ChallengesLiveAsLongAsConfigured) {
  s.config->settings.challenge_life_s = 17;
  EXPECT_EQ(core.make_challenge(s.config, now).expires, now + 17);
}

} // namespace
} // namespace custos::attestation
