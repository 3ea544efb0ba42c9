#include "actors/attestation/token.hpp"
#include "actors/attestation/verifier_core.hpp"
#include "tests/unit/actors/attestation/software_tpm.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;
namespace bj = boost::json;

class Token : public testing::Test {
protected:
  crypto::key key = must(crypto::generate_p256());
  std::vector<jose::trusted_key> keys{{"k1", key, "ES256"}};
  token_claims claims;
  ear_spelling spelling = ear_spelling::dotted;

  Token() {
    claims.issuer = "https://trust.example";
    claims.host = host;
    claims.issued = now;
    claims.expires = now + 3600;
    claims.id = "some-id";
    claims.nonce = bytes(32, 1);
    claims.key_thumbprint.fill(2);
    claims.ek_spki_sha256.fill(3);
    claims.image = "debian";
    claims.image_version = "12.7";
    claims.bank = "sha256";
    claims.pcrs_used = {0, 7};
    claims.pcrs_ignored = {1};
    claims.event_log_sha256.fill(4);
    claims.ak_name = bytes(34, 5);
    claims.reset_count = 0xFFFFFFFF;
  }
  static token_signer signer(const crypto::key& by, std::string_view kid,
                             std::string_view alg = "ES256") {
    return must(make_token_signer(by, alg, kid));
  }
  std::string made() { return must(make_token(claims, signer(key, "k1"), spelling)); }
  result<token_claims> read(std::string_view jws, std::int64_t at = now) {
    return read_token(jws, {keys, "https://trust.example"}, at);
  }
  void refused(std::string_view jws, const std::string& field, std::int64_t at = now) {
    const auto claimed = read(jws, at);
    ASSERT_FALSE(claimed) << field;
    EXPECT_EQ(claimed.failure().code, errc::token_invalid);
    EXPECT_NE(claimed.failure().field.find(field), std::string::npos)
        << claimed.failure().field << ": " << claimed.failure().message;
  }
  bj::object payload() {
    const auto jws = made();
    const auto first = jws.find('.');
    const auto second = jws.find('.', first + 1);
    const auto raw =
        must(crypto::from_base64url(std::string_view(jws).substr(first + 1, second - first - 1)));
    return bj::parse(as_text(raw)).as_object();
  }
  std::string signed_again(const bj::object& o, std::string_view typ = token_type) {
    return must(jose::sign(key, "ES256", "k1", typ, bj::serialize(o)));
  }
};

TEST_F(Token, ComesBack) {
  const auto c = read(made());
  ASSERT_TRUE(c) << c.failure().message;
  EXPECT_EQ(c->issuer, claims.issuer);
  EXPECT_EQ(c->host, claims.host);
  EXPECT_EQ(c->audience, key_audience);
  EXPECT_EQ(c->issued, claims.issued);
  EXPECT_EQ(c->expires, claims.expires);
  EXPECT_EQ(c->id, claims.id);
  EXPECT_EQ(c->key_thumbprint, claims.key_thumbprint);
  EXPECT_EQ(c->ek_spki_sha256, claims.ek_spki_sha256);
  EXPECT_EQ(c->image, claims.image);
  EXPECT_EQ(c->image_version, claims.image_version);
  EXPECT_EQ(c->ak_name, claims.ak_name);
  EXPECT_EQ(c->reset_count, claims.reset_count);
}

TEST_F(Token, HasEveryClaimThatOthersGoBy) {
  const auto o = payload();
  const auto text = [&](const char* name) { return std::string(o.at(name).as_string()); };
  EXPECT_EQ(text("iss"), claims.issuer);
  EXPECT_EQ(text("sub"), host);
  EXPECT_EQ(text("aud"), "custos-keys");
  EXPECT_EQ(o.at("iat").as_int64(), now);
  EXPECT_EQ(o.at("nbf").as_int64(), now);
  EXPECT_EQ(o.at("exp").as_int64(), now + 3600);
  EXPECT_EQ(text("jti"), "some-id");
  EXPECT_EQ(must(crypto::from_base64url(text("eat_nonce"))), claims.nonce);
  EXPECT_FALSE(text("eat_profile").empty());
  const auto ueid = must(crypto::from_base64url(text("ueid")));
  ASSERT_EQ(ueid.size(), 33U);
  EXPECT_EQ(ueid[0], 0x01);
  EXPECT_EQ(to_bytes(byte_view(ueid).subspan(1)), to_bytes(claims.ek_spki_sha256));
  EXPECT_EQ(must(crypto::from_base64url(std::string(o.at("cnf").at("jkt").as_string()))),
            to_bytes(claims.key_thumbprint));
  EXPECT_EQ(o.at("ear.verifier-id").at("developer").as_string(), "custos");
  const auto& submodule = o.at("submods").at("host").as_object();
  EXPECT_EQ(submodule.at("ear.status").as_string(), "affirming");
  EXPECT_EQ(submodule.at("ear.appraisal-policy-id").as_string(), "base-image:debian");
  EXPECT_EQ(submodule.at("ear.trustworthiness-vector").at("executables").as_int64(), 3);
  const auto& ours = submodule.at("custos").as_object();
  EXPECT_EQ(ours.at("image").at("name").as_string(), "debian");
  EXPECT_EQ(ours.at("image").at("version").as_string(), "12.7");
  EXPECT_EQ(ours.at("bank").as_string(), "sha256");
  EXPECT_EQ(bj::serialize(ours.at("pcrs_used")), "[0,7]");
  EXPECT_EQ(bj::serialize(ours.at("pcrs_ignored")), "[1]");
  EXPECT_EQ(ours.at("event_log_sha256").as_string(), crypto::hex(claims.event_log_sha256));
  EXPECT_EQ(ours.at("ak_name").as_string(), crypto::hex(claims.ak_name));
  EXPECT_EQ(ours.at("ek_spki_sha256").as_string(), crypto::hex(claims.ek_spki_sha256));
  EXPECT_EQ(bj::serialize(ours.at("reset_count")), "4294967295");
}

TEST_F(Token, VerifiesByThePublishedKeys) {
  const auto set = bj::parse(jose::jwks_of({{key, "k1", "sig", "ES256"}})).as_object();
  const auto& jwk = set.at("keys").as_array().at(0).as_object();
  EXPECT_FALSE(jwk.contains("d"));
  keys = {{std::string(jwk.at("kid").as_string()), must(jose::key_of_jwk(bj::serialize(jwk))),
           std::string(jwk.at("alg").as_string())}};
  EXPECT_TRUE(read(made()));
}

TEST_F(Token, OfAnotherKeyOrAnUnknownOne) {
  EXPECT_FALSE(read(must(make_token(claims, signer(must(crypto::generate_p256()), "k1")))));
  EXPECT_FALSE(read(must(make_token(claims, signer(key, "k2")))));
  keys.clear();
  EXPECT_FALSE(read(made()));
}

TEST_F(Token, OldKeysAreTrustedBesideNewOnes) {
  const auto old = made();
  keys.insert(keys.begin(), {"k0", must(crypto::generate_p256()), "ES256"});
  EXPECT_TRUE(read(old));
}

TEST_F(Token, EveryCharacterCounts) {
  const auto jws = made();
  for (std::size_t i = 0; i < jws.size(); ++i) {
    auto changed = jws;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(read(changed)) << i;
  }
  for (std::size_t n = 0; n < jws.size(); ++n)
    EXPECT_FALSE(read(std::string_view(jws).substr(0, n))) << n;
}

TEST_F(Token, ForAnotherIssuerOrAudience) {
  claims.issuer = "https://other.example";
  refused(made(), "iss");
  claims.issuer = "https://trust.example";
  claims.audience = "custos-reports";
  refused(made(), "aud");
}

TEST_F(Token, ForReportingIsNeverOneForKeyOperations) {
  claims.audience = reporting_audience;
  const auto reporting = made();
  refused(reporting, "aud");
  const auto c = read_token(reporting, {keys, "https://trust.example", reporting_audience}, now);
  ASSERT_TRUE(c) << c.failure().message;
  claims.audience = key_audience;
  EXPECT_FALSE(read_token(made(), {keys, "https://trust.example", reporting_audience}, now));
}

TEST_F(Token, IsSignedWithAnyAlgorithm) {
  const auto rsa = must(crypto::generate_rsa(2048));
  const std::vector<std::pair<std::string, crypto::key>> pairs{
      {"ES256", key}, {"ES384", must(crypto::generate_p384())}, {"PS256", rsa}, {"RS256", rsa}};
  for (const auto& [alg, by] : pairs) {
    keys = {{"k1", by, alg}};
    EXPECT_TRUE(read(must(make_token(claims, signer(by, "k1", alg))))) << alg;
    for (const auto& [other, its_key] : pairs)
      if (other != alg) {
        EXPECT_FALSE(read(must(make_token(claims, signer(its_key, "k1", other)))))
            << other << " where " << alg << " is trusted";
      }
  }
  EXPECT_FALSE(make_token_signer(key, "ES384", "k1"));
  EXPECT_FALSE(make_token_signer(key, "none", "k1"));
  EXPECT_FALSE(make_token_signer(key, "HS256", "k1"));
}

TEST_F(Token, LastsFromItsIssueToItsEnd) {
  const auto jws = made();
  EXPECT_TRUE(read(jws, now + 3599));
  refused(jws, "exp", now + 3600);
  EXPECT_TRUE(read(jws, now - clock_skew_s_max)) << "clocks of nodes differ";
  refused(jws, "nbf", now - clock_skew_s_max - 1);
}

TEST_F(Token, OfAnotherType) {
  EXPECT_TRUE(read(signed_again(payload())));
  EXPECT_FALSE(read(signed_again(payload(), "JWT")));
  EXPECT_FALSE(read(signed_again(payload(), "custos-report+jwt")));
}

TEST_F(Token, EveryClaimThatTheGateNeedsIsDemanded) {
  for (const std::string name : {"iss", "sub", "aud", "nbf", "exp", "jti", "cnf", "submods"}) {
    auto o = payload();
    o.erase(name);
    refused(signed_again(o), name);
    o[name] = nullptr;
    refused(signed_again(o), name);
    o[name] = true;
    refused(signed_again(o), name);
  }
  for (const std::string name : {"image", "ek_spki_sha256", "ak_name", "reset_count"}) {
    auto o = payload();
    o.at("submods").at("host").at("custos").as_object().erase(name);
    refused(signed_again(o), name);
  }
}

TEST_F(Token, ClaimsOfTheWrongShape) {
  auto o = payload();
  o["cnf"] = bj::object{{"jkt", crypto::base64url(bytes(31, 2))}};
  refused(signed_again(o), "cnf");
  o = payload();
  o["exp"] = -1;
  refused(signed_again(o), "exp");
  o = payload();
  o["exp"] = "tomorrow";
  refused(signed_again(o), "exp");
  o = payload();
  o.at("submods").at("host").at("custos").as_object()["reset_count"] = 4294967296;
  refused(signed_again(o), "reset_count");
  o = payload();
  o.at("submods").at("host").at("custos").as_object()["ek_spki_sha256"] = "abcd";
  refused(signed_again(o), "ek_spki_sha256");
  EXPECT_FALSE(read(must(jose::sign(key, "ES256", "k1", token_type, "[]"))));
  EXPECT_FALSE(read(must(jose::sign(key, "ES256", "k1", token_type, ""))));
}

TEST_F(Token, OnlyAnAffirmationOpensTheGate) {
  for (const std::string status : {"contraindicated", "warning", "none", "", "Affirming"}) {
    auto o = payload();
    o.at("submods").at("host").as_object()["ear.status"] = status;
    refused(signed_again(o), "ear.status");
  }
}

// ---- both spellings -----------------------------------------------------------------------------

TEST_F(Token, IsReadInEitherSpelling) {
  for (const auto s : {ear_spelling::dotted, ear_spelling::underscored, ear_spelling::both}) {
    spelling = s;
    const auto c = read(made());
    ASSERT_TRUE(c) << c.failure().message;
    EXPECT_EQ(c->image, "debian");
    EXPECT_EQ(c->reset_count, claims.reset_count);
  }
}

TEST_F(Token, HasTheClaimsOfTheSpellingThatIsAskedForAndNoOther) {
  claims.config_fingerprint = "c0ffee";
  const std::vector<std::string> old{"ear.status", "ear.trustworthiness-vector",
                                     "ear.appraisal-policy-id"};
  const std::vector<std::string> draft{"ear_status", "ear_trustworthiness_vector",
                                       "ear_appraisal_policy_ids"};
  for (const auto s : {ear_spelling::dotted, ear_spelling::underscored, ear_spelling::both}) {
    spelling = s;
    const auto o = payload();
    const auto& submodule = o.at("submods").at("host").as_object();
    EXPECT_EQ(o.contains("ear.verifier-id"), s != ear_spelling::underscored);
    EXPECT_EQ(o.contains("ear_verifier_id"), s != ear_spelling::dotted);
    for (const auto& name : old)
      EXPECT_EQ(submodule.contains(name), s != ear_spelling::underscored) << name;
    for (const auto& name : draft)
      EXPECT_EQ(submodule.contains(name), s != ear_spelling::dotted) << name;
    if (s == ear_spelling::both) {
      EXPECT_EQ(submodule.at("ear_trustworthiness_vector"),
                submodule.at("ear.trustworthiness-vector"));
      EXPECT_EQ(o.at("ear_verifier_id"), o.at("ear.verifier-id"));
      EXPECT_EQ(bj::serialize(submodule.at("ear_appraisal_policy_ids")),
                R"(["base-image:debian","configuration:c0ffee"])");
    }
  }
}

TEST_F(Token, SpellingsThatDisagreeAreRefused) {
  spelling = ear_spelling::both;
  auto o = payload();
  o.at("submods").at("host").as_object()["ear_status"] = "contraindicated";
  refused(signed_again(o), "ear_status");
  o = payload();
  o.at("submods").at("host").as_object()["ear.status"] = "none";
  refused(signed_again(o), "ear_status");
  o = payload();
  o.at("submods").at("host").as_object().erase("ear_status");
  o.at("submods").at("host").as_object().erase("ear.status");
  refused(signed_again(o), "ear.status");
}

// ---- what was judged, and what was only reported ------------------------------------------------

TEST_F(Token, SaysWhatWasJudgedOnly) {
  const auto ours_of = [](const bj::object& o) {
    return o.at("submods").at("host").at("custos").as_object();
  };
  const auto bare = ours_of(payload());
  for (const auto* const name : {"secure_boot", "ima", "audit_findings", "configuration"})
    EXPECT_FALSE(bare.contains(name)) << name;
  claims.secure_boot = false;
  claims.restart_count = 3;
  claims.ima_entries = 1234;
  claims.config_fingerprint = "c0ffee";
  const auto ours = ours_of(payload());
  EXPECT_FALSE(ours.at("secure_boot").as_bool());
  EXPECT_EQ(ours.at("restart_count").as_int64(), 3);
  EXPECT_EQ(bj::serialize(ours.at("ima")), R"({"entries":1234,"ignored":[]})");
  EXPECT_EQ(ours.at("configuration").as_string(), "c0ffee");
  const auto c = read(made());
  ASSERT_TRUE(c) << c.failure().message;
  EXPECT_EQ(c->secure_boot, std::optional(false));
  EXPECT_EQ(c->restart_count, 3U);
  EXPECT_EQ(c->ima_entries, std::optional<std::uint64_t>(1234));
  EXPECT_EQ(c->config_fingerprint, "c0ffee");
}

TEST_F(Token, TheTrustworthinessVectorClaimsNothingThatWasNotAppraised) {
  const auto vector = [&] {
    return bj::serialize(payload().at("submods").at("host").at("ear.trustworthiness-vector"));
  };
  EXPECT_EQ(vector(), R"({"instance-identity":2,"executables":3,"hardware":2})")
      << "3: approved at boot; nobody looked later";
  claims.ima_entries = 10;
  EXPECT_EQ(vector(), R"({"instance-identity":2,"executables":2,"hardware":2})");
  claims.ima_ignored = {"/tmp/"};
  EXPECT_EQ(vector(), R"({"instance-identity":2,"executables":3,"hardware":2})")
      << "some of what ran later was not judged";
  claims.findings = {{"ima-log", "a file is not listed"}};
  EXPECT_EQ(vector(), R"({"instance-identity":2,"executables":33,"hardware":2})");
  claims.findings = {{"secure-boot", "it is off"}};
  EXPECT_EQ(vector(), R"({"instance-identity":2,"configuration":32,"executables":3,"hardware":2})");
}

TEST_F(Token, FindingsThatAreReportedOnlyMakeItAWarningWhichTheGateAccepts) {
  claims.findings = {{"clock", "the TPM's clock is not safe"}, {"ima-log", "\"quoted\"\n"}};
  for (const auto s : {ear_spelling::dotted, ear_spelling::underscored, ear_spelling::both}) {
    spelling = s;
    const auto o = payload();
    const auto& submodule = o.at("submods").at("host").as_object();
    for (const auto* const name : {"ear.status", "ear_status"})
      if (submodule.contains(name)) {
        EXPECT_EQ(submodule.at(name).as_string(), "warning");
      }
    const auto& told = submodule.at("custos").at("audit_findings").as_array();
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told.at(1).at("message").as_string(), "\"quoted\"\n");
    const auto c = read(made());
    ASSERT_TRUE(c) << c.failure().message;
    EXPECT_EQ(c->findings, claims.findings);
  }
  spelling = ear_spelling::dotted;
  auto o = payload();
  o.at("submods").at("host").at("custos").as_object().erase("audit_findings");
  refused(signed_again(o), "ear.status");
}

TEST_F(Token, StaysReadableHoweverMuchThereIsToSay) {
  spelling = ear_spelling::both;
  claims.ima_entries = 1;
  claims.config_fingerprint = std::string(64, 'f');
  claims.image = std::string(128, 'i');
  claims.image_version = std::string(128, 'v');
  claims.host = std::string(128, 'h');
  claims.issuer = "https://trust.example";
  for (std::uint32_t pcr = 0; pcr < 24; ++pcr)
    claims.pcrs_used.push_back(pcr);
  for (int i = 0; i < 1000; ++i)
    claims.ima_ignored.push_back("/some/path/that/changes/" + std::to_string(i) + "/");
  for (int i = 0; i < 100; ++i)
    claims.findings.push_back({"clock", std::string(100'000, i % 2 == 0 ? 'm' : '\x01')});
  const auto rsa = must(crypto::generate_rsa(4096));
  keys = {{"k1", rsa, "RS256"}};
  const auto made_of_much = must(make_token(claims, signer(rsa, "k1", "RS256"), spelling));
  EXPECT_LE(made_of_much.size(), token_chars_max);
  const auto c = read(made_of_much);
  ASSERT_TRUE(c) << c.failure().message;
  EXPECT_GE(c->findings.size(), 2U);
  keys = {{"k1", key, "ES256"}};
  const auto ima = payload().at("submods").at("host").at("custos").at("ima").as_object();
  const auto told = ima.at("ignored").as_array().size();
  EXPECT_GT(told, 5U);
  EXPECT_EQ(told + static_cast<std::size_t>(ima.at("ignored_left_out").as_int64()), 1000U);
}

TEST_F(Token, TextFromAnywhereStaysText) {
  claims.image_version = "1\",\"exp\":1,\"x\":\"";
  claims.image = "caf\xC3\xA9 \xFF \t";
  const auto c = read(made());
  ASSERT_TRUE(c) << c.failure().message;
  EXPECT_EQ(c->image_version, claims.image_version);
  EXPECT_EQ(c->image, "caf\xC3\xA9 \xEF\xBF\xBD \t") << "what is no UTF-8 is replaced";
  EXPECT_EQ(c->expires, claims.expires);
}

// ---- times (RFC 7519, 4.1; EAR: no fractions) ---------------------------------------------------

TEST_F(Token, TimesWithFractionsAreRefused) {
  for (const std::string name : {"iat", "nbf", "exp"})
    for (const std::string value : {"1800000000.5", "1.8e9", "1800000000.0", "\"1800000000\"",
                                    "9223372036854775808", "-1", "true", "[1800000000]"}) {
      auto text = bj::serialize(payload());
      const auto at = text.find('"' + name + "\":") + name.size() + 3;
      text.replace(at, text.find_first_of(",}", at) - at, value);
      refused(must(jose::sign(key, "ES256", "k1", token_type, text)), name);
    }
}

TEST_F(Token, ClaimsThatOccurTwiceAreRefused) {
  const auto text = bj::serialize(payload());
  for (const std::string twice :
       {R"(,"exp":4000000000})", R"(,"sub":"other"})", R"(,"\u0065xp":4000000000})"}) {
    auto doubled = text;
    doubled.replace(doubled.size() - 1, 1, twice);
    EXPECT_FALSE(read(must(jose::sign(key, "ES256", "k1", token_type, doubled)))) << twice;
  }
}

TEST_F(Token, IssuedInTheFutureIsRefused) {
  auto o = payload();
  o["iat"] = now + clock_skew_s_max;
  EXPECT_TRUE(read(signed_again(o)));
  o["iat"] = now + clock_skew_s_max + 1;
  refused(signed_again(o), "iat");
  o.erase("iat");
  refused(signed_again(o), "iat");
}

// ---- from the verifier --------------------------------------------------------------------------

TEST(Grant, TheTokenSaysWhatWasAppraised) {
  const scene s(recorded("eventlogs/rhel8-uefi.bin"));
  s.config->base_images.at("good").pcrs.push_back({15, pcr_form::ignored, {}, {}});
  s.config->settings.token_life_s = 1234;
  verifier_core core(s.keys);
  const auto d = s.begin();
  const auto granted = core.grant(s.sign(d), s.config, now);
  ASSERT_TRUE(granted) << granted.failure().message;
  EXPECT_EQ(granted->expires, now + 1234);
  EXPECT_EQ(granted->image, "good");
  EXPECT_EQ(granted->image_version, "1");
  const auto keys = trusted_keys(*s.keys, s.config);
  const auto c = read_token(granted->token, {keys, s.keys->issuer}, now);
  ASSERT_TRUE(c) << c.failure().message;
  EXPECT_EQ(c->host, host);
  EXPECT_EQ(c->expires, now + 1234);
  EXPECT_EQ(to_bytes(c->key_thumbprint), must(jose::thumbprint_digest(s.transport)));
  EXPECT_EQ(c->ek_spki_sha256, crypto::sha256(s.device.ek.spki_der()));
  EXPECT_EQ(c->ak_name, s.enrolled.ak.name);
  EXPECT_EQ(c->reset_count, 7U);
  const auto body = must(jose::verify_compact(granted->token, keys, token_type));
  const auto o = bj::parse(body.payload).as_object();
  const auto& ours = o.at("submods").at("host").at("custos").as_object();
  EXPECT_EQ(bj::serialize(ours.at("pcrs_ignored")), "[15]");
  EXPECT_EQ(bj::serialize(ours.at("pcrs_used")), "[0,1,2,3,4,5,6,7,8,9,14]");
  EXPECT_EQ(ours.at("event_log_sha256").as_string(), crypto::hex(crypto::sha256(s.log)));
  const auto ticket = must(check_ticket(s.keys->challenge_key->reveal_secret(), d.e.ticket, now));
  EXPECT_EQ(must(crypto::from_base64url(std::string(o.at("eat_nonce").as_string()))),
            to_bytes(ticket.nonce));
}

TEST(Grant, EveryTokenHasItsOwnId) {
  const scene s(recorded("eventlogs/rhel8-uefi.bin"));
  verifier_core core(s.keys);
  const auto keys = trusted_keys(*s.keys, s.config);
  const auto id = [&] {
    return must(read_token(must(core.grant(s.good(), s.config, now)).token, {keys, s.keys->issuer},
                           now))
        .id;
  };
  EXPECT_NE(id(), id());
}

TEST(Grant, AReportingTokenWhereOneIsAskedFor) {
  const scene s(recorded("eventlogs/rhel8-uefi.bin"));
  s.config->settings.reporting_token_life_s = 600;
  s.config->settings.ear_claims = ear_spelling::both;
  verifier_core core(s.keys);
  auto e = s.good();
  EXPECT_TRUE(must(core.grant(e, s.config, now)).reporting_token.empty());
  e = s.good();
  e.reporting = true;
  const auto granted = must(core.grant(e, s.config, now));
  const auto keys = trusted_keys(*s.keys, s.config);
  const auto opening = must(read_token(granted.token, {keys, s.keys->issuer}, now));
  EXPECT_FALSE(read_token(granted.reporting_token, {keys, s.keys->issuer}, now))
      << "the gate never takes it";
  const auto reporting =
      must(read_token(granted.reporting_token, {keys, s.keys->issuer, reporting_audience}, now));
  EXPECT_EQ(reporting.host, opening.host);
  EXPECT_EQ(reporting.image, opening.image);
  EXPECT_EQ(reporting.expires, now + 600);
  EXPECT_EQ(granted.expires, opening.expires);
  EXPECT_NE(reporting.id, opening.id);
  const auto claims = bj::parse(must(jose::peek(granted.reporting_token)).payload).as_object();
  EXPECT_TRUE(claims.contains("ear_verifier_id") && claims.contains("ear.verifier-id"));
}

TEST(Grant, NoTokenForARefusal) {
  const scene s(recorded("eventlogs/rhel8-uefi.bin"));
  verifier_core core(s.keys);
  auto e = s.good();
  e.pcrs.front().value.back() ^= 1;
  const auto granted = core.grant(e, s.config, now);
  ASSERT_FALSE(granted);
  EXPECT_EQ(granted.failure().check, "pcr-digest");
}

} // namespace
} // namespace custos::attestation
