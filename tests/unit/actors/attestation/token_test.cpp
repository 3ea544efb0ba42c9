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
  std::string made() { return must(make_token(claims, key, "k1")); }
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
    return must(jose::sign_es256(key, "k1", typ, bj::serialize(o)));
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
  EXPECT_EQ(submodule.at("ear.trustworthiness-vector").at("executables").as_int64(), 2);
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
  EXPECT_FALSE(read(must(make_token(claims, must(crypto::generate_p256()), "k1"))));
  EXPECT_FALSE(read(must(make_token(claims, key, "k2"))));
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
  EXPECT_FALSE(read(must(jose::sign_es256(key, "k1", token_type, "[]"))));
  EXPECT_FALSE(read(must(jose::sign_es256(key, "k1", token_type, ""))));
}

TEST_F(Token, OnlyAnAffirmationOpensTheGate) {
  for (const std::string status : {"contraindicated", "warning", "none", "", "Affirming"}) {
    auto o = payload();
    o.at("submods").at("host").as_object()["ear.status"] = status;
    refused(signed_again(o), "ear.status");
  }
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
  const std::vector<jose::trusted_key> keys{{s.keys->token_kid, s.keys->token_key, "ES256"}};
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
  const std::vector<jose::trusted_key> keys{{s.keys->token_kid, s.keys->token_key, "ES256"}};
  const auto id = [&] {
    return must(read_token(must(core.grant(s.good(), s.config, now)).token, {keys, s.keys->issuer},
                           now))
        .id;
  };
  EXPECT_NE(id(), id());
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
