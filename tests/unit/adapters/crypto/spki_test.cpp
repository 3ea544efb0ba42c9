#include "adapters/crypto/spki.hpp"

#include "adapters/crypto/x509.hpp"

#include <gtest/gtest.h>

namespace custos::crypto {

namespace {

certificate certificate_of(const key& subject) {
  static const auto issuer = generate_p256().value();
  certificate_request request;
  request.common_name = "EK";
  request.not_after = 2'000'000'000;
  return issue_certificate(request, subject, issuer, nullptr).value();
}

} // namespace

TEST(spki, finds_the_key_as_openssl_writes_it) {
  for (const auto& k : {generate_p256().value(), generate_p384().value(),
                        generate_rsa(2048).value(), generate_rsa(3072).value()}) {
    const auto cert = certificate_of(k);
    const auto found = plain_spki_of(cert.der());
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(to_bytes(*found), cert.public_key().spki_der());
    EXPECT_TRUE(is_plain_spki(k.spki_der()));
  }
}

TEST(spki, gives_nothing_for_what_is_cut_or_longer) {
  for (const auto& k : {generate_p256().value(), generate_rsa(2048).value()}) {
    const auto der = certificate_of(k).der();
    const byte_view whole(der);
    for (std::size_t n = 0; n < der.size(); ++n)
      EXPECT_FALSE(plain_spki_of(whole.first(n)).has_value()) << n;
    auto longer = der;
    longer.push_back(0);
    EXPECT_FALSE(plain_spki_of(longer).has_value());
    const auto spki = k.spki_der();
    for (std::size_t n = 0; n < spki.size(); ++n)
      EXPECT_FALSE(is_plain_spki(byte_view(spki).first(n))) << n;
  }
}

TEST(spki, agrees_with_openssl_whatever_is_changed) {
  for (const auto& k : {generate_p256().value(), generate_rsa(2048).value()}) {
    const auto der = certificate_of(k).der();
    for (std::size_t i = 0; i < der.size(); ++i) {
      auto other = der;
      other[i] ^= 0x81U;
      const auto found = plain_spki_of(other);
      const auto parsed = certificate_from_der(other);
      if (!found || !parsed)
        continue;
      if (const auto key = parsed->public_key()) {
        EXPECT_EQ(to_bytes(*found), key.spki_der()) << i;
      }
    }
  }
}

TEST(spki, leaves_other_forms_to_openssl) {
  auto spki = generate_rsa(2048).value().spki_der();
  ASSERT_EQ(spki[14], 0x01); // rsaEncryption, last arc
  spki[14] = 0x07;           // id-RSAES-OAEP, as some EK certificates have it
  EXPECT_FALSE(is_plain_spki(spki));
  auto point = generate_p256().value().spki_der();
  ASSERT_EQ(point[26], 0x04);
  point[26] = 0x02; // compressed, and too long for that
  EXPECT_FALSE(is_plain_spki(point));
  point[26] = 0x04;
  ASSERT_EQ(point[22], 0x07); // P-256, last arc
  point[22] = 0x01;
  EXPECT_FALSE(is_plain_spki(point));
}

TEST(spki, writes_pem_as_openssl_does) {
  for (const auto& k : {generate_p256().value(), generate_p384().value(),
                        generate_rsa(2048).value(), generate_rsa(3072).value()}) {
    EXPECT_EQ(pem_of("PUBLIC KEY", k.spki_der()), k.public_pem());
    const auto cert = certificate_of(k);
    EXPECT_EQ(pem_of("CERTIFICATE", cert.der()), cert.pem());
  }
  // Lines that end with the text, and one octet before and after that.
  EXPECT_EQ(pem_of("X", bytes(48)),
            "-----BEGIN X-----\n" + std::string(64, 'A') + "\n-----END X-----\n");
  EXPECT_EQ(pem_of("X", bytes(49)),
            "-----BEGIN X-----\n" + std::string(64, 'A') + "\nAA==\n-----END X-----\n");
  EXPECT_EQ(pem_of("X", bytes()), "-----BEGIN X-----\n-----END X-----\n");
}

} // namespace custos::crypto
