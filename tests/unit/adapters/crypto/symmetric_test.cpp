#include "tests/unit/adapters/crypto/vectors.hpp"

namespace custos::crypto {
namespace {

using test::hex_of;
using test::text_of;

TEST(gcm, wycheproof) {
  std::size_t ours = 0;
  test::each_vector("aes_gcm", [&](const auto& group, const auto& vector) {
    const bool fits = group.at("keySize").as_int64() == 256 && group.at("ivSize").as_int64() == 96;
    const auto key = hex_of(vector, "key");
    const auto nonce = hex_of(vector, "iv");
    const auto aad = hex_of(vector, "aad");
    const auto opened =
        aes256_gcm_open(key, nonce, aad, hex_of(vector, "ct"), hex_of(vector, "tag"));
    if (!fits || text_of(vector, "result") != "valid") {
      EXPECT_FALSE(opened.ok());
      return;
    }
    ++ours;
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    EXPECT_TRUE(equal(opened->reveal_secret(), hex_of(vector, "msg")));
    const auto sealed = aes256_gcm_seal(key, nonce, aad, hex_of(vector, "msg"));
    ASSERT_TRUE(sealed.ok());
    EXPECT_EQ(sealed->ciphertext, hex_of(vector, "ct"));
    EXPECT_TRUE(equal(sealed->tag, hex_of(vector, "tag")));
  });
  EXPECT_GE(ours, 30U);
}

TEST(gcm, everything_is_bound) {
  const bytes key(32, 1);
  const bytes nonce(12, 2);
  const auto sealed = aes256_gcm_seal(key, nonce, as_bytes("aad"), as_bytes("text"));
  ASSERT_TRUE(sealed.ok());
  const auto opens = [&](byte_view k, byte_view n, byte_view a, byte_view c, byte_view t) {
    return aes256_gcm_open(k, n, a, c, t).ok();
  };
  const auto& ct = sealed->ciphertext;
  EXPECT_TRUE(opens(key, nonce, as_bytes("aad"), ct, sealed->tag));
  EXPECT_FALSE(opens(bytes(32, 9), nonce, as_bytes("aad"), ct, sealed->tag));
  EXPECT_FALSE(opens(key, bytes(12, 9), as_bytes("aad"), ct, sealed->tag));
  EXPECT_FALSE(opens(key, nonce, as_bytes("add"), ct, sealed->tag));
  EXPECT_FALSE(opens(key, nonce, as_bytes("aad"), bytes(4, 0), sealed->tag));
  EXPECT_FALSE(opens(key, nonce, as_bytes("aad"), ct, bytes(16, 0)));
}

TEST(gcm, sizes_are_judged) {
  const bytes key(32, 1);
  const bytes nonce(12, 2);
  EXPECT_EQ(aes256_gcm_seal(bytes(16, 1), nonce, {}, {}).failure().code, errc::invalid_argument);
  EXPECT_FALSE(aes256_gcm_seal(key, bytes(16, 2), {}, {}).ok());
  EXPECT_FALSE(aes256_gcm_open(bytes(31, 1), nonce, {}, {}, bytes(16)).ok());
  EXPECT_FALSE(aes256_gcm_open(key, bytes(0), {}, {}, bytes(16)).ok());
  EXPECT_FALSE(aes256_gcm_open(key, nonce, {}, {}, bytes(12)).ok());
  EXPECT_FALSE(aes256_gcm_open(key, nonce, {}, {}, {}).ok());
}

/// Runs a key wrap file; counts how many valid and acceptable vectors opened.
template <class Wrap, class Unwrap>
std::size_t key_wrap_vectors(const std::string& file, Wrap wrap, Unwrap unwrap) {
  std::size_t opened_count = 0;
  test::each_vector(file, [&](const auto&, const auto& vector) {
    const auto key = hex_of(vector, "key");
    const auto message = hex_of(vector, "msg");
    const auto opened = unwrap(key, hex_of(vector, "ct"));
    const auto expected = text_of(vector, "result");
    if (expected == "invalid") {
      EXPECT_FALSE(opened.ok());
      return;
    }
    if (expected == "acceptable" && !opened.ok())
      return;
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    EXPECT_TRUE(equal(opened->reveal_secret(), message));
    const auto wrapped = wrap(key, message);
    ASSERT_TRUE(wrapped.ok()) << wrapped.failure().message;
    EXPECT_EQ(*wrapped, hex_of(vector, "ct"));
    ++opened_count;
  });
  return opened_count;
}

TEST(key_wrap, wycheproof_with_padding) {
  EXPECT_GE(key_wrap_vectors("aes_kwp", aes_kwp_wrap, aes_kwp_unwrap), 70U);
}

TEST(key_wrap, wycheproof) {
  EXPECT_GE(key_wrap_vectors("aes_wrap", aes_kw_wrap, aes_kw_unwrap), 30U);
}

TEST(key_wrap, example_of_rfc5649) {
  const auto key = *from_hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
  const auto text = *from_hex("c37b7e6492584340bed12207808941155068f738");
  const auto wrapped = aes_kwp_wrap(key, text);
  ASSERT_TRUE(wrapped.ok());
  EXPECT_EQ(hex(*wrapped), "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a");
}

TEST(key_wrap, sizes_are_judged) {
  const bytes key(32, 1);
  EXPECT_FALSE(aes_kw_wrap(key, bytes(8)).ok());
  EXPECT_FALSE(aes_kw_wrap(key, bytes(17)).ok());
  EXPECT_FALSE(aes_kw_wrap(bytes(15), bytes(16)).ok());
  EXPECT_FALSE(aes_kwp_wrap(key, {}).ok());
  EXPECT_FALSE(aes_kwp_unwrap(key, {}).ok());
  EXPECT_FALSE(aes_kwp_unwrap(key, bytes(17)).ok());
  EXPECT_FALSE(aes_kw_unwrap(key, bytes(8)).ok());
  EXPECT_FALSE(aes_kw_unwrap({}, bytes(24)).ok());
}

TEST(cfb, example_of_sp800_38a) {
  // F.3.13, CFB128-AES128.Encrypt, first two blocks.
  const auto out = aes_cfb_encrypt(*from_hex("2b7e151628aed2a6abf7158809cf4f3c"),
                                   *from_hex("000102030405060708090a0b0c0d0e0f"),
                                   *from_hex("6bc1bee22e409f96e93d7e117393172a"
                                             "ae2d8a571e03ac9c9eb76fac45af8e51"));
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(hex(*out), "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b");
  EXPECT_EQ(aes_cfb_encrypt(bytes(16), bytes(16), bytes(5))->size(), 5U);
  EXPECT_FALSE(aes_cfb_encrypt(bytes(16), bytes(15), bytes(5)).ok());
  EXPECT_FALSE(aes_cfb_encrypt(bytes(8), bytes(16), bytes(5)).ok());
}

TEST(cbc, example_of_sp800_38a) {
  // F.2.5, CBC-AES256.Encrypt, first block; a whole block of padding follows.
  const auto key = *from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const auto iv = *from_hex("000102030405060708090a0b0c0d0e0f");
  const auto text = *from_hex("6bc1bee22e409f96e93d7e117393172a");
  const auto sealed = aes_cbc_encrypt(key, iv, text);
  ASSERT_TRUE(sealed.ok());
  ASSERT_EQ(sealed->size(), 32U);
  EXPECT_EQ(hex(byte_view(*sealed).first(16)), "f58c4c04d6e5f1ba779eabfb5f7bfbd6");
  const auto opened = aes_cbc_decrypt(key, iv, *sealed);
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(equal(opened->reveal_secret(), text));
  EXPECT_FALSE(aes_cbc_decrypt(key, iv, byte_view(*sealed).first(16)).ok());
  EXPECT_FALSE(aes_cbc_decrypt(key, iv, byte_view(*sealed).first(17)).ok());
  EXPECT_FALSE(aes_cbc_decrypt(key, iv, {}).ok());
  EXPECT_FALSE(aes_cbc_encrypt(key, bytes(12), text).ok());
  EXPECT_FALSE(aes_cbc_encrypt(bytes(33), iv, text).ok());
}

TEST(scrypt, example_of_rfc7914) {
  const auto out = scrypt(as_bytes("password"), as_bytes("NaCl"), 1024, 8, 16, 64);
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(hex(out->reveal_secret()),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
  EXPECT_FALSE(scrypt(as_bytes("p"), as_bytes("s"), 1000, 8, 1, 32).ok()) << "N is no power of 2";
  EXPECT_FALSE(scrypt(as_bytes("p"), as_bytes("s"), 1U << 30U, 8, 1, 32).ok()) << "memory";
}

} // namespace
} // namespace custos::crypto
