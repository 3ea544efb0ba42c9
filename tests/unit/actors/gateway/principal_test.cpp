#include "actors/gateway/principal.hpp"

#include <gtest/gtest.h>

namespace custos::gateway {

namespace {

constexpr crypto::unix_seconds now = 1'750'000'000;
constexpr crypto::unix_seconds life_s = 3600;

struct authority {
  explicit authority(const std::string& name) {
    key = crypto::generate_p256().value();
    crypto::certificate_request r;
    r.common_name = name;
    r.is_ca = true;
    r.not_before = now - 10 * life_s;
    r.not_after = now + 10 * life_s;
    certificate = crypto::issue_certificate(r, key, key, nullptr).value();
  }
  [[nodiscard]] crypto::certificate issue(const crypto::certificate_request& r) const {
    return crypto::issue_certificate(r, crypto::generate_p256().value(), key, &certificate).value();
  }

  crypto::key key;
  crypto::certificate certificate;
};

crypto::certificate_request client(const std::string& name) {
  crypto::certificate_request r;
  r.common_name = name;
  r.client_auth = true;
  r.not_before = now - life_s;
  r.not_after = now + life_s;
  return r;
}

class principals : public ::testing::Test {
protected:
  principals() {
    config.principals["alice"] = {"alice", role::administrator};
    config.principals["audrey"] = {"audrey", role::auditor};
  }
  [[nodiscard]] result<principal> who(const crypto::certificate& peer,
                                      crypto::unix_seconds at = now) const {
    auto found = known_peers({ours.certificate}).principal_of(peer, config, at);
    // Who remembers says the same.
    for (const auto* how : {"first or again", "again"}) {
      const auto remembered = peers.principal_of(peer, config, at);
      EXPECT_EQ(remembered.ok(), found.ok()) << how;
      if (remembered && found) {
        EXPECT_EQ(remembered->name, found->name);
        EXPECT_EQ(remembered->may, found->may);
      } else if (!remembered && !found) {
        EXPECT_EQ(remembered.failure().code, found.failure().code);
        EXPECT_EQ(remembered.failure().message, found.failure().message);
      }
    }
    return found;
  }
  void expect_forbidden(const crypto::certificate& peer, crypto::unix_seconds at = now) const {
    const auto found = who(peer, at);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.failure().code, errc::forbidden) << found.failure().message;
    EXPECT_EQ(found.failure().field, "client certificate");
    EXPECT_FALSE(found.failure().message.empty());
  }

  authority ours{"Custos test"};
  config_snapshot config;
  known_peers peers{{ours.certificate}}; ///< what it remembered stays for later calls of a test
};

} // namespace

TEST_F(principals, are_known_by_the_common_name_of_a_certificate_of_ours) {
  const auto alice = who(ours.issue(client("alice")));
  ASSERT_TRUE(alice.ok()) << alice.failure().message;
  EXPECT_EQ(alice->name, "alice");
  EXPECT_EQ(alice->may, role::administrator);
  const auto audrey = who(ours.issue(client("audrey")));
  ASSERT_TRUE(audrey.ok());
  EXPECT_EQ(audrey->may, role::auditor);
}

TEST_F(principals, without_a_certificate_are_nobody) {
  const auto nobody = who({});
  ASSERT_FALSE(nobody.ok());
  EXPECT_EQ(nobody.failure().code, errc::unauthenticated);
  EXPECT_EQ(nobody.failure().field, "client certificate");
  EXPECT_NE(nobody.failure().message.find("expected"), std::string::npos);
}

TEST_F(principals, of_another_authority_are_refused) {
  // Same names everywhere: only the signature tells.
  expect_forbidden(authority("Custos test").issue(client("alice")));
}

TEST_F(principals, that_sign_for_themselves_are_refused) {
  const auto key = crypto::generate_p256().value();
  expect_forbidden(crypto::issue_certificate(client("alice"), key, key, nullptr).value());
}

TEST_F(principals, must_be_configured) {
  expect_forbidden(ours.issue(client("mallory")));
  expect_forbidden(ours.issue(client("Alice")));
  expect_forbidden(ours.issue(client("alice ")));
  expect_forbidden(ours.issue(client("node:alice")));
}

TEST_F(principals, are_judged_by_the_time_given) {
  const auto alice = ours.issue(client("alice"));
  EXPECT_TRUE(who(alice, now - life_s + 1).ok());
  EXPECT_TRUE(who(alice, now + life_s - 1).ok());
  expect_forbidden(alice, now - life_s - 1);
  expect_forbidden(alice, now + life_s + 1);
}

TEST_F(principals, need_a_certificate_for_client_authentication) {
  auto server_only = client("alice");
  server_only.client_auth = false;
  server_only.server_auth = true;
  expect_forbidden(ours.issue(server_only));
}

TEST_F(principals, removed_from_the_configuration_lose_access_with_their_certificate_intact) {
  const auto alice = ours.issue(client("alice"));
  ASSERT_TRUE(who(alice).ok());
  config.principals.erase("alice");
  expect_forbidden(alice);
}

TEST_F(principals, are_looked_at_each_time_for_what_changes) {
  const auto alice = ours.issue(client("alice"));
  ASSERT_TRUE(who(alice).ok());
  expect_forbidden(alice, now + life_s + 1);
  expect_forbidden(alice, now - life_s - 1);
  ASSERT_TRUE(who(alice).ok());
  config.principals["alice"].may = role::auditor;
  EXPECT_EQ(who(alice)->may, role::auditor);
}

TEST_F(principals, are_refused_where_no_authority_is_known) {
  const auto found = known_peers({}).principal_of(ours.issue(client("alice")), config, now);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.failure().code, errc::forbidden);
}

TEST(roles, open_what_they_say) {
  for (const auto r : {role::administrator, role::auditor}) {
    EXPECT_TRUE(may(r, access::open));
    EXPECT_TRUE(may(r, access::auditor));
  }
  EXPECT_TRUE(may(role::administrator, access::administrator));
  EXPECT_FALSE(may(role::auditor, access::administrator));
  EXPECT_FALSE(may(static_cast<role>(0), access::auditor));
}

} // namespace custos::gateway
