#include "actors/attestation/ak_certificate.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;

class AkCertificate : public testing::Test {
protected:
  std::shared_ptr<const verifier_keys> keys = make_cluster();
  software_tpm device{ak_kind::p256};
  ak_identity who;

  AkCertificate() {
    who.host = host;
    who.ak = must(tpm::parse_public(device.ak_public));
    who.ek_spki = device.ek.spki_der();
    who.ek_chain = {bytes(700, 1), bytes(800, 2)};
    who.not_before = now - 300;
    who.not_after = now + 86'400;
  }
  bytes issue() {
    return must(issue_ak_certificate(who, keys->ak_ca_key, keys->ak_ca_certificate)).der();
  }
  void refused(byte_view der) {
    const auto read = read_ak_certificate(der, keys->ak_ca_certificate);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.failure().check, "ak-certificate");
    EXPECT_EQ(read.failure().field, "/ak_certificate");
  }
  /// Issued by our CA with this extension and subject key.
  bytes with_extension(std::optional<bytes> value, const crypto::key& subject) {
    crypto::certificate_request request;
    request.common_name = host;
    request.not_after = now + 1000;
    if (value)
      request.extensions.push_back({ak_extension_oid, *value});
    return must(crypto::issue_certificate(request, subject, keys->ak_ca_key,
                                          &keys->ak_ca_certificate))
        .der();
  }
};

TEST_F(AkCertificate, ComesBack) {
  for (const auto kind : {ak_kind::p256, ak_kind::rsa}) {
    device = software_tpm(kind);
    who.ak = must(tpm::parse_public(device.ak_public));
    const auto read = read_ak_certificate(issue(), keys->ak_ca_certificate);
    ASSERT_TRUE(read) << read.failure().message;
    EXPECT_EQ(read->host, host);
    EXPECT_EQ(read->ak.name, who.ak.name);
    EXPECT_EQ(read->ak.marshalled, device.ak_public);
    EXPECT_EQ(read->ek_spki, who.ek_spki);
    EXPECT_EQ(read->ek_chain, who.ek_chain);
    EXPECT_EQ(read->not_before, who.not_before);
    EXPECT_EQ(read->not_after, who.not_after);
  }
}

TEST_F(AkCertificate, WithoutAChain) {
  who.ek_chain.clear();
  const auto read = read_ak_certificate(issue(), keys->ak_ca_certificate);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->ek_chain.empty());
}

// The verifier judges dates against its own time; an old certificate still says whose it was.
TEST_F(AkCertificate, DatesAreForTheCaller) {
  who.not_before = 1000;
  who.not_after = 2000;
  EXPECT_EQ(must(read_ak_certificate(issue(), keys->ak_ca_certificate)).not_after, 2000);
}

TEST_F(AkCertificate, OfAnotherCluster) {
  const auto other = make_cluster();
  refused(must(issue_ak_certificate(who, other->ak_ca_key, other->ak_ca_certificate)).der());
}

TEST_F(AkCertificate, SignedByItself) {
  const auto own = must(crypto::generate_p256());
  refused(must(issue_ak_certificate(who, own, keys->ak_ca_certificate)).der());
  refused(keys->ak_ca_certificate.der());
}

TEST_F(AkCertificate, WithoutOurExtension) {
  refused(with_extension(std::nullopt, who.ak.key));
}

TEST_F(AkCertificate, NamingTwoKeys) {
  const auto good =
      crypto::extension_of(must(crypto::certificate_from_der(issue())), ak_extension_oid);
  ASSERT_TRUE(good);
  EXPECT_TRUE(read_ak_certificate(with_extension(*good, who.ak.key), keys->ak_ca_certificate));
  refused(with_extension(*good, must(crypto::generate_p256())));
}

TEST_F(AkCertificate, WithAGarbledExtension) {
  const auto good =
      *crypto::extension_of(must(crypto::certificate_from_der(issue())), ak_extension_oid);
  std::size_t whole = 0; // cut between two certificates of the chain, it is a shorter chain
  for (std::size_t n = 0; n < good.size(); n += 5) {
    const auto der = with_extension(to_bytes(byte_view(good).first(n)), who.ak.key);
    whole += read_ak_certificate(der, keys->ak_ca_certificate) ? 1 : 0;
  }
  EXPECT_LE(whole, 2U);
  auto other_version = good;
  other_version[0] = 2;
  refused(with_extension(other_version, who.ak.key));
  auto too_long = good;
  too_long.at(1) = 0xFF;
  refused(with_extension(too_long, who.ak.key));
  auto too_many = good;
  for (int i = 0; i < 10; ++i)
    too_many.insert(too_many.end(), {0, 1, 0});
  refused(with_extension(too_many, who.ak.key));
}

TEST_F(AkCertificate, TravelsEncrypted) {
  const auto secret = crypto::random_bytes(32);
  const auto der = issue();
  const auto sealed = must(encrypt_ak_certificate(secret, der));
  EXPECT_EQ(must(decrypt_ak_certificate(secret, sealed)), der);
  EXPECT_NE(must(encrypt_ak_certificate(secret, der)), sealed) << "a fresh nonce each time";
  EXPECT_FALSE(decrypt_ak_certificate(crypto::random_bytes(32), sealed));
  for (std::size_t i = 0; i < sealed.size(); i += 3) {
    auto changed = sealed;
    changed[i] ^= 1;
    EXPECT_FALSE(decrypt_ak_certificate(secret, changed)) << i;
  }
  for (std::size_t n = 0; n < sealed.size(); ++n)
    EXPECT_FALSE(decrypt_ak_certificate(secret, byte_view(sealed).first(n))) << n;
}

} // namespace
} // namespace custos::attestation
