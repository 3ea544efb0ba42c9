#include "actors/keyprovider/administration.hpp"

#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

constexpr std::int64_t now = 1'800'000'000;
constexpr std::uint32_t life_s = 1000;

/// Keeps what it was given, so that the test can look at the key that must not leave otherwise.
struct sealing {
  bytes secret;
  std::string label;
  seal_function function() {
    return [this](const crypto::secret_bytes& s, std::string_view l) -> result<sealed_secret> {
      secret = to_bytes(s.reveal_secret());
      label = l;
      return sealed_secret{to_bytes("sealed")};
    };
  }
};

TEST(client_key, is_sealed_and_certified_for_clients_only) {
  sealing seal;
  const auto made = make_client_key({"vault", false}, seal.function(), now, life_s);
  ASSERT_TRUE(made) << made.failure().message;
  EXPECT_EQ(made->sealed_private_key, to_bytes("sealed"));
  EXPECT_EQ(seal.label, "key-provider/vault/client-private-key");
  const auto certificate = crypto::certificate_from_pem(as_bytes(made->pem));
  ASSERT_TRUE(certificate) << certificate.failure().message;
  EXPECT_EQ(certificate->common_name(), "custos-vault");
  EXPECT_FALSE(certificate->is_ca());
  EXPECT_LT(certificate->not_before(), now);
  EXPECT_EQ(certificate->not_after(), now + life_s);
  const auto key = crypto::private_key_from_pkcs8(seal.secret);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->type(), crypto::key_type::p256);
  EXPECT_TRUE(key->same_public(certificate->public_key()));
  crypto::verify_options options;
  options.now = now;
  options.use = crypto::purpose::tls_client;
  EXPECT_TRUE(crypto::verify_chain(*certificate, {}, {*certificate}, options));
  options.use = crypto::purpose::tls_server;
  EXPECT_FALSE(crypto::verify_chain(*certificate, {}, {*certificate}, options));
}

TEST(client_key, can_be_requested_from_a_ca) {
  sealing seal;
  const auto made = make_client_key({"vault", true}, seal.function(), now, life_s);
  ASSERT_TRUE(made) << made.failure().message;
  const auto csr = crypto::read_csr_pem(as_bytes(made->pem));
  ASSERT_TRUE(csr) << csr.failure().message;
  EXPECT_EQ(csr->common_name, "custos-vault");
  const auto key = crypto::private_key_from_pkcs8(seal.secret);
  ASSERT_TRUE(key);
  EXPECT_TRUE(key->same_public(csr->public_key));
}

TEST(client_key, of_a_long_provider_name_still_has_a_legal_subject) {
  sealing seal;
  const std::string name(object_name_bytes_max, 'n');
  const auto made = make_client_key({name, false}, seal.function(), now, life_s);
  ASSERT_TRUE(made) << made.failure().message;
  EXPECT_EQ(crypto::certificate_from_pem(as_bytes(made->pem))->common_name().size(), 64U);
}

TEST(client_key, does_not_exist_when_it_cannot_be_sealed) {
  const auto made = make_client_key(
      {"vault", false},
      [](const crypto::secret_bytes&, std::string_view) -> result<sealed_secret> {
        return make_error(errc::unavailable, "no data key");
      },
      now, life_s);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.failure().code, errc::unavailable);
}

TEST(capabilities, remote_mode_needs_version_and_both_operations) {
  EXPECT_TRUE(can_encrypt({1, 2, {0x1F, 0x20}, ""}));
  EXPECT_TRUE(can_encrypt({2, 0, {0x20, 0x01, 0x1F}, ""}));
  EXPECT_FALSE(can_encrypt({1, 1, {0x1F, 0x20}, ""}));
  EXPECT_FALSE(can_encrypt({1, 4, {0x1F}, ""}));
  EXPECT_FALSE(can_encrypt({1, 4, {0x20}, ""}));
  EXPECT_FALSE(can_encrypt({1, 4, {}, ""}));
}

TEST(health, needs_servers_and_a_usable_key) {
  const auto server = [](std::string health) {
    key_server_status s;
    s.health = std::move(health);
    return s;
  };
  const std::vector both{server("ok"), server("ok")};
  const std::vector one{server("ok"), server("error")};
  const std::vector none{server("error"), server("error")};
  EXPECT_EQ(health_of(both, "Active"), "ok");
  EXPECT_EQ(health_of(one, "Active"), "warning");
  EXPECT_EQ(health_of(none, "Active"), "error");
  EXPECT_EQ(health_of({}, "Active"), "error");
  EXPECT_EQ(health_of(both, "Deactivated"), "warning");
  EXPECT_EQ(health_of(both, "Destroyed"), "error");
  EXPECT_EQ(health_of(both, ""), "error");
}

} // namespace
} // namespace custos::keyprovider
