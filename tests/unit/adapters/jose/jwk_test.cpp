#include "adapters/jose/jose.hpp"
#include "tests/unit/adapters/jose/jwk_keys.hpp"

namespace custos::jose {
namespace {

namespace bj = boost::json;
using test::text_of;

/// The example of RFC 7638, 3.1.
constexpr std::string_view rfc7638_key =
    R"({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"})";

TEST(jwk, thumbprint_of_rfc7638) {
  const auto key = key_of_jwk(rfc7638_key);
  ASSERT_TRUE(key.ok()) << key.failure().message;
  EXPECT_EQ(*thumbprint(*key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  EXPECT_EQ(crypto::base64url(*thumbprint_digest(*key)), *thumbprint(*key));
}

TEST(jwk, ec_key_comes_back) {
  const auto key = crypto::generate_p256();
  const auto jwk = jwk_of(*key, "k1", "sig", "ES256");
  EXPECT_EQ(text_of(jwk, "crv"), "P-256");
  EXPECT_EQ(text_of(jwk, "kid"), "k1");
  EXPECT_EQ(text_of(jwk, "use"), "sig");
  EXPECT_EQ(text_of(jwk, "alg"), "ES256");
  EXPECT_FALSE(jwk.contains("d"));
  const auto back = key_of_jwk(bj::serialize(jwk));
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->same_public(*key));
  EXPECT_EQ(*thumbprint(*back), *thumbprint(*key));
}

TEST(jwk, empty_names_are_left_out) {
  const auto jwk = jwk_of(*crypto::generate_p256(), {}, {});
  EXPECT_EQ(jwk.size(), 4U);
}

TEST(jwk, p384_key_comes_back) {
  // RFC 7520, 5.4.1: a private key on P-384; its public half.
  const auto example = test::vectors(
      "jose-cookbook/jwe/"
      "5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm.json");
  auto jwk = example.at("input").at("key").as_object();
  EXPECT_EQ(key_of_jwk(bj::serialize(jwk)).failure().field, "/d");
  const auto private_key = test::private_ec_key_of(jwk);
  jwk.erase("d");
  const auto key = key_of_jwk(bj::serialize(jwk));
  ASSERT_TRUE(key.ok()) << key.failure().message;
  EXPECT_EQ(key->type(), crypto::key_type::p384);
  EXPECT_TRUE(key->same_public(private_key));
  EXPECT_EQ(text_of(jwk_of(*key, {}, {}), "x"), text_of(jwk, "x"));
}

TEST(jwk, set_of_keys) {
  const auto a = *crypto::generate_p256();
  const auto set = bj::parse(jwks_of({{a, "a", "sig", "ES256"},
                                      {*crypto::generate_rsa(2048), "b", "sig", "PS256"}}))
                       .as_object();
  const auto& keys = set.at("keys").as_array();
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(text_of(keys[0].as_object(), "kid"), "a");
  EXPECT_TRUE(key_of_jwk(bj::serialize(keys[0]))->same_public(a));
  EXPECT_EQ(text_of(keys[1].as_object(), "kty"), "RSA");
  EXPECT_EQ(text_of(keys[1].as_object(), "e"), "AQAB");
}

TEST(jwk, cookbook_examples) {
  // The EC examples are on P-521, the symmetric ones hold secrets: only the RSA public key is ours.
  EXPECT_TRUE(key_of_jwk(test::file_of("jose-cookbook/jwk/3_3.rsa_public_key.json")).ok());
  EXPECT_EQ(key_of_jwk(test::file_of("jose-cookbook/jwk/3_1.ec_public_key.json")).failure().code,
            errc::unsupported);
  for (const auto* const name :
       {"jose-cookbook/jwk/3_2.ec_private_key.json", "jose-cookbook/jwk/3_4.rsa_private_key.json",
        "jose-cookbook/jwk/3_5.symmetric_key_mac_computation.json",
        "jose-cookbook/jwk/3_6.symmetric_key_encryption.json"})
    EXPECT_EQ(key_of_jwk(test::file_of(name)).failure().code, errc::invalid_argument) << name;
}

bj::string encoded(std::size_t size, std::uint8_t octet) {
  return bj::string(crypto::base64url(bytes(size, octet)));
}

/// The field that is refused when one member of a good EC key is replaced.
std::string field_without(const char* name, const bj::value& replacement) {
  auto jwk = jwk_of(*crypto::generate_p256(), {}, {});
  jwk[name] = replacement;
  const auto outcome = key_of_jwk(bj::serialize(jwk));
  return outcome ? "accepted" : outcome.failure().field;
}

TEST(jwk, refuses_bad_ec_members) {
  EXPECT_EQ(field_without("kty", "oct"), "/kty");
  EXPECT_EQ(field_without("kty", 1), "/kty");
  EXPECT_EQ(field_without("crv", "P-521"), "/crv");
  EXPECT_EQ(field_without("crv", "P-384"), "/x"); // coordinates of the wrong size
  EXPECT_EQ(field_without("x", nullptr), "/x");
  EXPECT_EQ(field_without("y", "AQ"), "/y");
  EXPECT_EQ(field_without("y", "not base64url!"), "/y");
  EXPECT_EQ(field_without("d", "AQ"), "/d");
  EXPECT_EQ(field_without("k", "AQ"), "/k");
  // In range, but not a point of the curve.
  EXPECT_NE(field_without("y", encoded(32, 1)), "accepted");
  // Not reduced modulo p.
  EXPECT_NE(field_without("x", encoded(32, 0xFF)), "accepted");
}

TEST(jwk, refuses_bad_rsa_members) {
  auto jwk = bj::parse(std::string(rfc7638_key)).as_object();
  const auto refused = [&](const char* name, const bj::value& replacement) {
    auto changed = jwk;
    changed[name] = replacement;
    return !key_of_jwk(bj::serialize(changed)).ok();
  };
  EXPECT_TRUE(refused("e", "AQ"));       // 1
  EXPECT_TRUE(refused("e", "Aw"));       // 3
  EXPECT_TRUE(refused("e", "AQAA"));     // even
  EXPECT_TRUE(refused("e", "AAEAAQ"));   // leading zero
  EXPECT_TRUE(refused("e", "AQAAAAAB")); // too large
  EXPECT_TRUE(refused("e", ""));
  EXPECT_TRUE(refused("n", ""));
  EXPECT_TRUE(refused("n", encoded(128, 0xFF))); // 1024 bits
  EXPECT_TRUE(refused("n", encoded(600, 0xFF)));
  EXPECT_TRUE(refused("p", "AQAB"));
  EXPECT_FALSE(refused("e", "AQAB"));
}

TEST(jwk, refuses_documents_that_are_none) {
  for (const auto* const text : {"", "{", "[]", "\"EC\"", "{}", R"({"kty":"EC","kty":"RSA"})"})
    EXPECT_FALSE(key_of_jwk(text).ok()) << text;
  EXPECT_EQ(key_of_jwk(std::string(jwk_bytes_max + 1, ' ')).failure().code, errc::too_large);
}

TEST(jwk, keys_of_other_kinds_have_no_thumbprint) {
  EXPECT_EQ(thumbprint(crypto::key()).failure().code, errc::unsupported);
}

// ---- sets ---------------------------------------------------------------------------------------

TEST(jwks, gives_back_the_keys_that_were_published) {
  const auto p256 = *crypto::generate_p256();
  const auto p384 = *crypto::generate_p384();
  const auto rsa = *crypto::generate_rsa(2048);
  const auto keys = trusted_of_jwks(jwks_of({{p256, "a", "sig", "ES256"},
                                             {p384, "b", "sig", "ES384"},
                                             {rsa, "c", "sig", "PS256"},
                                             {rsa, "d", "", "RS256"}}));
  ASSERT_TRUE(keys.ok()) << keys.failure().message;
  ASSERT_EQ(keys->size(), 4U);
  EXPECT_EQ(keys->at(0).kid, "a");
  EXPECT_EQ(keys->at(1).alg, "ES384");
  EXPECT_TRUE(keys->at(2).key.same_public(rsa));
  EXPECT_EQ(keys->at(3).alg, "RS256");
}

TEST(jwks, passes_over_keys_that_do_not_verify_signatures_of_ours) {
  const auto p256 = *crypto::generate_p256();
  const auto good = jwk_of(p256, "good", "sig", "ES256");
  const auto set = [&](const bj::value& other) {
    return bj::serialize(bj::object{{"keys", bj::array{other, good}}});
  };
  auto no_kid = good;
  no_kid.erase("kid");
  auto no_alg = good;
  no_alg.erase("alg");
  auto secret = good;
  secret["d"] = "AAAA";
  for (const auto& other :
       {jwk_of(p256, "k", "enc", "ES256"), jwk_of(p256, "k", "sig", "ES384"),
        jwk_of(p256, "k", "sig", "HS256"), jwk_of(p256, "k", "sig", "none"), no_kid, no_alg, secret,
        bj::object{{"kty", "oct"}, {"k", "AAAA"}, {"kid", "k"}, {"alg", "HS256"}}, bj::object{}}) {
    const auto keys = trusted_of_jwks(set(other));
    ASSERT_TRUE(keys.ok()) << bj::serialize(other);
    ASSERT_EQ(keys->size(), 1U) << bj::serialize(other);
    EXPECT_EQ(keys->front().kid, "good");
  }
}

TEST(jwks, refuses_what_is_no_set_or_has_nothing_for_us) {
  for (const std::string text : {"", "{", "[]", "{}", R"({"keys":{}})", R"({"keys":[]})",
                                 R"({"keys":[1]})", R"({"keys":[],"keys":[]})",
                                 R"({"keys":[{"kty":"EC"}]})"})
    EXPECT_FALSE(trusted_of_jwks(text).ok()) << text;
  std::vector<published_key> many;
  const auto key = *crypto::generate_p256();
  for (std::size_t i = 0; i <= jwks_keys_max; ++i)
    many.push_back({key, "k" + std::to_string(i), "sig", "ES256"});
  EXPECT_EQ(trusted_of_jwks(jwks_of(many)).failure().code, errc::too_large);
  EXPECT_EQ(trusted_of_jwks(std::string(jwks_bytes_max + 1, ' ')).failure().code, errc::too_large);
}

} // namespace
} // namespace custos::jose
