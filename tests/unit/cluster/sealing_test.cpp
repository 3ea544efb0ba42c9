#include "cluster/sealing.hpp"

#include "adapters/crypto/crypto.hpp"

#include <gtest/gtest.h>
#include <thread>

namespace custos::cluster {

namespace {

crypto::secret_ptr fresh_key() {
  return std::make_shared<const crypto::secret_bytes>(crypto::random_secret(data_key_bytes));
}

std::string opened(const sealer& s, const sealed_secret& sealed, std::string_view use) {
  const auto out = s.open(sealed, use);
  return out ? std::string(as_text(out->reveal_secret()))
             : "error: " + std::string(to_string(out.failure().code));
}

/// Two keys, the second one current.
data_key_ring two_keys(const data_key_ring& first) {
  auto out = first;
  const auto key = fresh_key();
  EXPECT_TRUE(add_key(out, key, 100).ok());
  out.current = id_of(*key);
  return out;
}

} // namespace

TEST(sealing, opens_what_it_sealed) {
  const sealer s(first_data_key_ring());
  const auto sealed = s.seal(as_bytes("a secret"), "use");
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->sealed.size(), 1 + 4 + 12 + 8 + 16U);
  EXPECT_EQ(sealed->sealed.front(), 2);
  EXPECT_EQ(data_key_of(sealed->sealed), s.current());
  EXPECT_EQ(opened(s, *sealed, "use"), "a secret");
  EXPECT_EQ(opened(s, *s.seal({}, "use"), "use"), "");
  EXPECT_NE(s.seal(as_bytes("a secret"), "use")->sealed, sealed->sealed);
}

TEST(sealing, opens_for_one_use_under_one_key) {
  const sealer s(first_data_key_ring());
  const auto sealed = s.seal(as_bytes("a secret"), client_private_key_use("p")).value();
  EXPECT_EQ(opened(s, sealed, "key-provider/p/client-private-key"), "a secret");
  EXPECT_EQ(opened(s, sealed, client_private_key_use("q")), "error: crypto-failure");
  EXPECT_EQ(opened(s, sealed, password_use("p")), "error: crypto-failure");
  const sealer other(first_data_key_ring());
  const auto refused = other.open(sealed, client_private_key_use("p"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, errc::crypto_failure);
  EXPECT_NE(refused.failure().message.find(text_of(s.current())), std::string::npos);
}

TEST(sealing, every_changed_octet_is_noticed) {
  const sealer s(first_data_key_ring());
  const auto sealed = s.seal(as_bytes("a secret"), "use").value();
  for (std::size_t i = 0; i < sealed.sealed.size(); ++i) {
    auto changed = sealed;
    changed.sealed[i] ^= 1U;
    EXPECT_EQ(opened(s, changed, "use"), i == 0 ? "error: unsupported" : "error: crypto-failure");
  }
  auto shorter = sealed;
  shorter.sealed.resize(32);
  EXPECT_EQ(opened(s, shorter, "use"), "error: malformed");
  EXPECT_EQ(opened(s, {}, "use"), "error: malformed");
}

TEST(sealing, seals_under_one_key_and_opens_under_all) {
  const auto first = first_data_key_ring();
  sealer s(first);
  const auto old = s.seal(as_bytes("old"), "use").value();
  const auto both = two_keys(first);
  s.replace(both);
  EXPECT_EQ(s.current(), both.current);
  const auto fresh = s.seal(as_bytes("new"), "use").value();
  EXPECT_EQ(data_key_of(fresh.sealed), both.current);
  EXPECT_EQ(opened(s, old, "use"), "old");
  EXPECT_EQ(opened(s, fresh, "use"), "new");
  // A value does not pass for one under another key of the ring.
  auto swapped = old;
  std::copy(both.current.begin(), both.current.end(), swapped.sealed.begin() + 1);
  EXPECT_EQ(opened(s, swapped, "use"), "error: crypto-failure");
  auto only_new = both;
  only_new.keys.erase(only_new.keys.begin());
  s.replace(only_new);
  EXPECT_EQ(opened(s, old, "use"), "error: crypto-failure");
  EXPECT_EQ(opened(s, fresh, "use"), "new");
}

TEST(sealing, goes_on_while_keys_come) {
  auto ring = first_data_key_ring();
  sealer s(ring);
  const auto before = s.seal(as_bytes("before"), "use").value();
  std::atomic<bool> done = false;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      while (!done) {
        const auto sealed = s.seal(as_bytes("x"), "use");
        failures += sealed && s.open(*sealed, "use") && s.open(before, "use") ? 0 : 1;
      }
    });
  for (std::size_t i = 1; i < data_keys_max; ++i) {
    const auto key = fresh_key();
    ASSERT_TRUE(add_key(ring, key, static_cast<std::int64_t>(i)).ok());
    ring.current = id_of(*key);
    s.replace(ring);
  }
  done = true;
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(s.ring().keys.size(), data_keys_max);
}

TEST(data_key_ring, names_keys_by_a_digest) {
  // SHA-256("custos-data-key" || 32 octets 0x00), first four octets, computed with sha256sum.
  EXPECT_EQ(text_of(id_of(crypto::secret_bytes(data_key_bytes))), "c9a3f1d2");
  EXPECT_EQ(data_key_id_of("00ff10ab"), (data_key_id{0x00, 0xff, 0x10, 0xab}));
  for (const auto* const text : {"", "00ff10", "00ff10abcd", "00FF10AB", "00ff10ag"})
    EXPECT_FALSE(data_key_id_of(text)) << text;
}

TEST(data_key_ring, keeps_the_order_of_age) {
  auto ring = first_data_key_ring();
  const auto newer = fresh_key();
  const auto newest = fresh_key();
  ASSERT_TRUE(add_key(ring, newest, 200).ok());
  ASSERT_TRUE(add_key(ring, newer, 100).ok());
  ASSERT_TRUE(add_key(ring, newer, 100).ok()); // again
  ASSERT_EQ(ring.keys.size(), 3U);
  EXPECT_EQ(ring.keys[0].id, ring.current);
  EXPECT_EQ(ring.keys[1].id, id_of(*newer));
  EXPECT_EQ(ring.keys[2].id, id_of(*newest));
  while (ring.keys.size() < data_keys_max)
    ASSERT_TRUE(add_key(ring, fresh_key(), 300).ok());
  EXPECT_EQ(add_key(ring, fresh_key(), 300).failure().code, errc::too_large);
}

TEST(data_key_ring, travels_as_octets) {
  const auto ring = two_keys(first_data_key_ring());
  const auto octets = serialize(ring);
  const auto back = parse_data_key_ring(octets.reveal_secret());
  ASSERT_TRUE(back.ok()) << back.failure().message;
  EXPECT_EQ(back->current, ring.current);
  ASSERT_EQ(back->keys.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back->keys[i].id, ring.keys[i].id);
    EXPECT_EQ(back->keys[i].created, ring.keys[i].created);
    EXPECT_TRUE(
        crypto::equal(back->keys[i].key->reveal_secret(), ring.keys[i].key->reveal_secret()));
  }
  auto changed = to_bytes(octets.reveal_secret());
  for (std::size_t size = 0; size < changed.size(); ++size)
    EXPECT_FALSE(parse_data_key_ring(byte_view(changed).first(size)).ok()) << size;
  changed[6] ^= 1U; // the current key: none of the ring
  EXPECT_EQ(parse_data_key_ring(changed).failure().code, errc::malformed);
  changed[0] = 2;
  EXPECT_EQ(parse_data_key_ring(changed).failure().code, errc::unsupported);
}

} // namespace custos::cluster
