#include "cluster/encryption_keys.hpp"

#include "adapters/jose/jose.hpp"
#include "adapters/jose/jwe_key.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::cluster {
namespace {

crypto::secret_ptr data_key(std::uint8_t seed) {
  return std::make_shared<const crypto::secret_bytes>(bytes(data_key_bytes, seed));
}

/// Computed by another implementation (Python, `cryptography`: HKDF and derive_private_key): every
/// release must derive the same, or nodes of two versions would have different keys.
TEST(encryption_keys, are_what_another_implementation_derives) {
  const auto k = encryption_key_of(*data_key(0x42));
  ASSERT_TRUE(k) << k.failure().message;
  EXPECT_EQ(k->kid, "WJIRvrCNf6DkBBWUecPYYFJhcYsksqwX9n7HRzAV3z0");
  const auto point = crypto::ec_point_of(k->key);
  ASSERT_TRUE(point);
  EXPECT_EQ(crypto::hex(point->x),
            "c12bde293aa6f5efac943100d6200fc62c6ef15b62a23f05154cc68ec1d097e1");
  EXPECT_EQ(crypto::hex(point->y),
            "877772ceaf3f89ee23c19fe0fd724b4b097ed7a2e5dcf97287613706c1fba589");
}

TEST(encryption_keys, open_what_was_encrypted_to_the_published_one) {
  const auto seals = std::make_shared<sealer>(ring_of(data_key(1)));
  encryption_keys own(seals);
  const auto present = own.present();
  ASSERT_TRUE(present);
  const auto jwk = jwk_text(*present);
  const auto members = boost::json::parse(jwk).as_object();
  EXPECT_EQ(members.size(), 7U) << "no private member";
  EXPECT_EQ(members.at("kid").as_string(), present->kid.c_str());
  EXPECT_EQ(members.at("use").as_string(), "enc");
  EXPECT_EQ(members.at("alg").as_string(), "ECDH-ES+A256KW");
  const auto published = jose::key_of_jwk(jwk);
  ASSERT_TRUE(published);
  const auto jwe = jose::encrypt_ecdh_es_a256kw(*published, present->kid, to_bytes("a key"));
  ASSERT_TRUE(jwe);
  const auto kid = jose::key_id_of_jwe(*jwe);
  ASSERT_TRUE(kid);
  const auto key = own.find(*kid);
  ASSERT_TRUE(key);
  const auto opened = jose::decrypt_ecdh_es_a256kw(*key, *jwe);
  ASSERT_TRUE(opened);
  EXPECT_EQ(to_bytes(opened->reveal_secret()), to_bytes("a key"));
}

TEST(encryption_keys, nodes_of_one_cluster_have_the_same) {
  encryption_keys a(std::make_shared<sealer>(ring_of(data_key(1))));
  encryption_keys b(std::make_shared<sealer>(ring_of(data_key(1))));
  encryption_keys other(std::make_shared<sealer>(ring_of(data_key(2))));
  EXPECT_EQ(a.present()->kid, b.present()->kid);
  EXPECT_NE(a.present()->kid, other.present()->kid);
  EXPECT_EQ(other.find(a.present()->kid).failure().code, errc::not_found);
}

TEST(encryption_keys, follow_the_data_keys_of_the_node) {
  const auto seals = std::make_shared<sealer>(ring_of(data_key(1)));
  encryption_keys own(seals);
  const auto before = own.present()->kid;
  auto ring = seals->ring();
  ASSERT_TRUE(add_key(ring, data_key(2), 100));
  seals->replace(ring);
  EXPECT_EQ(own.present()->kid, before) << "held, but it does not seal yet";
  ring.current = id_of(*data_key(2));
  seals->replace(ring);
  const auto after = own.present()->kid;
  EXPECT_NE(after, before);
  EXPECT_TRUE(own.find(before)) << "hosts that were told the old one need not ask twice";
  EXPECT_TRUE(own.find(after));
  seals->replace(ring_of(data_key(2)));
  EXPECT_FALSE(own.find(before)) << "its data key is gone";
  EXPECT_FALSE(own.find(""));
}

} // namespace
} // namespace custos::cluster
