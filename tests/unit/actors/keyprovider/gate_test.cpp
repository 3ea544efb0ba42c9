#include "actors/keyprovider/gate.hpp"

#include "adapters/jose/jose.hpp"
#include "tests/unit/actors/attestation/denial_of.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

constexpr std::int64_t now = 1'800'000'000;

/// A token that passes everything, and the configuration it passes in. Each test spoils one thing.
class gate_test : public ::testing::Test {
protected:
  gate_test() : key(*crypto::generate_p256()) {
    facts.host = "host-7";
    facts.key_thumbprint = thumbprint(key);
    facts.ek_spki_sha256.fill(0xEE);
    facts.image = "debian";
    facts.image_version = "12.7";
    facts.expires = now + 3600;
    config.revision = 1;
    config.tpm_cas["vendor"] = {"vendor", {}};
    config.base_images["debian"] = {"debian", "12.7", "sha256", {}};
    config.key_providers["vault"].name = "vault";
    call.caller = {"token-1", key.spki_der(), "192.0.2.7:40000"};
    call.provider = "vault";
    call.key_bytes = 32;
  }

  static crypto::sha256_digest thumbprint(const crypto::key& k) {
    crypto::sha256_digest out{};
    const auto raw = jose::thumbprint_digest(k);
    EXPECT_TRUE(raw);
    std::copy(raw->begin(), raw->end(), out.begin());
    return out;
  }

  gate make(gate_limits limits = {}) {
    return gate(
        [this](std::string_view, std::int64_t) -> result<token_facts> {
          ++checks;
          if (token_error)
            return *token_error;
          return facts;
        },
        limits);
  }
  config_ptr snapshot() const { return std::make_shared<const config_snapshot>(config); }

  /// The check that says no to `call`; empty when it passes.
  std::string refused_by(gate& g, std::int64_t at = now) {
    const auto granted = g.admit(call, snapshot(), at);
    if (granted)
      return "";
    last = granted.failure();
    return last.check;
  }
  std::string refused_by() {
    auto g = make();
    return refused_by(g);
  }

  crypto::key key;
  token_facts facts;
  config_snapshot config;
  generate_key call;
  std::optional<error> token_error;
  int checks = 0;
  error last;
};

TEST_F(gate_test, lets_a_good_call_pass) {
  auto g = make();
  const auto granted = g.admit(call, snapshot(), now);
  ASSERT_TRUE(granted) << granted.failure().message;
  EXPECT_EQ(granted->host, "host-7");
  EXPECT_EQ(granted->image, "debian");
  EXPECT_TRUE(granted->transport_key.same_public(key));
  EXPECT_EQ(granted->transport_key_id, *jose::thumbprint(key));
  decrypt_key other{call.caller, "vault", bytes(100, 1), {}};
  EXPECT_TRUE(g.admit(other, snapshot(), now));
}

// ---- step 1 -------------------------------------------------------------------------------------

TEST_F(gate_test, refuses_a_missing_bad_long_or_expired_token) {
  call.caller.token.clear();
  EXPECT_EQ(refused_by(), "gate-token");
  EXPECT_EQ(last.code, errc::unauthenticated);
  call.caller.token = std::string(token_bytes_max + 1, 't');
  EXPECT_EQ(refused_by(), "gate-token");
  EXPECT_EQ(checks, 0) << "a token of that size is not even looked at";
  call.caller.token = "token-1";
  token_error = make_error(errc::token_invalid, "the signature does not hold");
  token_error->check = "jws-signature";
  EXPECT_EQ(refused_by(), "gate-token");
  EXPECT_EQ(last.code, errc::token_invalid);
  EXPECT_NE(last.message.find("jws-signature"), std::string::npos);
  token_error.reset();
  facts.expires = now;
  EXPECT_EQ(refused_by(), "gate-token");
}

TEST_F(gate_test, remembers_the_tokens_verdict_until_it_expires_and_only_that) {
  auto g = make();
  EXPECT_EQ(refused_by(g), "");
  EXPECT_EQ(refused_by(g), "");
  EXPECT_EQ(checks, 1);
  EXPECT_EQ(refused_by(g, facts.expires - 1), "");
  EXPECT_EQ(checks, 1);
  EXPECT_EQ(refused_by(g, facts.expires), "gate-token");
  EXPECT_EQ(checks, 2);
  // A refusal is not remembered.
  auto fresh = make();
  token_error = make_error(errc::token_invalid, "no");
  EXPECT_EQ(refused_by(fresh), "gate-token");
  token_error.reset();
  EXPECT_EQ(refused_by(fresh), "");
}

TEST_F(gate_test, forgets_verdicts_when_told) {
  auto g = make();
  EXPECT_EQ(refused_by(g), "");
  g.forget_verdicts();
  token_error = make_error(errc::token_invalid, "the signing key is gone");
  EXPECT_EQ(refused_by(g), "gate-token");
}

TEST_F(gate_test, bounds_the_verdicts_it_remembers) {
  gate_limits limits;
  limits.verdicts_max = 3;
  auto g = make(limits);
  for (int i = 0; i < 10; ++i) {
    call.caller.token = "token-" + std::to_string(i);
    EXPECT_EQ(refused_by(g), "");
    EXPECT_LE(g.verdict_count(), 3U);
  }
  EXPECT_EQ(checks, 10);
  EXPECT_EQ(refused_by(g), ""); // the youngest is remembered
  EXPECT_EQ(checks, 10);
  call.caller.token = "token-0"; // the oldest is not
  EXPECT_EQ(refused_by(g), "");
  EXPECT_EQ(checks, 11);
}

TEST_F(gate_test, gives_up_expired_verdicts_when_a_new_one_comes) {
  auto g = make();
  EXPECT_EQ(refused_by(g), "");
  call.caller.token = "token-2";
  const auto later = facts.expires + 1;
  facts.expires = later + 100;
  EXPECT_EQ(refused_by(g, later), "");
  EXPECT_EQ(g.verdict_count(), 1U);
}

TEST_F(gate_test, names_the_host_for_the_audit_log_once_the_token_is_good) {
  auto g = make();
  EXPECT_EQ(g.host_of(call.caller, now), "");
  config.base_images.clear();
  EXPECT_EQ(refused_by(g), "gate-image");
  EXPECT_EQ(g.host_of(call.caller, now), "host-7");
  EXPECT_EQ(g.host_of(call.caller, facts.expires), "");
}

// ---- step 2 -------------------------------------------------------------------------------------

TEST_F(gate_test, refuses_a_token_of_another_key) {
  const auto other = *crypto::generate_p256();
  call.caller.tls_client_spki = other.spki_der();
  EXPECT_EQ(refused_by(), "gate-binding");
  EXPECT_EQ(last.code, errc::token_invalid);
  call.caller.tls_client_spki.clear();
  EXPECT_EQ(refused_by(), "gate-binding");
  call.caller.tls_client_spki = crypto::generate_rsa(2048)->spki_der();
  EXPECT_EQ(refused_by(), "gate-binding");
  call.caller.tls_client_spki = bytes(91, 1);
  EXPECT_EQ(refused_by(), "gate-binding");
  call.caller.tls_client_spki = bytes(10000, 1);
  EXPECT_EQ(refused_by(), "gate-binding");
}

TEST_F(gate_test, judges_the_binding_of_a_remembered_token_in_every_call) {
  auto g = make();
  EXPECT_EQ(refused_by(g), "");
  const auto mine = call.caller.tls_client_spki;
  call.caller.tls_client_spki = crypto::generate_p256()->spki_der();
  EXPECT_EQ(refused_by(g), "gate-binding");
  call.caller.tls_client_spki = mine;
  EXPECT_EQ(refused_by(g), "");
  EXPECT_EQ(checks, 1);
}

// ---- step 3 -------------------------------------------------------------------------------------

TEST_F(gate_test, refuses_a_quarantined_host_at_once) {
  auto g = make();
  EXPECT_EQ(refused_by(g), "");
  config.hosts["host-7"] = {"host-7", bytes(32, 0xEE), false};
  EXPECT_EQ(refused_by(g), "");
  config.hosts["host-7"].quarantined = true;
  EXPECT_EQ(refused_by(g), "gate-host");
  EXPECT_EQ(last.code, errc::forbidden);
}

TEST_F(gate_test, refuses_a_host_bound_to_another_endorsement_key) {
  config.hosts["host-7"] = {"host-7", bytes(32, 0xDD), false};
  EXPECT_EQ(refused_by(), "gate-host");
}

TEST_F(gate_test, refuses_an_endorsement_key_that_is_not_trusted_any_more) {
  config.tpm_cas.clear();
  EXPECT_EQ(refused_by(), "gate-host");
  config.endorsement_keys["ek"] = {"ek", bytes(32, 0xEE), {}};
  EXPECT_EQ(refused_by(), "");
  config.endorsement_keys["ek"].spki_sha256 = bytes(32, 0xEF);
  EXPECT_EQ(refused_by(), "gate-host");
  config.settings.require_certificate_validation = false;
  EXPECT_EQ(refused_by(), "");
  config.settings.require_endorsement_keys = true;
  EXPECT_EQ(refused_by(), "gate-host");
}

TEST_F(gate_test, a_token_ends_with_the_boot_it_is_about) {
  facts.ak_name = bytes(34, 1);
  facts.reset_count = 0xFFFFFFFF;
  facts.issued = now - 100;
  std::optional<host_sight> seen;
  gate g([this](std::string_view, std::int64_t) -> result<token_facts> { return facts; }, {},
         [&](const std::string& host) {
           EXPECT_EQ(host, "host-7");
           return seen;
         });
  EXPECT_EQ(refused_by(g), "") << "this node has not seen the host";
  seen = host_sight{bytes(34, 1), 0xFFFFFFFF, now - 200, 0};
  EXPECT_EQ(refused_by(g), "");
  seen->reset_count = 2; // three reboots later: the count goes on modulo 2^32
  EXPECT_EQ(refused_by(g), "gate-boot");
  EXPECT_EQ(last.code, errc::token_invalid);
  seen->reset_count = 0xFFFFFFFE;
  EXPECT_EQ(refused_by(g), "") << "another node saw the newer boot";
}

TEST_F(gate_test, cve_2018_6622_a_token_ends_with_a_sleep_of_the_tpm) {
  facts.ak_name = bytes(34, 1);
  facts.reset_count = 7;
  facts.restart_count = 0xFFFFFFFF;
  host_sight seen{bytes(34, 1), 7, now - 200, 0, 0xFFFFFFFF};
  gate g([this](std::string_view, std::int64_t) -> result<token_facts> { return facts; }, {},
         [&](const std::string&) { return std::optional(seen); });
  EXPECT_EQ(refused_by(g), "");
  seen.restart_count = 0; // one sleep later: the count goes on modulo 2^32
  EXPECT_EQ(refused_by(g), "gate-boot");
  EXPECT_EQ(last.code, errc::token_invalid);
  seen.restart_count = 0xFFFFFFFE;
  EXPECT_EQ(refused_by(g), "") << "another node saw the sleep";
  seen.reset_count = 6;
  seen.restart_count = 5;
  EXPECT_EQ(refused_by(g), "") << "sleeps of an earlier boot say nothing of this one";
}

TEST_F(gate_test, a_token_ends_with_its_attestation_key) {
  facts.ak_name = bytes(34, 1);
  facts.issued = now - 100;
  host_sight seen{bytes(34, 2), 0, now - 50, 0};
  gate g([this](std::string_view, std::int64_t) -> result<token_facts> { return facts; }, {},
         [&](const std::string&) { return std::optional(seen); });
  EXPECT_EQ(refused_by(g), "gate-boot");
  seen.boot_seen = now - 150;
  EXPECT_EQ(refused_by(g), "") << "the token is newer than the key seen here";
}

TEST_F(gate_test, a_failed_attestation_ends_what_was_granted_before) {
  facts.issued = now - 100;
  host_sight seen;
  gate g([this](std::string_view, std::int64_t) -> result<token_facts> { return facts; }, {},
         [&](const std::string&) { return std::optional(seen); });
  EXPECT_EQ(refused_by(g), "");
  seen.failed_since = now - 100;
  EXPECT_EQ(refused_by(g), "gate-boot");
  seen.failed_since = now - 101;
  EXPECT_EQ(refused_by(g), "") << "attested since";
}

TEST_F(gate_test, wants_listed_endorsement_keys_where_they_are_required) {
  config.settings.require_endorsement_keys = true;
  auto g = make();
  EXPECT_EQ(refused_by(g), "gate-host");
  config.endorsement_keys["ek"] = {"ek", bytes(32, 0xEE), {}};
  EXPECT_EQ(refused_by(g), "");
  config.endorsement_keys.clear();
  EXPECT_EQ(refused_by(g), "gate-host") << "the index must follow the configuration";
}

TEST_F(gate_test, a_denial_of_the_attestation_key_ends_its_tokens_at_once) {
  facts.ak_name = bytes(34, 7);
  auto g = make();
  config.denials["stolen"] =
      attestation::test::denial_of{.name = "stolen", .ak_name = bytes(34, 8)};
  EXPECT_EQ(refused_by(g), "");
  config.denials["stolen"].ak_name = facts.ak_name;
  EXPECT_EQ(refused_by(g), "gate-host");
}

TEST_F(gate_test, a_denial_of_the_endorsement_key_ends_its_tokens_at_once) {
  config.endorsement_keys["ek"] = {"ek", bytes(32, 0xEE), {}};
  auto g = make();
  EXPECT_EQ(refused_by(g), "");
  config.denials["stolen"] =
      attestation::test::denial_of{.name = "stolen", .ek_spki_sha256 = bytes(32, 0xEE)};
  EXPECT_EQ(refused_by(g), "gate-host");
  config.denials["stolen"].ek_spki_sha256 = bytes(32, 0xEF);
  EXPECT_EQ(refused_by(g), "");
  config.denials["model"] = attestation::test::denial_of{
      .name = "model", .model = "old"}; // a token does not tell the model
  EXPECT_EQ(refused_by(g), "");
}

TEST_F(gate_test, refuses_an_image_that_is_gone_or_changed) {
  config.base_images["debian"].version = "12.8";
  EXPECT_EQ(refused_by(), "gate-image");
  config.base_images.clear();
  EXPECT_EQ(refused_by(), "gate-image");
}

// ---- step 4 -------------------------------------------------------------------------------------

TEST_F(gate_test, obeys_the_access_rule) {
  auto& rule = config.key_providers["vault"].access;
  rule.hosts = {"host-8"};
  EXPECT_EQ(refused_by(), "gate-access");
  rule.hosts.push_back("host-7");
  EXPECT_EQ(refused_by(), "");
  rule.images = {"fedora"};
  EXPECT_EQ(refused_by(), "gate-access");
  rule.images.push_back("debian");
  EXPECT_EQ(refused_by(), "");
}

TEST_F(gate_test, does_not_tell_a_forbidden_provider_from_none) {
  config.key_providers["vault"].access.hosts = {"host-8"};
  EXPECT_EQ(refused_by(), "gate-access");
  const auto forbidden = last;
  call.provider = "nothing";
  EXPECT_EQ(refused_by(), "gate-access");
  EXPECT_EQ(last.code, forbidden.code);
  EXPECT_EQ(last.message, forbidden.message);
}

// ---- step 5 -------------------------------------------------------------------------------------

TEST_F(gate_test, limits_the_rate_of_a_host) {
  gate_limits limits;
  limits.calls_burst_max = 5;
  limits.calls_per_second_max = 2;
  auto g = make(limits);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(refused_by(g), "") << i;
  EXPECT_EQ(refused_by(g), "gate-rate");
  EXPECT_EQ(last.code, errc::rate_limited);
  EXPECT_TRUE(last.retry_after_s.has_value());
  EXPECT_EQ(refused_by(g, now - 100), "gate-rate") << "a clock set back gives nothing";
  EXPECT_EQ(refused_by(g, now + 1), "");
  EXPECT_EQ(refused_by(g, now + 1), "");
  EXPECT_EQ(refused_by(g, now + 1), "gate-rate");
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(refused_by(g, now + 1000), "") << i;
  EXPECT_EQ(refused_by(g, now + 1000), "gate-rate") << "never more than the burst";
  // Another host has its own.
  facts.host = "host-8";
  call.caller.token = "token-8";
  EXPECT_EQ(refused_by(g, now + 1000), "");
}

TEST_F(gate_test, bounds_the_hosts_it_counts) {
  gate_limits limits;
  limits.hosts_max = 2;
  limits.calls_burst_max = 2;
  limits.calls_per_second_max = 1;
  auto g = make(limits);
  const auto as_host = [this](int i) {
    facts.host = "host-" + std::to_string(i);
    call.caller.token = "token-" + std::to_string(i);
  };
  for (int i = 0; i < 2; ++i) {
    as_host(i);
    EXPECT_EQ(refused_by(g), "");
  }
  as_host(2);
  EXPECT_EQ(refused_by(g), "gate-rate") << "two hosts are using the table";
  EXPECT_EQ(refused_by(g, now + 1), "") << "their buckets are full again, which says nothing";
  EXPECT_LE(g.host_count(), 2U);
}

TEST_F(gate_test, a_providers_own_limits_count_for_each_host_there) {
  gate_limits limits;
  limits.calls_burst_max = 3;
  limits.calls_per_second_max = 1;
  auto g = make(limits);
  config.key_providers["slow"].name = "slow";
  config.key_providers["slow"].limits = {std::nullopt, 1};
  config.key_providers["fast"].name = "fast";
  config.key_providers["fast"].limits = {5, 10};
  const auto allowed = [&](const std::string& provider, std::int64_t at) {
    call.provider = provider;
    int n = 0;
    while (refused_by(g, at).empty())
      ++n;
    EXPECT_EQ(last.check, "gate-rate");
    return n;
  };
  EXPECT_EQ(allowed("vault", now), 3);
  EXPECT_EQ(allowed("slow", now), 1) << "what was asked of one provider is not the other's";
  EXPECT_EQ(allowed("fast", now), 10);
  EXPECT_EQ(allowed("vault", now + 1), 1);
  EXPECT_EQ(allowed("fast", now + 1), 5);
  // Changed without a restart: what is left is not more than the new burst.
  EXPECT_EQ(allowed("fast", now + 1000), 10);
  config.key_providers["fast"].limits = {2, 4};
  EXPECT_EQ(allowed("fast", now + 2000), 4);
  EXPECT_EQ(allowed("fast", now + 2001), 2);
  // Lists have a count of their own.
  EXPECT_TRUE(g.admit(list_providers{call.caller}, snapshot(), now + 2001));
}

// ---- step 6 -------------------------------------------------------------------------------------

TEST_F(gate_test, refuses_sizes_that_are_not_allowed) {
  call.key_bytes = kek_bytes_min - 1;
  EXPECT_EQ(refused_by(), "gate-request");
  EXPECT_EQ(last.field, "key_bytes");
  call.key_bytes = kek_bytes_max + 1;
  EXPECT_EQ(refused_by(), "gate-request");
  call.key_bytes = kek_bytes_max;
  EXPECT_EQ(refused_by(), "");
  call.context = bytes(context_bytes_max);
  EXPECT_EQ(refused_by(), "");
  call.context.push_back(0);
  EXPECT_EQ(refused_by(), "gate-request");
  EXPECT_EQ(last.code, errc::too_large);
  auto g = make();
  const auto check_of = [&](const decrypt_key& c) {
    const auto granted = g.admit(c, snapshot(), now);
    return granted ? std::string() : granted.failure().check + granted.failure().field;
  };
  EXPECT_EQ(check_of({call.caller, "vault", {}, {}}), "gate-requestciphertext");
  EXPECT_EQ(check_of({call.caller, "vault", bytes(kek_ciphertext_bytes_max + 1), {}}),
            "gate-requestciphertext");
  EXPECT_EQ(check_of({call.caller, "vault", bytes(9), bytes(context_bytes_max + 1)}),
            "gate-requestcontext");
}

// ---- order --------------------------------------------------------------------------------------

/// Everything is wrong; then, step by step, the first wrong thing is mended. Each time the next
/// step, and no other, must be the one that says no.
TEST_F(gate_test, refuses_sizes_of_encrypt_and_rewrap) {
  auto g = make();
  const auto encrypt = [&](std::size_t jwe, std::size_t context) {
    const auto r = g.admit(encrypt_key{call.caller, "vault", std::string(jwe, 'j'), bytes(context)},
                           snapshot(), now);
    return r ? std::string() : r.failure().check + " " + r.failure().field;
  };
  EXPECT_EQ(encrypt(1, 0), "");
  EXPECT_EQ(encrypt(key_jwe_bytes_max, context_bytes_max), "");
  EXPECT_EQ(encrypt(0, 0), "gate-request jwe");
  EXPECT_EQ(encrypt(key_jwe_bytes_max + 1, 0), "gate-request jwe");
  EXPECT_EQ(encrypt(1, context_bytes_max + 1), "gate-request context");
  const auto rewrap = [&](std::vector<rewrap_item> items) {
    const auto r = g.admit(rewrap_keys{call.caller, "vault", std::move(items)}, snapshot(), now);
    return r ? std::string() : r.failure().check + " " + r.failure().field;
  };
  const rewrap_item good{bytes(100), {}};
  EXPECT_EQ(rewrap({good}), "");
  EXPECT_EQ(rewrap(std::vector<rewrap_item>(rewrap_items_max, good)), "");
  EXPECT_EQ(rewrap({}), "gate-request keys");
  EXPECT_EQ(rewrap(std::vector<rewrap_item>(rewrap_items_max + 1, good)), "gate-request keys");
  EXPECT_EQ(rewrap({good, {{}, {}}}), "gate-request keys/1/ciphertext");
  EXPECT_EQ(rewrap({good, good, {bytes(kek_ciphertext_bytes_max + 1), {}}}),
            "gate-request keys/2/ciphertext");
  EXPECT_EQ(rewrap({{bytes(1), bytes(context_bytes_max + 1)}}), "gate-request keys/0/context");
}

TEST_F(gate_test, a_rewrap_weighs_as_its_ciphertexts) {
  gate_limits limits;
  limits.calls_per_second_max = 10;
  limits.calls_burst_max = 50;
  auto g = make(limits);
  const auto rewrap = [&](std::size_t n, std::int64_t at) {
    const auto r =
        g.admit(rewrap_keys{call.caller, "vault", std::vector<rewrap_item>(n, {bytes(9), {}})},
                snapshot(), at);
    return r ? std::uint32_t{0} : r.failure().retry_after_s.value_or(999);
  };
  EXPECT_EQ(rewrap(1000, now), 0U); // 21 calls
  EXPECT_EQ(rewrap(1000, now), 0U);
  EXPECT_EQ(rewrap(49, now), 0U); // one call
  EXPECT_EQ(rewrap(50, now), 0U); // two
  EXPECT_EQ(rewrap(1000, now), 2U) << "16 of 21 are missing, and 10 come each second";
  EXPECT_EQ(rewrap(1000, now + 1), 1U);
  EXPECT_EQ(rewrap(1000, now + 2), 0U);
  // One that weighs more than all there can be passes when all is there.
  limits.calls_burst_max = 5;
  auto narrow = make(limits);
  const rewrap_keys heavy{call.caller, "vault", std::vector<rewrap_item>(1000, {bytes(9), {}})};
  EXPECT_TRUE(narrow.admit(heavy, snapshot(), now));
  EXPECT_EQ(narrow.admit(heavy, snapshot(), now).failure().check, "gate-rate");
  EXPECT_TRUE(narrow.admit(heavy, snapshot(), now + 1));
}

TEST_F(gate_test, judges_in_order) {
  gate_limits limits;
  limits.calls_burst_max = 1;
  limits.calls_per_second_max = 1;
  token_error = make_error(errc::token_invalid, "no");
  const auto mine = call.caller.tls_client_spki;
  call.caller.tls_client_spki = crypto::generate_p256()->spki_der();
  config.hosts["host-7"] = {"host-7", bytes(32, 0xEE), true};
  config.base_images.clear();
  config.key_providers["vault"].access.hosts = {"host-8"};
  call.key_bytes = 1;
  auto g = make(limits);
  EXPECT_EQ(refused_by(g), "gate-token");
  token_error.reset();
  EXPECT_EQ(refused_by(g), "gate-binding");
  call.caller.tls_client_spki = mine;
  EXPECT_EQ(refused_by(g), "gate-host");
  config.hosts.clear();
  EXPECT_EQ(refused_by(g), "gate-image");
  config.base_images["debian"] = {"debian", "12.7", "sha256", {}};
  EXPECT_EQ(refused_by(g), "gate-access");
  config.key_providers["vault"].access.hosts.clear();
  EXPECT_EQ(refused_by(g), "gate-request") << "the rate was not touched so far";
  call.key_bytes = 32;
  EXPECT_EQ(refused_by(g), "gate-rate") << "a call with a bad size counts";
  EXPECT_EQ(refused_by(g, now + 1), "");
}

TEST_F(gate_test, lists_what_the_host_may_use) {
  config.key_providers["hidden"].name = "hidden";
  config.key_providers["hidden"].access.images = {"fedora"};
  config.key_providers["also"].name = "also";
  auto g = make();
  const auto listed = g.admit(list_providers{call.caller}, snapshot(), now);
  ASSERT_TRUE(listed) << listed.failure().message;
  EXPECT_EQ(listed->providers, (std::vector<std::string>{"also", "vault"}));
  EXPECT_EQ(listed->who.host, "host-7");
  config.hosts["host-7"] = {"host-7", bytes(32, 0xEE), true};
  const auto refused = g.admit(list_providers{call.caller}, snapshot(), now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().check, "gate-host");
}

} // namespace
} // namespace custos::keyprovider
