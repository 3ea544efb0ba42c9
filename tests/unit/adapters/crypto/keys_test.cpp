#include "tests/unit/adapters/crypto/vectors.hpp"

namespace custos::crypto {
namespace {

TEST(key, forms_come_back) {
  for (const auto& k : {*generate_p256(), *generate_rsa(2048)}) {
    const auto spki = public_key_from_spki(k.spki_der());
    ASSERT_TRUE(spki.ok());
    EXPECT_TRUE(spki->same_public(k));
    EXPECT_EQ(spki->spki_der(), k.spki_der());
    EXPECT_TRUE(public_key_from_pem(as_bytes(k.public_pem()))->same_public(k));
    const auto pkcs8 = k.pkcs8_der();
    const auto again = private_key_from_pkcs8(pkcs8.reveal_secret());
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->same_public(k));
    EXPECT_EQ(again->type(), k.type());
  }
}

TEST(key, an_empty_key_is_harmless) {
  const key none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.type(), key_type::other);
  EXPECT_EQ(none.bits(), 0U);
  EXPECT_TRUE(none.spki_der().empty());
  EXPECT_TRUE(none.public_pem().empty());
  EXPECT_TRUE(none.pkcs8_der().empty());
  EXPECT_FALSE(none.same_public(none));
}

TEST(key, different_keys_are_not_the_same) {
  const auto a = *generate_p256();
  EXPECT_TRUE(a.same_public(a));
  EXPECT_FALSE(a.same_public(*generate_p256()));
  EXPECT_FALSE(a.same_public(*generate_rsa(2048)));
}

TEST(key, trailing_bytes_are_refused) {
  const auto k = *generate_p256();
  auto spki = k.spki_der();
  spki.push_back(0);
  EXPECT_EQ(public_key_from_spki(spki).failure().code, errc::malformed);
  auto pkcs8 = to_bytes(k.pkcs8_der().reveal_secret());
  pkcs8.push_back(0);
  EXPECT_EQ(private_key_from_pkcs8(pkcs8).failure().code, errc::malformed);
}

TEST(key, garbage_is_refused) {
  for (const auto* const text : {"", "x", "0000000000000000", "-----BEGIN PUBLIC KEY-----\n"}) {
    EXPECT_EQ(public_key_from_spki(as_bytes(text)).failure().code, errc::malformed) << text;
    EXPECT_EQ(public_key_from_pem(as_bytes(text)).failure().code, errc::malformed) << text;
    EXPECT_EQ(private_key_from_pkcs8(as_bytes(text)).failure().code, errc::malformed) << text;
    EXPECT_EQ(private_key_from_pem(as_bytes(text)).failure().code, errc::malformed) << text;
  }
  const auto spki = generate_p256()->spki_der();
  for (std::size_t n = 0; n < spki.size(); ++n)
    EXPECT_FALSE(public_key_from_spki(byte_view(spki).first(n)).ok()) << n;
}

TEST(key, an_encrypted_private_key_is_refused_without_asking) {
  // openssl genpkey -algorithm EC -aes256 would ask; a service must not.
  EXPECT_FALSE(private_key_from_pem(as_bytes("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                                             "MAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"))
                   .ok());
}

TEST(key, weak_and_unknown_keys_are_refused) {
  const auto weak = generate_rsa(1024);
  ASSERT_TRUE(weak.ok());
  EXPECT_EQ(public_key_from_spki(weak->spki_der()).failure().code, errc::unsupported);
  // An Ed25519 key (RFC 8410, 10.1).
  const auto ed25519 = from_base64("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
  EXPECT_EQ(public_key_from_spki(*ed25519).failure().code, errc::unsupported);
}

TEST(key, rsa_numbers_come_back) {
  const auto k = *generate_rsa(2048);
  const auto numbers = rsa_numbers_of(k);
  ASSERT_TRUE(numbers.ok());
  EXPECT_EQ(numbers->modulus.size(), 256U);
  EXPECT_EQ(hex(numbers->exponent), "010001");
  EXPECT_TRUE(rsa_public_key(numbers->modulus, 65537)->same_public(k));
  EXPECT_EQ(rsa_numbers_of(*generate_p256()).failure().code, errc::unsupported);
}

TEST(key, rsa_numbers_are_judged) {
  auto n = rsa_numbers_of(*generate_rsa(2048))->modulus;
  EXPECT_EQ(rsa_public_key(n, 3).failure().code, errc::malformed);
  EXPECT_EQ(rsa_public_key(n, 65538).failure().code, errc::malformed);
  EXPECT_EQ(rsa_public_key(n, 0).failure().code, errc::malformed);
  EXPECT_EQ(rsa_public_key({}, 65537).failure().code, errc::unsupported);
  EXPECT_EQ(rsa_public_key(byte_view(n).first(128), 65537).failure().code, errc::unsupported);
  EXPECT_EQ(rsa_public_key(bytes(2000, 0xFF), 65537).failure().code, errc::unsupported);
  n.back() &= 0xFEU;
  EXPECT_EQ(rsa_public_key(n, 65537).failure().code, errc::malformed);
}

TEST(key, ec_points_come_back) {
  const auto k = *generate_p256();
  const auto point = ec_point_of(k);
  ASSERT_TRUE(point.ok());
  ASSERT_EQ(point->x.size(), 32U);
  EXPECT_TRUE(ec_public_key(key_type::p256, point->x, point->y)->same_public(k));
  EXPECT_EQ(ec_point_of(*generate_rsa(2048)).failure().code, errc::unsupported);
}

TEST(key, ec_points_are_judged) {
  const auto point = *ec_point_of(*generate_p256());
  auto off = point.y;
  off.back() ^= 1U;
  EXPECT_EQ(ec_public_key(key_type::p256, point.x, off).failure().code, errc::malformed);
  EXPECT_FALSE(ec_public_key(key_type::p256, {}, point.y).ok());
  EXPECT_FALSE(ec_public_key(key_type::p256, bytes(33, 1), point.y).ok());
  EXPECT_FALSE(ec_public_key(key_type::p256, bytes(1), bytes(1)).ok());
  EXPECT_FALSE(ec_public_key(key_type::p256, bytes(32, 0xFF), point.y).ok());
  EXPECT_FALSE(ec_public_key(key_type::p384, point.x, point.y).ok());
  EXPECT_EQ(ec_public_key(key_type::rsa, point.x, point.y).failure().code, errc::unsupported);
}

} // namespace
} // namespace custos::crypto
