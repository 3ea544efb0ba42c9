#include "actors/keyprovider/token_reader.hpp"

#include "actors/attestation/token.hpp"

#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

constexpr std::int64_t now = 1'800'000'000;

class token_reader : public ::testing::Test {
protected:
  token_reader() : key(*crypto::generate_p256()) {
    claims.issuer = "https://trust.example";
    claims.host = "host-7";
    claims.issued = now;
    claims.expires = now + 3600;
    claims.id = "id";
    claims.nonce = bytes(32, 1);
    claims.key_thumbprint.fill(2);
    claims.ek_spki_sha256.fill(3);
    claims.image = "debian";
    claims.image_version = "12.7";
    claims.bank = "sha256";
    claims.pcrs_used = {0, 7};
    claims.event_log_sha256.fill(4);
    claims.ak_name = bytes(34, 5);
    claims.reset_count = 6;
    claims.restart_count = 7;
    keys = {{"k1", key, "ES256"}};
  }
  token_check check() {
    return tokens_of("https://trust.example", [this](std::int64_t at) {
      asked_at = at;
      return std::span<const jose::trusted_key>(keys);
    });
  }
  std::string token() {
    auto t = attestation::make_token(claims, *attestation::make_token_signer(key, "ES256", "k1"));
    EXPECT_TRUE(t) << t.failure().message;
    return *t;
  }

  crypto::key key;
  attestation::token_claims claims;
  std::vector<jose::trusted_key> keys;
  std::int64_t asked_at = 0;
};

TEST_F(token_reader, gives_the_gate_what_the_token_says) {
  const auto facts = check()(token(), now);
  ASSERT_TRUE(facts) << facts.failure().message;
  EXPECT_EQ(facts->host, "host-7");
  EXPECT_EQ(facts->key_thumbprint, claims.key_thumbprint);
  EXPECT_EQ(facts->ek_spki_sha256, claims.ek_spki_sha256);
  EXPECT_EQ(facts->image, "debian");
  EXPECT_EQ(facts->image_version, "12.7");
  EXPECT_EQ(facts->expires, claims.expires);
  EXPECT_EQ(facts->issued, claims.issued);
  EXPECT_EQ(facts->ak_name, claims.ak_name);
  EXPECT_EQ(facts->reset_count, 6U);
  EXPECT_EQ(facts->restart_count, 7U);
  EXPECT_EQ(asked_at, now) << "which keys are trusted is a matter of time";
}

TEST_F(token_reader, refuses_tokens_of_others_for_others_and_old_ones) {
  const auto good = token();
  EXPECT_FALSE(check()(good, claims.expires + attestation::clock_skew_s_max + 1));
  claims.audience = attestation::reporting_audience;
  EXPECT_FALSE(check()(token(), now)) << "a token for reporting opens no keys";
  claims.audience = attestation::key_audience;
  claims.issuer = "https://other.example";
  EXPECT_FALSE(check()(token(), now));
  EXPECT_FALSE(check()("not.a.token", now));
  ASSERT_TRUE(check()(good, now));
  keys = {{"k1", *crypto::generate_p256(), "ES256"}};
  EXPECT_FALSE(check()(good, now)) << "the present keys decide";
}

} // namespace
} // namespace custos::keyprovider
