// What a stolen data directory gives away: nothing, and with the node key in a file that key.

#include "cluster/config_storage.hpp"
#include "cluster/data_key_rotation.hpp"
#include "tests/unit/cluster/secret_search.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

namespace custos::cluster {

namespace {

using custos::test::file_content;
using custos::test::temporary_directory;
using custos::test::write_file;
using test::found_secrets;
using test::named_secret;
using test::now;
using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

void write_private(const fs::path& file, const std::string& content) {
  write_file(file, content);
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
}

/// A first node whose node key is kept in one of the ways that need no TPM.
class kept_node : public testing::Test {
protected:
  kept_node() {
    fs::create_directory(access.credentials_dir = directory.path() / "credentials");
    access.passphrase_file = directory.path() / "passphrase";
    write_private(access.credentials_dir / "node", credential);
    write_private(access.passphrase_file, passphrase + "\n");
  }
  fs::path data_dir() const { return directory.path() / "data"; }
  fs::path folder() const { return data_dir() / "node"; }
  node_key_request how(const std::string& source) const {
    return {parse_node_key_choice(source).value(), access};
  }
  void make(const std::string& source) {
    init_options options;
    options.data_dir = data_dir();
    options.cluster_name = "lab";
    options.node_name = "n1";
    options.dns_names = {"n1.example.org"};
    options.now = now;
    options.node_key = how(source);
    const auto made = init_cluster(options);
    ASSERT_TRUE(made.ok()) << made.failure().message;
  }
  std::shared_ptr<node_store> opened() const {
    auto node = node_store::open(data_dir(), access);
    EXPECT_TRUE(node.ok()) << (node.ok() ? "" : node.failure().message);
    return node.ok() ? *node : nullptr;
  }
  error refused() const {
    const auto node = node_store::open(data_dir(), access);
    EXPECT_FALSE(node.ok());
    return node.ok() ? error{} : node.failure();
  }
  key_recipient self(const node_store& node) const {
    return {node.identity().name, node.identity().certificate.public_key()};
  }
  /// A second data key, a key server's password and a signing key: all in the store as they would
  /// be in the configuration. Returns everything that is secret.
  std::vector<named_secret> use(const std::string& source) {
    auto node = opened();
    const auto members = std::vector{self(*node)};
    config_snapshot present;
    const auto key = make_data_key(present, members, *node->seals(), now).value();
    present.data_keys.set(key.object.name, std::make_shared<const data_key>(key.object));
    EXPECT_THAT(node->follow_data_keys(present, members), IsEmpty());
    const std::string password = "the password of a key server";
    const auto signing = crypto::generate_p256().value();
    rocksdb::write_batch batch;
    batch.put("test/password", node->seals()->seal(as_bytes(password), password_use("p"))->sealed);
    batch.put("test/token-key",
              node->seals()->seal(signing.pkcs8_der().reveal_secret(), token_key_use("k"))->sealed);
    batch.put("test/object", write_object(key.object));
    EXPECT_TRUE(node->store()->write(batch).ok());
    auto out = test::secrets_of(*node);
    out.push_back({"password", to_bytes(password)});
    out.push_back({"credential", to_bytes(credential)});
    out.push_back({"passphrase", to_bytes(passphrase)});
    test::add_key(out, "signing key", signing);
    const auto token = issue_join_token(*node, "https://n1.example.org", 600, now);
    out.push_back({"join token", to_bytes(parse_join_token(*token)->secret.reveal_secret())});
    node.reset();
    opened(); // recovery writes tables beside the log
    node_key_access any = access;
    const auto under = read_node_key(folder(), any);
    EXPECT_TRUE(under.ok()) << source;
    out.push_back({"node key", to_bytes(under->key->reveal_secret())});
    return out;
  }

  const std::string credential = "a credential of systemd's, long enough";
  const std::string passphrase = "correct horse battery staple";
  temporary_directory directory;
  node_key_access access;
};

} // namespace

TEST_F(kept_node, with_a_key_file_gives_away_that_key_only) {
  make("file");
  const auto secrets = use("file");
  EXPECT_THAT(found_secrets(data_dir(), secrets), testing::ElementsAre("node key in node.key"));
}

TEST_F(kept_node, with_a_credential_gives_nothing_away) {
  make("credential:node");
  EXPECT_THAT(found_secrets(data_dir(), use("credential")), IsEmpty());
}

TEST_F(kept_node, with_a_passphrase_gives_nothing_away) {
  make("passphrase");
  EXPECT_THAT(found_secrets(data_dir(), use("passphrase")), IsEmpty());
}

TEST_F(kept_node, gives_nothing_away_after_its_key_left_the_file) {
  make("file");
  auto secrets = use("file");
  const auto changed = rotate_node_key(data_dir(), access, how("credential:node"));
  ASSERT_TRUE(changed.ok()) << changed.failure().message;
  ASSERT_TRUE(opened());
  EXPECT_THAT(found_secrets(data_dir(), secrets), IsEmpty());
}

/// The search itself: each form is found.
TEST(secret_search, finds_every_form) {
  const temporary_directory d;
  const auto key = crypto::generate_p256().value();
  std::vector<named_secret> secrets;
  test::add_key(secrets, "key", key);
  const auto der = to_bytes(key.pkcs8_der().reveal_secret());
  const auto& scalar = secrets.front().octets;
  const auto found = [&](const std::string& content) {
    write_file(d.path() / "f", "before" + content + "after");
    return !found_secrets(d.path(), secrets).empty();
  };
  EXPECT_TRUE(found(std::string(as_text(scalar))));
  EXPECT_TRUE(found(crypto::hex(scalar)));
  EXPECT_TRUE(found(std::string(as_text(der))));
  EXPECT_TRUE(found(crypto::base64(der)));
  EXPECT_TRUE(found(crypto::base64url(der)));
  const auto pem = private_key_pem(key);
  EXPECT_TRUE(found(std::string(as_text(pem.reveal_secret()))));
  for (std::size_t before = 0; before < 3; ++before) {
    bytes shifted(before, 'x');
    shifted.insert(shifted.end(), scalar.begin(), scalar.end());
    shifted.insert(shifted.end(), 5, 'y');
    EXPECT_TRUE(found(crypto::base64(shifted))) << before;
    EXPECT_TRUE(found(crypto::base64url(shifted))) << before;
  }
  EXPECT_FALSE(found(crypto::hex(crypto::random_bytes(64))));
}

// ---- wrong keys ---------------------------------------------------------------------------------

TEST_F(kept_node, opens_with_its_passphrase_only) {
  make("passphrase");
  write_private(access.passphrase_file, "correct horse battery stable\n");
  const auto e = refused();
  EXPECT_EQ(e.code, errc::crypto_failure);
  EXPECT_EQ(e.field, "node_key");
  EXPECT_THAT(e.message, HasSubstr("passphrase is wrong"));
  write_private(access.passphrase_file, passphrase);
  EXPECT_TRUE(opened());
}

TEST_F(kept_node, opens_with_its_credential_only) {
  make("credential:node");
  write_private(access.credentials_dir / "node", std::string(64, 'x'));
  const auto e = refused();
  EXPECT_EQ(e.code, errc::crypto_failure);
  EXPECT_EQ(e.field, "node_key");
  EXPECT_THAT(e.message, HasSubstr("credential node"));
  access.credentials_dir.clear();
  EXPECT_EQ(refused().code, errc::not_found);
}

TEST_F(kept_node, notices_a_description_from_elsewhere) {
  make("credential:node");
  const auto record = folder() / "node-key.json";
  const auto mine = file_content(record);
  const auto other = directory.path() / "other";
  fs::create_directory(other);
  ASSERT_TRUE(make_node_key(other, how("credential:node")).ok());
  write_private(record, file_content(other / "node-key.json"));
  const auto e = refused();
  EXPECT_EQ(e.code, errc::crypto_failure);
  EXPECT_EQ(e.field, "node_key");
  write_private(record, mine);
  EXPECT_TRUE(opened());
}

TEST_F(kept_node, from_before_there_were_sources_opens) {
  make("file");
  fs::remove(folder() / "node-key.json");
  EXPECT_TRUE(opened());
}

// ---- another node key ---------------------------------------------------------------------------

namespace {

struct change {
  std::string from, to;
};

class changed_node : public kept_node, public testing::WithParamInterface<change> {};

} // namespace

/// Stopped before each step as by a crash, the directory opens with everything in it.
TEST_P(changed_node, opens_from_every_point_in_between) {
  make(GetParam().from);
  const auto before = opened()->identity();
  for (const auto at : {node_key_step::make_key, node_key_step::rewrap, node_key_step::install}) {
    const auto stopped = rotate_node_key(data_dir(), access, how(GetParam().to),
                                         [at](node_key_step step) -> result<void> {
                                           if (step == at)
                                             return make_error(errc::cancelled, "stopped");
                                           return {};
                                         });
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.failure().code, errc::cancelled);
    const auto node = opened();
    ASSERT_TRUE(node);
    EXPECT_TRUE(node->identity().tls_key.same_public(before.tls_key));
    EXPECT_FALSE(fs::exists(next_node_key_folder(folder())));
    // The write of the store is what counts.
    EXPECT_EQ(text_of(node->key_choice()),
              at == node_key_step::install ? GetParam().to : GetParam().from);
  }
  ASSERT_TRUE(rotate_node_key(data_dir(), access, how(GetParam().to)).ok());
  const auto node = opened();
  ASSERT_TRUE(node);
  EXPECT_TRUE(node->identity().tls_key.same_public(before.tls_key));
  EXPECT_EQ(text_of(node->key_choice()), GetParam().to);
  EXPECT_EQ(fs::exists(folder() / "node.key"), GetParam().to == "file");
}

INSTANTIATE_TEST_SUITE_P(sources, changed_node,
                         testing::Values(change{"file", "credential:node"}, change{"file", "file"},
                                         change{"credential:node", "passphrase"},
                                         change{"passphrase", "file"}));

TEST_F(kept_node, keeps_its_key_where_the_new_one_cannot_be_made) {
  make("file");
  auto next = how("tpm");
  next.access.tcti = "none-such:";
  EXPECT_EQ(rotate_node_key(data_dir(), access, next).failure().field, "node_key");
  next = how("credential:none");
  EXPECT_EQ(rotate_node_key(data_dir(), access, next).failure().code, errc::not_found);
  const auto node = opened();
  ASSERT_TRUE(node);
  EXPECT_EQ(text_of(node->key_choice()), "file");
  EXPECT_EQ(rotate_node_key(data_dir(), access, how("file")).failure().code, errc::unavailable)
      << "a node that runs";
}

TEST_F(kept_node, is_changed_by_its_owner_only) {
  if (::geteuid() != 0)
    GTEST_SKIP() << "only root can give a folder away";
  make("file");
  ASSERT_EQ(::chown(folder().c_str(), 12345, 12345), 0);
  const auto changed = rotate_node_key(data_dir(), access, how("file"));
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.failure().code, errc::forbidden);
  EXPECT_EQ(changed.failure().field, "node_key");
}

} // namespace custos::cluster
