// The node key in a (software) TPM: what it gives back to whom, what is seen on the way to it, and
// a whole data directory with and without it.

#include "adapters/tpm/host_tpm.hpp"
#include "tests/system/software_tpm.hpp"
#include "tests/unit/cluster/secret_search.hpp"
#include "tests/unit/cluster/test_certificates.hpp"

#include <gmock/gmock.h>

namespace custos::cluster {

namespace {

using custos::test::file_content;
using custos::test::software_tpm;
using custos::test::temporary_directory;
using custos::test::write_file;
using test::found_secrets;
using test::now;
using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

constexpr std::uint32_t pcrs_0_7 = 0x81;

class sealed_by_tpm : public testing::Test {
protected:
  static std::unique_ptr<tpm::host_tpm> device(const std::string& tcti) {
    auto out = tpm::host_tpm::open(tcti);
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().message);
    return out.ok() ? *std::move(out) : nullptr;
  }
  tpm::sealed_object seal(std::uint32_t pcrs) const {
    auto out = device(tpm_.tcti())->seal(secret, pcrs);
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().message);
    return *std::move(out);
  }
  /// "ok", "another secret", or the error.
  std::string unseal(const tpm::sealed_object& object, std::uint32_t pcrs) const {
    return unseal_by(tpm_.tcti(), object, pcrs);
  }
  std::string unseal_by(const std::string& tcti, const tpm::sealed_object& object,
                        std::uint32_t pcrs) const {
    const auto out = device(tcti)->unseal(object, pcrs);
    if (!out)
      return std::string(to_string(out.failure().code));
    return crypto::equal(out->reveal_secret(), secret.reveal_secret()) ? "ok" : "another secret";
  }
  void extend(std::uint32_t pcr) const {
    EXPECT_EQ(
        tpm_.tool("tpm2_pcrextend " + std::to_string(pcr) + ":sha256=" + std::string(64, 'a')), "");
  }
  void reboot() {
    tpm_.power_off();
    tpm_.power_on();
  }

  software_tpm tpm_;
  const crypto::secret_bytes secret = crypto::random_secret(node_key_bytes);
};

} // namespace

TEST_F(sealed_by_tpm, comes_back_after_reboots) {
  const auto object = seal(0);
  EXPECT_EQ(unseal(object, 0), "ok");
  extend(7);
  EXPECT_EQ(unseal(object, 0), "ok") << "sealed to no PCR";
  reboot();
  for (int i = 0; i < 4; ++i) // a TPM has three slots
    EXPECT_EQ(unseal(object, 0), "ok");
  EXPECT_EQ(tpm_.tool("tpm2_getcap handles-transient"), "");
  EXPECT_EQ(tpm_.tool("tpm2_getcap handles-loaded-session"), "");
}

TEST_F(sealed_by_tpm, stays_back_while_a_pcr_is_another) {
  const auto object = seal(pcrs_0_7);
  EXPECT_EQ(unseal(object, pcrs_0_7), "ok");
  extend(8);
  EXPECT_EQ(unseal(object, pcrs_0_7), "ok");
  extend(7);
  EXPECT_EQ(unseal(object, pcrs_0_7), "forbidden");
  // Neither without the policy, nor with one of other PCRs.
  EXPECT_EQ(unseal(object, 0), "tpm-failure");
  EXPECT_EQ(unseal(object, 0x01), "forbidden");
  reboot();
  EXPECT_EQ(unseal(object, pcrs_0_7), "ok");
  EXPECT_EQ(tpm_.tool("tpm2_getcap handles-transient"), "");
  EXPECT_EQ(tpm_.tool("tpm2_getcap handles-loaded-session"), "");
}

TEST_F(sealed_by_tpm, is_useless_elsewhere) {
  const auto object = seal(0);
  const software_tpm other;
  EXPECT_EQ(unseal_by(other.tcti(), object, 0), "corrupted");
  // Not by name alone: the other one's storage key does not open it, either.
  auto renamed = object;
  renamed.parent_name = device(other.tcti())->seal(secret, 0)->parent_name;
  EXPECT_EQ(unseal_by(other.tcti(), renamed, 0), "corrupted");
  EXPECT_EQ(tpm_.tool("tpm2_clear"), "");
  EXPECT_EQ(unseal(object, 0), "corrupted");
}

TEST_F(sealed_by_tpm, changed_objects_are_noticed) {
  const auto good = seal(0);
  for (const auto part : {&tpm::sealed_object::public_area, &tpm::sealed_object::private_area,
                          &tpm::sealed_object::parent_name}) {
    auto object = good;
    (object.*part).back() ^= 1U;
    EXPECT_EQ(unseal(object, 0), "corrupted");
    (object.*part).pop_back();
    EXPECT_NE(unseal(object, 0), "ok");
    (object.*part).clear();
    EXPECT_NE(unseal(object, 0), "ok");
  }
  EXPECT_EQ(unseal(good, 0), "ok");
}

/// The TSS's own recorder between us and the TPM.
TEST_F(sealed_by_tpm, is_not_seen_on_the_bus) {
  const temporary_directory d;
  const auto capture = d.path() / "bus.pcap";
  ASSERT_EQ(::setenv("TCTI_PCAP_FILE", capture.c_str(), 1), 0);
  tpm::sealed_object object;
  {
    const auto recorded = device("pcap:" + tpm_.tcti());
    ASSERT_TRUE(recorded);
    object = *recorded->seal(secret, pcrs_0_7);
    EXPECT_TRUE(recorded->unseal(object, pcrs_0_7).ok());
    object = *recorded->seal(secret, 0);
    EXPECT_TRUE(recorded->unseal(object, 0).ok());
  }
  ::unsetenv("TCTI_PCAP_FILE");
  const auto seen = file_content(capture);
  EXPECT_EQ(seen.find(as_text(secret.reveal_secret())), std::string::npos);
  // What is public is seen.
  const byte_view area(object.public_area);
  EXPECT_NE(seen.find(as_text(area.last(32))), std::string::npos);
}

// ---- a node -------------------------------------------------------------------------------------

namespace {

class tpm_node : public sealed_by_tpm {
protected:
  fs::path data_dir() const { return directory.path() / "data"; }
  node_key_access access() const {
    node_key_access out;
    out.tcti = tpm_.tcti();
    return out;
  }
  node_key_request how(const std::string& source, const std::string& pcrs = {}) const {
    return {parse_node_key_choice(source, pcrs).value(), access()};
  }
  void make(const node_key_request& request) {
    init_options options;
    options.data_dir = data_dir();
    options.cluster_name = "lab";
    options.node_name = "n1";
    options.dns_names = {"n1.example.org"};
    options.now = now;
    options.node_key = request;
    const auto made = init_cluster(options);
    ASSERT_TRUE(made.ok()) << made.failure().message;
  }
  std::shared_ptr<node_store> opened() const {
    auto node = node_store::open(data_dir(), access());
    EXPECT_TRUE(node.ok()) << (node.ok() ? "" : node.failure().message);
    return node.ok() ? *node : nullptr;
  }
  /// The error's name; its field is always the node key.
  std::string refused(const node_key_access& with) const {
    const auto node = node_store::open(data_dir(), with);
    if (node)
      return "opened";
    EXPECT_EQ(node.failure().field, "node_key") << node.failure().message;
    return std::string(to_string(node.failure().code));
  }
  std::set<std::string> given_away() const {
    auto secrets = test::secrets_of(*opened());
    const auto key = read_node_key(data_dir() / "node", access());
    EXPECT_TRUE(key.ok());
    secrets.push_back({"node key", to_bytes(key->key->reveal_secret())});
    return found_secrets(data_dir(), secrets);
  }

  temporary_directory directory;
};

} // namespace

TEST_F(tpm_node, gives_nothing_away_and_opens_with_its_tpm_only) {
  make(how("tpm"));
  EXPECT_THAT(given_away(), IsEmpty());
  EXPECT_FALSE(fs::exists(data_dir() / "node" / "node.key"));
  reboot();
  EXPECT_TRUE(opened());
  {
    const software_tpm other;
    auto with = access();
    with.tcti = other.tcti();
    EXPECT_EQ(refused(with), "corrupted");
  }
  tpm_.power_off();
  EXPECT_EQ(refused(access()), "tpm-failure");
  tpm_.power_on();
  const auto file = data_dir() / "node" / "node-key.tpm";
  const auto good = file_content(file);
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{1}, std::size_t{5}, good.size() / 2, good.size() - 1}) {
    auto changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write_file(file, changed);
    EXPECT_EQ(refused(access()), "corrupted") << at;
  }
  write_file(file, good);
  EXPECT_TRUE(opened());
  fs::permissions(file, fs::perms(0644));
  EXPECT_EQ(refused(access()), "forbidden");
  fs::remove(file);
  EXPECT_EQ(refused(access()), "not-found");
}

TEST_F(tpm_node, of_other_pcrs_does_not_open) {
  make(how("tpm", "0,7"));
  EXPECT_EQ(text_of(opened()->key_choice()), "tpm (PCRs 0,7)");
  extend(7);
  const auto node = node_store::open(data_dir(), access());
  ASSERT_FALSE(node.ok());
  EXPECT_EQ(node.failure().code, errc::forbidden);
  EXPECT_EQ(node.failure().field, "node_key");
  EXPECT_THAT(node.failure().message, HasSubstr("PCRs 0,7"));
  // Whoever writes other PCRs into the description gains nothing.
  const auto record = data_dir() / "node" / "node-key.json";
  auto text = file_content(record);
  text.replace(text.find("\"pcrs\":[0,7],"), 13, "");
  write_file(record, text);
  EXPECT_EQ(refused(access()), "tpm-failure");
}

TEST_F(tpm_node, moves_into_its_tpm_and_out_again) {
  make(how("file"));
  EXPECT_THAT(given_away(), testing::ElementsAre("node key in node.key"));
  const auto before = read_node_key(data_dir() / "node", access());
  ASSERT_TRUE(before.ok());
  for (const auto& next : {how("tpm", "0,7"), how("tpm"), how("file")}) {
    const auto source = text_of(next.choice);
    for (const auto at : {node_key_step::rewrap, node_key_step::install}) {
      const auto stopped =
          rotate_node_key(data_dir(), access(), next, [at](node_key_step step) -> result<void> {
            if (step == at)
              return make_error(errc::cancelled, "stopped");
            return {};
          });
      EXPECT_EQ(stopped.failure().code, errc::cancelled) << source;
      EXPECT_TRUE(opened()) << source;
    }
    ASSERT_TRUE(rotate_node_key(data_dir(), access(), next).ok()) << source;
    EXPECT_EQ(text_of(opened()->key_choice()), source);
    EXPECT_EQ(given_away().size(), next.choice.source == node_key_source::file ? 1U : 0U);
    EXPECT_THAT(
        found_secrets(data_dir(), {{"old node key", to_bytes(before->key->reveal_secret())}}),
        IsEmpty());
  }
}

} // namespace custos::cluster
