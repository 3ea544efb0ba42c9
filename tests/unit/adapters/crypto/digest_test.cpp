#include "tests/unit/adapters/crypto/vectors.hpp"

#include <thread>

namespace custos::crypto {
namespace {

TEST(digest, examples_of_fips180) {
  EXPECT_EQ(hex(digest(hash_alg::sha1, {as_bytes("abc")})),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(digest(hash_alg::sha384, {as_bytes("abc")})),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
            "8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(hex(digest(hash_alg::sha512, {as_bytes("abc")})),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(digest, parts_are_concatenated) {
  for (const auto alg : {hash_alg::sha1, hash_alg::sha256, hash_alg::sha384, hash_alg::sha512}) {
    const auto whole = digest(alg, {as_bytes("abcdef")});
    EXPECT_EQ(whole.size(), digest_size(alg));
    EXPECT_EQ(digest(alg, {as_bytes("ab"), {}, as_bytes("cdef")}), whole);
    bytes into(digest_size(alg));
    digest_into(alg, {as_bytes("abc"), as_bytes("def")}, into);
    EXPECT_EQ(into, whole);
  }
}

TEST(digest, threads_do_not_disturb_each_other) {
  const auto expected = sha256(as_bytes("abc"));
  std::vector<std::thread> threads;
  std::array<bool, 4> same{};
  for (auto& s : same)
    threads.emplace_back([&s, &expected] {
      s = true;
      for (int i = 0; i < 1000; ++i)
        s = s && sha256(as_bytes("abc")) == expected;
    });
  for (auto& t : threads)
    t.join();
  for (const auto s : same)
    EXPECT_TRUE(s);
}

TEST(digest, names_come_back) {
  for (const auto alg : {hash_alg::sha1, hash_alg::sha256, hash_alg::sha384, hash_alg::sha512})
    EXPECT_EQ(*hash_alg_of(to_string(alg)), alg);
  EXPECT_EQ(hash_alg_of("md5").failure().code, errc::invalid_argument);
  EXPECT_FALSE(hash_alg_of("").ok());
}

TEST(hmac, wycheproof) {
  const auto count = test::each_vector("hmac_sha256", [](const auto& group, const auto& vector) {
    auto mac = hmac(hash_alg::sha256, test::hex_of(vector, "key"), {test::hex_of(vector, "msg")});
    mac.resize(static_cast<std::size_t>(group.at("tagSize").as_int64()) / 8);
    EXPECT_EQ(equal(mac, test::hex_of(vector, "tag")), test::text_of(vector, "result") == "valid");
  });
  EXPECT_EQ(count, 174U);
}

TEST(hmac, examples_of_rfc4231) {
  const bytes key(20, 0x0B);
  EXPECT_EQ(hex(hmac_sha256(key, {as_bytes("Hi "), as_bytes("There")})),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac(hash_alg::sha384, key, {as_bytes("Hi There")})),
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
            "faea9ea9076ede7f4af152e8b2fa9cb6");
  EXPECT_EQ(hmac(hash_alg::sha256, {}, {}).size(), 32U);
}

TEST(equal, compares_whole_contents) {
  EXPECT_TRUE(equal({}, {}));
  EXPECT_TRUE(equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal(as_bytes("abc"), as_bytes("ab")));
}

TEST(randomness, differs_each_time) {
  EXPECT_EQ(random_bytes(0).size(), 0U);
  EXPECT_EQ(random_bytes(65536).size(), 65536U);
  EXPECT_NE(random_bytes(32), random_bytes(32));
  EXPECT_FALSE(equal(random_secret(32).reveal_secret(), random_secret(32).reveal_secret()));
}

} // namespace
} // namespace custos::crypto
