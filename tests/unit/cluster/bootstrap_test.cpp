#include "cluster/bootstrap.hpp"

#include "cluster/config_storage.hpp"
#include "cluster/replica/raft_store.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

namespace custos::cluster {

namespace {

using custos::test::temporary_directory;
using custos::test::write_file;
using test::now;
using testing::HasSubstr;

namespace fs = std::filesystem;

init_options options_in(const fs::path& data_dir) {
  init_options out;
  out.data_dir = data_dir;
  out.cluster_name = "lab";
  out.node_name = "n1";
  out.dns_names = {"n1.example.org"};
  out.ip_addresses = {"192.0.2.1"};
  out.now = now;
  return out;
}

std::shared_ptr<node_store> opened(const fs::path& data_dir) {
  auto node = node_store::open(data_dir);
  EXPECT_TRUE(node.ok()) << (node.ok() ? "" : node.failure().message);
  return node.ok() ? *node : nullptr;
}

error refused(const fs::path& data_dir) {
  auto node = node_store::open(data_dir);
  EXPECT_FALSE(node.ok());
  return node.ok() ? error{} : node.failure();
}

config_state state_of(const node_store& node) {
  return load_state(*node.store()).value();
}

/// A directory with a first node.
class first_node : public testing::Test {
protected:
  first_node() {
    auto done = init_cluster(options_in(data_dir()));
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.failure().message);
    if (done)
      made = std::move(*done);
  }
  fs::path data_dir() const { return directory.path() / "data"; }
  fs::path key_file() const { return data_dir() / "node" / "node.key"; }
  fs::path db() const { return data_dir() / "node" / "db"; }

  temporary_directory directory;
  initialized made;
};

} // namespace

TEST_F(first_node, opens_with_everything_in_place) {
  const auto node = opened(data_dir());
  ASSERT_TRUE(node);
  EXPECT_EQ(node->keys()->cluster_id, made.cluster_id);
  EXPECT_EQ(node->keys()->issuer, "https://n1.example.org");
  EXPECT_EQ(node->identity().name, "n1");
  const auto state = state_of(*node);
  EXPECT_EQ(state.revision(), 1U);
  EXPECT_EQ(state.snapshot()->principals.at("admin").may, role::administrator);
  struct stat found {};
  ASSERT_EQ(::stat(key_file().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0600U);
  ASSERT_EQ(::stat((data_dir() / "node").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0700U);
}

TEST_F(first_node, gives_the_administrator_a_certificate) {
  const auto& admin = made.administrator;
  const auto cert = crypto::certificate_from_pem(as_bytes(admin.certificate_pem)).value();
  const auto ca = crypto::certificate_from_pem(as_bytes(admin.ca_pem)).value();
  const auto key = crypto::private_key_from_pem(admin.private_key_pem.reveal_secret());
  ASSERT_TRUE(key.ok()) << key.failure().message;
  EXPECT_TRUE(cert.public_key().same_public(*key));
  EXPECT_EQ(cert.common_name(), "admin");
  crypto::verify_options options;
  options.now = now;
  options.use = crypto::purpose::tls_client;
  EXPECT_TRUE(crypto::verify_chain(cert, {}, {ca}, options).ok());
  options.use = crypto::purpose::tls_server;
  EXPECT_FALSE(crypto::verify_chain(cert, {}, {ca}, options).ok());
}

TEST_F(first_node, is_made_once) {
  const auto again = init_cluster(options_in(data_dir()));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.failure().code, errc::already_exists);
  EXPECT_EQ(opened(data_dir())->keys()->cluster_id, made.cluster_id);
}

TEST_F(first_node, opens_in_one_process_only) {
  const auto node = opened(data_dir());
  EXPECT_EQ(refused(data_dir()).code, errc::unavailable);
}

TEST_F(first_node, restarts_with_the_same_configuration) {
  const auto before = state_of(*opened(data_dir()));
  EXPECT_EQ(before.revision(), 1U);
  EXPECT_EQ(before.applied_index(), 1U);
  const auto after = state_of(*opened(data_dir()));
  EXPECT_EQ(after.fingerprint(), before.fingerprint());
  const auto replica = replica::load_replica(*opened(data_dir())->store());
  ASSERT_TRUE(replica.ok()) << replica.failure().message;
  EXPECT_EQ(replica->self, 1U);
  EXPECT_TRUE(raft::is_voter(*replica->base.members, 1));
}

TEST_F(first_node, keeps_commands_that_were_left_for_it) {
  {
    const auto node = opened(data_dir());
    ASSERT_TRUE(leave_command(*node, principal_command("aud", role::auditor, "test")).ok());
  }
  const auto node = opened(data_dir());
  const auto left = left_commands(*node);
  ASSERT_TRUE(left.ok()) << left.failure().message;
  ASSERT_EQ(left->size(), 1U);
  EXPECT_EQ(left->front().name, "aud");
  EXPECT_EQ(state_of(*node).revision(), 1U) << "nothing changes but through the log";
  ASSERT_TRUE(forget_left_command(*node, left->front().operation_id).ok());
  EXPECT_TRUE(left_commands(*node)->empty());
}

TEST_F(first_node, says_when_the_node_key_is_missing) {
  fs::remove(key_file());
  const auto e = refused(data_dir());
  EXPECT_EQ(e.code, errc::not_found);
  EXPECT_EQ(e.field, "node_key");
}

TEST_F(first_node, says_when_the_node_key_is_of_another_node) {
  fs::remove(key_file());
  ASSERT_TRUE(create_node_key_file(key_file()).ok());
  const auto e = refused(data_dir());
  EXPECT_EQ(e.code, errc::crypto_failure);
  EXPECT_EQ(e.field, "node_key");
}

TEST_F(first_node, says_when_others_can_read_the_node_key) {
  ASSERT_EQ(::chmod(key_file().c_str(), 0644), 0);
  EXPECT_EQ(refused(data_dir()).code, errc::forbidden);
}

TEST_F(first_node, says_when_the_format_is_of_another_version) {
  {
    const auto store = rocksdb::open_store(db());
    rocksdb::write_batch batch;
    batch.put("format", "custos-node-9");
    ASSERT_TRUE((*store)->write(batch).ok());
  }
  const auto e = refused(data_dir());
  EXPECT_EQ(e.code, errc::unsupported);
  EXPECT_THAT(e.message, HasSubstr("custos-node-9"));
  {
    const auto store = rocksdb::open_store(db());
    rocksdb::write_batch batch;
    batch.erase("format");
    ASSERT_TRUE((*store)->write(batch).ok());
  }
  EXPECT_EQ(refused(data_dir()).code, errc::corrupted);
}

TEST_F(first_node, says_when_the_store_is_gone) {
  fs::remove_all(db());
  EXPECT_EQ(refused(data_dir()).code, errc::corrupted);
}

TEST(init, refuses_bad_options_and_leaves_nothing) {
  const temporary_directory d;
  auto options = options_in(d.path() / "data");
  options.node_name = "n/1";
  EXPECT_EQ(init_cluster(options).failure().field, "node_name");
  options = options_in(d.path() / "data");
  options.dns_names.clear();
  options.ip_addresses.clear();
  EXPECT_EQ(init_cluster(options).failure().field, "dns_names");
  options = options_in(d.path() / "data");
  options.cluster_name.clear();
  EXPECT_EQ(init_cluster(options).failure().field, "cluster_name");
  options = options_in(d.path() / "data");
  options.issuer = "ftp://x";
  EXPECT_EQ(init_cluster(options).failure().field, "issuer");
  EXPECT_FALSE(fs::exists(d.path() / "data"));
  EXPECT_EQ(refused(d.path() / "data").code, errc::not_found);
}

TEST(init, sweeps_up_after_an_attempt_that_died) {
  const temporary_directory d;
  fs::create_directories(d.path() / ".node-dead01" / "db");
  write_file(d.path() / ".node-dead01" / "db" / "CURRENT", "MANIFEST-000001\n");
  write_file(d.path() / "audit.jsonl", "kept");
  EXPECT_EQ(refused(d.path()).code, errc::not_found); // half a node is no node
  ASSERT_TRUE(init_cluster(options_in(d.path())).ok());
  EXPECT_FALSE(fs::exists(d.path() / ".node-dead01"));
  EXPECT_TRUE(fs::exists(d.path() / "audit.jsonl"));
  EXPECT_TRUE(opened(d.path()));
}

TEST(init, takes_an_address_as_issuer) {
  const temporary_directory d;
  auto options = options_in(d.path());
  options.dns_names.clear();
  options.ip_addresses = {"2001:db8::1"};
  ASSERT_TRUE(init_cluster(options).ok());
  EXPECT_EQ(opened(d.path())->keys()->issuer, "https://[2001:db8::1]");
}

TEST_F(first_node, issues_client_certificates) {
  const auto node = opened(data_dir());
  const auto key = crypto::generate_p256().value();
  crypto::certificate_request subject;
  subject.common_name = "coordinator";
  client_request request{"coordinator", crypto::make_csr_pem(subject, key).value()};
  const auto issued = issue_client_certificate(*node->keys(), request, now);
  ASSERT_TRUE(issued.ok()) << issued.failure().message;
  EXPECT_TRUE(issued->private_key_pem.empty());
  const auto cert = crypto::certificate_from_pem(as_bytes(issued->certificate_pem)).value();
  EXPECT_TRUE(cert.public_key().same_public(key));
  EXPECT_EQ(cert.common_name(), "coordinator");
  EXPECT_EQ(cert.not_after(), now + client_certificate_life_s);

  request.name = "other";
  EXPECT_EQ(issue_client_certificate(*node->keys(), request, now).failure().field, "csr");
  EXPECT_EQ(issue_client_certificate(*node->keys(), {"x", "nonsense"}, now).failure().field, "csr");
  EXPECT_EQ(issue_client_certificate(*node->keys(), {"node:n1", {}}, now).failure().field, "name");
  EXPECT_EQ(issue_client_certificate(*node->keys(), {"x", {}, 60}, now).failure().field, "life_s");
}

TEST_F(first_node, renews_its_certificate) {
  bytes before;
  bytes after;
  {
    const auto node = opened(data_dir());
    const auto present = node->identity().certificate;
    before = present.der();
    const auto renewed = renewed_identity(*node, now + 60);
    ASSERT_TRUE(renewed.ok());
    EXPECT_EQ(renewed->certificate.dns_names(), present.dns_names());
    EXPECT_EQ(renewed->certificate.ip_addresses(), present.ip_addresses());
    EXPECT_EQ(node->identity().certificate.der(), before) << "nothing is stored yet";
    ASSERT_TRUE(node->replace_identity(*renewed).ok());
    after = renewed->certificate.der();
    EXPECT_EQ(node->identity().certificate.der(), after);
  }
  EXPECT_NE(before, after);
  const auto node = opened(data_dir());
  EXPECT_EQ(node->identity().certificate.der(), after);
  EXPECT_TRUE(node->identity().certificate.public_key().same_public(node->identity().tls_key));
}

} // namespace custos::cluster
