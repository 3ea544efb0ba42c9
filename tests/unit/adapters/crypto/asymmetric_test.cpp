#include "tests/unit/adapters/crypto/vectors.hpp"

#include <mutex>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <optional>
#include <set>
#include <thread>
#include <vector>

namespace custos::crypto {
namespace {

using test::hex_of;
using test::text_of;

/// Runs a file of signatures against verify(key, message, signature).
template <class Verify>
std::size_t signature_vectors(const std::string& file, Verify verify) {
  std::size_t valid = 0;
  test::each_vector(file, [&](const auto& group, const auto& vector) {
    const auto key = public_key_from_spki(hex_of(group, "publicKeyDer"));
    ASSERT_TRUE(key.ok()) << key.failure().message;
    const bool ok = verify(*key, hex_of(vector, "msg"), hex_of(vector, "sig"));
    const auto expected = text_of(vector, "result");
    if (expected != "acceptable") {
      EXPECT_EQ(ok, expected == "valid");
    }
    valid += ok ? 1U : 0U;
  });
  return valid;
}

TEST(ecdsa, wycheproof_p256) {
  EXPECT_GE(signature_vectors("ecdsa_secp256r1_sha256_p1363",
                              [](const key& k, byte_view m, byte_view s) {
                                return ecdsa_verify(k, hash_alg::sha256, m, s);
                              }),
            100U);
}

TEST(ecdsa, wycheproof_p384) {
  EXPECT_GE(signature_vectors("ecdsa_secp384r1_sha384_p1363",
                              [](const key& k, byte_view m, byte_view s) {
                                return ecdsa_verify(k, hash_alg::sha384, m, s);
                              }),
            100U);
}

/// r || s of an ECDSA-Sig-Value (RFC 3279, 2.2.3) in DER, or nothing: every octet accounted for, no
/// sign, no needless zero. Signatures reach us as r || s only; this is how the DER vectors do.
std::optional<bytes> r_s_of(byte_view der, std::size_t size) {
  bytes out;
  std::size_t at = 0;
  const auto take = [&](std::uint8_t tag) -> std::optional<std::size_t> {
    if (der.size() - at < 2 || der[at] != tag)
      return std::nullopt;
    std::size_t length = der[at + 1];
    at += 2;
    if (length == 0x81 && at < der.size() && der[at] >= 0x80) {
      length = der[at];
      ++at;
    } else if (length >= 0x80) {
      return std::nullopt;
    }
    return length;
  };
  const auto content = take(0x30); // first: it moves `at`
  if (!content || *content != der.size() - at)
    return std::nullopt;
  for (int i = 0; i < 2; ++i) {
    const auto length = take(0x02);
    if (!length || *length == 0 || *length > der.size() - at)
      return std::nullopt;
    auto number = der.subspan(at, *length);
    at += *length;
    if (number[0] >= 0x80 || (number[0] == 0 && number.size() > 1 && number[1] < 0x80))
      return std::nullopt;
    if (number[0] == 0)
      number = number.subspan(1);
    if (number.size() > size)
      return std::nullopt;
    out.insert(out.end(), size - number.size(), 0);
    out.insert(out.end(), number.begin(), number.end());
  }
  return at == der.size() ? std::optional(out) : std::nullopt;
}

TEST(ecdsa, wycheproof_der_p256) {
  EXPECT_GE(signature_vectors("ecdsa_secp256r1_sha256",
                              [](const key& k, byte_view m, byte_view s) {
                                const auto r_s = r_s_of(s, 32);
                                return r_s && ecdsa_verify(k, hash_alg::sha256, m, *r_s);
                              }),
            100U);
}

TEST(ecdsa, wycheproof_der_p384) {
  EXPECT_GE(signature_vectors("ecdsa_secp384r1_sha384",
                              [](const key& k, byte_view m, byte_view s) {
                                const auto r_s = r_s_of(s, 48);
                                return r_s && ecdsa_verify(k, hash_alg::sha384, m, *r_s);
                              }),
            100U);
}

TEST(rsa, wycheproof_pkcs1_3072) {
  EXPECT_GE(signature_vectors("rsa_signature_3072_sha256",
                              [](const key& k, byte_view m, byte_view s) {
                                return rsassa_verify(k, hash_alg::sha256, m, s);
                              }),
            5U);
}

TEST(rsa, wycheproof_pkcs1) {
  EXPECT_GE(signature_vectors("rsa_signature_2048_sha256",
                              [](const key& k, byte_view m, byte_view s) {
                                return rsassa_verify(k, hash_alg::sha256, m, s);
                              }),
            5U);
}

TEST(rsa, wycheproof_pss) {
  const auto verify = [](pss_salt salt) {
    return [salt](const key& k, byte_view m, byte_view s) {
      return rsapss_verify(k, hash_alg::sha256, m, s, salt);
    };
  };
  EXPECT_GE(signature_vectors("rsa_pss_2048_sha256_mgf1_32", verify(pss_salt::digest_size)), 5U);
}

TEST(ecdsa, signs_and_verifies) {
  const auto k = *generate_p256();
  const auto signature = ecdsa_sign(k, hash_alg::sha256, as_bytes("message"));
  ASSERT_TRUE(signature.ok());
  EXPECT_EQ(signature->size(), 64U);
  EXPECT_TRUE(ecdsa_verify(k, hash_alg::sha256, as_bytes("message"), *signature));
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha256, as_bytes("other"), *signature));
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha384, as_bytes("message"), *signature));
  EXPECT_FALSE(ecdsa_verify(*generate_p256(), hash_alg::sha256, as_bytes("message"), *signature));
}

TEST(rsa, signs_with_pss_and_a_salt_of_the_digests_size) {
  const auto k = *generate_rsa(2048);
  const auto signature = rsapss_sign(k, hash_alg::sha256, as_bytes("message"));
  ASSERT_TRUE(signature.ok());
  EXPECT_EQ(signature->size(), 256U);
  EXPECT_TRUE(
      rsapss_verify(k, hash_alg::sha256, as_bytes("message"), *signature, pss_salt::digest_size));
  EXPECT_FALSE(
      rsapss_verify(k, hash_alg::sha256, as_bytes("other"), *signature, pss_salt::digest_size));
  EXPECT_FALSE(rsassa_verify(k, hash_alg::sha256, as_bytes("message"), *signature));
  EXPECT_EQ(rsapss_sign(*generate_p256(), hash_alg::sha256, as_bytes("m")).failure().code,
            errc::invalid_argument);
  EXPECT_EQ(rsapss_sign(key(), hash_alg::sha256, as_bytes("m")).failure().code,
            errc::invalid_argument);
}

TEST(ecdsa, zero_is_no_signature) {
  const auto k = *generate_p256();
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha256, as_bytes("m"), bytes(64)));
  const auto signature = *ecdsa_sign(k, hash_alg::sha256, as_bytes("m"));
  auto no_r = signature;
  std::fill(no_r.begin(), no_r.begin() + 32, std::uint8_t{0});
  auto no_s = signature;
  std::fill(no_s.begin() + 32, no_s.end(), std::uint8_t{0});
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha256, as_bytes("m"), no_r));
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha256, as_bytes("m"), no_s));
}

TEST(ecdsa, sizes_and_keys_are_judged) {
  const auto k = *generate_p256();
  const auto rsa = *generate_rsa(2048);
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha256, {}, {}));
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha256, {}, bytes(63)));
  EXPECT_FALSE(ecdsa_verify(k, hash_alg::sha256, {}, bytes(96)));
  EXPECT_FALSE(ecdsa_verify(rsa, hash_alg::sha256, {}, bytes(64)));
  EXPECT_FALSE(ecdsa_verify(key(), hash_alg::sha256, {}, bytes(64)));
  EXPECT_FALSE(ecdsa_sign(rsa, hash_alg::sha256, {}).ok());
  EXPECT_FALSE(rsassa_sign(k, hash_alg::sha256, {}).ok());
  EXPECT_FALSE(rsassa_verify(k, hash_alg::sha256, {}, bytes(64)));
  EXPECT_FALSE(rsapss_verify(k, hash_alg::sha256, {}, bytes(64)));
}

TEST(rsa, signs_and_verifies) {
  const auto k = *generate_rsa(2048);
  EXPECT_EQ(k.bits(), 2048U);
  const auto signature = rsassa_sign(k, hash_alg::sha256, as_bytes("message"));
  ASSERT_TRUE(signature.ok());
  EXPECT_TRUE(rsassa_verify(k, hash_alg::sha256, as_bytes("message"), *signature));
  EXPECT_FALSE(rsassa_verify(k, hash_alg::sha1, as_bytes("message"), *signature));
  EXPECT_FALSE(rsapss_verify(k, hash_alg::sha256, as_bytes("message"), *signature));
}

/// What a TPM does with what rsa_oaep_encrypt made.
bytes oaep_decrypt(const key& k, std::string label, byte_view ciphertext) {
  EVP_PKEY_CTX* const context = EVP_PKEY_CTX_new_from_pkey(nullptr, k.handle(), nullptr);
  std::string md = "SHA256";
  std::string padding = "oaep";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_PAD_MODE, padding.data(), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, md.data(), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, md.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label.data(),
                                        label.size()),
      OSSL_PARAM_construct_end()};
  bytes out(512);
  std::size_t size = out.size();
  const bool ok =
      EVP_PKEY_decrypt_init_ex(context, params) == 1 &&
      EVP_PKEY_decrypt(context, out.data(), &size, ciphertext.data(), ciphertext.size()) == 1;
  EVP_PKEY_CTX_free(context);
  out.resize(ok ? size : 0);
  return out;
}

TEST(rsa, oaep_binds_the_label) {
  const auto k = *generate_rsa(2048);
  const std::string label("IDENTITY\0", 9); // with its zero, as TPM 2.0 Part 1, B.4 wants it
  const auto sealed =
      rsa_oaep_encrypt(k, hash_alg::sha256, as_bytes(label), as_bytes("credential"));
  ASSERT_TRUE(sealed.ok()) << sealed.failure().message;
  EXPECT_EQ(sealed->size(), 256U);
  EXPECT_EQ(as_text(oaep_decrypt(k, label, *sealed)), "credential");
  EXPECT_TRUE(oaep_decrypt(k, "DUPLICATE", *sealed).empty());
  EXPECT_FALSE(rsa_oaep_encrypt(k, hash_alg::sha256, {}, bytes(256)).ok());
  EXPECT_FALSE(rsa_oaep_encrypt(*generate_p256(), hash_alg::sha256, {}, bytes(16)).ok());
  EXPECT_FALSE(rsa_oaep_encrypt(key(), hash_alg::sha256, {}, bytes(16)).ok());
}

TEST(ecdh, both_sides_agree) {
  const auto a = *generate_p256();
  const auto b = *generate_p256();
  const auto b_public = *public_key_from_spki(b.spki_der());
  const auto a_public = *public_key_from_spki(a.spki_der());
  const auto one = ecdh(a, b_public);
  const auto two = ecdh(b, a_public);
  ASSERT_TRUE(one.ok());
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(one->size(), 32U);
  EXPECT_TRUE(equal(one->reveal_secret(), two->reveal_secret()));
  EXPECT_FALSE(ecdh(a_public, b).ok()) << "no private key";
  EXPECT_FALSE(ecdh(a, *generate_rsa(2048)).ok());
  EXPECT_FALSE(ecdh(key(), b).ok());
}

/// SubjectPublicKeyInfo whose point is infinity: one octet 00 (SEC 1, 2.3.4). It is on the curve,
/// so that reading it may go well; nothing may be agreed with it.
TEST(ecdh, agrees_with_no_point_at_infinity) {
  const auto infinity =
      public_key_from_spki(*from_hex("3019301306072a8648ce3d020106082a8648ce3d03010703020000"));
  if (infinity) {
    EXPECT_FALSE(ecdh(*generate_p256(), *infinity).ok());
  }
}

/// Keys are made in a context that their thread keeps.
TEST(ecdh, keys_of_many_threads_are_all_different) {
  std::mutex mutex;
  std::set<bytes> seen;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const auto point = generate_p256()->spki_der();
        const std::lock_guard guard(mutex);
        seen.insert(point);
      }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(seen.size(), 200U);
}

/// A private key on P-256 as PKCS#8 without its public part (RFC 5915, 3).
key private_p256(const bytes& scalar_text) {
  bytes scalar = scalar_text;
  if (scalar.size() > 32)
    scalar.erase(scalar.begin(), scalar.end() - 32);
  scalar.insert(scalar.begin(), 32 - scalar.size(), 0);
  auto der = *from_hex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");
  der.insert(der.end(), scalar.begin(), scalar.end());
  return *private_key_from_pkcs8(der);
}

TEST(ecdh, wycheproof_points) {
  std::size_t valid = 0;
  std::size_t refused = 0;
  test::each_vector("ecdh_secp256r1_ecpoint", [&](const auto&, const auto& vector) {
    const auto point = hex_of(vector, "public");
    const auto expected = text_of(vector, "result");
    // Only the uncompressed form is ours (RFC 7518, 6.2.1; TPM 2.0 Part 2, 11.2.5.2).
    if (point.size() != 65 || point[0] != 0x04) {
      EXPECT_NE(expected, "valid");
      return;
    }
    const byte_view view(point);
    const auto peer = ec_public_key(key_type::p256, view.subspan(1, 32), view.subspan(33, 32));
    if (expected == "invalid") {
      EXPECT_FALSE(peer.ok());
      ++refused;
      return;
    }
    ASSERT_TRUE(peer.ok()) << peer.failure().message;
    const auto z = ecdh(private_p256(hex_of(vector, "private")), *peer);
    ASSERT_TRUE(z.ok()) << z.failure().message;
    EXPECT_TRUE(equal(z->reveal_secret(), hex_of(vector, "shared")));
    ++valid;
  });
  EXPECT_GE(valid, 200U);
  EXPECT_GE(refused, 1U);
}

} // namespace
} // namespace custos::crypto
