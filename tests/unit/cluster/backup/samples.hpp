#pragma once
// A cluster with something in it, for the tests of backups.

#include "cluster/backup/content.hpp"
#include "cluster/config_codec.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gtest/gtest.h>

namespace custos::backup::test {

inline constexpr crypto::unix_seconds now = cluster::test::now;
inline constexpr std::string_view phrase = "correct horse battery";
inline constexpr std::string_view server_password = "kmip-password-of-the-test";

inline crypto::secret_ptr secret(std::string_view text) {
  return std::make_shared<const crypto::secret_bytes>(as_bytes(text));
}

inline void put(cluster::config_state& state, object_kind kind, const std::string& name,
                const cluster::config_object& object) {
  config_command command;
  command.kind = kind;
  command.name = name;
  command.document = cluster::write_object(object);
  auto applied = state.apply(command);
  ASSERT_TRUE(applied.ok()) << applied.failure().field << ": " << applied.failure().message;
  state = std::move(applied->next);
}

/// Keys, and a configuration with a provider whose private key and password are sealed.
struct sample_cluster {
  cluster::cluster_keys keys;
  cluster::data_key_ring ring = cluster::first_data_key_ring();
  cluster::config_state state;
  crypto::key provider_key = crypto::generate_p256().value();

  sample_cluster()
      : keys(cluster::generate_cluster_keys("lab", "https://n1.example.org", now).value()) {
    const cluster::sealer seals(ring);
    put(state, object_kind::principal, "admin", principal{"admin", role::administrator});
    key_provider p;
    p.name = "disk";
    p.primary_key_id = "key-1";
    p.servers = {{"a", "kms.example.org", 5696}};
    p.client_private_key =
        seals
            .seal(provider_key.pkcs8_der().reveal_secret(), cluster::client_private_key_use("disk"))
            .value();
    p.client_certificate = cluster::test::self_signed("client", false).cert.pem();
    p.username = "custos";
    p.password = seals.seal(as_bytes(server_password), cluster::password_use("disk")).value();
    put(state, object_kind::key_provider, "disk", p);
    endorsement_key ek;
    ek.name = "web-1";
    ek.spki_sha256 = crypto::digest(crypto::hash_alg::sha256, {as_bytes("web-1")});
    put(state, object_kind::endorsement_key, "web-1", ek);
    host_binding binding;
    binding.host = "web-1";
    binding.ek_spki_sha256 = ek.spki_sha256;
    put(state, object_kind::host, "web-1", binding);
    config_command repeatable;
    repeatable.kind = object_kind::principal;
    repeatable.name = "audrey";
    repeatable.document = R"({"role":"auditor"})";
    repeatable.operation_id = "op-1";
    state = state.apply(repeatable).value().next;
    state.set_applied(17);
  }

  [[nodiscard]] std::string file(const std::vector<addressee>& to) const {
    auto out = back_up_cluster(keys, cluster::sealer(ring), state, to, now);
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().message);
    return out.ok() ? *out : std::string();
  }
};

/// Opens all of it; the first thing that does not hold.
inline result<cluster_content> read_all(byte_view file, const opener& with) {
  CUSTOS_TRY(const auto opened, read_file(file));
  CUSTOS_TRY(const auto key, content_key_of(opened.head, with));
  CUSTOS_TRY(const auto content, open_content(opened, key));
  return read_cluster_content(opened.head.about, content);
}

} // namespace custos::backup::test
