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

// The usual form of a P-256 key is not read by OpenSSL's decoder: it must make no difference.
TEST(key, the_usual_form_of_p256_is_read_as_any_other) {
  for (int i = 0; i < 100; ++i) {
    const auto k = *generate_p256();
    const auto usual = public_key_from_spki(k.spki_der());
    ASSERT_TRUE(usual.ok());
    EXPECT_EQ(usual->type(), key_type::p256);
    EXPECT_EQ(usual->bits(), 256U);
    EXPECT_TRUE(usual->same_public(*public_key_from_pem(as_bytes(k.public_pem()))));
    EXPECT_EQ(usual->spki_der(), k.spki_der());
    EXPECT_EQ(usual->public_pem(), k.public_pem());
    const auto signature = *ecdsa_sign(k, hash_alg::sha256, as_bytes("message"));
    EXPECT_TRUE(ecdsa_verify(*usual, hash_alg::sha256, as_bytes("message"), signature));
    EXPECT_FALSE(ecdsa_verify(*usual, hash_alg::sha256, as_bytes("other"), signature));
  }
}

TEST(key, a_public_key_has_no_private_half) {
  const auto usual = *public_key_from_spki(generate_p256()->spki_der());
  EXPECT_TRUE(usual.pkcs8_der().empty());
  EXPECT_FALSE(ecdsa_sign(usual, hash_alg::sha256, as_bytes("message")));
  EXPECT_FALSE(ecdh(usual, *generate_p256()));
}

TEST(key, points_off_the_curve_are_refused) {
  const auto good = generate_p256()->spki_der();
  ASSERT_EQ(good.size(), 91U);
  for (std::size_t i = 27; i < good.size(); ++i) {
    auto off = good;
    off[i] ^= 1; // another point of the curve with one coordinate the same is out of reach
    EXPECT_EQ(public_key_from_spki(off).failure().code, errc::malformed) << i;
  }
  for (const std::uint8_t fill : bytes{0x00, 0xFF}) {
    auto off = good;
    std::fill(off.begin() + 27, off.end(), fill);
    EXPECT_EQ(public_key_from_spki(off).failure().code, errc::malformed);
  }
}

TEST(key, compressed_points_are_read) {
  const auto k = *generate_p256();
  const auto point = *ec_point_of(k);
  auto spki = *from_hex("3039301306072a8648ce3d020106082a8648ce3d030107032200");
  spki.push_back((point.y.back() & 1U) != 0 ? 0x03 : 0x02);
  spki.insert(spki.end(), point.x.begin(), point.x.end());
  const auto compressed = public_key_from_spki(spki);
  ASSERT_TRUE(compressed.ok()) << compressed.failure().message;
  EXPECT_TRUE(compressed->same_public(k));
  const auto again = ec_point_of(*compressed);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->x, point.x);
  EXPECT_EQ(again->y, point.y);
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
