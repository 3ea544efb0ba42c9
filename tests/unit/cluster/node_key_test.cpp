#include "cluster/node_key.hpp"

#include "adapters/crypto/crypto.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

namespace custos::cluster {

namespace {

using custos::test::file_content;
using custos::test::temporary_directory;
using custos::test::write_file;
using testing::HasSubstr;

namespace fs = std::filesystem;

void write_private(const fs::path& file, const std::string& content, mode_t mode = 0600) {
  fs::remove(file);
  write_file(file, content);
  ASSERT_EQ(::chmod(file.c_str(), mode), 0);
}

node_key_choice choice(std::string_view text) {
  return parse_node_key_choice(text).value();
}

/// A folder for the key and what the sources need.
class node_key_of : public testing::Test {
protected:
  node_key_of() {
    fs::create_directory(folder());
    fs::create_directory(directory.path() / "credentials");
    access.credentials_dir = directory.path() / "credentials";
    access.passphrase_file = directory.path() / "passphrase";
    access.tcti = "none-such:";
    write_private(access.credentials_dir / "node", std::string(32, 'c'), 0400);
    write_private(access.passphrase_file, "correct horse battery\n");
  }
  fs::path folder() const { return directory.path() / "node"; }
  fs::path record() const { return folder() / "node-key.json"; }
  node_key made(std::string_view source) {
    auto key = make_node_key(folder(), {choice(source), access});
    EXPECT_TRUE(key.ok()) << (key.ok() ? "" : key.failure().message);
    return *std::move(key);
  }
  /// The octets in hex, or what went wrong.
  std::string read() {
    const auto key = read_node_key(folder(), access);
    if (!key) {
      EXPECT_EQ(key.failure().field, "node_key") << key.failure().message;
    }
    return key ? crypto::hex(key->key->reveal_secret())
               : "error: " + std::string(to_string(key.failure().code));
  }
  std::string complaint() {
    const auto key = read_node_key(folder(), access);
    return key ? "none" : key.failure().message;
  }

  temporary_directory directory;
  node_key_access access;
};

std::string hex_of(const node_key& key) {
  return crypto::hex(key.key->reveal_secret());
}

} // namespace

TEST(node_key_choice, reads_what_people_type) {
  EXPECT_EQ(choice("file").source, node_key_source::file);
  EXPECT_EQ(choice("passphrase").source, node_key_source::passphrase);
  EXPECT_EQ(choice("credential:custos-node-key").credential, "custos-node-key");
  EXPECT_EQ(parse_node_key_choice("tpm", "0,7")->pcrs, 0x81U);
  EXPECT_EQ(choice("tpm").pcrs, 0U);
  EXPECT_EQ(text_of(choice("file")), "file");
  EXPECT_EQ(text_of(choice("credential:n")), "credential:n");
  EXPECT_EQ(text_of(*parse_node_key_choice("tpm", "7,0,14")), "tpm (PCRs 0,7,14)");
  for (const auto* const bad :
       {"", "File", "file:x", "credential", "credential:", "credential:../x", "credential:a/b",
        "tpm:0", "passphrase:x", "yubikey"}) {
    const auto out = parse_node_key_choice(bad);
    ASSERT_FALSE(out.ok()) << bad;
    EXPECT_EQ(out.failure().field, "node_key");
  }
  for (const auto* const bad : {"24", "16", "23", "-1", "a", "0,", ",0", "0,,7", "0 7", "0x1"})
    EXPECT_FALSE(parse_node_key_choice("tpm", bad).ok()) << bad;
  EXPECT_FALSE(parse_node_key_choice("file", "7").ok());
}

TEST_F(node_key_of, file_comes_back) {
  const auto key = made("file");
  EXPECT_EQ(read(), hex_of(key));
  EXPECT_EQ(file_content(folder() / "node.key"), as_text(key.key->reveal_secret()));
  EXPECT_EQ(read_node_key(folder(), access)->id, key.id);
  EXPECT_EQ(make_node_key(folder(), {choice("file"), access}).failure().code, errc::already_exists);
}

TEST_F(node_key_of, file_without_description_is_what_nodes_had_at_first) {
  const auto made = create_node_key_file(folder() / "node.key").value();
  const auto key = read_node_key(folder(), access);
  ASSERT_TRUE(key.ok()) << key.failure().message;
  EXPECT_EQ(key->choice.source, node_key_source::file);
  EXPECT_EQ(key->id, "");
  EXPECT_TRUE(crypto::equal(key->key->reveal_secret(), made.reveal_secret()));
}

TEST_F(node_key_of, credential_is_derived) {
  const auto key = made("credential:node");
  EXPECT_EQ(read(), hex_of(key));
  EXPECT_FALSE(fs::exists(folder() / "node.key"));
  EXPECT_NE(hex_of(key), crypto::hex(bytes(32, 'c')));
  // The salt is another one for each node key.
  fs::remove(record());
  EXPECT_NE(hex_of(made("credential:node")), hex_of(key));

  write_private(access.credentials_dir / "node", std::string(32, 'd'), 0400);
  EXPECT_NE(read(), hex_of(key)); // that it is wrong shows when nothing opens
  write_private(access.credentials_dir / "node", std::string(31, 'c'), 0400);
  EXPECT_EQ(read(), "error: corrupted");
  write_private(access.credentials_dir / "node", std::string(credential_bytes_max + 1, 'c'), 0400);
  EXPECT_EQ(read(), "error: corrupted");
  write_private(access.credentials_dir / "node", std::string(4096, 'c'), 0400);
  EXPECT_EQ(read().size(), 64U);
}

TEST_F(node_key_of, credential_is_as_systemd_gives_it) {
  const auto key = made("credential:node");
  const auto file = access.credentials_dir / "node";
  const bool root = ::geteuid() == 0;
  ASSERT_EQ(::chmod(file.c_str(), 0440), 0);
  // An access list for the service shows as the group's right to read: of root's file only.
  EXPECT_EQ(read(), root ? hex_of(key) : "error: forbidden");
  for (const mode_t mode : {0404U, 0460U, 0420U, 0444U}) {
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    EXPECT_EQ(read(), "error: forbidden") << std::oct << mode;
  }
  if (root) {
    ASSERT_EQ(::chmod(file.c_str(), 0440), 0);
    ASSERT_EQ(::chown(file.c_str(), 0, 12345), 0);
    EXPECT_EQ(read(), "error: forbidden");
    ASSERT_EQ(::chmod(file.c_str(), 0400), 0);
    ASSERT_EQ(::chown(file.c_str(), 12345, 0), 0);
    EXPECT_EQ(read(), "error: forbidden");
  }
  fs::remove(file);
  EXPECT_EQ(read(), "error: not-found");
  fs::create_symlink(access.passphrase_file, file);
  EXPECT_EQ(read(), "error: forbidden");
  access.credentials_dir.clear();
  EXPECT_EQ(read(), "error: not-found");
  EXPECT_THAT(complaint(), HasSubstr("LoadCredential"));
}

TEST_F(node_key_of, passphrase_is_stretched) {
  const auto key = made("passphrase");
  EXPECT_EQ(read(), hex_of(key));
  EXPECT_THAT(file_content(record()), HasSubstr(R"("scrypt":{"n":131072,"p":1,"r":8})"));
  // A line break at the end is none of it.
  write_private(access.passphrase_file, "correct horse battery");
  EXPECT_EQ(read(), hex_of(key));
  write_private(access.passphrase_file, "correct horse batterx\n");
  EXPECT_NE(read(), hex_of(key));
  write_private(access.passphrase_file, "\n");
  EXPECT_EQ(read(), "error: invalid-argument");
  write_private(access.passphrase_file, "correct horse battery\n", 0644);
  EXPECT_EQ(read(), "error: forbidden");
  access.passphrase_file.clear();
  EXPECT_EQ(read(), "error: not-found");
  EXPECT_THAT(complaint(), HasSubstr("--node-key-passphrase-file"));
}

TEST_F(node_key_of, passphrase_comes_through_a_pipe) {
  const auto key = made("passphrase");
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::write(ends[1], "correct horse battery\n", 22), 22);
  ::close(ends[1]);
  access.passphrase_file = "/dev/fd/" + std::to_string(ends[0]);
  EXPECT_EQ(read(), hex_of(key));
  ::close(ends[0]);
}

TEST_F(node_key_of, passphrase_is_not_too_short) {
  write_private(access.passphrase_file, "elevenbytes\n");
  const auto refused = make_node_key(folder(), {choice("passphrase"), access});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, errc::invalid_argument);
  EXPECT_EQ(refused.failure().field, "node_key");
  EXPECT_FALSE(fs::exists(record()));
}

TEST_F(node_key_of, tpm_that_is_not_there_is_said) {
  const auto refused = make_node_key(folder(), {choice("tpm"), access});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, errc::tpm_failure);
  EXPECT_EQ(refused.failure().field, "node_key");
  EXPECT_FALSE(fs::exists(record()));
}

TEST_F(node_key_of, description_is_read_with_suspicion) {
  made("passphrase");
  const auto good = file_content(record());
  struct stat found {};
  ASSERT_EQ(::stat(record().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0600U);
  const auto with = [&](const std::string& from, const std::string& to) {
    auto text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write_private(record(), text.replace(at, from.size(), to));
    return read();
  };
  EXPECT_EQ(with(R"("version":1)", R"("version":2)"), "error: corrupted");
  EXPECT_EQ(with(R"("n":131072)", R"("n":131073)"), "error: corrupted");
  EXPECT_EQ(with(R"("n":131072)", R"("n":1099511627776)"), "error: corrupted");
  EXPECT_EQ(with(R"("n":131072)", R"("n":2)"), "error: corrupted");
  EXPECT_EQ(with(R"("r":8)", R"("r":1000000)"), "error: corrupted");
  EXPECT_EQ(with(R"("salt":")", R"("salt":"AAAA)"), "error: corrupted");
  EXPECT_EQ(with(R"("source":"passphrase")", R"("source":"nothing")"), "error: corrupted");
  EXPECT_EQ(with(R"({"id":")", R"({"id":"0)"), "error: corrupted");
  EXPECT_EQ(with(R"("version":1)", R"("version":1,"more":1)"), "error: corrupted");
  write_private(record(), "{");
  EXPECT_EQ(read(), "error: corrupted");
  write_private(record(), std::string(5000, ' '));
  EXPECT_EQ(read(), "error: corrupted");
}

TEST_F(node_key_of, is_for_its_owner_only) {
  const auto file = folder() / "node.key";
  const auto key = made("file");
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U}) {
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    EXPECT_EQ(read(), "error: forbidden") << std::oct << mode;
  }
  ASSERT_EQ(::chmod(file.c_str(), 0400), 0);
  EXPECT_EQ(read(), hex_of(key));
  for (const std::size_t size : {0U, 31U, 33U}) {
    write_private(file, std::string(size, 'k'));
    EXPECT_EQ(read(), "error: corrupted") << size;
  }
  fs::remove(file);
  EXPECT_EQ(read(), "error: not-found");
  fs::create_symlink(access.passphrase_file, file);
  EXPECT_EQ(read(), "error: forbidden");
  fs::remove(file);
  fs::create_directory(file);
  EXPECT_EQ(read(), "error: forbidden");
}

TEST(node_key_wrapping, opens_under_one_key) {
  const auto node = crypto::random_secret(node_key_bytes);
  const auto data = crypto::random_secret(32);
  auto wrapped = wrap_secret(node, data);
  ASSERT_TRUE(wrapped.ok());
  EXPECT_TRUE(crypto::equal(unwrap_secret(node, *wrapped)->reveal_secret(), data.reveal_secret()));
  EXPECT_EQ(unwrap_secret(crypto::random_secret(node_key_bytes), *wrapped).failure().code,
            errc::crypto_failure);
  for (auto& octet : *wrapped) {
    octet ^= 1U;
    EXPECT_FALSE(unwrap_secret(node, *wrapped).ok());
    octet ^= 1U;
  }
  EXPECT_FALSE(unwrap_secret(node, {}).ok());
}

// ---- a new node key takes its place -------------------------------------------------------------

TEST_F(node_key_of, next_one_waits_until_the_store_names_it) {
  const auto present = made("file");
  const auto beside = next_node_key_folder(folder());
  const auto other = [&] {
    fs::create_directory(beside);
    return make_node_key(beside, {choice("credential:node"), access}).value();
  };
  // A crash before it counted: it goes.
  other();
  ASSERT_TRUE(settle_node_key(folder(), present.id).ok());
  EXPECT_FALSE(fs::exists(beside));
  EXPECT_EQ(read(), hex_of(present));
  // Torn: the same.
  fs::create_directory(beside);
  write_private(beside / "node-key.json", "{\"ver");
  ASSERT_TRUE(settle_node_key(folder(), present.id).ok());
  EXPECT_FALSE(fs::exists(beside));
  // After it counted: it takes its place, and nothing of the old one stays.
  const auto next = other();
  ASSERT_TRUE(settle_node_key(folder(), next.id).ok());
  EXPECT_FALSE(fs::exists(beside));
  EXPECT_FALSE(fs::exists(folder() / "node.key"));
  EXPECT_EQ(read(), hex_of(next));
}

TEST_F(node_key_of, next_one_takes_its_place_from_every_point_in_between) {
  made("file");
  const auto beside = next_node_key_folder(folder());
  fs::create_directory(beside);
  const auto next = make_node_key(beside, {choice("file"), access}).value();
  fs::rename(beside / "node.key", folder() / "node.key"); // stopped after this
  ASSERT_TRUE(settle_node_key(folder(), next.id).ok());
  EXPECT_EQ(read(), hex_of(next));
  fs::create_directory(beside); // or before the empty folder went
  ASSERT_TRUE(settle_node_key(folder(), next.id).ok());
  EXPECT_EQ(read(), hex_of(next));
  EXPECT_FALSE(fs::exists(beside));
}

TEST_F(node_key_of, nothing_goes_that_could_be_the_only_key) {
  made("file");
  const auto beside = next_node_key_folder(folder());
  fs::create_directory(beside);
  const auto next = make_node_key(beside, {choice("file"), access}).value();
  write_private(beside / "node-key.json", "damaged");
  const auto refused = settle_node_key(folder(), next.id);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().field, "node_key");
  EXPECT_TRUE(fs::exists(beside / "node.key"));
  EXPECT_TRUE(fs::exists(folder() / "node.key"));
}

} // namespace custos::cluster
