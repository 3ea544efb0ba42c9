#include "actors/attestation/token_keyring.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <set>

namespace custos::attestation {
namespace {

namespace bj = boost::json;

constexpr std::int64_t now = 1'800'000'000;

/// "Sealed" here: the octets with one mark before them, so that what is not sealed does not open.
class Keyring : public testing::Test {
protected:
  crypto::key first = *crypto::generate_p256();
  std::shared_ptr<config_snapshot> config = std::make_shared<config_snapshot>();
  std::size_t opened = 0;
  std::vector<std::string> complaints;
  std::shared_ptr<token_keyring_source> source = std::make_shared<token_keyring_source>(
      initial_key{first, "first"}, opener(),
      [this](const std::string& problem) { complaints.push_back(problem); });

  key_opener opener() {
    return [this](const token_key& k) -> result<crypto::secret_bytes> {
      ++opened;
      if (k.sealed_private_key.empty() || k.sealed_private_key.front() != 0x5E)
        return make_error(errc::crypto_failure, "does not open");
      return crypto::secret_bytes(byte_view(k.sealed_private_key).subspan(1));
    };
  }
  static result<bytes> seal(const std::string& /*kid*/, byte_view pkcs8) {
    bytes out{0x5E};
    out.insert(out.end(), pkcs8.begin(), pkcs8.end());
    return out;
  }
  token_key made(const token_key_wish& wish, std::int64_t at = now) {
    auto k = make_token_key(wish, config->settings, at, seal);
    EXPECT_TRUE(k) << k.failure().message;
    return *std::move(k);
  }
  /// A key that signs from `from` for 1000 s.
  token_key added(std::int64_t from, const std::string& algorithm = "ES256") {
    token_key_wish wish;
    wish.algorithm = algorithm;
    wish.signs_from = from;
    wish.signs_for_s = 1000;
    auto k = made(wish, from);
    config->token_keys[k.name] = k;
    return k;
  }
  std::shared_ptr<const token_keyring> ring() {
    return source->of(std::make_shared<config_snapshot>(*config)).ring;
  }
  static std::set<std::string> kids(const token_keyring& r, std::int64_t at) {
    std::set<std::string> out;
    for (const auto& k : r.trusted_at(at))
      out.insert(k.kid);
    return out;
  }
};

TEST_F(Keyring, TheInitialKeySignsWhereThereIsNoOther) {
  const auto r = ring();
  EXPECT_EQ(r->signer_at(now).kid, "first");
  EXPECT_EQ(r->signer_at(now).alg, "ES256");
  EXPECT_EQ(kids(*r, now + 1'000'000'000), (std::set<std::string>{"first"}));
  EXPECT_TRUE(r->problems().empty());
}

TEST_F(Keyring, AKeySignsInItsTimeAndTheNewestOfSeveral) {
  const auto a = added(now);
  const auto b = added(now + 500);
  const auto r = ring();
  EXPECT_EQ(r->signer_at(now - 1).kid, "first");
  EXPECT_EQ(r->signer_at(now).kid, a.name);
  EXPECT_EQ(r->signer_at(now + 499).kid, a.name);
  EXPECT_EQ(r->signer_at(now + 500).kid, b.name) << "the newer of the two";
  EXPECT_EQ(r->signer_at(now + 1499).kid, b.name);
  EXPECT_EQ(r->signer_at(now + 1500).kid, "first") << "nothing configured signs any more";
}

TEST_F(Keyring, AKeyIsTrustedFromTheStartUntilItExpires) {
  const auto a = added(now + 300);
  const auto r = ring();
  EXPECT_EQ(kids(*r, now), (std::set<std::string>{"first", a.name})) << "before it signs";
  EXPECT_GE(a.expires, a.signs_until + config->settings.token_life_s)
      << "the last token outlives the signing";
  EXPECT_EQ(kids(*r, a.expires - 1), (std::set<std::string>{"first", a.name}));
  EXPECT_EQ(kids(*r, a.expires), (std::set<std::string>{"first"}));
}

TEST_F(Keyring, KeysExpireOneByOneWhateverTheirOrder) {
  std::vector<token_key> all;
  for (const auto from : {now + 4000, now, now + 2000})
    all.push_back(added(from));
  const auto r = ring();
  for (const auto at : {now, now + 31000, now + 32000, now + 33000, now + 40000}) {
    std::set<std::string> expected{"first"};
    for (const auto& k : all)
      if (k.expires > at)
        expected.insert(k.name);
    EXPECT_EQ(kids(*r, at), expected) << at - now;
  }
}

TEST_F(Keyring, PublishesTheTrustedKeysAndTheirAlgorithms) {
  const auto a = added(now, "ES384");
  const auto r = ring();
  const auto set = bj::parse(r->jwks_at(now)).at("keys").as_array();
  ASSERT_EQ(set.size(), 2U);
  for (const auto& jwk : set) {
    EXPECT_FALSE(jwk.as_object().contains("d"));
    EXPECT_EQ(jwk.at("use").as_string(), "sig");
    const bool initial = jwk.at("kid").as_string() == "first";
    EXPECT_EQ(jwk.at("alg").as_string(), initial ? "ES256" : "ES384");
    if (!initial) {
      EXPECT_EQ(jwk.at("kid").as_string(),
                jose::thumbprint(*jose::key_of_jwk(bj::serialize(jwk))).value());
    }
  }
  EXPECT_EQ(r->algorithms_at(now), (std::vector<std::string>{"ES256", "ES384"}));
  EXPECT_EQ(r->algorithms_at(a.expires), (std::vector<std::string>{"ES256"}));
}

TEST_F(Keyring, SignsWithEveryAlgorithm) {
  for (const std::string alg : {"ES256", "ES384", "PS256", "RS256"}) {
    config->token_keys.clear();
    const auto k = added(now, alg);
    const auto r = ring();
    const auto& by = r->signer_at(now);
    EXPECT_EQ(by.kid, k.name);
    EXPECT_EQ(by.alg, alg);
    const auto token = jose::sign(by, "{}");
    ASSERT_TRUE(token) << token.failure().message;
    EXPECT_TRUE(jose::verify_compact(*token, r->trusted_at(now), token_type)) << alg;
  }
}

TEST_F(Keyring, AKeyThatNoNodeSealedCountsForNothing) {
  auto a = added(now);
  a.sealed_private_key.front() = 0;
  config->token_keys[a.name] = a;
  auto b = added(now);
  b.sealed_private_key = *seal("", crypto::generate_p256()->pkcs8_der().reveal_secret());
  config->token_keys[b.name] = b;
  const auto r = ring();
  EXPECT_EQ(r->signer_at(now).kid, "first");
  EXPECT_EQ(kids(*r, now), (std::set<std::string>{"first"}))
      << "whoever may only write configuration cannot bring a key of his own";
  EXPECT_EQ(complaints.size(), 2U);
  EXPECT_EQ(complaints, r->problems());
}

TEST_F(Keyring, OpensKeysOncePerChangeOfTheKeys) {
  added(now);
  token_keyring_reader reader(source);
  const config_ptr one = std::make_shared<config_snapshot>(*config);
  const auto* const ring = &reader.get(one);
  config->settings.token_life_s = 600;
  const config_ptr two = std::make_shared<config_snapshot>(*config);
  EXPECT_EQ(&reader.get(two), ring) << "another configuration with the same keys";
  EXPECT_EQ(opened, 1U);
  const auto generation = reader.trust_generation(two, now);
  added(now + 1);
  const config_ptr three = std::make_shared<config_snapshot>(*config);
  EXPECT_NE(&reader.get(three), ring);
  EXPECT_EQ(opened, 3U);
  EXPECT_NE(reader.trust_generation(three, now), generation);
  EXPECT_EQ(opened, 3U);
}

TEST_F(Keyring, WhatWasFoundGoodIsForgottenWhenAKeyIsErasedOrExpires) {
  const auto a = added(now);
  token_keyring_reader reader(source);
  const config_ptr with = std::make_shared<config_snapshot>(*config);
  const auto before = reader.trust_generation(with, now);
  EXPECT_EQ(reader.trust_generation(with, a.expires - 1), before);
  EXPECT_NE(reader.trust_generation(with, a.expires), before);
  config->token_keys.erase(a.name);
  const config_ptr without = std::make_shared<config_snapshot>(*config);
  EXPECT_NE(reader.trust_generation(without, now), before);
  EXPECT_EQ(reader.get(without).trusted_at(now).size(), 1U);
}

// ---- new keys -----------------------------------------------------------------------------------

TEST_F(Keyring, ANewKeyIsPublishedBeforeItSigns) {
  const auto k = made({});
  EXPECT_EQ(k.algorithm, "ES256");
  EXPECT_EQ(k.signs_from, now + token_key_lead_s);
  EXPECT_EQ(k.signs_until, k.signs_from + token_key_signs_for_s);
  EXPECT_GE(k.expires, k.signs_until + config->settings.token_life_s);
  EXPECT_EQ(k.name, jose::thumbprint(*crypto::public_key_from_spki(k.public_key)).value());
}

TEST_F(Keyring, EveryNewKeyHasANameThatAnObjectCanHave) {
  for (int i = 0; i < 200; ++i) // one thumbprint in 32 begins otherwise
    ASSERT_TRUE(is_object_name(made({}).name));
}

TEST_F(Keyring, AKeyVerifiesAsLongAsTheLongestToken) {
  config->settings.token_life_s = 600;
  config->settings.reporting_token_life_s = 7200;
  token_key_wish wish;
  wish.signs_for_s = 1000;
  const auto k = made(wish);
  EXPECT_GE(k.expires, k.signs_until + 7200);
  wish.verifies_for_s = 7200;
  EXPECT_EQ(make_token_key(wish, config->settings, now, seal).failure().field, "/verifies_for_s");
  wish.verifies_for_s = 1'000'000;
  EXPECT_EQ(made(wish).expires, k.signs_until + 1'000'000);
}

TEST_F(Keyring, WishesOutOfReasonAreRefusedByName) {
  const auto field = [&](const token_key_wish& wish) {
    const auto k = make_token_key(wish, config->settings, now, seal);
    return k ? std::string() : k.failure().field;
  };
  token_key_wish wish;
  for (const std::string alg : {"", "none", "HS256", "RS512", "es256"}) {
    wish.algorithm = alg;
    EXPECT_EQ(field(wish), "/algorithm") << alg;
  }
  wish = {};
  wish.signs_from = now - clock_skew_s_max;
  EXPECT_EQ(made(wish).signs_from, now) << "now, by a clock that is behind";
  wish.signs_from = now - clock_skew_s_max - 1;
  EXPECT_EQ(field(wish), "/signs_from");
  wish.signs_from = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(field(wish), "/signs_from");
  wish = {};
  wish.signs_for_s = 0;
  EXPECT_EQ(field(wish), "/signs_for_s");
  wish.signs_for_s = token_key_signs_for_s_max + 1;
  EXPECT_EQ(field(wish), "/signs_for_s");
  wish = {};
  EXPECT_EQ(make_token_key(wish, config->settings, now,
                           [](const std::string&, byte_view) -> result<bytes> {
                             return make_error(errc::crypto_failure, "no");
                           })
                .failure()
                .code,
            errc::crypto_failure);
}

} // namespace
} // namespace custos::attestation
