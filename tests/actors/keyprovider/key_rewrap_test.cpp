#include "tests/actors/keyprovider/fixture.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

class key_rewrap_test : public key_provider_fixture {
protected:
  /// `n` keys of one host under the present primary key, each in a context of its own.
  std::vector<rewrap_item> made(std::size_t n) {
    std::vector<rewrap_item> items;
    for (std::size_t i = 0; i < n; ++i) {
      auto call = generate_call();
      call.context = to_bytes("volume-" + std::to_string(i));
      auto one = ask<key_released>(service, call);
      EXPECT_TRUE(one) << one.failure().message;
      items.push_back({one->ciphertext, call.context});
      keys.push_back(key_of(*one));
    }
    return items;
  }
  void change_primary_key(const std::string& to) {
    if (server->keys.count(to) == 0)
      server->add(to);
    vault().primary_key_id = to;
    ++config.revision;
    publish();
  }
  rewrap_keys call_of(std::vector<rewrap_item> items) const {
    return {caller(), "vault", std::move(items)};
  }
  result<keys_rewrapped> rewrap(std::vector<rewrap_item> items) {
    return ask<keys_rewrapped>(service, call_of(std::move(items)));
  }
  static std::string primary_key_of(const bytes& ciphertext) {
    const auto parsed = parse_ciphertext(ciphertext);
    EXPECT_TRUE(parsed);
    return parsed ? parsed->identity.primary_key_id : "";
  }
  void expect_same_keys(const std::vector<rewrap_item>& items, const keys_rewrapped& out) {
    ASSERT_EQ(out.keys.size(), items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto opened = ask<key_released>(
          service, decrypt_key{caller(), "vault", out.keys[i].ciphertext, items[i].context});
      ASSERT_TRUE(opened) << i << ": " << opened.failure().message;
      EXPECT_TRUE(crypto::equal(key_of(*opened).reveal_secret(), keys[i].reveal_secret())) << i;
    }
  }
  void begin_local() {
    vault().mode = primary_key_mode::local;
    begin();
    limits.gate.calls_burst_max = 100000;
  }
  void begin_with_limits() {
    auto given = dependencies();
    given.limits = limits;
    begin(std::move(given));
  }

  key_provider_limits limits;
  std::vector<crypto::secret_bytes> keys;
};

TEST_F(key_rewrap_test, brings_keys_under_the_present_primary_key_here) {
  vault().mode = primary_key_mode::local;
  begin();
  const auto items = made(5);
  change_primary_key("pk-2");
  const auto out = rewrap(items);
  ASSERT_TRUE(out) << out.failure().message;
  for (const auto& one : out->keys) {
    EXPECT_FALSE(one.failure);
    EXPECT_TRUE(one.changed);
    EXPECT_EQ(primary_key_of(one.ciphertext), "pk-2");
  }
  EXPECT_EQ(last_record().action, "key.rewrap");
  EXPECT_EQ(last_record().outcome, "ok");
  EXPECT_EQ(last_record().object, "vault");
  EXPECT_EQ(last_record().detail, "keys=5 changed=5 unchanged=0 refused=0 primary-key=pk-2");
  server->keys.erase("pk-1"); // what was rewrapped needs the old key no more
  expect_same_keys(items, *out);
}

TEST_F(key_rewrap_test, brings_keys_under_the_present_primary_key_on_the_server) {
  for (const bool gcm : {true, false}) {
    keys.clear();
    server->gcm = gcm;
    vault().primary_key_id = "pk-1";
    begin();
    const auto items = made(40);
    change_primary_key("pk-2");
    const auto out = rewrap(items);
    ASSERT_TRUE(out) << out.failure().message;
    EXPECT_TRUE(std::all_of(out->keys.begin(), out->keys.end(),
                            [](const auto& one) { return one.changed && !one.failure; }));
    EXPECT_EQ(server->get_key_calls, 0U) << "no primary key left the server";
    expect_same_keys(items, *out);
  }
}

TEST_F(key_rewrap_test, what_is_under_the_present_key_stays_octet_for_octet) {
  begin();
  const auto items = made(3);
  const auto decrypts = server->decrypt_calls;
  const auto out = rewrap(items);
  ASSERT_TRUE(out);
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_FALSE(out->keys[i].changed);
    EXPECT_EQ(out->keys[i].ciphertext, items[i].ciphertext);
  }
  EXPECT_EQ(server->decrypt_calls, decrypts) << "no key server is asked for nothing";
  EXPECT_EQ(last_record().detail, "keys=3 changed=0 unchanged=3 refused=0 primary-key=pk-1");
  EXPECT_TRUE(uses->of("vault").empty()) << "nothing needed the key";
}

TEST_F(key_rewrap_test, moves_from_the_server_to_here_and_back) {
  begin();
  const auto items = made(2);
  vault().mode = primary_key_mode::local;
  change_primary_key("pk-2");
  const auto here = rewrap(items);
  ASSERT_TRUE(here);
  EXPECT_EQ(static_cast<unsigned>(parse_ciphertext(here->keys[0].ciphertext)->identity.algorithm),
            1U);
  expect_same_keys(items, *here);
}

TEST_F(key_rewrap_test, each_is_judged_by_itself) {
  begin();
  auto items = made(6);
  const auto good = items;
  change_primary_key("pk-2");
  items[1].context = to_bytes("another volume");
  items[2].ciphertext[0] = 'X';
  items[3].ciphertext.back() ^= 1U;
  auto foreign = parse_ciphertext(items[4].ciphertext)->identity;
  items[4].ciphertext[7] ^= 1U; // the provider's name
  const auto out = rewrap(items);
  ASSERT_TRUE(out) << out.failure().message;
  ASSERT_EQ(out->keys.size(), 6U);
  EXPECT_TRUE(out->keys[0].changed);
  ASSERT_TRUE(out->keys[1].failure);
  EXPECT_EQ(out->keys[1].failure->code, errc::crypto_failure);
  EXPECT_EQ(out->keys[1].failure->field, "context");
  ASSERT_TRUE(out->keys[2].failure);
  EXPECT_EQ(out->keys[2].failure->code, errc::malformed);
  ASSERT_TRUE(out->keys[3].failure);
  EXPECT_EQ(out->keys[3].failure->code, errc::crypto_failure);
  ASSERT_TRUE(out->keys[4].failure);
  EXPECT_EQ(out->keys[4].failure->code, errc::forbidden);
  for (std::size_t i = 1; i < 5; ++i)
    EXPECT_TRUE(out->keys[i].ciphertext.empty());
  EXPECT_TRUE(out->keys[5].changed);
  EXPECT_EQ(last_record().outcome, "crypto-failure");
  EXPECT_EQ(last_record().detail, "keys=6 changed=2 unchanged=0 refused=4 primary-key=pk-2 first "
                                  "refusal: key 1: the context is not the one this key was made "
                                  "with");
}

TEST_F(key_rewrap_test, counts_what_the_old_key_was_needed_for) {
  begin();
  const auto items = made(3);
  EXPECT_TRUE(decrypt(made(1)[0].ciphertext, "volume-0"));
  change_primary_key("pk-2");
  now += 50;
  ASSERT_TRUE(rewrap(items));
  const auto counted = uses->of("vault");
  ASSERT_EQ(counted.size(), 1U);
  EXPECT_EQ(counted[0].primary_key_id, "pk-1");
  EXPECT_EQ(counted[0].decrypts, 1U);
  EXPECT_EQ(counted[0].rewraps, 3U);
  EXPECT_EQ(counted[0].last_decrypt, start);
  EXPECT_EQ(counted[0].last_rewrap, start + 50);
}

TEST_F(key_rewrap_test, a_thousand_leave_others_their_turn) {
  vault().mode = primary_key_mode::local;
  limits.gate.calls_burst_max = 10000;
  begin_with_limits();
  const auto one = made(1)[0];
  change_primary_key("pk-2");
  const std::vector<rewrap_item> items(1000, one);
  ASSERT_TRUE(rewrap({one})); // both primary keys are in memory now
  const auto many = post<keys_rewrapped>(service, call_of(items));
  const auto other =
      post<key_released>(service, decrypt_key{caller(), "vault", one.ciphertext, one.context});
  const auto records = audit->records.size();
  run();
  ASSERT_TRUE(many->has_value() && other->has_value());
  ASSERT_TRUE(**many) << (*many)->failure().message;
  EXPECT_TRUE(**other);
  EXPECT_TRUE(std::all_of((**many)->keys.begin(), (**many)->keys.end(),
                          [](const auto& k) { return k.changed; }));
  ASSERT_EQ(audit->records.size(), records + 2);
  EXPECT_EQ(audit->records[records].action, "key.decrypt") << "it was asked later";
  EXPECT_EQ(audit->records[records + 1].action, "key.rewrap");
}

TEST_F(key_rewrap_test, asks_the_key_servers_for_so_many_at_once) {
  limits.rewraps_at_once_max = 4;
  begin_with_limits();
  const auto items = made(20);
  change_primary_key("pk-2");
  server->silent = true;
  const auto pending = post<keys_rewrapped>(service, call_of(items));
  const auto before = server->decrypt_calls;
  run();
  EXPECT_EQ(server->decrypt_calls - before, 4U);
  EXPECT_FALSE(pending->has_value());
}

TEST_F(key_rewrap_test, what_does_not_fit_into_the_time_is_put_off) {
  limits.rewraps_at_once_max = 4;
  begin_with_limits();
  const auto items = made(20);
  change_primary_key("pk-2");
  server->away = true;
  server->silent = true;
  const auto pending = post<keys_rewrapped>(service, call_of(items));
  run();
  now += 9;
  server->silent = false;
  advance(std::chrono::milliseconds(vault().timeout_ms + 2000));
  ASSERT_TRUE(pending->has_value());
  ASSERT_TRUE(**pending) << (*pending)->failure().message;
  const auto& out = (**pending)->keys;
  for (std::size_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(out[i].failure);
    EXPECT_EQ(out[i].failure->code, i < 4 ? errc::unavailable : errc::timeout) << i;
    EXPECT_TRUE(out[i].failure->retryable);
    EXPECT_TRUE(out[i].failure->retry_after_s);
  }
}

TEST_F(key_rewrap_test, nothing_leaves_unaudited) {
  begin();
  const auto items = made(2);
  change_primary_key("pk-2");
  audit->fail = true;
  const auto out = rewrap(items);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.failure().code, errc::unavailable);
  EXPECT_TRUE(out.failure().retry_after_s);
}

TEST_F(key_rewrap_test, the_gate_stands_before_it) {
  begin();
  const auto items = made(1);
  auto bad = call_of(items);
  bad.caller.token = "another";
  EXPECT_EQ(ask<keys_rewrapped>(service, bad).failure().check, "gate-token");
  EXPECT_EQ(last_record().action, "key.rewrap");
  EXPECT_EQ(last_record().outcome, "token-invalid");
  config.hosts["host-7"].host = "host-7";
  config.hosts["host-7"].quarantined = true;
  ++config.revision;
  publish();
  EXPECT_EQ(rewrap(items).failure().check, "gate-host");
}

TEST_F(key_rewrap_test, a_provider_without_primary_key_refuses_the_whole) {
  begin();
  const auto items = made(1);
  vault().primary_key_id.clear();
  ++config.revision;
  publish();
  EXPECT_EQ(rewrap(items).failure().code, errc::unavailable);
  EXPECT_EQ(last_record().outcome, "unavailable");
}

TEST_F(key_rewrap_test, a_stop_answers_it) {
  begin();
  const auto items = made(2);
  change_primary_key("pk-2");
  server->silent = true;
  const auto pending = post<keys_rewrapped>(service, call_of(items));
  run();
  caf::anon_send_exit(service, caf::exit_reason::user_shutdown);
  run();
  ASSERT_TRUE(pending->has_value());
  EXPECT_EQ((*pending)->failure().code, errc::cancelled);
}

// ---- encrypt ------------------------------------------------------------------------------------

class key_encrypt_test : public key_provider_fixture {
protected:
  encrypt_key call_of(std::size_t key_bytes, std::string_view kid = "own") {
    own = crypto::random_secret(key_bytes);
    return {caller(), "vault", *jose::encrypt_ecdh_es_a256kw(own_key, kid, own.reveal_secret()),
            to_bytes("ctx")};
  }
  crypto::secret_bytes own;
};

TEST_F(key_encrypt_test, a_key_of_the_hosts_own_comes_back) {
  for (const auto mode : {primary_key_mode::local, primary_key_mode::remote}) {
    vault().mode = mode;
    begin();
    for (const std::size_t size : {16U, 33U, 64U}) {
      const auto sealed = ask<key_encrypted>(service, call_of(size));
      ASSERT_TRUE(sealed) << sealed.failure().message;
      EXPECT_EQ(last_record().action, "key.encrypt");
      EXPECT_EQ(last_record().outcome, "ok");
      EXPECT_NE(last_record().detail.find(" bytes=" + std::to_string(size)), std::string::npos);
      const auto opened = decrypt(sealed->ciphertext);
      ASSERT_TRUE(opened) << opened.failure().message;
      EXPECT_TRUE(crypto::equal(key_of(*opened).reveal_secret(), own.reveal_secret()));
      EXPECT_FALSE(decrypt(sealed->ciphertext, "another context"));
    }
  }
}

TEST_F(key_encrypt_test, a_key_that_is_not_ours_is_told_apart) {
  begin();
  const auto refused = ask<key_encrypted>(service, call_of(32, "older"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::invalid_argument);
  EXPECT_EQ(refused.failure().field, "/jwe");
  EXPECT_EQ(refused.failure().check, "encryption-key");
  EXPECT_EQ(last_record().outcome, "invalid-argument");
  auto without = call_of(32, "");
  EXPECT_EQ(ask<key_encrypted>(service, without).failure().check, "encryption-key");
}

TEST_F(key_encrypt_test, bad_tokens_and_sizes_are_refused) {
  begin();
  for (const std::size_t size : {0U, 15U, 65U, 1000U}) {
    const auto refused = ask<key_encrypted>(service, call_of(size));
    ASSERT_FALSE(refused) << size;
    EXPECT_EQ(refused.failure().code, errc::invalid_argument);
    EXPECT_EQ(refused.failure().field, "/jwe");
    EXPECT_EQ(refused.failure().check, "gate-request");
  }
  auto call = call_of(32);
  call.jwe.back() = call.jwe.back() == 'A' ? 'E' : 'A';
  auto refused = ask<key_encrypted>(service, call);
  EXPECT_EQ(refused.failure().code, errc::invalid_argument);
  EXPECT_EQ(refused.failure().check, "jwe-decryption");
  call.jwe = "no JWE";
  EXPECT_EQ(ask<key_encrypted>(service, call).failure().check, "jwe-form");
  call = call_of(32);
  call.caller.token.clear();
  EXPECT_EQ(ask<key_encrypted>(service, call).failure().check, "gate-token");
  EXPECT_EQ(server->encrypt_calls, 0U);
}

TEST_F(key_encrypt_test, providers_are_listed_with_the_name_of_their_primary_key) {
  config.key_providers["empty"].name = "empty";
  begin();
  const auto listed = ask<std::vector<provider_status>>(service, list_providers{caller()});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[0].primary_key, "");
  EXPECT_EQ((*listed)[1].primary_key, primary_key_name("pk-1"));
  EXPECT_EQ(primary_key_name("pk-1").size(), 32U);
}

} // namespace
} // namespace custos::keyprovider
