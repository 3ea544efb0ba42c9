#include "actors/gateway/key_wire.hpp"

#include "adapters/crypto/crypto.hpp"

#include <gtest/gtest.h>

namespace custos::gateway {
namespace {

TEST(key_wire, encrypt_comes_back) {
  const auto r = decode_encrypt(encode_encrypt("a.b.c.d.e", to_bytes("ctx")));
  ASSERT_TRUE(r) << r.failure().message;
  EXPECT_EQ(r->jwe, "a.b.c.d.e");
  EXPECT_EQ(r->context, to_bytes("ctx"));
  const auto bare = decode_encrypt(encode_encrypt("j", {}));
  ASSERT_TRUE(bare);
  EXPECT_TRUE(bare->context.empty());
  const auto answer = decode_encrypted(encode_encrypted({bytes{1, 2, 3}}));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->ciphertext, (bytes{1, 2, 3}));
}

TEST(key_wire, bad_encrypts_name_the_member) {
  EXPECT_EQ(decode_encrypt(R"({})").failure().field, "/jwe");
  EXPECT_EQ(decode_encrypt(R"({"jwe":1})").failure().field, "/jwe");
  EXPECT_EQ(decode_encrypt(R"({"jwe":"x","context":"="})").failure().field, "/context");
  EXPECT_EQ(decode_encrypt(R"({"jwe":"x","more":1})").failure().field, "/more");
  EXPECT_FALSE(decode_encrypt(R"({"jwe":")" + std::string(key_jwe_bytes_max + 1, 'x') + "\"}"));
}

TEST(key_wire, rewrap_comes_back) {
  const std::vector<rewrap_item> sent{{bytes{1}, {}}, {bytes{2, 2}, to_bytes("ctx")}};
  const auto r = decode_rewrap(encode_rewrap(sent));
  ASSERT_TRUE(r) << r.failure().message;
  ASSERT_EQ(r->items.size(), 2U);
  EXPECT_EQ(r->items[0].ciphertext, sent[0].ciphertext);
  EXPECT_TRUE(r->items[0].context.empty());
  EXPECT_EQ(r->items[1].context, sent[1].context);
}

TEST(key_wire, the_largest_rewrap_there_is_fits) {
  const std::vector<rewrap_item> items(rewrap_items_max, {bytes(861, 1), bytes(context_bytes_max)});
  const auto body = encode_rewrap(items);
  EXPECT_LE(body.size(), rewrap_body_bytes_max);
  const auto r = decode_rewrap(body);
  ASSERT_TRUE(r) << r.failure().message;
  EXPECT_EQ(r->items.size(), rewrap_items_max);
}

TEST(key_wire, more_than_fits_is_said_so) {
  const auto many = decode_rewrap(
      encode_rewrap(std::vector<rewrap_item>(rewrap_items_max + 1, {bytes(10, 1), {}})));
  ASSERT_FALSE(many);
  EXPECT_EQ(many.failure().code, errc::too_large);
  EXPECT_EQ(many.failure().field, "/keys");
  EXPECT_NE(many.failure().message.find("at most 1000 keys"), std::string::npos);
  const auto long_body = decode_rewrap(std::string(rewrap_body_bytes_max + 1, ' '));
  ASSERT_FALSE(long_body);
  EXPECT_EQ(long_body.failure().code, errc::too_large);
  EXPECT_NE(long_body.failure().message.find("several calls"), std::string::npos);
}

TEST(key_wire, bad_rewraps_name_the_item) {
  EXPECT_EQ(decode_rewrap(R"({})").failure().field, "/keys");
  EXPECT_EQ(decode_rewrap(R"({"keys":[{"ciphertext":"AQ"},{}]})").failure().field,
            "/keys/1/ciphertext");
  EXPECT_EQ(decode_rewrap(R"({"keys":[{"ciphertext":"AQ","context":1}]})").failure().field,
            "/keys/0/context");
  EXPECT_EQ(decode_rewrap(R"({"keys":[{"ciphertext":"AQ","x":1}]})").failure().field, "/keys/0/x");
  EXPECT_EQ(decode_rewrap(R"({"keys":[],"x":1})").failure().field, "/x");
}

TEST(key_wire, outcomes_come_back) {
  auto refused = field_error(errc::crypto_failure, "context", "another context");
  auto away = make_error(errc::unavailable, "no key server answers");
  away.retryable = true;
  away.retry_after_s = 7;
  const keys_rewrapped sent{
      {{bytes{1}, true, {}}, {bytes{2}, false, {}}, {{}, false, refused}, {{}, false, away}}};
  const auto text = encode_rewrapped(sent);
  const auto read = decode_rewrapped(text);
  ASSERT_TRUE(read) << read.failure().message;
  ASSERT_EQ(read->keys.size(), 4U);
  EXPECT_TRUE(read->keys[0].changed);
  EXPECT_EQ(read->keys[0].ciphertext, bytes{1});
  EXPECT_FALSE(read->keys[1].changed);
  ASSERT_TRUE(read->keys[2].failure);
  EXPECT_EQ(read->keys[2].failure->code, errc::crypto_failure);
  EXPECT_EQ(read->keys[2].failure->field, "context");
  EXPECT_EQ(read->keys[2].failure->message, "another context");
  ASSERT_TRUE(read->keys[3].failure);
  EXPECT_EQ(read->keys[3].failure->code, errc::unavailable);
  EXPECT_TRUE(read->keys[3].failure->retryable);
  EXPECT_EQ(read->keys[3].failure->retry_after_s, 7U);
  EXPECT_FALSE(decode_rewrapped(R"({"keys":[{"ciphertext":"AQ"}]})"));
  EXPECT_FALSE(decode_rewrapped(R"({"keys":[{"error":{"detail":"no status"}}]})"));
}

} // namespace
} // namespace custos::gateway
