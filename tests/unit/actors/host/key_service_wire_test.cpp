#include "actors/host/key_service_wire.hpp"

#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::host {

namespace {

namespace bj = boost::json;

std::string jwk(const crypto::key& key, std::string_view kid = "kid-1",
                std::string_view use = "enc", std::string_view alg = "ECDH-ES+A256KW") {
  return bj::serialize(jose::jwk_of(key, kid, use, alg));
}

TEST(key_service_wire_test, encrypts_for_the_service_alone) {
  const auto service = crypto::generate_p256().value();
  const auto recipient = decode_encryption_key(jwk(service));
  ASSERT_TRUE(recipient.ok()) << recipient.failure().message;
  EXPECT_EQ(recipient->kid, "kid-1");
  const crypto::secret_bytes own(crypto::random_bytes(32));
  const auto body = encode_encrypt(*recipient, own, as_bytes("volume"));
  ASSERT_TRUE(body.ok());
  auto o = json::parse_object(*body).value();
  const auto jwe = o.string("jwe", 16384).value();
  EXPECT_EQ(o.base64url("context", 100).value(), to_bytes("volume"));
  EXPECT_TRUE(o.finish().ok());
  const auto opened = jose::decrypt_ecdh_es_a256kw(service, jwe);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(to_bytes(opened->reveal_secret()), to_bytes(own.reveal_secret()));
  const auto header =
      json::parse_object(as_text(*crypto::from_base64url(jwe.substr(0, jwe.find('.')))))
          ->string("kid", 100);
  EXPECT_EQ(*header, "kid-1");
  EXPECT_EQ(encode_encrypt(*recipient, own, {})->find("context"), std::string::npos);
}

TEST(key_service_wire_test, takes_no_key_for_something_else) {
  const auto p256 = crypto::generate_p256().value();
  EXPECT_FALSE(decode_encryption_key(jwk(p256, "k", "sig")).ok());
  EXPECT_FALSE(decode_encryption_key(jwk(p256, "k", "enc", "ES256")).ok());
  EXPECT_FALSE(decode_encryption_key(jwk(p256, "")).ok());
  EXPECT_FALSE(decode_encryption_key(jwk(crypto::generate_rsa(2048).value())).ok());
  EXPECT_FALSE(decode_encryption_key("{}").ok());
  EXPECT_FALSE(decode_encryption_key("not JSON").ok());
}

TEST(key_service_wire_test, asks_for_many_at_once) {
  const bytes a{1, 2}, b{3}, context{9};
  auto o = json::parse_object(encode_rewrap({{a, context}, {b, {}}})).value();
  const auto keys = o.array("keys", 10).value();
  ASSERT_EQ(keys.size(), 2U);
  auto first = keys[0].as_object().value();
  EXPECT_EQ(first.base64url("ciphertext", 10).value(), a);
  EXPECT_EQ(first.base64url("context", 10).value(), context);
  auto second = keys[1].as_object().value();
  EXPECT_EQ(second.base64url("ciphertext", 10).value(), b);
  EXPECT_FALSE(second.has("context"));
}

TEST(key_service_wire_test, reads_an_outcome_for_each) {
  const auto told = decode_rewrapped(
      R"({"keys":[{"ciphertext":"AQID","changed":true},{"ciphertext":"BA","changed":false},)"
      R"({"error":{"type":"urn:custos:error:crypto-failure","code":"crypto-failure",)"
      R"("status":400,"detail":"it does not decrypt"}}]})",
      3);
  ASSERT_TRUE(told.ok()) << told.failure().message;
  const auto& first = std::get<rewrapped_key>((*told)[0]);
  EXPECT_EQ(first.ciphertext, (bytes{1, 2, 3}));
  EXPECT_TRUE(first.changed);
  EXPECT_FALSE(std::get<rewrapped_key>((*told)[1]).changed);
  const auto& refused = std::get<error>((*told)[2]);
  EXPECT_EQ(refused.code, errc::crypto_failure);
  EXPECT_EQ(refused.message, "it does not decrypt");
}

TEST(key_service_wire_test, takes_neither_more_nor_fewer_outcomes) {
  const std::string one = R"({"keys":[{"ciphertext":"AQID","changed":true}]})";
  EXPECT_TRUE(decode_rewrapped(one, 1).ok());
  EXPECT_FALSE(decode_rewrapped(one, 0).ok());
  EXPECT_FALSE(decode_rewrapped(one, 2).ok());
  EXPECT_FALSE(decode_rewrapped(R"({"keys":[{"ciphertext":"AQID"}]})", 1).ok());
  EXPECT_FALSE(decode_rewrapped(R"({"keys":[7]})", 1).ok());
  EXPECT_FALSE(decode_rewrapped("[]", 1).ok());
}

TEST(key_service_wire_test, reads_the_present_primary_keys) {
  const auto keys = decode_primary_keys(
      R"({"providers":[{"name":"disk","health":"ok","detail":"","primary_key":"ab12"},)"
      R"({"name":"tape","health":"error","detail":"none yet"},)"
      R"({"name":"../x","primary_key":"ab12"}]})");
  ASSERT_TRUE(keys.ok()) << keys.failure().message;
  EXPECT_EQ(*keys, (std::map<std::string, std::string>{{"disk", "ab12"}}));
  EXPECT_FALSE(decode_primary_keys("{}").ok());
}

} // namespace

} // namespace custos::host
