// The Key Provider Service with native providers: no key server behind them.

#include "actors/keyprovider/ciphertext.hpp"
#include "actors/keyprovider/key_provider_actor.hpp"
#include "adapters/jose/jose.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/actors/keyprovider/doubles.hpp"

#include <algorithm>
#include <gmock/gmock.h>

namespace custos::keyprovider {

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::int64_t start = 1'800'000'000;

/// Sealed is the label and the key behind it, turned round.
sealed_secret seal_so(const crypto::secret_bytes& secret, std::string_view label) {
  bytes out = to_bytes(label);
  out.push_back(0);
  const auto raw = secret.reveal_secret();
  out.insert(out.end(), raw.rbegin(), raw.rend());
  return {out};
}

class native_provider_test : public test::deterministic {
protected:
  native_provider_test()
      : host_key(*crypto::generate_p256()), cell(std::make_shared<config_cell>()),
        audit(std::make_shared<test::audit_double_state>()) {
    facts.host = "host-7";
    const auto thumbprint = jose::thumbprint_digest(host_key);
    std::copy(thumbprint->begin(), thumbprint->end(), facts.key_thumbprint.begin());
    facts.image = "debian";
    facts.image_version = "12.7";
    facts.expires = start + 1'000'000;
    config.tpm_cas["vendor"] = {"vendor", {}};
    config.base_images["debian"] = {"debian", "12.7", "sha256", {}};
    auto& p = lab();
    p.name = "lab";
    p.type = provider_type::native;
    p.mode = primary_key_mode::local;
    p.primary_key_id = add_key(true);
    publish();
    key_provider_dependencies given;
    given.config = cell;
    given.now = [this] { return now; };
    given.check_token = [this](std::string_view, std::int64_t) -> result<token_facts> {
      return facts;
    };
    given.audit = own(audit_api(system.spawn<test::audit_double>(audit)));
    given.spawn_group = [this](const key_provider&) -> result<kmip_api> {
      ++groups;
      return make_error(errc::internal, "there is no key server");
    };
    given.unseal = [this](const sealed_secret& sealed,
                          std::string_view label) -> result<crypto::secret_bytes> {
      const auto split = std::find(sealed.sealed.begin(), sealed.sealed.end(), 0);
      if (!opens || std::string(sealed.sealed.begin(), split) != label)
        return make_error(errc::crypto_failure, "does not open");
      return crypto::secret_bytes(
          bytes(sealed.sealed.rbegin(), std::make_reverse_iterator(split + 1)));
    };
    given.rotation_problem = [](const std::string& name) { return "of " + name; };
    service = own(spawn_key_provider(system, std::move(given)));
  }

  key_provider& lab() { return config.key_providers["lab"]; }
  std::string add_key(bool backed_up) {
    auto made = make_native_key(
        "lab",
        [](const crypto::secret_bytes& s, std::string_view l) -> result<sealed_secret> {
          return seal_so(s, l);
        },
        start + static_cast<std::int64_t>(lab().primary_keys.size()));
    EXPECT_TRUE(made.ok());
    made->backed_up = backed_up;
    lab().primary_keys.push_back(*made);
    return made->id;
  }
  void publish() { cell->publish(std::make_shared<const config_snapshot>(config)); }

  key_caller caller() const { return {"good", host_key.spki_der(), "192.0.2.7:40000"}; }
  result<key_released> generate() {
    return ask<key_released>(service, generate_key{caller(), "lab", 32, to_bytes("ctx")});
  }
  result<key_released> decrypt(const bytes& ciphertext) {
    return ask<key_released>(service, decrypt_key{caller(), "lab", ciphertext, to_bytes("ctx")});
  }
  bytes key_of(const key_released& released) {
    const auto key = jose::decrypt_ecdh_es_a256kw(host_key, released.jwe);
    EXPECT_TRUE(key);
    return key ? to_bytes(key->reveal_secret()) : bytes{};
  }
  provider_status_report status() {
    const auto report = ask<provider_status_report>(service, get_provider_status{"lab"});
    EXPECT_TRUE(report) << report.failure().message;
    return report ? *report : provider_status_report{};
  }

  crypto::key host_key;
  token_facts facts;
  config_snapshot config;
  std::shared_ptr<config_cell> cell;
  std::int64_t now = start;
  bool opens = true;
  std::size_t groups = 0;
  test::audit_state_ptr audit;
  key_provider_api service;
};

} // namespace

TEST_F(native_provider_test, gives_and_opens_keys_without_any_key_server) {
  const auto made = generate();
  ASSERT_TRUE(made) << made.failure().message;
  const auto parsed = parse_ciphertext(made->ciphertext);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->identity.algorithm, wrap_algorithm::local_kwp);
  EXPECT_EQ(parsed->identity.primary_key_id, lab().primary_key_id);
  const auto opened = decrypt(made->ciphertext);
  ASSERT_TRUE(opened) << opened.failure().message;
  EXPECT_EQ(key_of(*made), key_of(*opened));
  EXPECT_EQ(groups, 0U);
  advance(100000s); // nothing to fetch, nothing to forget
  now += 100000;
  EXPECT_TRUE(decrypt(made->ciphertext));
}

TEST_F(native_provider_test, protects_nothing_with_a_key_that_is_in_no_backup) {
  const auto made = generate();
  ASSERT_TRUE(made);
  lab().primary_keys.front().backed_up = false;
  publish();
  const auto refused = generate();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::forbidden);
  EXPECT_EQ(refused.failure().check, "primary-key-not-backed-up");
  EXPECT_THAT(audit->records.back().detail, HasSubstr("primary-key-not-backed-up"));
  EXPECT_TRUE(decrypt(made->ciphertext)) << "what is there is never refused for that";
  auto report = status();
  EXPECT_EQ(report.health, "warning");
  EXPECT_EQ(report.primary_key_state, "Pre-Active");
  EXPECT_THAT(report.rotation, HasSubstr("waits for a backup"));
  lab().primary_keys.front().backed_up = true;
  publish();
  EXPECT_TRUE(generate()) << "without a restart";
  report = status();
  EXPECT_EQ(report.health, "ok");
  EXPECT_EQ(report.primary_key_state, "Active");
  EXPECT_TRUE(report.servers.empty());
  EXPECT_EQ(report.client_certificate, "");
  EXPECT_EQ(report.rotation, "of lab");
}

TEST_F(native_provider_test, opens_old_ciphertexts_until_their_key_is_retired) {
  const auto old = generate();
  ASSERT_TRUE(old);
  const auto fresh = add_key(true);
  lab().primary_key_id = fresh;
  publish();
  const auto later = generate();
  ASSERT_TRUE(later);
  EXPECT_EQ(parse_ciphertext(later->ciphertext)->identity.primary_key_id, fresh);
  EXPECT_TRUE(decrypt(old->ciphertext));
  lab().primary_keys.erase(lab().primary_keys.begin());
  publish();
  const auto gone = decrypt(old->ciphertext);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.failure().check, "primary-key-unknown");
  EXPECT_TRUE(decrypt(later->ciphertext));
}

TEST_F(native_provider_test, whose_key_does_not_open_says_so) {
  opens = false;
  EXPECT_EQ(generate().failure().code, errc::unavailable);
  EXPECT_EQ(status().health, "error");
  opens = true;
  publish();
  EXPECT_TRUE(generate()) << "it is tried again when the configuration changes";
}

TEST_F(native_provider_test, has_nothing_to_do_with_key_servers) {
  EXPECT_EQ(
      ask<client_certificate_made>(service, make_client_certificate{"lab", false}).failure().code,
      errc::unsupported);
  EXPECT_EQ(ask<kmip::key_created>(service, create_primary_key{"lab", "name"}).failure().code,
            errc::unsupported);
  EXPECT_EQ(
      ask<std::vector<peer_certificate>>(service, get_peer_certificates{"lab"}).failure().code,
      errc::unsupported);
  // A ciphertext that says that a key server has to open it was not made here.
  const auto fresh = crypto::random_secret(fresh_key_bytes);
  ciphertext_identity identity;
  identity.algorithm = wrap_algorithm::remote_gcm;
  identity.provider = "lab";
  identity.primary_key_id = lab().primary_key_id;
  identity.context_hash = crypto::sha256(to_bytes("ctx"));
  const auto forged = seal_key(identity, {bytes(12), bytes(32), bytes(16)}, fresh, to_bytes("ctx"),
                               crypto::random_secret(32));
  ASSERT_TRUE(forged) << forged.failure().message;
  EXPECT_EQ(decrypt(*forged).failure().code, errc::unsupported);
  EXPECT_EQ(groups, 0U);
}

TEST_F(native_provider_test, that_becomes_one_of_key_servers_starts_anew) {
  ASSERT_TRUE(generate());
  lab().type = provider_type::kmip;
  lab().servers = {{"a", "a.example", 5696}};
  publish();
  EXPECT_FALSE(generate());
  EXPECT_EQ(groups, 1U);
}

} // namespace custos::keyprovider
