#pragma once
// A key provider actor between its counterparts (doubles.hpp): one provider "vault", one host with
// a good token.

#include "actors/keyprovider/ciphertext.hpp"
#include "actors/keyprovider/key_provider_actor.hpp"
#include "adapters/jose/jose.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/actors/keyprovider/doubles.hpp"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace custos::keyprovider {

inline constexpr std::int64_t start = 1'800'000'000;

class key_provider_fixture : public test::deterministic {
protected:
  key_provider_fixture()
      : host_key(*crypto::generate_p256()), own_key(*crypto::generate_p256()),
        cell(std::make_shared<config_cell>()), server(std::make_shared<test::key_server_double>()),
        audit(std::make_shared<test::audit_double_state>()),
        audit_actor(own(audit_api(system.spawn<test::audit_double>(audit)))) {
    facts.host = "host-7";
    const auto thumbprint = jose::thumbprint_digest(host_key);
    std::copy(thumbprint->begin(), thumbprint->end(), facts.key_thumbprint.begin());
    facts.image = "debian";
    facts.image_version = "12.7";
    facts.expires = start + 1'000'000;
    config.tpm_cas["vendor"] = {"vendor", {}};
    config.base_images["debian"] = {"debian", "12.7", "sha256", {}};
    auto& provider = config.key_providers["vault"];
    provider.name = "vault";
    provider.primary_key_id = "pk-1";
    provider.servers = {{"kms-a", "a.example", 5696}, {"kms-b", "b.example", 5696}};
    server->add("pk-1");
  }

  void publish() { cell->publish(std::make_shared<const config_snapshot>(config)); }
  key_provider& vault() { return config.key_providers["vault"]; }

  key_provider_dependencies dependencies() {
    key_provider_dependencies given;
    given.config = cell;
    given.now = [this] { return now; };
    given.check_token = [this](std::string_view token, std::int64_t) -> result<token_facts> {
      ++token_checks;
      if (token != "good")
        return make_error(errc::token_invalid, "the signature does not hold");
      return facts;
    };
    given.token_keys_generation = [this] { return token_keys_generation; };
    given.audit = audit_actor;
    given.spawn_group = [this](const key_provider& p) -> result<kmip_api> {
      if (p.username == "broken")
        return make_error(errc::unavailable, "the client's private key cannot be unsealed");
      return kmip_api(system.spawn<test::kmip_double>(server));
    };
    given.seal = [this](const crypto::secret_bytes& secret,
                        std::string_view label) -> result<sealed_secret> {
      sealed_label = label;
      return sealed_secret{to_bytes("sealed " + std::to_string(secret.size()))};
    };
    given.encryption_key = [this](std::string_view kid) -> result<crypto::key> {
      if (kid != "own")
        return make_error(errc::not_found, "not ours");
      return own_key;
    };
    given.uses = uses;
    given.read_peer_certificates = [this](const key_server& s, auto done) {
      asked_servers.push_back(s.name);
      if (s.name == "kms-a")
        done(std::string("PEM of a"));
      else
        held_peers.push_back(done);
    };
    return given;
  }
  void begin() { begin(dependencies()); }
  void begin(key_provider_dependencies given) {
    publish();
    service = own(spawn_key_provider(system, std::move(given)));
  }

  key_caller caller() const { return {"good", host_key.spki_der(), "192.0.2.7:40000"}; }
  generate_key generate_call() const { return {caller(), "vault", 32, to_bytes("ctx")}; }
  result<key_released> generate() { return ask<key_released>(service, generate_call()); }
  result<key_released> decrypt(const bytes& ciphertext, std::string context = "ctx") {
    return ask<key_released>(service,
                             decrypt_key{caller(), "vault", ciphertext, to_bytes(context)});
  }
  crypto::secret_bytes key_of(const key_released& released) {
    auto key = jose::decrypt_ecdh_es_a256kw(host_key, released.jwe);
    EXPECT_TRUE(key) << key.failure().message;
    return key ? *std::move(key) : crypto::secret_bytes{};
  }
  static unsigned algorithm_of(const key_released& released) {
    const auto parsed = parse_ciphertext(released.ciphertext);
    EXPECT_TRUE(parsed);
    return parsed ? static_cast<unsigned>(parsed->identity.algorithm) : 0;
  }
  /// Generates and decrypts; the two keys must be the same.
  void round_trip(unsigned algorithm) {
    const auto made = generate();
    ASSERT_TRUE(made) << made.failure().message;
    EXPECT_EQ(algorithm_of(*made), algorithm);
    const auto opened = decrypt(made->ciphertext);
    ASSERT_TRUE(opened) << opened.failure().message;
    const auto first = key_of(*made);
    EXPECT_EQ(first.size(), 32U);
    EXPECT_TRUE(crypto::equal(first.reveal_secret(), key_of(*opened).reveal_secret()));
    EXPECT_EQ(opened->ciphertext, made->ciphertext);
  }
  audit_record last_record() const {
    return audit->records.empty() ? audit_record{} : audit->records.back();
  }

  crypto::key host_key;
  crypto::key own_key; ///< the service's encryption key, "own"
  std::shared_ptr<use_table> uses = std::make_shared<use_table>(start - 1000);
  token_facts facts;
  config_snapshot config;
  std::shared_ptr<config_cell> cell;
  std::int64_t now = start;
  int token_checks = 0;
  std::uint64_t token_keys_generation = 0;
  test::key_server_ptr server;
  test::audit_state_ptr audit;
  audit_api audit_actor;
  key_provider_api service;
  std::string sealed_label;
  std::vector<std::string> asked_servers;
  std::vector<std::function<void(result<std::string>)>> held_peers;
};

} // namespace custos::keyprovider
