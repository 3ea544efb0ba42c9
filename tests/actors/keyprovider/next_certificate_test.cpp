// A client certificate that follows another: both stand side by side, and the key servers decide.

#include "actors/keyprovider/key_provider_actor.hpp"
#include "adapters/jose/jose.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/actors/keyprovider/doubles.hpp"

namespace custos::keyprovider {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t start = 1'800'000'000;

/// Key servers that know two clients apart: one double for each certificate.
class next_certificate_test : public test::deterministic {
protected:
  next_certificate_test()
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
    auto& p = vault();
    p.name = "vault";
    p.primary_key_id = "pk-1";
    p.mode = primary_key_mode::remote;
    p.servers = {{"kms", "a.example", 5696}};
    p.client_certificate = "OLD";
    p.client_private_key = {bytes{1}};
    for (const auto* name : {"OLD", "NEW"}) {
      servers[name] = std::make_shared<test::key_server_double>();
      servers[name]->add("pk-1");
    }
    publish();
    key_provider_dependencies given;
    given.config = cell;
    given.now = [this] { return now; };
    given.check_token = [this](std::string_view, std::int64_t) -> result<token_facts> {
      return facts;
    };
    given.audit = own(audit_api(system.spawn<test::audit_double>(audit)));
    given.spawn_group = [this](const key_provider& q) -> result<kmip_api> {
      if (!spawns)
        return make_error(errc::unavailable, "the private key cannot be opened");
      EXPECT_EQ(q.client_private_key.sealed, bytes(1, q.client_certificate == "OLD" ? 1 : 2));
      return kmip_api(system.spawn<test::kmip_double>(servers.at(q.client_certificate)));
    };
    service = own(spawn_key_provider(system, std::move(given)));
  }

  key_provider& vault() { return config.key_providers["vault"]; }
  void publish() { cell->publish(std::make_shared<const config_snapshot>(config)); }
  void follow_with_new() {
    vault().next_client_certificate = "NEW";
    vault().next_client_private_key = {bytes{2}};
    publish();
  }
  void promote() {
    vault().client_certificate = "NEW";
    vault().client_private_key = {bytes{2}};
    vault().next_client_certificate.clear();
    vault().next_client_private_key = {};
    publish();
  }
  generate_key call() const {
    return {{"good", host_key.spki_der(), "192.0.2.7:40000"}, "vault", 32, {}};
  }
  /// Which of the two clients is used for one key.
  std::string asked() {
    const auto before = servers["OLD"]->encrypt_calls;
    const auto made = ask<key_released>(service, call());
    EXPECT_TRUE(made) << made.failure().message;
    if (!made)
      return "";
    return servers["OLD"]->encrypt_calls > before ? "OLD" : "NEW";
  }
  provider_status_report status() {
    const auto report = ask<provider_status_report>(service, get_provider_status{"vault"});
    EXPECT_TRUE(report) << report.failure().message;
    return report ? *report : provider_status_report{};
  }

  crypto::key host_key;
  token_facts facts;
  config_snapshot config;
  std::shared_ptr<config_cell> cell;
  std::int64_t now = start;
  bool spawns = true;
  std::map<std::string, test::key_server_ptr> servers;
  test::audit_state_ptr audit;
  key_provider_api service;
};

} // namespace

TEST_F(next_certificate_test, is_used_when_the_servers_take_it) {
  EXPECT_EQ(asked(), "OLD");
  EXPECT_EQ(status().client_certificate, "current");
  EXPECT_TRUE(status().next_servers.empty());
  follow_with_new();
  EXPECT_EQ(asked(), "OLD") << "it has not been tried yet";
  EXPECT_EQ(asked(), "NEW");
  const auto report = status();
  EXPECT_EQ(report.client_certificate, "next");
  ASSERT_EQ(report.next_servers.size(), 1U);
  EXPECT_TRUE(report.next_servers.front().server_trust_client);
}

TEST_F(next_certificate_test, waits_while_a_server_refuses_it) {
  servers["NEW"]->refuses_client = true;
  follow_with_new();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(asked(), "OLD") << i;
    advance(31s);
  }
  const auto report = status();
  EXPECT_EQ(report.client_certificate, "current");
  EXPECT_FALSE(report.next_servers.front().server_trust_client);
  EXPECT_EQ(report.health, "ok") << "nothing is wrong with the certificate in use";
  servers["NEW"]->refuses_client = false;
  advance(31s); // nobody has to ask
  EXPECT_EQ(asked(), "NEW");
}

TEST_F(next_certificate_test, goes_back_to_the_other_one_when_it_is_refused_later) {
  follow_with_new();
  asked();
  EXPECT_EQ(asked(), "NEW");
  servers["NEW"]->refuses_client = true;
  EXPECT_FALSE(ask<key_released>(service, call())) << "the call that found out";
  EXPECT_EQ(asked(), "OLD");
}

TEST_F(next_certificate_test, says_nothing_while_the_servers_are_away) {
  follow_with_new();
  asked();
  EXPECT_EQ(asked(), "NEW");
  servers["NEW"]->away = true;
  EXPECT_FALSE(ask<key_released>(service, call()));
  EXPECT_EQ(status().client_certificate, "next");
  servers["NEW"]->away = false;
  EXPECT_EQ(asked(), "NEW");
}

TEST_F(next_certificate_test, is_promoted_without_a_new_connection_and_without_losing_a_call) {
  follow_with_new();
  asked();
  servers["OLD"]->silent = true;
  EXPECT_EQ(asked(), "NEW");
  const auto begun = servers["NEW"]->groups_spawned;
  promote();
  EXPECT_EQ(asked(), "NEW");
  EXPECT_EQ(servers["NEW"]->groups_spawned, begun);
  EXPECT_EQ(servers["OLD"]->groups_ended, 0U) << "what it has in hand it may finish";
  now += 10;
  advance(31s);
  EXPECT_EQ(servers["OLD"]->groups_ended, 1U);
  EXPECT_EQ(servers["NEW"]->groups_ended, 0U);
  EXPECT_EQ(status().client_certificate, "current");
  EXPECT_EQ(asked(), "NEW");
}

TEST_F(next_certificate_test, can_be_dropped) {
  follow_with_new();
  asked();
  EXPECT_EQ(asked(), "NEW");
  vault().next_client_certificate.clear();
  vault().next_client_private_key = {};
  publish();
  EXPECT_EQ(asked(), "OLD");
  EXPECT_EQ(servers["NEW"]->groups_ended, 1U);
  EXPECT_TRUE(status().next_servers.empty());
}

TEST_F(next_certificate_test, whose_key_does_not_open_changes_nothing) {
  EXPECT_EQ(asked(), "OLD");
  spawns = false;
  follow_with_new();
  EXPECT_EQ(asked(), "OLD");
  advance(31s);
  EXPECT_EQ(asked(), "OLD");
  spawns = true;
  advance(31s);
  EXPECT_EQ(asked(), "NEW");
}

TEST_F(next_certificate_test, ends_with_the_service) {
  follow_with_new();
  asked();
  caf::anon_send_exit(service, caf::exit_reason::user_shutdown);
  run();
  EXPECT_EQ(servers["OLD"]->groups_ended, 1U);
  EXPECT_EQ(servers["NEW"]->groups_ended, 1U);
}

} // namespace custos::keyprovider
