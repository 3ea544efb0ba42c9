// Who must not pass, with real tokens, at every operation: one row each. What is refused in which
// step and order is tested in gate_test.cpp.

#include "actors/attestation/token.hpp"
#include "actors/keyprovider/gate.hpp"
#include "actors/keyprovider/token_reader.hpp"
#include "tests/unit/actors/attestation/denial_of.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

constexpr std::int64_t now = 1'800'000'000;
constexpr std::string_view issuer = "https://trust.example";

struct signing_key {
  crypto::key key = *crypto::generate_p256();
  std::string kid;
  explicit signing_key(std::string id) : kid(std::move(id)) {}
};

/// A host that passes everywhere.
struct scene {
  crypto::key host_key = *crypto::generate_p256();
  crypto::key other_key = *crypto::generate_p256();
  signing_key ours{"k1"};
  signing_key foreign{"k1"}; // it calls itself the same
  attestation::token_claims claims;
  config_snapshot config;
  std::optional<host_sight> sight;
  std::optional<std::string> token; ///< instead of one made of the claims
  crypto::key connection = host_key;
  const signing_key* signs = &ours;

  scene() {
    claims.issuer = issuer;
    claims.host = "host-7";
    claims.issued = now - 100;
    claims.expires = now + 3600;
    claims.id = "id";
    claims.nonce = bytes(32, 1);
    bind_to(host_key);
    claims.ek_spki_sha256.fill(0xEE);
    claims.image = "debian";
    claims.image_version = "12.7";
    claims.bank = "sha256";
    claims.pcrs_used = {0, 7};
    claims.ak_name = bytes(34, 5);
    claims.reset_count = 7;
    config.revision = 1;
    config.tpm_cas["vendor"] = {"vendor", {}};
    config.base_images["debian"] = {"debian", "12.7", "sha256", {}};
    config.key_providers["vault"].name = "vault";
    sight = host_sight{bytes(34, 5), 7, now - 200, 0};
  }
  void bind_to(const crypto::key& key) {
    const auto thumbprint = *jose::thumbprint_digest(key);
    std::copy(thumbprint.begin(), thumbprint.end(), claims.key_thumbprint.begin());
  }
  [[nodiscard]] std::string made() const {
    return *attestation::make_token(
        claims, *attestation::make_token_signer(signs->key, "ES256", signs->kid));
  }
  /// The claims of a good token under the header {"alg":"none"}.
  [[nodiscard]] std::string unsigned_token() const {
    const auto good = made();
    const auto payload = good.substr(good.find('.') + 1);
    return crypto::base64url(as_bytes(R"({"alg":"none","typ":"custos-attestation+jwt"})")) + "." +
           payload.substr(0, payload.find('.')) + ".";
  }
};

struct refusal_row {
  const char* name;
  std::function<void(scene&)> spoil;
  const char* check;
  errc code;
  const char* reason; ///< words of the message, which is what the audit log has
};

std::vector<refusal_row> rows() {
  using denied = attestation::test::denial_of;
  return {
      {"no token", [](scene& s) { s.token = ""; }, "gate-token", errc::unauthenticated,
       "a bearer token is needed"},
      {"no JWS", [](scene& s) { s.token = "a.b"; }, "gate-token", errc::token_invalid, "jws-form"},
      {"another host's token", [](scene& s) { s.bind_to(s.other_key); }, "gate-binding",
       errc::token_invalid, "belongs to another key"},
      {"TLS connection of another key", [](scene& s) { s.connection = s.other_key; },
       "gate-binding", errc::token_invalid, "belongs to another key"},
      {"TLS connection without a key", [](scene& s) { s.connection = {}; }, "gate-binding",
       errc::token_invalid, "without a client key"},
      {"expired", [](scene& s) { s.claims.expires = now - 61; }, "gate-token", errc::token_invalid,
       "expire"},
      {"not valid yet", [](scene& s) { s.claims.issued = now + 3000; }, "gate-token",
       errc::token_invalid, "not valid yet"},
      {"foreign-signed", [](scene& s) { s.signs = &s.foreign; }, "gate-token", errc::token_invalid,
       "jws-signature"},
      {"alg none", [](scene& s) { s.token = s.unsigned_token(); }, "gate-token",
       errc::token_invalid, "jws-"},
      {"another issuer", [](scene& s) { s.claims.issuer = "https://other.example"; }, "gate-token",
       errc::token_invalid, "issue"},
      {"a token for reporting",
       [](scene& s) { s.claims.audience = attestation::reporting_audience; }, "gate-token",
       errc::token_invalid, "audience"},
      {"quarantined",
       [](scene& s) {
         s.config.hosts["host-7"] = {"host-7", bytes(32, 0xEE), true};
       },
       "gate-host", errc::forbidden, "quarantined"},
      {"bound to another endorsement key",
       [](scene& s) {
         s.config.hosts["host-7"] = {"host-7", bytes(32, 0xDD), false};
       },
       "gate-host", errc::forbidden, "another endorsement key"},
      {"denied endorsement key",
       [](scene& s) {
         s.config.denials["d"] = denied{.ek_spki_sha256 = bytes(32, 0xEE), .reason = "stolen"};
       },
       "gate-host", errc::forbidden, "stolen"},
      {"denied attestation key",
       [](scene& s) { s.config.denials["d"] = denied{.ak_name = bytes(34, 5)}; }, "gate-host",
       errc::forbidden, "denied by \"d\""},
      {"no TPM CA trusted any more", [](scene& s) { s.config.tpm_cas.clear(); }, "gate-host",
       errc::forbidden, "no TPM CA is trusted"},
      {"endorsement key taken off the list",
       [](scene& s) { s.config.settings.require_endorsement_keys = true; }, "gate-host",
       errc::forbidden, "not among the trusted ones"},
      {"removed image", [](scene& s) { s.config.base_images.clear(); }, "gate-image",
       errc::forbidden, "not configured any more"},
      {"changed image", [](scene& s) { s.config.base_images["debian"].version = "12.8"; },
       "gate-image", errc::forbidden, "changed since"},
      {"rebooted", [](scene& s) { s.sight->reset_count = 8; }, "gate-boot", errc::token_invalid,
       "rebooted"},
      {"slept", [](scene& s) { s.sight->restart_count = 1; }, "gate-boot", errc::token_invalid,
       "slept"},
      {"failed an attestation", [](scene& s) { s.sight->failed_since = now - 50; }, "gate-boot",
       errc::token_invalid, "failed an attestation"},
      {"attests with another key",
       [](scene& s) {
         s.sight->ak_name = bytes(34, 6);
         s.sight->boot_seen = now - 50;
       },
       "gate-boot", errc::token_invalid, "another key than the token's"},
  };
}

std::vector<std::pair<
    const char*, std::function<std::optional<error>(gate&, const key_caller&, const config_ptr&)>>>
operations() {
  const auto failed = [](auto outcome) {
    return outcome ? std::nullopt : std::optional<error>(outcome.failure());
  };
  return {
      {"generate",
       [failed](gate& g, const key_caller& c, const config_ptr& config) {
         return failed(g.admit(generate_key{c, "vault", 32, {}}, config, now));
       }},
      {"decrypt",
       [failed](gate& g, const key_caller& c, const config_ptr& config) {
         return failed(g.admit(decrypt_key{c, "vault", bytes(9), {}}, config, now));
       }},
      {"encrypt",
       [failed](gate& g, const key_caller& c, const config_ptr& config) {
         return failed(g.admit(encrypt_key{c, "vault", "jwe", {}}, config, now));
       }},
      {"rewrap",
       [failed](gate& g, const key_caller& c, const config_ptr& config) {
         return failed(g.admit(rewrap_keys{c, "vault", {{bytes(9), {}}}}, config, now));
       }},
      {"list",
       [failed](gate& g, const key_caller& c, const config_ptr& config) {
         return failed(g.admit(list_providers{c}, config, now));
       }},
  };
}

class gate_refusals : public ::testing::Test {
protected:
  gate make_gate(const scene& s) {
    keys = {{s.ours.kid, s.ours.key, "ES256"}};
    return gate(
        tokens_of(std::string(issuer),
                  [this](std::int64_t) { return std::span<const jose::trusted_key>(keys); }),
        {}, [&s](const std::string&) { return s.sight; });
  }
  static key_caller caller(const scene& s) {
    return {s.token.value_or(s.made()), s.connection ? s.connection.spki_der() : bytes{},
            "192.0.2.7:1"};
  }
  static config_ptr snapshot(const scene& s) {
    return std::make_shared<const config_snapshot>(s.config);
  }
  std::vector<jose::trusted_key> keys;
};

TEST_F(gate_refusals, who_has_all_that_is_wanted_passes_everywhere) {
  const scene s;
  auto g = make_gate(s);
  for (const auto& [name, ask] : operations()) {
    const auto refused = ask(g, caller(s), snapshot(s));
    EXPECT_FALSE(refused) << name << ": " << refused->message;
  }
}

TEST_F(gate_refusals, each_for_its_reason_at_every_operation) {
  for (const auto& row : rows())
    for (const auto& [operation, ask] : operations()) {
      SCOPED_TRACE(std::string(row.name) + ", " + operation);
      scene s;
      row.spoil(s);
      auto g = make_gate(s);
      const auto refused = ask(g, caller(s), snapshot(s));
      ASSERT_TRUE(refused);
      EXPECT_EQ(refused->check, row.check);
      EXPECT_EQ(refused->code, row.code);
      EXPECT_NE(refused->message.find(row.reason), std::string::npos) << refused->message;
    }
}

/// What changes after the token was found good counts from the next call.
TEST_F(gate_refusals, at_once_though_the_token_was_found_good_before) {
  for (const auto& row : rows())
    for (const auto& [operation, ask] : operations()) {
      scene s;
      const auto good = s.made();
      auto g = make_gate(s);
      s.token = good;
      ASSERT_FALSE(ask(g, caller(s), snapshot(s))) << row.name;
      row.spoil(s);
      if (std::string_view(row.check) == "gate-token")
        continue; // a row about another token: the test above has it
      SCOPED_TRACE(std::string(row.name) + ", " + operation);
      if (std::string_view(row.name) == "another host's token")
        s.token = s.made();
      const auto refused = ask(g, caller(s), snapshot(s));
      ASSERT_TRUE(refused);
      EXPECT_EQ(refused->check, row.check);
    }
}

} // namespace
} // namespace custos::keyprovider
