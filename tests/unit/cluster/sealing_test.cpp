#include "cluster/sealing.hpp"

#include "adapters/crypto/crypto.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"

#include <sys/stat.h>

namespace custos::cluster {

namespace {

using custos::test::temporary_directory;
using custos::test::write_file;

sealer fresh_sealer() {
  return sealer(
      std::make_shared<const crypto::secret_bytes>(crypto::random_secret(data_key_bytes)));
}

std::string opened(const sealer& s, const sealed_secret& sealed, std::string_view use) {
  const auto out = s.open(sealed, use);
  return out ? std::string(as_text(out->reveal_secret()))
             : "error: " + std::string(to_string(out.failure().code));
}

} // namespace

TEST(sealing, opens_what_it_sealed) {
  const auto s = fresh_sealer();
  const auto sealed = s.seal(as_bytes("a secret"), "use");
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->sealed.size(), 1 + 12 + 8 + 16U);
  EXPECT_EQ(opened(s, *sealed, "use"), "a secret");
  EXPECT_EQ(opened(s, *s.seal({}, "use"), "use"), "");
  EXPECT_NE(s.seal(as_bytes("a secret"), "use")->sealed, sealed->sealed);
}

TEST(sealing, opens_for_one_use_under_one_key) {
  const auto s = fresh_sealer();
  const auto sealed = s.seal(as_bytes("a secret"), client_private_key_use("p")).value();
  EXPECT_EQ(opened(s, sealed, "key-provider/p/client-private-key"), "a secret");
  EXPECT_EQ(opened(s, sealed, client_private_key_use("q")), "error: crypto-failure");
  EXPECT_EQ(opened(s, sealed, password_use("p")), "error: crypto-failure");
  EXPECT_EQ(opened(fresh_sealer(), sealed, client_private_key_use("p")), "error: crypto-failure");
}

TEST(sealing, every_changed_octet_is_noticed) {
  const auto s = fresh_sealer();
  const auto sealed = s.seal(as_bytes("a secret"), "use").value();
  for (std::size_t i = 0; i < sealed.sealed.size(); ++i) {
    auto changed = sealed;
    changed.sealed[i] ^= 1U;
    EXPECT_EQ(opened(s, changed, "use"), i == 0 ? "error: unsupported" : "error: crypto-failure");
  }
  auto shorter = sealed;
  shorter.sealed.resize(28);
  EXPECT_EQ(opened(s, shorter, "use"), "error: malformed");
  EXPECT_EQ(opened(s, {}, "use"), "error: malformed");
}

TEST(sealing, keeps_the_node_key_for_its_owner) {
  const temporary_directory d;
  const auto file = d.path() / "node.key";
  const auto made = create_node_key_file(file);
  ASSERT_TRUE(made.ok());
  struct stat found {};
  ASSERT_EQ(::stat(file.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0600U);
  const auto read = read_node_key_file(file);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(crypto::equal(read->reveal_secret(), made->reveal_secret()));
  EXPECT_EQ(create_node_key_file(file).failure().code, errc::already_exists);
}

TEST(sealing, refuses_a_node_key_that_others_can_use) {
  const temporary_directory d;
  const auto file = d.path() / "node.key";
  ASSERT_TRUE(create_node_key_file(file).ok());
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U}) {
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    const auto read = read_node_key_file(file);
    EXPECT_EQ(read.failure().code, errc::forbidden) << std::oct << mode;
    EXPECT_EQ(read.failure().field, "node_key");
  }
  ASSERT_EQ(::chmod(file.c_str(), 0400), 0);
  EXPECT_TRUE(read_node_key_file(file).ok());
}

TEST(sealing, refuses_what_is_no_node_key) {
  const temporary_directory d;
  EXPECT_EQ(read_node_key_file(d.path() / "none").failure().code, errc::not_found);
  EXPECT_EQ(read_node_key_file(d.path()).failure().code, errc::forbidden);
  const auto file = d.path() / "node.key";
  for (const std::size_t size : {0U, 31U, 33U}) {
    write_file(file, std::string(size, 'k'));
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    EXPECT_EQ(read_node_key_file(file).failure().code, errc::corrupted) << size;
  }
  std::filesystem::create_symlink(file, d.path() / "link");
  EXPECT_EQ(read_node_key_file(d.path() / "link").failure().code, errc::forbidden);
}

TEST(sealing, wraps_the_data_key) {
  const auto node = crypto::random_secret(node_key_bytes);
  const auto data = crypto::random_secret(data_key_bytes);
  auto wrapped = wrap_data_key(node, data);
  ASSERT_TRUE(wrapped.ok());
  EXPECT_TRUE(
      crypto::equal(unwrap_data_key(node, *wrapped)->reveal_secret(), data.reveal_secret()));
  const auto other = unwrap_data_key(crypto::random_secret(node_key_bytes), *wrapped);
  EXPECT_EQ(other.failure().code, errc::crypto_failure);
  EXPECT_EQ(other.failure().field, "node_key");
  wrapped->back() ^= 1U;
  EXPECT_FALSE(unwrap_data_key(node, *wrapped).ok());
  const auto shorter = wrap_data_key(node, crypto::random_secret(16)).value();
  EXPECT_FALSE(unwrap_data_key(node, shorter).ok());
}

} // namespace custos::cluster
