#include "adapters/jose/internal.hpp"
#include "tests/unit/adapters/crypto/vectors.hpp"

#include <set>

namespace custos::jose {
namespace {

namespace bj = boost::json;
using test::text_of;

const crypto::key& signing_key() {
  static const crypto::key key = *crypto::generate_p256();
  return key;
}

std::vector<trusted_key> trusted() {
  return {{"k1", signing_key(), "ES256"}};
}

/// A token with this header, signed with ES256 over whatever the header says.
std::string token_of(std::string_view header, std::string_view payload = "{}") {
  std::string out =
      crypto::base64url(as_bytes(header)) + "." + crypto::base64url(as_bytes(payload));
  const auto signature = crypto::ecdsa_sign(signing_key(), crypto::hash_alg::sha256, as_bytes(out));
  return out + "." + crypto::base64url(*signature);
}

/// The rule that refuses the token, or "accepted".
std::string rule_of(std::string_view token, std::string_view typ = "t+jwt") {
  const auto keys = trusted();
  const auto outcome = verify_compact(token, keys, typ);
  if (outcome)
    return "accepted";
  EXPECT_EQ(outcome.failure().code, errc::token_invalid);
  EXPECT_FALSE(outcome.failure().message.empty());
  EXPECT_FALSE(outcome.failure().field.empty());
  return outcome.failure().check;
}

TEST(jws, signs_and_verifies) {
  const std::string payload = "{\"sub\":\"host-1\"}";
  const auto token = sign(signing_key(), "ES256", "k1", "t+jwt", payload);
  ASSERT_TRUE(token.ok());
  const auto keys = trusted();
  const auto outcome = verify_compact(*token, keys, "t+jwt");
  ASSERT_TRUE(outcome.ok()) << outcome.failure().message;
  EXPECT_EQ(outcome->payload, payload);
  EXPECT_EQ(outcome->kid, "k1");
  EXPECT_EQ(token->substr(0, token->find('.')),
            crypto::base64url(as_bytes(R"({"alg":"ES256","kid":"k1","typ":"t+jwt"})")));
}

TEST(jws, type_is_compared_as_a_media_type) {
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":"application/T+JWT"})")),
            "accepted");
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":"other+jwt"})")), "jws-type");
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1"})")), "jws-type");
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":7})")), "jws-type");
}

TEST(jws, refuses_other_algorithms) {
  for (const auto* const alg : {"none", "None", "HS256", "ES384", "RS256", "PS256", "ES512", ""})
    EXPECT_EQ(
        rule_of(token_of(R"({"alg":")" + std::string(alg) + R"(","kid":"k1","typ":"t+jwt"})")),
        "jws-algorithm")
        << alg;
  EXPECT_EQ(rule_of(token_of(R"({"kid":"k1","typ":"t+jwt"})")), "jws-algorithm");
}

TEST(jws, refuses_hmac_under_the_public_key) {
  // The classic confusion of algorithms: the public key used as an HMAC secret.
  const auto pem = signing_key().public_pem();
  const std::string input =
      crypto::base64url(as_bytes(R"({"alg":"HS256","kid":"k1","typ":"t+jwt"})")) + ".e30";
  const auto mac = crypto::hmac_sha256(as_bytes(pem), {as_bytes(input)});
  EXPECT_EQ(rule_of(input + "." + crypto::base64url(mac)), "jws-algorithm");
}

TEST(jws, key_and_algorithm_must_fit_each_other) {
  const std::vector<trusted_key> wrong{{"k1", signing_key(), "RS256"}};
  const auto outcome =
      verify_compact(token_of(R"({"alg":"RS256","kid":"k1","typ":"t+jwt"})"), wrong, "t+jwt");
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.failure().check, "jws-signature");
}

TEST(jws, refuses_unknown_missing_and_ambiguous_key_ids) {
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k2","typ":"t+jwt"})")), "jws-kid");
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","typ":"t+jwt"})")), "jws-kid");
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":1,"typ":"t+jwt"})")), "jws-kid");
  auto twice = trusted();
  twice.push_back(twice.front());
  const auto outcome =
      verify_compact(token_of(R"({"alg":"ES256","kid":"k1","typ":"t+jwt"})"), twice, "t+jwt");
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.failure().check, "jws-kid");
}

TEST(jws, refuses_keys_in_the_header) {
  const auto jwk = bj::serialize(jwk_of(signing_key(), "k1", "sig"));
  for (const auto& member :
       {"\"jwk\":" + jwk, std::string(R"("jku":"https://example.net/k")"),
        std::string(R"("x5u":"https://example.net/c")"), std::string(R"("x5c":["AAAA"])")})
    EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":"t+jwt",)" + member + "}")),
              "jws-embedded-key")
        << member;
}

TEST(jws, refuses_critical_extensions) {
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":"t+jwt","crit":["exp"],"exp":1})")),
            "jws-critical");
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":"t+jwt","crit":null})")),
            "jws-critical");
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":"t+jwt","b64":false})")),
            "jws-critical");
}

TEST(jws, refuses_bad_headers) {
  for (const auto* const header : {R"({"alg":"ES256","alg":"ES256","kid":"k1","typ":"t+jwt"})",
                                   R"({"alg":"ES256","kid":"k1","typ":"t+jwt","\u0061lg":"none"})",
                                   R"(["ES256"])", R"("ES256")", "null", "{", "",
                                   R"({"alg":"ES256","kid":"k1","typ":"t+jwt"} )"
                                   "x",
                                   "\xFF\xFE"})
    EXPECT_EQ(rule_of(token_of(header)), "jws-header") << header;
}

TEST(jws, refuses_bad_forms) {
  const auto good = *sign(signing_key(), "ES256", "k1", "t+jwt", "{}");
  EXPECT_EQ(rule_of(good), "accepted");
  EXPECT_EQ(rule_of(""), "jws-form");
  EXPECT_EQ(rule_of("a.b"), "jws-form");
  EXPECT_EQ(rule_of(good + ".x"), "jws-form");
  EXPECT_EQ(rule_of(good + "="), "jws-form");
  EXPECT_EQ(rule_of(" " + good), "jws-form");
  EXPECT_EQ(rule_of(good + "\n"), "jws-form");
  EXPECT_EQ(rule_of(good.substr(0, good.rfind('.') + 1)), "jws-signature");
  EXPECT_EQ(rule_of(good.substr(0, good.size() - 2)), "jws-signature");
  EXPECT_EQ(rule_of(std::string(token_bytes_max + 1, 'A')), "jws-size");
  EXPECT_EQ(rule_of(std::string(header_bytes_max * 2, 'A') + ".e30.AAAA"), "jws-size");
}

TEST(jws, refuses_any_changed_character) {
  const auto good = *sign(signing_key(), "ES256", "k1", "t+jwt", R"({"a":1})");
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_NE(rule_of(bad), "accepted") << i;
  }
}

TEST(jws, signing_refuses_what_cannot_be_verified) {
  EXPECT_FALSE(sign(signing_key(), "ES256", "", "t", "{}").ok());
  EXPECT_FALSE(sign(signing_key(), "ES256", "k", "", "{}").ok());
  EXPECT_FALSE(sign(*crypto::generate_rsa(2048), "ES256", "k", "t", "{}").ok());
  EXPECT_EQ(sign(signing_key(), "ES256", "k", "t", std::string(token_bytes_max, 'a')).failure().code,
            errc::too_large);
  const auto public_only = crypto::public_key_from_spki(signing_key().spki_der());
  EXPECT_EQ(sign(*public_only, "ES256", "k", "t", "{}").failure().code, errc::crypto_failure);
}

TEST(jws, every_algorithm_signs_and_verifies_as_itself_only) {
  const auto rsa = *crypto::generate_rsa(2048);
  const std::vector<std::pair<std::string, crypto::key>> pairs{
      {"ES256", signing_key()}, {"ES384", *crypto::generate_p384()}, {"PS256", rsa},
      {"RS256", rsa}};
  for (const auto& [alg, key] : pairs) {
    const auto by = signer_of(key, alg, "k1", "t+jwt");
    ASSERT_TRUE(by.ok()) << alg;
    const auto token = sign(*by, R"({"a":1})");
    ASSERT_TRUE(token.ok()) << alg;
    EXPECT_EQ(token->substr(0, token->find('.')), by->encoded_header);
    for (const auto& [trusted_alg, trusted_key_of_it] : pairs) {
      const std::vector<trusted_key> keys{{"k1", trusted_key_of_it, trusted_alg}};
      EXPECT_EQ(verify_compact(*token, keys, "t+jwt").ok(), alg == trusted_alg)
          << alg << " as " << trusted_alg;
    }
  }
}

TEST(jws, signing_refuses_algorithms_that_do_not_fit_the_key) {
  for (const auto* const alg : {"none", "HS256", "ES384", "ES512", "PS256", "RS256", "es256", ""})
    EXPECT_EQ(signer_of(signing_key(), alg, "k1", "t").failure().code, errc::invalid_argument)
        << alg;
  EXPECT_FALSE(signer_of(*crypto::generate_rsa(2048), "ES256", "k1", "t").ok());
  EXPECT_FALSE(signer_of(*crypto::generate_p384(), "ES256", "k1", "t").ok());
  EXPECT_FALSE(signer_of(crypto::key(), "ES256", "k1", "t").ok());
  EXPECT_FALSE(
      signer_of(signing_key(), "ES256", std::string(kid_bytes_max + 1, 'k'), "t").ok());
}

// ---- attacks that have a name -------------------------------------------------------------------

/// Header and payload as they are, with this signature.
std::string assembled(std::string_view header, byte_view signature,
                      std::string_view payload = "{}") {
  return crypto::base64url(as_bytes(header)) + "." + crypto::base64url(as_bytes(payload)) + "." +
         crypto::base64url(signature);
}

TEST(jws, cve_2015_9235_no_algorithm) {
  for (const auto* const alg : {"none", "None", "NONE", "nOnE", ""}) {
    const auto header = R"({"alg":")" + std::string(alg) + R"(","kid":"k1","typ":"t+jwt"})";
    EXPECT_EQ(rule_of(assembled(header, {})), "jws-algorithm") << alg;
    EXPECT_EQ(rule_of(token_of(header)), "jws-algorithm") << alg;
  }
}

TEST(jws, cve_2015_9235_public_key_as_hmac_secret) {
  const auto spki = signing_key().spki_der();
  const auto pem = signing_key().public_pem();
  const auto jwk = bj::serialize(jwk_of(signing_key(), "k1", "sig", "ES256"));
  const std::string header = R"({"alg":"HS256","kid":"k1","typ":"t+jwt"})";
  const auto input = crypto::base64url(as_bytes(header)) + ".e30";
  for (const byte_view secret : {byte_view(spki), as_bytes(pem), as_bytes(jwk), byte_view()}) {
    const auto mac = crypto::hmac_sha256(secret, {as_bytes(input)});
    EXPECT_EQ(rule_of(assembled(header, mac)), "jws-algorithm");
  }
}

TEST(jws, cve_2018_0114_key_in_the_header) {
  const auto own = *crypto::generate_p256();
  const auto jwk = bj::serialize(jwk_of(own, "k1", "sig"));
  const auto header = R"({"alg":"ES256","kid":"k1","typ":"t+jwt","jwk":)" + jwk + "}";
  const auto input = crypto::base64url(as_bytes(header)) + ".e30";
  const auto signature = crypto::ecdsa_sign(own, crypto::hash_alg::sha256, as_bytes(input));
  EXPECT_EQ(rule_of(assembled(header, *signature)), "jws-embedded-key");
  EXPECT_EQ(rule_of(token_of(header)), "jws-embedded-key") << "even if we signed it ourselves";
}

TEST(jws, cve_2022_21449_signature_of_zeroes) {
  const std::string header = R"({"alg":"ES256","kid":"k1","typ":"t+jwt"})";
  const auto good = *crypto::from_base64url([&] {
    const auto token = token_of(header);
    return token.substr(token.rfind('.') + 1);
  }());
  EXPECT_EQ(rule_of(assembled(header, good)), "accepted");
  auto zero_r = good;
  std::fill(zero_r.begin(), zero_r.begin() + 32, std::uint8_t{0});
  auto zero_s = good;
  std::fill(zero_s.begin() + 32, zero_s.end(), std::uint8_t{0});
  // The order of P-256: as good as zero to a verifier that reduces before it looks.
  const auto n = *crypto::from_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
  bytes orders = n;
  orders.insert(orders.end(), n.begin(), n.end());
  for (const auto& signature : {bytes(64, 0), zero_r, zero_s, orders, bytes(64, 0xFF), bytes{}})
    EXPECT_EQ(rule_of(assembled(header, signature)), "jws-signature");
  const auto p384 = *crypto::generate_p384();
  const std::vector<trusted_key> keys{{"k1", p384, "ES384"}};
  EXPECT_FALSE(
      verify_compact(assembled(R"({"alg":"ES384","kid":"k1","typ":"t+jwt"})", bytes(96, 0)), keys,
                     "t+jwt")
          .ok());
}

TEST(jws, keys_that_the_header_points_to_are_never_fetched) {
  for (const std::string member :
       {R"("jku":"https://attacker.example/jwks.json")", R"("x5u":"https://attacker.example/c.pem")",
        R"("x5c":["MIIB"])", R"("jku":"")", R"("x5c":[])", R"("x5u":null)"})
    EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":"k1","typ":"t+jwt",)" + member + "}")),
              "jws-embedded-key")
        << member;
}

TEST(jws, key_ids_are_names_not_paths) {
  for (const std::string kid :
       {"../../../../dev/null", "/dev/null", "k1/../k1", "k1\\u0000", "k1' OR '1'='1", "K1", " k1",
        "k1 ", "file:///etc/passwd", "https://attacker.example/k1", "|id", ""})
    EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":")" + kid + R"(","typ":"t+jwt"})")),
              "jws-kid")
        << kid;
  EXPECT_EQ(rule_of(token_of(R"({"alg":"ES256","kid":")" + std::string(kid_bytes_max + 1, 'k') +
                             R"(","typ":"t+jwt"})")),
            "jws-kid");
}

TEST(jws, larger_than_16_kib_is_not_looked_at) {
  const std::string header = R"({"alg":"ES256","kid":"k1","typ":"t+jwt"})";
  EXPECT_EQ(rule_of(token_of(header, std::string(8000, 'a'))), "accepted");
  EXPECT_EQ(rule_of(token_of(header, std::string(16U << 10U, 'a'))), "jws-size");
}

// ---- public vectors -----------------------------------------------------------------------------

const std::set<std::string> algorithms{"ES256", "ES384", "RS256", "PS256"};

/// What a caller trusts after reading this JWK, if it may sign with an algorithm of ours.
std::optional<trusted_key> trusted_of(const bj::object& jwk) {
  const auto key = key_of_jwk(bj::serialize(jwk));
  const auto* const ops = jwk.if_contains("key_ops");
  const bool may_verify = ops == nullptr || bj::serialize(*ops).find("verify") != std::string::npos;
  if (!key || !may_verify || text_of(jwk, "use") == "enc" ||
      algorithms.count(text_of(jwk, "alg")) == 0)
    return std::nullopt;
  return trusted_key{text_of(jwk, "kid"), *key, text_of(jwk, "alg")};
}

std::vector<trusted_key> trusted_of_group(const bj::object& group) {
  std::vector<trusted_key> out;
  const auto* const found = group.if_contains("public");
  if (found == nullptr)
    return out;
  const auto& jwk = found->as_object();
  if (const auto* const set = jwk.if_contains("keys")) {
    for (const auto& k : set->as_array())
      if (auto one = trusted_of(k.as_object()))
        out.push_back(*std::move(one));
  } else if (auto one = trusted_of(jwk)) {
    out.push_back(*std::move(one));
  }
  return out;
}

/// Valid, but with keys or algorithms that Custos does not have.
bool outside(const std::string& token) {
  const auto header = crypto::from_base64url(token.substr(0, token.find('.')));
  const auto parsed = header ? json::parse_any(as_text(*header)) : json::parse_any("");
  return !parsed || !parsed->is_object() ||
         algorithms.count(text_of(parsed->as_object(), "alg")) == 0;
}

struct tally {
  std::size_t accepted = 0, refused = 0, outside = 0;
};

tally run_signature_vectors(const std::string& file) {
  tally out;
  test::each_vector(file, [&](const bj::object& group, const bj::object& vector) {
    const auto token = text_of(vector, "jws");
    if (token.empty())
      return;
    // Wycheproof's ROCA key is a sound RSA-2048 key for RSA itself; we trust keys by
    // configuration, not by their looks.
    if (text_of(group, "comment") == "jws_rsa_roca_key")
      return;
    const auto keys = trusted_of_group(group);
    const bool ok = internal::verify_signature(token, keys).ok();
    if (text_of(vector, "result") == "invalid") {
      EXPECT_FALSE(ok);
      ++out.refused;
    } else if (outside(token)) {
      EXPECT_FALSE(ok);
      ++out.outside;
    } else {
      EXPECT_TRUE(ok);
      ++out.accepted;
    }
  });
  return out;
}

TEST(jws, wycheproof_signatures) {
  const auto n = run_signature_vectors("json_web_signature");
  EXPECT_EQ(n.accepted, 16U);
  EXPECT_EQ(n.refused, 352U);
  EXPECT_EQ(n.outside, 30U); // HS*, RS384 and larger, ES512
}

TEST(jws, wycheproof_crypto) {
  const auto n = run_signature_vectors("json_web_crypto");
  EXPECT_EQ(n.accepted, 2U);
  EXPECT_EQ(n.refused, 40U);
  EXPECT_EQ(n.outside, 2U);
}

TEST(jws, wycheproof_keys) {
  const auto n = run_signature_vectors("json_web_key");
  EXPECT_EQ(n.accepted, 1U);
  EXPECT_EQ(n.refused, 20U);
  EXPECT_EQ(n.outside, 4U);
}

TEST(jws, rfc7520_rsa_signature) {
  const auto example = test::vectors("jose-cookbook/jws/4_1.rsa_v15_signature.json");
  const auto& input = example.at("input").as_object();
  auto jwk = input.at("key").as_object();
  for (const auto* const name : {"d", "p", "q", "dp", "dq", "qi"})
    jwk.erase(name);
  const auto key = key_of_jwk(bj::serialize(jwk));
  ASSERT_TRUE(key.ok()) << key.failure().message;
  const std::vector<trusted_key> keys{{text_of(jwk, "kid"), *key, "RS256"}};
  const auto token = text_of(example.at("output").as_object(), "compact");
  const auto outcome = internal::verify_signature(token, keys);
  ASSERT_TRUE(outcome.ok()) << outcome.failure().message;
  EXPECT_EQ(outcome->payload, text_of(input, "payload"));
  // The example has no type, so the public entrance refuses it.
  EXPECT_EQ(verify_compact(token, keys, "JWT").failure().check, "jws-type");
}

} // namespace
} // namespace custos::jose
