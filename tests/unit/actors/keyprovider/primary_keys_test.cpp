#include "actors/keyprovider/primary_keys.hpp"

#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

primary_key some_key(std::string state = "Active") {
  return {std::make_shared<const crypto::secret_bytes>(std::size_t{32}), std::move(state)};
}

TEST(primary_keys, state_decides_what_a_key_may_do) {
  struct expected {
    std::string_view state;
    bool protect, process;
  };
  for (const auto& [state, protect, process] : {expected{"Active", true, true},
                                                {"Deactivated", false, true},
                                                {"Compromised", false, true},
                                                {"Pre-Active", false, false},
                                                {"Destroyed", false, false},
                                                {"", false, false},
                                                {"Destroyed Compromised", false, false}}) {
    EXPECT_EQ(check_state("k", state, key_use::protect).ok(), protect) << state;
    EXPECT_EQ(check_state("k", state, key_use::process).ok(), process) << state;
  }
  const auto refused = check_state("k-9", "Deactivated", key_use::protect);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::forbidden);
  EXPECT_EQ(refused.failure().check, "primary-key-state");
  EXPECT_NE(refused.failure().message.find("k-9"), std::string::npos);
}

TEST(primary_keys, age_and_grace_end_exactly) {
  primary_key_cache cache(4, 10, 100);
  cache.put("a", some_key(), 1000);
  EXPECT_NE(cache.fresh("a", 1010), nullptr);
  EXPECT_EQ(cache.fresh("a", 1011), nullptr);
  EXPECT_NE(cache.within_grace("a", 1100), nullptr);
  EXPECT_EQ(cache.within_grace("a", 1101), nullptr);
  EXPECT_EQ(cache.fresh("a", 999), nullptr) << "a clock set back must not make a key younger";
  EXPECT_EQ(cache.fresh("b", 1000), nullptr);
}

TEST(primary_keys, sweeping_wipes_only_what_is_past_its_grace) {
  primary_key_cache cache(4, 10, 100);
  auto old = some_key();
  const std::weak_ptr<const crypto::secret_bytes> watched = old.key;
  cache.put("old", std::move(old), 1000);
  cache.put("new", some_key(), 1050);
  cache.sweep(1100);
  EXPECT_EQ(cache.size(), 2U);
  cache.sweep(1101);
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_TRUE(watched.expired());
  EXPECT_NE(cache.within_grace("new", 1101), nullptr);
}

TEST(primary_keys, a_full_cache_loses_its_oldest) {
  primary_key_cache cache(2, 10, 100);
  cache.put("a", some_key(), 1);
  cache.put("b", some_key(), 2);
  cache.put("a", some_key(), 3); // known: nothing is lost
  EXPECT_EQ(cache.size(), 2U);
  cache.put("c", some_key(), 4);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.fresh("b", 4), nullptr);
  EXPECT_NE(cache.fresh("a", 4), nullptr);
  EXPECT_NE(cache.fresh("c", 4), nullptr);
}

TEST(primary_keys, only_what_reaches_the_servers_makes_another_connection) {
  key_provider a;
  a.name = "p";
  a.servers = {{"s", "kms", 5696}};
  a.client_certificate = "pem";
  auto b = a;
  b.access.hosts = {"h"};
  b.mode = primary_key_mode::local;
  b.primary_key_id = "other";
  EXPECT_TRUE(same_connection(a, b));
  const auto differs = [&a](auto change) {
    auto c = a;
    change(c);
    return !same_connection(a, c);
  };
  EXPECT_TRUE(differs([](key_provider& p) { p.servers[0].port = 1; }));
  EXPECT_TRUE(differs([](key_provider& p) { p.servers.push_back({"t", "kms2", 5696}); }));
  EXPECT_TRUE(differs([](key_provider& p) { p.client_certificate = "new"; }));
  EXPECT_TRUE(differs([](key_provider& p) { p.client_private_key.sealed = {1}; }));
  EXPECT_TRUE(differs([](key_provider& p) { p.trusted_peer_certificates = {"ca"}; }));
  EXPECT_TRUE(differs([](key_provider& p) { p.username = "u"; }));
  EXPECT_TRUE(differs([](key_provider& p) { p.password.sealed = {1}; }));
  EXPECT_TRUE(differs([](key_provider& p) { p.timeout_ms = 1; }));
  EXPECT_TRUE(differs([](key_provider& p) { p.legacy_ciphers = true; }));
}

} // namespace
} // namespace custos::keyprovider
