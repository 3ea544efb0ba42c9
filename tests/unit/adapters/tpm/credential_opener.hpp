#pragma once
// Opens credentials as TPM2_ActivateCredential does, with the private EK in software.

#include "adapters/tpm/make_credential.hpp"
#include "tests/unit/adapters/tpm/tpm_bytes.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <optional>
#include <string>

namespace custos::tpm::test {

/// The TPM's half (Part 3, 12.5) with the private EK in software, written from the specification's
/// formulas without the code under test.
class credential_opener {
public:
  credential_opener(crypto::key key, const template_of& t) : key_(std::move(key)) {
    bytes raw;
    if (key_.type() == crypto::key_type::rsa) {
      raw = rsa_public(modulus_of(key_), t);
    } else {
      raw = ecc_public(key_, t);
    }
    auto area = parse_public(raw);
    EXPECT_TRUE(area) << area.failure().message;
    ek = *std::move(area);
  }

  /// nullopt: integrity does not hold.
  std::optional<bytes> activate(const credential& c, byte_view name) const {
    const auto seed = key_.type() == crypto::key_type::rsa ? rsa_seed(c) : ecc_seed(c);
    const auto size = crypto::digest_size(ek.name_alg);
    const byte_view object = unsized(c.id_object);
    const byte_view mac = unsized(object.first(2 + size));
    const byte_view identity = object.subspan(2 + size);
    const auto mac_key = kdf(seed, "INTEGRITY", {}, size);
    if (to_bytes(mac) != crypto::hmac(ek.name_alg, mac_key, {identity, name}))
      return std::nullopt;
    const auto clear = cfb(kdf(seed, "STORAGE", name, ek.symmetric->aes_bits / 8), identity);
    return to_bytes(unsized(clear));
  }

  public_area ek;

private:
  static byte_view unsized(byte_view sized) {
    EXPECT_EQ(static_cast<std::size_t>(sized[0] << 8 | sized[1]), sized.size() - 2);
    return sized.subspan(2);
  }

  bytes kdf(byte_view seed, std::string_view label, byte_view context, std::size_t size) const {
    const bytes end(1, 0);
    const bytes bits = tpm_bytes().u32(static_cast<std::uint32_t>(size * 8));
    auto out = crypto::hmac(ek.name_alg, seed,
                            {bytes(tpm_bytes().u32(1)), as_bytes(label), end, context, bits});
    out.resize(size);
    return out;
  }

  static bytes cfb(byte_view key, byte_view data) {
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    const bytes iv(16, 0);
    bytes out(data.size());
    int size = 0;
    EXPECT_EQ(EVP_DecryptInit_ex(context, key.size() == 16 ? EVP_aes_128_cfb() : EVP_aes_256_cfb(),
                                 nullptr, key.data(), iv.data()),
              1);
    EXPECT_EQ(
        EVP_DecryptUpdate(context, out.data(), &size, data.data(), static_cast<int>(data.size())),
        1);
    EVP_CIPHER_CTX_free(context);
    return out;
  }

  bytes rsa_seed(const credential& c) const {
    const byte_view encrypted = unsized(c.encrypted_secret);
    EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key_.handle(), nullptr);
    const auto* md = EVP_get_digestbyname(std::string(crypto::to_string(ek.name_alg)).c_str());
    EXPECT_EQ(EVP_PKEY_decrypt_init(context), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_oaep_md(context, md), 1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_mgf1_md(context, md), 1);
    auto* label = static_cast<unsigned char*>(OPENSSL_malloc(9));
    std::copy_n("IDENTITY\0", 9, label);
    EXPECT_EQ(EVP_PKEY_CTX_set0_rsa_oaep_label(context, label, 9), 1);
    bytes out(512);
    std::size_t size = out.size();
    EXPECT_EQ(EVP_PKEY_decrypt(context, out.data(), &size, encrypted.data(), encrypted.size()), 1);
    EVP_PKEY_CTX_free(context);
    out.resize(size);
    return out;
  }

  bytes ecc_seed(const credential& c) const {
    const byte_view point = unsized(c.encrypted_secret);
    const auto half = point.size() / 2;
    const byte_view x = unsized(point.first(half));
    const byte_view y = unsized(point.subspan(half));
    const auto ephemeral = crypto::ec_public_key(key_.type(), x, y);
    EXPECT_TRUE(ephemeral);
    const auto z = crypto::ecdh(key_, *ephemeral);
    EXPECT_TRUE(z);
    const bytes end(1, 0);
    return crypto::digest(ek.name_alg,
                          {bytes(tpm_bytes().u32(1)), z->reveal_secret(), as_bytes("IDENTITY"), end,
                           x, crypto::ec_point_of(key_)->x});
  }

  crypto::key key_;
};

} // namespace custos::tpm::test
