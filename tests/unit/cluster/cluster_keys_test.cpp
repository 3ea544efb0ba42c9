#include "cluster/cluster_keys.hpp"

#include "adapters/jose/jose.hpp"
#include "cluster/fields.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gtest/gtest.h>

namespace custos::cluster {

namespace {

using test::now;

cluster_keys fresh() {
  return generate_cluster_keys("lab", "https://custos.example.org", now).value();
}

node_identity identity_of(const cluster_keys& keys, const std::string& name) {
  node_identity out;
  out.name = name;
  out.tls_key = crypto::generate_p256().value();
  out.certificate =
      issue_node_certificate(keys, {name, {"n.example.org"}, {"192.0.2.1"}}, out.tls_key, now)
          .value();
  return out;
}

result<void> verified(const crypto::certificate& cert, const crypto::certificate& ca,
                      crypto::purpose use, crypto::unix_seconds when = now) {
  crypto::verify_options options;
  options.use = use;
  options.now = when;
  return crypto::verify_chain(cert, {}, {ca}, options);
}

} // namespace

TEST(cluster_keys, are_fresh_each_time) {
  const auto a = fresh();
  const auto b = fresh();
  EXPECT_EQ(a.cluster_id.size(), 32U);
  EXPECT_NE(a.cluster_id, b.cluster_id);
  EXPECT_FALSE(a.ca_key.same_public(b.ca_key));
  EXPECT_FALSE(a.ca_key.same_public(a.ak_ca_key));
  EXPECT_FALSE(a.ca_key.same_public(a.token_key));
  EXPECT_TRUE(a.ca_certificate.is_ca());
  EXPECT_TRUE(a.ak_ca_certificate.is_ca());
  EXPECT_EQ(a.token_kid, jose::thumbprint(a.token_key).value());
}

TEST(cluster_keys, refuses_odd_names) {
  for (const std::string name : {"", "a\nb", "\xC3\xA4"})
    EXPECT_EQ(generate_cluster_keys(name, "https://a", now).failure().field, "cluster_name");
  EXPECT_FALSE(generate_cluster_keys(std::string(65, 'a'), "https://a", now).ok());
  for (const std::string issuer :
       {"", "http://a", "https://", "https://a b", "https://a?x", "https://a#x", "https://\""})
    EXPECT_EQ(generate_cluster_keys("lab", issuer, now).failure().field, "issuer") << issuer;
}

TEST(cluster_keys, come_back_from_octets) {
  const auto keys = fresh();
  const auto octets = serialize(keys);
  const auto back = parse_cluster_keys(octets.reveal_secret());
  ASSERT_TRUE(back.ok()) << back.failure().message;
  EXPECT_EQ(back->cluster_id, keys.cluster_id);
  EXPECT_EQ(back->cluster_name, "lab");
  EXPECT_EQ(back->issuer, "https://custos.example.org");
  EXPECT_TRUE(back->ca_key.same_public(keys.ca_key));
  EXPECT_EQ(back->ca_certificate.der(), keys.ca_certificate.der());
  EXPECT_TRUE(back->token_key.same_public(keys.token_key));
  EXPECT_EQ(back->token_kid, keys.token_kid);
  EXPECT_TRUE(back->ak_ca_key.same_public(keys.ak_ca_key));
  EXPECT_EQ(back->ak_ca_certificate.der(), keys.ak_ca_certificate.der());
  EXPECT_TRUE(
      crypto::equal(back->challenge_key->reveal_secret(), keys.challenge_key->reveal_secret()));
  EXPECT_TRUE(crypto::equal(serialize(*back).reveal_secret(), octets.reveal_secret()));
}

TEST(cluster_keys, refuses_octets_cut_anywhere) {
  const auto octets = serialize(fresh());
  const auto all = octets.reveal_secret();
  for (std::size_t size = 0; size < all.size(); ++size)
    EXPECT_FALSE(parse_cluster_keys(all.first(size)).ok()) << size;
  auto other = to_bytes(all);
  other.front() = 2;
  EXPECT_EQ(parse_cluster_keys(other).failure().code, errc::unsupported);
}

TEST(cluster_keys, refuses_a_certificate_of_another_key) {
  auto keys = fresh();
  keys.ca_certificate = fresh().ca_certificate;
  EXPECT_EQ(parse_cluster_keys(serialize(keys).reveal_secret()).failure().code, errc::malformed);
  keys = fresh();
  keys.ak_ca_certificate = fresh().ak_ca_certificate;
  EXPECT_EQ(parse_cluster_keys(serialize(keys).reveal_secret()).failure().code, errc::malformed);
}

TEST(cluster_keys, node_certificates) {
  const auto keys = fresh();
  const auto node = identity_of(keys, "n1");
  EXPECT_EQ(node.certificate.common_name(), "node:n1");
  EXPECT_EQ(node.certificate.dns_names(), std::vector<std::string>{"n.example.org"});
  EXPECT_TRUE(verified(node.certificate, keys.ca_certificate, crypto::purpose::tls_server).ok());
  EXPECT_TRUE(verified(node.certificate, keys.ca_certificate, crypto::purpose::tls_client).ok());
  EXPECT_FALSE(
      verified(node.certificate, keys.ak_ca_certificate, crypto::purpose::tls_server).ok());
  EXPECT_FALSE(verified(node.certificate, keys.ca_certificate, crypto::purpose::tls_server,
                        now + node_certificate_life_s + 1)
                   .ok());
}

TEST(cluster_keys, refuses_odd_node_requests) {
  struct refused {
    node_request request;
    std::string field;
  };
  const std::vector<refused> cases{
      {{"", {"a"}, {}}, "node_name"},
      {{"node:x", {"a"}, {}}, "node_name"},
      {{"n", {}, {}}, "dns_names"},
      {{"n", {"a b"}, {}}, "dns_names"},
      {{"n", {"a,IP:127.0.0.1"}, {}}, "dns_names"},
      {{"n", {""}, {}}, "dns_names"},
      {{"n", {"*.example.org"}, {}}, "dns_names"},
      {{"n", {std::string(254, 'a')}, {}}, "dns_names"},
      {{"n", std::vector<std::string>(33, "a"), {}}, "dns_names"},
      {{"n", {}, {"300.1.1.1"}}, "ip_addresses"},
      {{"n", {}, {"example.org"}}, "ip_addresses"},
      {{"n", {}, {"::1,DNS:a"}}, "ip_addresses"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(check_node_request(c.request).failure().field, c.field);
  EXPECT_TRUE(check_node_request({"n", {}, {"2001:db8::1"}}).ok());
}

namespace {

node_key fresh_node_key() {
  return {"id",
          {},
          std::make_shared<const crypto::secret_bytes>(crypto::random_secret(node_key_bytes))};
}

class stored_keys : public testing::Test {
protected:
  stored_keys() {
    rocksdb::write_batch batch;
    EXPECT_TRUE(add_keys(batch, keys, ring, identity_of(keys, "n1"), under).ok());
    EXPECT_TRUE(store->write(batch).ok());
  }
  void damage(const std::string& key) {
    auto value = **store->get(key);
    value[value.size() / 2] ^= 1U;
    rocksdb::write_batch batch;
    batch.put(key, std::move(value));
    ASSERT_TRUE(store->write(batch).ok());
  }
  void remove(const std::string& key) {
    rocksdb::write_batch batch;
    batch.erase(key);
    ASSERT_TRUE(store->write(batch).ok());
  }
  errc failure() { return load_keys(*store, under).failure().code; }

  cluster_keys keys = fresh();
  data_key_ring ring = first_data_key_ring();
  node_key under = fresh_node_key();
  std::shared_ptr<rocksdb::kv_store> store = rocksdb::make_memory_store();
};

} // namespace

TEST_F(stored_keys, come_back) {
  const auto loaded = load_keys(*store, under);
  ASSERT_TRUE(loaded.ok()) << loaded.failure().message;
  EXPECT_EQ(loaded->keys.cluster_id, keys.cluster_id);
  EXPECT_EQ(loaded->identity.name, "n1");
  EXPECT_TRUE(loaded->identity.certificate.public_key().same_public(loaded->identity.tls_key));
}

TEST_F(stored_keys, need_the_node_key) {
  const auto loaded = load_keys(*store, fresh_node_key());
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.failure().code, errc::crypto_failure);
  EXPECT_EQ(loaded.failure().field, "node_key");
}

TEST_F(stored_keys, damage_is_noticed) {
  damage("cluster/keys");
  EXPECT_EQ(failure(), errc::corrupted);
}

TEST_F(stored_keys, damage_of_the_node_key_wrapping_is_noticed) {
  damage("node/data-key/" + text_of(ring.current));
  EXPECT_EQ(failure(), errc::crypto_failure);
}

TEST_F(stored_keys, damage_of_the_identity_is_noticed) {
  damage("node/tls-key");
  EXPECT_EQ(failure(), errc::corrupted);
}

TEST_F(stored_keys, another_nodes_certificate_is_noticed) {
  auto other = identity_of(keys, "n2");
  other.tls_key = crypto::generate_p256().value();
  rocksdb::write_batch batch;
  ASSERT_TRUE(add_identity(batch, other, under).ok());
  ASSERT_TRUE(store->write(batch).ok());
  EXPECT_EQ(failure(), errc::corrupted);
}

TEST_F(stored_keys, missing_parts_are_noticed) {
  const auto data_key = "node/data-key/" + text_of(ring.current);
  for (const auto& key :
       {std::string("node/identity"), std::string("node/tls-key"), std::string("cluster/keys"),
        std::string("node/data-key-current"), data_key}) {
    remove(key);
    EXPECT_EQ(failure(), errc::corrupted) << key;
  }
}

TEST(fields, come_back_and_are_bounded) {
  const bytes value{1, 2, 3};
  const auto octets = write_fields(1, {{7, value}, {8, {}}, {7, value}});
  const auto all = octets.reveal_secret();
  const auto back = read_fields(1, all);
  ASSERT_TRUE(back.ok());
  ASSERT_EQ(back->size(), 3U);
  EXPECT_EQ(to_bytes((*back)[0].value), value);
  EXPECT_TRUE(one_field(*back, 8)->empty());
  EXPECT_FALSE(one_field(*back, 7).ok()); // twice
  EXPECT_FALSE(one_field(*back, 9).ok()); // never
  EXPECT_EQ(read_fields(2, all).failure().code, errc::unsupported);
  EXPECT_EQ(read_fields(1, {}).failure().code, errc::malformed);
  auto longer = to_bytes(all);
  longer[2] = 0xFF; // a length of 4 GiB
  EXPECT_EQ(read_fields(1, longer).failure().code, errc::malformed);
}

} // namespace custos::cluster
