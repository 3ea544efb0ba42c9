#include "tests/actors/keyprovider/fixture.hpp"

#include <algorithm>

namespace custos::keyprovider {
namespace {

using namespace std::chrono_literals;
using key_provider_test = key_provider_fixture;

// ---- the three ways -----------------------------------------------------------------------------

TEST_F(key_provider_test, automatic_is_remote_where_the_server_encrypts) {
  begin();
  round_trip(2);
  EXPECT_EQ(server->get_key_calls, 0U) << "the primary key stays on the server";
  EXPECT_EQ(server->capability_calls, 1U);
}

TEST_F(key_provider_test, a_server_without_gcm_gives_algorithm_3) {
  server->gcm = false;
  server->can.version_minor = 2;
  begin();
  round_trip(3);
}

TEST_F(key_provider_test, automatic_is_local_where_the_server_cannot_encrypt) {
  server->can = {1, 1, {}, "old"};
  begin();
  round_trip(1);
  EXPECT_EQ(server->encrypt_calls + server->decrypt_calls, 0U);
  EXPECT_EQ(server->get_key_calls, 1U);
}

TEST_F(key_provider_test, the_mode_decides_over_the_capabilities) {
  vault().mode = primary_key_mode::local;
  begin();
  round_trip(1);
  EXPECT_EQ(server->capability_calls, 0U);
}

TEST_F(key_provider_test, keys_are_fresh_and_have_the_size_asked_for) {
  begin();
  for (const std::uint32_t size : {16U, 64U}) {
    auto call = generate_call();
    call.key_bytes = size;
    const auto a = ask<key_released>(service, call);
    const auto b = ask<key_released>(service, call);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(key_of(*a).size(), size);
    EXPECT_FALSE(crypto::equal(key_of(*a).reveal_secret(), key_of(*b).reveal_secret()));
    EXPECT_NE(a->ciphertext, b->ciphertext);
  }
}

TEST_F(key_provider_test, old_ciphertexts_open_after_the_primary_key_changed) {
  begin();
  const auto old = generate();
  ASSERT_TRUE(old);
  server->add("pk-2");
  vault().primary_key_id = "pk-2";
  publish();
  const auto fresh = generate();
  ASSERT_TRUE(fresh);
  EXPECT_EQ(parse_ciphertext(fresh->ciphertext)->identity.primary_key_id, "pk-2");
  EXPECT_TRUE(decrypt(old->ciphertext));
  server->keys.erase("pk-1");
  EXPECT_FALSE(decrypt(old->ciphertext));
  EXPECT_TRUE(decrypt(fresh->ciphertext));
}

// ---- what a host may send -----------------------------------------------------------------------

TEST_F(key_provider_test, another_context_is_refused_before_the_server_is_asked) {
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  const auto refused = decrypt(made->ciphertext, "other");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::crypto_failure);
  EXPECT_EQ(refused.failure().field, "context");
  EXPECT_EQ(server->decrypt_calls, 0U);
}

TEST_F(key_provider_test, a_ciphertext_of_another_provider_is_refused) {
  auto& other = config.key_providers["other"];
  other = vault();
  other.name = "other";
  begin();
  auto call = generate_call();
  call.provider = "other";
  const auto made = ask<key_released>(service, call);
  ASSERT_TRUE(made);
  const auto refused = decrypt(made->ciphertext);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::forbidden);
  EXPECT_EQ(server->decrypt_calls, 0U);
  // The name in it changed: the same length, the same server, the same primary key.
  auto forged = made->ciphertext;
  const std::string_view from = "other", to = "vault";
  const auto at = std::search(forged.begin(), forged.end(), from.begin(), from.end());
  ASSERT_NE(at, forged.end());
  std::copy(to.begin(), to.end(), at);
  EXPECT_FALSE(decrypt(forged));
}

TEST_F(key_provider_test, what_is_no_ciphertext_is_refused_and_recorded) {
  begin();
  const auto refused = decrypt(to_bytes("not a ciphertext"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::malformed);
  EXPECT_EQ(last_record().action, "key.decrypt");
  EXPECT_EQ(last_record().outcome, "malformed");
}

TEST_F(key_provider_test, remote_mode_does_not_fetch_primary_keys_for_old_ciphertexts) {
  vault().mode = primary_key_mode::local;
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  vault().mode = primary_key_mode::remote;
  publish();
  const auto fetched = server->get_key_calls;
  const auto refused = decrypt(made->ciphertext);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::unsupported);
  EXPECT_EQ(server->get_key_calls, fetched);
  vault().mode = primary_key_mode::automatic;
  publish();
  EXPECT_TRUE(decrypt(made->ciphertext));
}

/// Every way a CBC ciphertext can be wrong must read the same to the host.
TEST_F(key_provider_test, the_service_is_no_padding_oracle) {
  server->gcm = false;
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  const auto body_at = made->ciphertext.size() - 16 - 32;
  const auto wrapped_end = body_at - 2; // behind it the length of the tag and of the body
  std::size_t by_server = 0;
  std::size_t by_tag = 0;
  for (unsigned change = 1; change < 256; ++change) {
    auto forged = made->ciphertext;
    // The last byte of the block in front of the padding block decides over the padding.
    auto& byte = forged[wrapped_end - 17];
    byte = static_cast<std::uint8_t>(byte ^ change);
    const auto refused = decrypt(forged);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.failure().message, does_not_decrypt().message);
    EXPECT_EQ(refused.failure().code, does_not_decrypt().code);
    EXPECT_EQ(refused.failure().check, "");
    const auto detail = last_record().detail;
    (detail.find("kmip-cryptographic-failure") != std::string::npos ? by_server : by_tag) += 1;
  }
  EXPECT_GT(by_server, 200U) << "the audit log knows the difference";
  EXPECT_EQ(by_server + by_tag, 255U);
}

// ---- the gate -----------------------------------------------------------------------------------

TEST_F(key_provider_test, refusals_of_the_gate_are_recorded_and_ask_no_server) {
  begin();
  auto call = generate_call();
  call.caller.token = "bad";
  const auto refused = ask<key_released>(service, call);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().check, "gate-token");
  ASSERT_EQ(audit->records.size(), 1U);
  EXPECT_EQ(last_record().actor, "anonymous");
  EXPECT_EQ(last_record().remote, "192.0.2.7:40000");
  EXPECT_EQ(last_record().object, "vault");
  EXPECT_EQ(last_record().outcome, "token-invalid");
  EXPECT_NE(last_record().detail.find("gate-token"), std::string::npos);
  config.hosts["host-7"] = {"host-7", bytes(32, 0), true};
  publish();
  EXPECT_EQ(generate().failure().check, "gate-host");
  EXPECT_EQ(last_record().actor, "host-7");
  EXPECT_EQ(server->groups_spawned, 0U);
}

TEST_F(key_provider_test, a_configuration_change_counts_from_the_next_call) {
  begin();
  EXPECT_TRUE(generate());
  vault().access.hosts = {"host-8"};
  publish();
  EXPECT_EQ(generate().failure().check, "gate-access");
  vault().access.hosts.clear();
  config.base_images["debian"].version = "12.8";
  publish();
  EXPECT_EQ(generate().failure().check, "gate-image");
}

TEST_F(key_provider_test, tokens_are_verified_again_when_a_signing_key_is_taken_away) {
  begin();
  EXPECT_TRUE(generate());
  EXPECT_TRUE(generate());
  EXPECT_EQ(token_checks, 1);
  ++token_keys_generation;
  EXPECT_TRUE(generate());
  EXPECT_EQ(token_checks, 2);
}

// ---- the audit log ------------------------------------------------------------------------------

TEST_F(key_provider_test, no_key_leaves_before_its_record_is_on_disk) {
  begin();
  audit->hold = true;
  auto waiting = post<key_released>(service, generate_call());
  run();
  ASSERT_EQ(audit->records.size(), 1U);
  EXPECT_FALSE(waiting->has_value());
  EXPECT_TRUE(ask<drained>(audit_actor, drain{}));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_TRUE((*waiting)->ok());
}

TEST_F(key_provider_test, no_refusal_leaves_before_its_record_is_on_disk) {
  begin();
  audit->hold = true;
  auto call = generate_call();
  call.caller.token = "bad";
  auto waiting = post<key_released>(service, call);
  run();
  EXPECT_FALSE(waiting->has_value());
  EXPECT_TRUE(ask<drained>(audit_actor, drain{}));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->failure().check, "gate-token");
}

TEST_F(key_provider_test, without_an_audit_log_there_are_no_keys_but_still_refusals) {
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  audit->fail = true;
  for (const auto& refused : {generate(), decrypt(made->ciphertext)}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.failure().code, errc::unavailable);
    EXPECT_NE(refused.failure().message.find("audit"), std::string::npos);
    EXPECT_TRUE(refused.failure().retry_after_s.has_value());
  }
  auto call = generate_call();
  call.caller.token = "bad";
  EXPECT_EQ(ask<key_released>(service, call).failure().check, "gate-token");
  audit->fail = false;
  EXPECT_TRUE(generate());
}

TEST_F(key_provider_test, an_audit_log_that_hangs_releases_nothing) {
  begin();
  audit->hold = true;
  auto waiting = post<key_released>(service, generate_call());
  advance(9s);
  EXPECT_FALSE(waiting->has_value());
  advance(2s);
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->failure().code, errc::unavailable);
}

TEST_F(key_provider_test, records_name_the_key_and_hold_none_of_it) {
  vault().mode = primary_key_mode::local;
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  ASSERT_TRUE(decrypt(made->ciphertext));
  ASSERT_EQ(audit->records.size(), 2U);
  const auto name = "key=" + crypto::hex(crypto::sha256(made->ciphertext)).substr(0, 32);
  const auto key = key_of(*made);
  const auto& primary = server->keys["pk-1"].key;
  for (const auto& r : audit->records) {
    EXPECT_EQ(r.actor, "host-7");
    EXPECT_EQ(r.outcome, "ok");
    EXPECT_NE(r.detail.find(name), std::string::npos);
    EXPECT_NE(r.detail.find("pk-1"), std::string::npos);
    for (const auto& text : {r.detail, r.actor, r.remote, r.action, r.object, r.outcome}) {
      for (const auto secret : {key.reveal_secret(), primary->reveal_secret()}) {
        EXPECT_EQ(text.find(as_text(secret)), std::string::npos);
        EXPECT_EQ(text.find(crypto::hex(secret)), std::string::npos);
        EXPECT_EQ(text.find(crypto::base64url(secret)), std::string::npos);
      }
    }
  }
}

// ---- key servers away, slow, changed ------------------------------------------------------------

TEST_F(key_provider_test, a_server_that_is_away_fails_fast_and_says_when_to_come_again) {
  server->away = true;
  begin();
  const auto refused = generate();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::unavailable);
  EXPECT_EQ(refused.failure().retry_after_s, 7U);
  EXPECT_EQ(last_record().outcome, "unavailable");
  server->away = false;
  EXPECT_TRUE(generate());
}

TEST_F(key_provider_test, a_server_that_never_answers_costs_the_providers_timeout) {
  vault().mode = primary_key_mode::remote;
  vault().timeout_ms = 3000;
  begin();
  server->silent = true;
  auto waiting = post<key_released>(service, generate_call());
  advance(3500ms);
  EXPECT_FALSE(waiting->has_value());
  advance(1s);
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->failure().code, errc::unavailable);
  EXPECT_TRUE((*waiting)->failure().retry_after_s.has_value());
}

TEST_F(key_provider_test, a_slow_provider_holds_up_no_other) {
  begin();
  auto& other = config.key_providers["other"];
  other = vault();
  other.name = "other";
  other.mode = primary_key_mode::local;
  publish();
  auto call = generate_call();
  call.provider = "other";
  ASSERT_TRUE(ask<key_released>(service, call)); // its primary key is in memory now
  server->silent = true;
  auto stuck = post<key_released>(service, generate_call());
  run();
  EXPECT_FALSE(stuck->has_value());
  EXPECT_TRUE(ask<key_released>(service, call));
  EXPECT_FALSE(stuck->has_value());
}

TEST_F(key_provider_test, too_many_waiting_calls_are_refused) {
  auto given = dependencies();
  given.limits.calls_in_flight_max = 3;
  begin(std::move(given));
  server->silent = true;
  std::vector<answer<key_released>> waiting;
  for (int i = 0; i < 4; ++i)
    waiting.push_back(post<key_released>(service, generate_call()));
  run();
  const auto answered =
      std::count_if(waiting.begin(), waiting.end(), [](const auto& w) { return w->has_value(); });
  ASSERT_EQ(answered, 1);
  for (const auto& w : waiting)
    if (w->has_value()) {
      EXPECT_EQ((*w)->failure().code, errc::overloaded);
      EXPECT_TRUE((*w)->failure().retry_after_s.has_value());
    }
  advance(60s);
  server->silent = false;
  EXPECT_TRUE(generate()) << "places are given back";
}

TEST_F(key_provider_test, a_fetched_key_survives_an_outage_for_the_grace_time) {
  vault().mode = primary_key_mode::local;
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  server->away = true;
  const key_provider_limits limits;
  now = start + limits.primary_key_age_s_max;
  EXPECT_TRUE(generate());
  EXPECT_EQ(server->get_state_calls, 1U) << "fresh: the server is not asked";
  now = start + limits.primary_key_age_s_max + 1;
  EXPECT_TRUE(decrypt(made->ciphertext));
  EXPECT_EQ(server->get_state_calls, 2U);
  const auto listed = ask<std::vector<provider_status>>(service, list_providers{caller()});
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->front().health, "warning");
  now = start + limits.primary_key_grace_s_max;
  EXPECT_TRUE(decrypt(made->ciphertext));
  now = start + limits.primary_key_grace_s_max + 1;
  const auto refused = decrypt(made->ciphertext);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::unavailable);
}

TEST_F(key_provider_test, automatic_mode_stays_local_through_an_outage) {
  server->can = {1, 0, {}, "old"};
  begin();
  ASSERT_TRUE(generate());
  server->away = true;
  now += 301; // what the server can is to be asked again
  EXPECT_TRUE(generate());
}

TEST_F(key_provider_test, keys_past_their_grace_are_wiped_without_any_call) {
  vault().mode = primary_key_mode::local;
  begin();
  ASSERT_TRUE(generate());
  const std::weak_ptr<const crypto::secret_bytes> watched = server->keys["pk-1"].key;
  server->keys.clear();
  EXPECT_FALSE(watched.expired());
  now = start + 4 * 3600 + 1;
  advance(31s);
  EXPECT_TRUE(watched.expired());
}

TEST_F(key_provider_test, calls_for_one_key_share_one_fetch) {
  vault().mode = primary_key_mode::local;
  begin();
  std::vector<answer<key_released>> waiting;
  for (int i = 0; i < 5; ++i)
    waiting.push_back(post<key_released>(service, generate_call()));
  run();
  for (const auto& w : waiting) {
    ASSERT_TRUE(w->has_value());
    EXPECT_TRUE((*w)->ok());
  }
  EXPECT_EQ(server->get_key_calls, 1U);
}

TEST_F(key_provider_test, a_deactivated_key_opens_and_does_not_protect_locally) {
  vault().mode = primary_key_mode::local;
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  server->keys["pk-1"].state = "Deactivated";
  EXPECT_TRUE(generate()) << "known only when it is fetched again";
  now += 1000;
  const auto refused = generate();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().check, "primary-key-state");
  EXPECT_NE(refused.failure().message.find("Deactivated"), std::string::npos);
  EXPECT_TRUE(decrypt(made->ciphertext));
  server->keys["pk-1"].state = "Destroyed";
  now += 1000;
  EXPECT_EQ(decrypt(made->ciphertext).failure().check, "primary-key-state");
}

TEST_F(key_provider_test, a_deactivated_key_opens_and_does_not_protect_remotely) {
  begin();
  const auto made = generate();
  ASSERT_TRUE(made);
  server->keys["pk-1"].state = "Deactivated";
  const auto refused = generate();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::kmip_failure);
  EXPECT_EQ(refused.failure().check, "kmip-wrong-key-lifecycle-state");
  EXPECT_TRUE(decrypt(made->ciphertext));
}

TEST_F(key_provider_test, a_provider_without_primary_key_or_usable_connection_says_so) {
  vault().primary_key_id.clear();
  begin();
  EXPECT_EQ(generate().failure().code, errc::unavailable);
  vault().primary_key_id = "pk-1";
  vault().username = "broken";
  publish();
  EXPECT_NE(generate().failure().message.find("unsealed"), std::string::npos);
  vault().username.clear();
  publish();
  EXPECT_TRUE(generate());
}

TEST_F(key_provider_test, a_changed_connection_replaces_the_group_and_forgets_its_keys) {
  vault().mode = primary_key_mode::local;
  begin();
  ASSERT_TRUE(generate());
  vault().access.images = {"debian"};
  publish();
  ASSERT_TRUE(generate());
  EXPECT_EQ(server->groups_spawned, 1U) << "who may use it is not the connection";
  vault().servers[0].port = 5697;
  publish();
  ASSERT_TRUE(generate());
  EXPECT_EQ(server->groups_spawned, 2U);
  EXPECT_EQ(server->groups_ended, 1U);
  EXPECT_EQ(server->get_key_calls, 2U);
  config.key_providers.clear();
  publish();
  advance(31s); // nobody calls
  EXPECT_EQ(server->groups_ended, 2U);
}

TEST_F(key_provider_test, a_call_in_hand_when_the_connection_changes_is_answered) {
  vault().mode = primary_key_mode::local;
  begin();
  server->silent = true;
  auto waiting = post<key_released>(service, generate_call());
  run();
  vault().servers[0].port = 5697;
  publish();
  server->silent = false;
  EXPECT_TRUE(generate());
  advance(10s);
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->failure().code, errc::unavailable);
}

TEST_F(key_provider_test, a_group_that_ended_is_begun_again) {
  auto given = dependencies();
  kmip_api latest;
  given.spawn_group = [this, &latest](const key_provider&) -> result<kmip_api> {
    latest = system.spawn<test::kmip_double>(server);
    return latest;
  };
  begin(std::move(given));
  ASSERT_TRUE(generate());
  caf::anon_send_exit(latest, caf::exit_reason::kill);
  run();
  EXPECT_TRUE(generate());
  EXPECT_EQ(server->groups_spawned, 2U);
}

TEST_F(key_provider_test, stopping_answers_whoever_waits_and_ends_the_groups) {
  begin();
  server->silent = true;
  auto waiting = post<key_released>(service, generate_call());
  run();
  caf::anon_send_exit(service, caf::exit_reason::user_shutdown);
  run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_FALSE((*waiting)->ok());
  EXPECT_EQ(server->groups_ended, 1U);
}

// ---- lists and administration -------------------------------------------------------------------

TEST_F(key_provider_test, lists_only_what_the_host_may_use) {
  config.key_providers["hidden"].name = "hidden";
  config.key_providers["hidden"].access.hosts = {"host-8"};
  begin();
  const auto listed = ask<std::vector<provider_status>>(service, list_providers{caller()});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().name, "vault");
  EXPECT_EQ(listed->front().health, "ok");
  server->away = true;
  EXPECT_FALSE(generate());
  const auto later = ask<std::vector<provider_status>>(service, list_providers{caller()});
  ASSERT_TRUE(later);
  EXPECT_EQ(later->front().health, "error");
  list_providers bad{caller()};
  bad.caller.token = "bad";
  EXPECT_EQ(ask<std::vector<provider_status>>(service, bad).failure().check, "gate-token");
  EXPECT_EQ(last_record().action, "key.list");
}

TEST_F(key_provider_test, makes_client_keys_for_configured_providers) {
  begin();
  const auto made = ask<client_certificate_made>(service, make_client_certificate{"vault", false});
  ASSERT_TRUE(made) << made.failure().message;
  EXPECT_EQ(sealed_label, "key-provider/vault/client-private-key");
  EXPECT_NE(made->pem.find("BEGIN CERTIFICATE"), std::string::npos);
  EXPECT_TRUE(as_text(made->sealed_private_key).starts_with("sealed "));
  EXPECT_EQ(last_record().action, "provider.client-key");
  EXPECT_EQ(
      ask<client_certificate_made>(service, make_client_certificate{"none", false}).failure().code,
      errc::not_found);
}

TEST_F(key_provider_test, creates_primary_keys_once) {
  begin();
  const auto made = ask<kmip::key_created>(service, create_primary_key{"vault", "custos-vault-1"});
  ASSERT_TRUE(made) << made.failure().message;
  EXPECT_EQ(made->unique_identifier, "new-key");
  EXPECT_EQ(server->created_names, std::vector<std::string>{"custos-vault-1"});
  EXPECT_NE(last_record().detail.find("new-key"), std::string::npos);
  server->away = true;
  EXPECT_FALSE(ask<kmip::key_created>(service, create_primary_key{"vault", "again"}));
  EXPECT_EQ(server->create_calls, 2U) << "never tried again by itself";
  EXPECT_EQ(last_record().outcome, "unavailable");
}

TEST_F(key_provider_test, shows_what_the_servers_present) {
  begin();
  auto waiting = post<std::vector<peer_certificate>>(service, get_peer_certificates{"vault"});
  run();
  EXPECT_EQ(asked_servers, (std::vector<std::string>{"kms-a", "kms-b"}));
  EXPECT_FALSE(waiting->has_value());
  ASSERT_EQ(held_peers.size(), 1U);
  held_peers.front()(make_error(errc::io_failure, "connection refused"));
  run();
  ASSERT_TRUE(waiting->has_value());
  const auto& found = **waiting;
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->at(0).pem, "PEM of a");
  EXPECT_EQ(found->at(1).server, "kms-b");
  EXPECT_EQ(found->at(1).error, "connection refused");
}

TEST_F(key_provider_test, a_server_that_presents_nothing_is_named) {
  begin();
  auto waiting = post<std::vector<peer_certificate>>(service, get_peer_certificates{"vault"});
  advance(16s);
  ASSERT_TRUE(waiting->has_value());
  ASSERT_TRUE((*waiting)->ok());
  EXPECT_EQ((**waiting)->at(0).pem, "PEM of a");
  EXPECT_NE((**waiting)->at(1).error.find("in time"), std::string::npos);
  held_peers.front()(std::string("late")); // finds nobody any more
  run();
}

TEST_F(key_provider_test, reports_a_providers_status) {
  begin();
  const auto good = ask<provider_status_report>(service, get_provider_status{"vault"});
  ASSERT_TRUE(good) << good.failure().message;
  EXPECT_EQ(good->provider, "vault");
  EXPECT_EQ(good->health, "ok");
  EXPECT_EQ(good->primary_key_state, "Active");
  ASSERT_EQ(good->servers.size(), 1U);
  server->away = true;
  const auto away = ask<provider_status_report>(service, get_provider_status{"vault"});
  ASSERT_TRUE(away) << "status is answered also when no server is";
  EXPECT_EQ(away->health, "error");
  EXPECT_EQ(away->primary_key_state, "");
  EXPECT_EQ(ask<provider_status_report>(service, get_provider_status{"none"}).failure().code,
            errc::not_found);
}

} // namespace
} // namespace custos::keyprovider
