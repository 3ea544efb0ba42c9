#include "actors/coordinator/inventory.hpp"
#include "cluster/backup/content.hpp"
#include "cluster/bootstrap.hpp"
#include "cluster/config_storage.hpp"
#include "runtime/cli/backup_files.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/exit_codes.hpp"
#include "runtime/files.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"
#include "tests/unit/cluster/backup/samples.hpp"

#include <boost/json.hpp>
#include <sys/stat.h>

namespace custos::cli {

namespace {

namespace bj = boost::json;
namespace fs = std::filesystem;
using custos::test::file_content;
using custos::test::temporary_directory;

/// The command line, and a backup for a key that lies in a file.
class backup_cli : public testing::Test {
protected:
  backup_cli() {
    custos::test::write_file(
        at("reader.key"), std::string(as_text(cluster::private_key_pem(reader).reveal_secret())));
    custos::test::write_file(
        at("other.key"),
        std::string(
            as_text(cluster::private_key_pem(crypto::generate_p256().value()).reveal_secret())));
    custos::test::write_file(at("b"), old.file({reader}));
  }
  [[nodiscard]] std::string at(const std::string& name) const { return directory.path() / name; }

  int call(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"custos", "backup"});
    arguments.emplace_back("--json");
    std::vector<const char*> argv;
    for (const auto& a : arguments)
      argv.push_back(a.c_str());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run(static_cast<int>(argv.size()), argv.data());
    written = testing::internal::GetCapturedStdout();
    complained = testing::internal::GetCapturedStderr();
    return code;
  }
  [[nodiscard]] bj::object answer() const {
    boost::system::error_code failed;
    const auto parsed = bj::parse(written, failed);
    EXPECT_TRUE(parsed.is_object()) << written << complained;
    return parsed.is_object() ? parsed.get_object() : bj::object();
  }
  std::vector<std::string> restoring(const std::string& file, const std::string& data_dir) const {
    return {"restore", file, "--recipient-key", at("reader.key"), "--data-dir", data_dir};
  }

  temporary_directory directory;
  backup::test::sample_cluster old;
  crypto::key reader = crypto::generate_p256().value();
  std::string written;
  std::string complained;
};

std::string change(std::string text, std::size_t at) {
  text[at] = static_cast<char>(text[at] ^ 1);
  return text;
}

} // namespace

TEST_F(backup_cli, shows_what_a_backup_says_of_itself) {
  ASSERT_EQ(call({"inspect", at("b")}), runtime::exit_ok) << complained;
  const auto said = answer();
  EXPECT_EQ(said.at("kind").as_string(), "cluster");
  EXPECT_EQ(said.at("fingerprint").as_string(), old.state.fingerprint());
  EXPECT_EQ(said.at("signature").as_string(), "good");
  EXPECT_EQ(said.at("signer").as_object().at("sha256").as_string(),
            crypto::hex(old.keys.ca_certificate.fingerprint()));
}

TEST_F(backup_cli, tells_by_exit_code_what_is_wrong) {
  const auto key = at("reader.key");
  EXPECT_EQ(call({"verify", at("b")}), runtime::exit_ok);
  EXPECT_EQ(call({"verify", at("b"), "--recipient-key", key}), runtime::exit_ok) << complained;
  EXPECT_EQ(answer().at("content").as_string(), "good");
  EXPECT_EQ(call({"verify", at("b"), "--recipient-key", at("other.key")}), runtime::exit_denied);
  custos::test::write_file(at("phrase"), "correct horse battery\n");
  EXPECT_EQ(call({"verify", at("b"), "--passphrase-file", at("phrase")}), runtime::exit_denied);
  EXPECT_EQ(call({"verify", at("b"), "--passphrase-file", at("phrase"), "--recipient-key", key}),
            runtime::exit_usage);
  EXPECT_EQ(call({"verify", at("none")}), runtime::exit_no_input);
  const auto good = file_content(at("b"));
  for (const auto& bad : {change(good, good.size() - 5), good.substr(0, good.size() - 1),
                          change(good, good.find("principals")), std::string("x")}) {
    custos::test::write_file(at("bad"), bad);
    EXPECT_EQ(call({"verify", at("bad")}), runtime::exit_bad_data) << complained;
    EXPECT_NE(complained.find(at("bad")), std::string::npos) << complained;
  }
}

TEST_F(backup_cli, opens_with_the_passphrase_as_editors_leave_it) {
  custos::test::write_file(at("p"), old.file({backup::test::secret("correct horse battery")}));
  custos::test::write_file(at("phrase"), "correct horse battery\r\n");
  EXPECT_EQ(call({"verify", at("p"), "--passphrase-file", at("phrase")}), runtime::exit_ok)
      << complained;
}

TEST_F(backup_cli, shows_one_object) {
  const auto key = at("reader.key");
  ASSERT_EQ(call({"show", at("b"), "principals/admin", "--recipient-key", key}), runtime::exit_ok)
      << complained;
  EXPECT_EQ(answer(), (bj::object{{"role", "administrator"}}));
  EXPECT_EQ(call({"show", at("b"), "principals/nobody", "--recipient-key", key}),
            runtime::exit_no_input);
  EXPECT_EQ(call({"show", at("b"), "admin", "--recipient-key", key}), runtime::exit_bad_data);
}

TEST_F(backup_cli, restores_a_cluster_with_its_administrators) {
  auto arguments = restoring(at("b"), at("data"));
  EXPECT_EQ(call(arguments), runtime::exit_usage) << "a node needs a name";
  arguments.insert(arguments.end(), {"--node-name", "m1", "--addresses", "m1.example.org,192.0.2.1",
                                     "--admin-dir", at("admin")});
  auto other = arguments;
  other.insert(other.end(), {"--admin-name", "audrey"});
  EXPECT_EQ(call(other), runtime::exit_usage) << "an auditor is no administrator";
  EXPECT_FALSE(fs::exists(at("data")));
  ASSERT_EQ(call(arguments), runtime::exit_ok) << complained;
  EXPECT_EQ(answer().at("fingerprint").as_string(), old.state.fingerprint());
  struct stat found {};
  ASSERT_EQ(::stat((at("admin") + "/admin.key").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0600U);
  const auto admin =
      crypto::certificate_from_pem(as_bytes(file_content(at("admin") + "/admin.crt"))).value();
  crypto::verify_options options;
  options.now = admin.not_before() + 3600;
  options.ignore_validity = true; // the test's authority is of another year
  EXPECT_TRUE(crypto::verify_chain(admin, {}, {old.keys.ca_certificate}, options).ok());
  {
    const auto node = cluster::node_store::open(at("data")).value();
    EXPECT_EQ(node->identity().certificate.common_name(), "node:m1");
    EXPECT_EQ(answer().at("cluster_id").as_string(), node->keys()->cluster_id);
    EXPECT_NE(node->keys()->cluster_id, old.keys.cluster_id);
  }
  fs::remove_all(at("admin"));
  EXPECT_EQ(call(arguments), runtime::exit_cannot_create);
}

// ---- a coordinator ------------------------------------------------------------------------------

namespace {

/// An inventory with something in it, and its backup.
class coordinator_backup_cli : public backup_cli {
protected:
  coordinator_backup_cli() {
    const auto store = rocksdb::make_memory_store();
    const auto known = coordinator::inventory::open(store).value();
    EXPECT_TRUE(known->add_cluster({"fleet", coordinator::cluster_type::trusted}).ok());
    EXPECT_TRUE(known->add_member({"web-1", "fleet", "https://web-1:443", "PEM"}).ok());
    content.entries = known->entries().value();
    const auto identity = cluster::test::self_signed("coordinator", false);
    content.certificate_pem = identity.cert.pem();
    content.private_key = identity.key.pkcs8_der();
    write({"coordinator", identity.cert, identity.key});
  }
  void write(const backup::coordinator_signer& by) const {
    custos::test::write_file(
        at("c"), backup::back_up_coordinator(by, content, {reader}, backup::test::now).value());
  }

  backup::coordinator_content content;
};

} // namespace

TEST_F(coordinator_backup_cli, restores_inventory_and_identity) {
  ASSERT_EQ(call(restoring(at("c"), at("data"))), runtime::exit_ok) << complained;
  {
    const auto known =
        coordinator::inventory::open(rocksdb::open_store(at("data") + "/db").value()).value();
    ASSERT_EQ(known->members("fleet").size(), 1U);
    EXPECT_EQ(known->members("fleet").front().url, "https://web-1:443");
  }
  const auto identity = runtime::load_or_make_identity(
      {at("data"), "coordinator", "another name", {"127.0.0.1"}}, backup::test::now);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->certificate_chain_pem, content.certificate_pem);
  EXPECT_TRUE(crypto::equal(identity->private_key.pkcs8_der().reveal_secret(),
                            content.private_key.reveal_secret()));
  struct stat found {};
  ASSERT_EQ(::stat((at("data") + "/coordinator.key").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0600U);
  for (const auto& entry : fs::directory_iterator(at("data")))
    EXPECT_FALSE(entry.path().filename().string().starts_with(".restore"));
  EXPECT_EQ(call(restoring(at("c"), at("data"))), runtime::exit_cannot_create);
}

TEST_F(coordinator_backup_cli, takes_no_name_of_a_node) {
  auto arguments = restoring(at("c"), at("data"));
  arguments.insert(arguments.end(), {"--node-name", "m1"});
  EXPECT_EQ(call(arguments), runtime::exit_usage);
  EXPECT_FALSE(fs::exists(at("data")));
}

TEST_F(coordinator_backup_cli, shows_an_entry) {
  ASSERT_EQ(call({"show", at("c"), "cluster/fleet", "--recipient-key", at("reader.key")}),
            runtime::exit_ok);
  EXPECT_EQ(answer().at("id").as_string(), "fleet");
}

TEST_F(coordinator_backup_cli, is_verified_as_the_coordinator_will_read_it) {
  content.entries.push_back({"unknown/x", to_bytes("{}")});
  const auto key = crypto::private_key_from_pkcs8(content.private_key.reveal_secret()).value();
  write({"coordinator", crypto::certificate_from_pem(as_bytes(content.certificate_pem)).value(),
         key});
  EXPECT_EQ(call({"verify", at("c"), "--recipient-key", at("reader.key")}), runtime::exit_bad_data);
}

// ---- files --------------------------------------------------------------------------------------

TEST_F(backup_cli, never_writes_over_a_file) {
  const std::array parts{as_bytes("one"), as_bytes("two")};
  ASSERT_TRUE(runtime::write_new_file(at("new"), parts, 0600).ok());
  EXPECT_EQ(file_content(at("new")), "onetwo");
  struct stat found {};
  ASSERT_EQ(::stat(at("new").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0600U);
  const std::array other{as_bytes("three")};
  EXPECT_EQ(runtime::write_new_file(at("new"), other, 0600).failure().code, errc::already_exists);
  EXPECT_EQ(file_content(at("new")), "onetwo");
  EXPECT_EQ(runtime::write_new_file(at("no/folder"), other, 0600).failure().code,
            errc::storage_failure);
  std::size_t left = 0;
  for (const auto& entry : fs::directory_iterator(directory.path()))
    left += entry.path().filename().string().starts_with("new") ? 1 : 0;
  EXPECT_EQ(left, 1U) << "nothing unfinished stays behind";
}

TEST_F(backup_cli, creates_only_what_it_was_told_for_whom) {
  custos::test::write_file(at("phrase"), "correct horse battery");
  custos::test::write_file(at("short"), "short");
  const std::string out = at("out");
  EXPECT_EQ(call({"create", "--out", out, "--passphrase-file", at("phrase")}), runtime::exit_usage);
  EXPECT_EQ(call({"create", "--out", out, "--node", "https://127.0.0.1:1", "--from-coordinator",
                  "--passphrase-file", at("phrase")}),
            runtime::exit_usage);
  EXPECT_EQ(call({"create", "--out", out, "--node", "https://127.0.0.1:1"}), runtime::exit_usage);
  EXPECT_EQ(call({"create", "--out", out, "--node", "https://127.0.0.1:1", "--passphrase-file",
                  at("short")}),
            runtime::exit_bad_data);
  EXPECT_EQ(call({"create", "--out", at("b"), "--node", "https://127.0.0.1:1", "--passphrase-file",
                  at("phrase")}),
            runtime::exit_cannot_create);
  EXPECT_FALSE(fs::exists(out));
}

} // namespace custos::cli
