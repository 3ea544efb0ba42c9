#include "cluster/backup/content.hpp"

#include "cluster/backup/restore.hpp"
#include "cluster/backup/sections.hpp"
#include "cluster/config_storage.hpp"
#include "cluster/node_store.hpp"
#include "cluster/raft/core.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"
#include "tests/unit/cluster/backup/samples.hpp"
#include "tests/unit/cluster/secret_search.hpp"

#include <gmock/gmock.h>

namespace custos::backup {

namespace {

using custos::test::temporary_directory;
using test::read_all;
using test::sample_cluster;
using testing::HasSubstr;

/// A cluster and its backup for one key.
class cluster_backup : public testing::Test {
protected:
  cluster_backup() : file(old.file({reader})) {}

  /// Why the content is not read under another description than its own.
  [[nodiscard]] error refusal_of(const std::function<void(description&)>& change) const {
    const auto taken = read_file(as_bytes(file)).value();
    const auto content = open_content(taken, content_key_of(taken.head, reader).value()).value();
    auto about = taken.head.about;
    change(about);
    const auto read = read_cluster_content(about, content);
    return read.ok() ? make_error(errc::internal, "accepted") : read.failure();
  }

  sample_cluster old;
  crypto::key reader = crypto::generate_p256().value();
  std::string file;
};

/// Everything in the sample that nobody else may know.
std::vector<cluster::test::named_secret> secrets_of(const sample_cluster& cluster) {
  std::vector<cluster::test::named_secret> out{
      {"data key", to_bytes(cluster.ring.keys.front().key->reveal_secret())},
      {"challenge key", to_bytes(cluster.keys.challenge_key->reveal_secret())},
      {"passphrase", to_bytes(test::phrase)},
      {"password", to_bytes(test::server_password)}};
  cluster::test::add_key(out, "CA key", cluster.keys.ca_key);
  cluster::test::add_key(out, "token key", cluster.keys.token_key);
  cluster::test::add_key(out, "AK CA key", cluster.keys.ak_ca_key);
  cluster::test::add_key(out, "provider key", cluster.provider_key);
  return out;
}

std::vector<std::string> found_in(const std::string& octets,
                                  const std::vector<cluster::test::named_secret>& secrets) {
  std::vector<std::string> out;
  for (const auto& secret : secrets)
    for (const auto& form : cluster::test::forms_of(secret.octets))
      if (octets.find(form) != std::string::npos)
        out.push_back(secret.name);
  return out;
}

} // namespace

TEST_F(cluster_backup, gives_back_all_of_it) {
  const auto read = read_all(as_bytes(file), reader);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->state.fingerprint(), old.state.fingerprint());
  EXPECT_EQ(read->state.revision(), old.state.revision());
  EXPECT_NE(read->state.find(object_kind::host, "web-1"), nullptr);
  EXPECT_TRUE(crypto::equal(cluster::serialize(read->keys).reveal_secret(),
                            cluster::serialize(old.keys).reveal_secret()));
  EXPECT_TRUE(crypto::equal(cluster::serialize(read->data_keys).reveal_secret(),
                            cluster::serialize(old.ring).reveal_secret()));
}

TEST_F(cluster_backup, says_what_is_in_it) {
  const auto about = read_file(as_bytes(file)).value().head.about;
  EXPECT_EQ(about.kind, content_kind::cluster);
  EXPECT_EQ(about.name, "lab");
  EXPECT_EQ(about.cluster_id, old.keys.cluster_id);
  EXPECT_EQ(about.revision, old.state.revision());
  EXPECT_EQ(about.fingerprint, old.state.fingerprint());
  EXPECT_EQ(about.signer.fingerprint(), old.keys.ca_certificate.fingerprint());
  const std::map<std::string, std::uint64_t> objects{{"principals", 2},
                                                     {"settings", 1},
                                                     {"key-providers", 1},
                                                     {"hosts", 1},
                                                     {"endorsement-keys", 1}};
  EXPECT_EQ(about.objects, objects);
}

TEST_F(cluster_backup, shows_no_secret) {
  const auto secrets = secrets_of(old);
  const auto both = old.file({reader, test::secret(test::phrase)});
  EXPECT_THAT(found_in(both, secrets), testing::IsEmpty());
  EXPECT_EQ(both.find("PRIVATE KEY"), std::string::npos);
  // Not even a sealed value: what is sealed is sealed once more.
  const auto provider = old.state.snapshot()->key_providers.at("disk");
  EXPECT_EQ(both.find(crypto::base64url(provider.client_private_key.sealed)), std::string::npos);
  EXPECT_EQ(both.find("kms.example.org"), std::string::npos);
  // The search finds what is there: in the same content, opened.
  const auto taken = read_file(as_bytes(both)).value();
  const auto content = open_content(taken, content_key_of(taken.head, reader).value()).value();
  EXPECT_THAT(found_in(std::string(as_text(content)), secrets),
              testing::IsSupersetOf({"data key", "challenge key", "CA key", "token key"}));
}

TEST_F(cluster_backup, differs_each_time) {
  const auto again = old.file({reader});
  EXPECT_NE(file.substr(file.find('\n')), again.substr(again.find('\n')));
  EXPECT_NE(read_file(as_bytes(file))->head.about.id, read_file(as_bytes(again))->head.about.id);
}

TEST_F(cluster_backup, holds_what_its_description_says) {
  const auto message_with = [&](const std::function<void(description&)>& change) {
    return refusal_of(change).message;
  };
  EXPECT_EQ(message_with([](description&) {}), "accepted");
  EXPECT_THAT(message_with([](description& d) { d.revision += 1; }), HasSubstr("configuration"));
  EXPECT_THAT(message_with([](description& d) { d.fingerprint.front() ^= 1; }),
              HasSubstr("configuration"));
  EXPECT_THAT(message_with([](description& d) { d.objects["principals"] = 1; }),
              HasSubstr("configuration"));
  EXPECT_THAT(message_with([](description& d) { d.cluster_id = std::string(32, 'a'); }),
              HasSubstr("another cluster"));
  EXPECT_THAT(message_with([](description& d) {
                d.signer = cluster::test::self_signed("lab CA", true).cert;
              }),
              HasSubstr("signer"));
  EXPECT_EQ(refusal_of([](description& d) { d.kind = content_kind::coordinator; }).field,
            "/about/kind");
}

TEST_F(cluster_backup, has_keys_that_open_its_sealed_values) {
  const auto other = cluster::first_data_key_ring();
  const auto unusable =
      back_up_cluster(old.keys, cluster::sealer(other), old.state, {reader}, test::now);
  ASSERT_FALSE(unusable.ok()) << "it is not even made";
  EXPECT_EQ(unusable.failure().code, errc::corrupted);

  const auto taken = read_file(as_bytes(file)).value();
  const auto content = open_content(taken, content_key_of(taken.head, reader).value()).value();
  std::string forged;
  const auto wrong = cluster::serialize(other);
  const auto sections = read_sections(content).value();
  for (const auto& [tag, value] : sections) {
    const auto put = tag == section::data_keys ? wrong.reveal_secret() : value;
    forged += as_text(section_head(tag, put.size()));
    forged += as_text(put);
  }
  const auto read = read_cluster_content(taken.head.about, as_bytes(forged));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, errc::corrupted);
  EXPECT_THAT(read.failure().message, HasSubstr("key-provider/disk/client-private-key"));
}

TEST_F(cluster_backup, knows_which_objects_hold_sealed_values) {
  EXPECT_TRUE(holds_sealed_values(old.state.find(object_kind::key_provider, "disk")->value));
  EXPECT_FALSE(holds_sealed_values(old.state.find(object_kind::principal, "admin")->value));
  EXPECT_TRUE(holds_sealed_values(token_key{}));
  EXPECT_FALSE(holds_sealed_values(key_provider{}));
}

// ---- restore ------------------------------------------------------------------------------------

TEST_F(cluster_backup, becomes_a_new_cluster_with_the_same_keys) {
  const temporary_directory directory;
  restore_options options;
  options.data_dir = directory.path() / "data";
  options.node = {"m1", {"m1.example.org"}, {}, "m1.example.org:7000"};
  options.now = test::now + 3600;
  const auto content = read_all(as_bytes(file), reader).value();
  const auto restored = restore_cluster(options, content);
  ASSERT_TRUE(restored.ok()) << restored.failure().message;
  EXPECT_NE(restored->cluster_id, old.keys.cluster_id);

  const auto node = cluster::node_store::open(options.data_dir).value();
  EXPECT_EQ(node->keys()->cluster_id, restored->cluster_id);
  EXPECT_EQ(node->identity().name, "m1");
  EXPECT_EQ(node->keys()->issuer, old.keys.issuer);
  EXPECT_EQ(node->keys()->token_kid, old.keys.token_kid);
  EXPECT_EQ(node->keys()->ca_certificate.der(), old.keys.ca_certificate.der());
  EXPECT_EQ(node->keys()->ak_ca_certificate.der(), old.keys.ak_ca_certificate.der());
  EXPECT_TRUE(crypto::equal(node->keys()->challenge_key->reveal_secret(),
                            old.keys.challenge_key->reveal_secret()));
  const auto state = cluster::load_state(*node->store()).value();
  EXPECT_EQ(state.fingerprint(), old.state.fingerprint());
  EXPECT_EQ(state.revision(), old.state.revision());
  EXPECT_EQ(old.state.applied_index(), 17U);
  EXPECT_EQ(state.applied_index(), raft::bootstrap_base({}).index);
  EXPECT_FALSE(old.state.operations().empty());
  EXPECT_TRUE(state.operations().empty());

  // What reaches the primary key opens as before.
  const auto provider = state.snapshot()->key_providers.at("disk");
  const auto key =
      node->seals()->open(provider.client_private_key, cluster::client_private_key_use("disk"));
  ASSERT_TRUE(key.ok()) << key.failure().message;
  EXPECT_TRUE(crypto::private_key_from_pkcs8(key->reveal_secret())->same_public(old.provider_key));
  EXPECT_EQ(as_text(node->seals()
                        ->open(provider.password, cluster::password_use("disk"))
                        .value()
                        .reveal_secret()),
            test::server_password);
}

TEST_F(cluster_backup, is_never_restored_over_a_node) {
  const temporary_directory directory;
  restore_options options;
  options.data_dir = directory.path() / "data";
  options.node = {"m1", {"m1.example.org"}, {}, "m1.example.org:7000"};
  options.now = test::now;
  const auto content = read_all(as_bytes(file), reader).value();
  const auto first = restore_cluster(options, content).value();
  const auto again = restore_cluster(options, content);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.failure().code, errc::already_exists);
  EXPECT_EQ(cluster::node_store::open(options.data_dir).value()->keys()->cluster_id,
            first.cluster_id);
  options.node.name = "no/name";
  EXPECT_EQ(restore_cluster(options, content).failure().field, "node_name");
}

// ---- many objects -------------------------------------------------------------------------------

TEST(large_cluster_backup, holds_every_endorsement_key) {
  sample_cluster old;
  for (int i = 0; i < 5000; ++i) {
    endorsement_key ek;
    ek.name = "host-" + std::to_string(i);
    ek.spki_sha256 = crypto::digest(crypto::hash_alg::sha256, {as_bytes(ek.name)});
    test::put(old.state, object_kind::endorsement_key, ek.name, ek);
  }
  const auto reader = crypto::generate_p256().value();
  const auto file = old.file({reader});
  ASSERT_GT(file.size(), 4 * chunk_bytes);
  const auto read = read_all(as_bytes(file), reader);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->state.count(object_kind::endorsement_key), 5001U);
  EXPECT_EQ(read->state.fingerprint(), old.state.fingerprint());
}

// ---- coordinator --------------------------------------------------------------------------------

namespace {

coordinator_signer a_coordinator() {
  const auto made = cluster::test::self_signed("coordinator", false);
  return {"coordinator", made.cert, made.key};
}

coordinator_content content_of(const coordinator_signer& by) {
  coordinator_content out;
  out.entries = {{"cluster/fleet", to_bytes(R"({"id":"fleet","type":2})")},
                 {"cluster/prod", to_bytes(R"({"id":"prod","type":1})")},
                 {"desired/fleet", to_bytes("{}")}};
  out.certificate_pem = by.certificate.pem();
  out.private_key = by.private_key.pkcs8_der();
  return out;
}

result<coordinator_content> read_coordinator(const std::string& file, const opener& with) {
  CUSTOS_TRY(const auto opened, read_file(as_bytes(file)));
  CUSTOS_TRY(const auto key, content_key_of(opened.head, with));
  CUSTOS_TRY(const auto content, open_content(opened, key));
  return read_coordinator_content(opened.head.about, content);
}

} // namespace

TEST(coordinator_backup, gives_back_entries_and_identity) {
  const auto by = a_coordinator();
  const auto content = content_of(by);
  const auto reader = crypto::generate_p256().value();
  const auto file = back_up_coordinator(by, content, {reader}, test::now).value();
  const auto about = read_file(as_bytes(file)).value().head.about;
  EXPECT_EQ(about.kind, content_kind::coordinator);
  EXPECT_EQ(about.objects, (std::map<std::string, std::uint64_t>{{"cluster", 2}, {"desired", 1}}));
  EXPECT_EQ(file.find(crypto::base64url(by.private_key.pkcs8_der().reveal_secret())),
            std::string::npos);
  const auto back = read_coordinator(file, reader);
  ASSERT_TRUE(back.ok()) << back.failure().message;
  ASSERT_EQ(back->entries.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(back->entries[i].key, content.entries[i].key);
    EXPECT_EQ(back->entries[i].value, content.entries[i].value);
  }
  EXPECT_EQ(back->certificate_pem, content.certificate_pem);
  EXPECT_TRUE(
      crypto::equal(back->private_key.reveal_secret(), content.private_key.reveal_secret()));
  // It is no backup of a cluster.
  const auto taken = read_file(as_bytes(file)).value();
  const auto octets = open_content(taken, content_key_of(taken.head, reader).value()).value();
  EXPECT_EQ(read_cluster_content(taken.head.about, octets).failure().field, "/about/kind");
}

TEST(coordinator_backup, leaves_an_identity_from_elsewhere_where_it_is) {
  const auto by = a_coordinator();
  auto content = content_of(by);
  content.certificate_pem.clear();
  content.private_key = {};
  const auto reader = crypto::generate_p256().value();
  const auto file = back_up_coordinator(by, content, {reader}, test::now).value();
  const auto back = read_coordinator(file, reader);
  ASSERT_TRUE(back.ok()) << back.failure().message;
  EXPECT_TRUE(back->certificate_pem.empty());
  EXPECT_TRUE(back->private_key.empty());
}

TEST(coordinator_backup, is_signed_by_the_identity_in_it) {
  const auto by = a_coordinator();
  const auto content = content_of(a_coordinator());
  const auto reader = crypto::generate_p256().value();
  const auto file = back_up_coordinator(by, content, {reader}, test::now).value();
  EXPECT_THAT(read_coordinator(file, reader).failure().message, HasSubstr("signer"));
}

// ---- sections -----------------------------------------------------------------------------------

namespace {

bytes section_octets(std::uint8_t tag, std::size_t said, byte_view value) {
  const auto head = section_head(static_cast<section>(tag), said);
  std::string out(as_text(head));
  out += as_text(value);
  return to_bytes(out);
}

bytes joined(bytes a, const bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

} // namespace

TEST(backup_sections, account_for_every_octet) {
  const auto a = section_octets(1, 3, as_bytes("abc"));
  const auto b = section_octets(2, 0, {});
  EXPECT_EQ(as_text(read_sections(joined(a, b)).value().at(section::cluster_keys)), "abc");
  EXPECT_FALSE(read_sections(joined(b, a)).ok());
  EXPECT_FALSE(read_sections(joined(a, a)).ok());
  EXPECT_FALSE(read_sections(joined(a, {1})).ok());
  EXPECT_FALSE(read_sections(section_octets(1, 4, as_bytes("abc"))).ok());
  EXPECT_FALSE(read_sections(section_octets(1, SIZE_MAX, as_bytes("abc"))).ok());
  EXPECT_FALSE(read_sections(section_octets(9, 3, as_bytes("abc"))).ok());
  EXPECT_FALSE(section_of(read_sections(a).value(), section::state).ok());
}

} // namespace custos::backup
