#include "actors/coordinator/inventory.hpp"

#include <gmock/gmock.h>

namespace custos::coordinator {

namespace {

using ::testing::ElementsAre;

service_info service(const std::string& id, const std::string& host = "n1.example",
                     service_type type = service_type::attestation) {
  return {id, type, host, 443, {"PEM 1", "PEM 2"}, "group", "ta"};
}

/// A store whose disk can go away.
class failing_store final : public rocksdb::kv_store {
public:
  bool broken = false;

  result<std::optional<bytes>> get(std::string_view key) const override { return kept_->get(key); }
  result<std::vector<rocksdb::kv_entry>> scan(std::string_view prefix) const override {
    if (broken)
      return make_error(errc::storage_failure, "the disk is gone");
    return kept_->scan(prefix);
  }
  result<void> write(const rocksdb::write_batch& batch, rocksdb::durability how) override {
    if (broken)
      return make_error(errc::storage_failure, "the disk is gone");
    return kept_->write(batch, how);
  }

private:
  std::shared_ptr<rocksdb::kv_store> kept_ = rocksdb::make_memory_store();
};

class inventory_test : public ::testing::Test {
protected:
  inventory_test() { open(); }
  void open() {
    auto opened = inventory::open(store);
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    known = *std::move(opened);
  }
  void fill() {
    ASSERT_TRUE(known->add_cluster({"ta", cluster_type::trust_authority}).ok());
    ASSERT_TRUE(known->add_cluster({"prod", cluster_type::trusted}).ok());
    ASSERT_TRUE(known->add_member({"n2", "ta", "https://n2:443", "CA"}).ok());
    ASSERT_TRUE(known->add_member({"n1", "ta", "https://n1:443", "CA"}).ok());
    ASSERT_TRUE(known->add_member({"h1", "prod", "https://h1:443", "CERT"}).ok());
    ASSERT_TRUE(known->add_service(service("s1")).ok());
    ASSERT_TRUE(known->add_service(service("k1", "n1.example", service_type::kms)).ok());
    ASSERT_TRUE(known->set_desired("prod", {0, {"s1"}, {"k1"}}).ok());
  }
  void expect_everything() {
    EXPECT_TRUE(known->cluster("ta", cluster_type::trust_authority).ok());
    EXPECT_TRUE(known->cluster("prod", cluster_type::trusted).ok());
    const auto nodes = known->members("ta");
    ASSERT_EQ(nodes.size(), 2U);
    EXPECT_EQ(nodes[0].id, "n1");
    EXPECT_EQ(nodes[1].url, "https://n2:443");
    EXPECT_EQ(known->members("prod").front().certificate, "CERT");
    const auto s = known->service(service_type::attestation, "s1");
    ASSERT_TRUE(s.ok());
    EXPECT_EQ(s->hostname, "n1.example");
    EXPECT_EQ(s->port, 443);
    EXPECT_THAT(s->trusted_ca, ElementsAre("PEM 1", "PEM 2"));
    EXPECT_EQ(s->group, "group");
    EXPECT_EQ(s->trust_authority_cluster, "ta");
    const auto d = known->desired("prod");
    EXPECT_EQ(d.revision, 1U);
    EXPECT_THAT(d.attestation, ElementsAre("s1"));
    EXPECT_THAT(d.kms, ElementsAre("k1"));
  }

  std::shared_ptr<failing_store> store = std::make_shared<failing_store>();
  std::unique_ptr<inventory> known;
};

} // namespace

TEST_F(inventory_test, begins_empty) {
  EXPECT_TRUE(known->clusters().empty());
  EXPECT_TRUE(known->members("ta").empty());
  EXPECT_TRUE(known->services(service_type::kms).empty());
  EXPECT_EQ(known->desired("prod").revision, 0U);
}

TEST_F(inventory_test, knows_what_it_was_told) {
  fill();
  expect_everything();
}

TEST_F(inventory_test, knows_it_after_a_restart) {
  fill();
  open();
  expect_everything();
}

TEST_F(inventory_test, forgets_what_was_removed_also_after_a_restart) {
  fill();
  ASSERT_TRUE(known->remove_member("ta", "n1").ok());
  ASSERT_TRUE(known->set_desired("prod", {0, {}, {}}).ok());
  ASSERT_TRUE(known->remove_service(service_type::attestation, "s1").ok());
  open();
  EXPECT_EQ(known->members("ta").size(), 1U);
  EXPECT_FALSE(known->service(service_type::attestation, "s1").ok());
  EXPECT_TRUE(known->service(service_type::kms, "k1").ok());
  EXPECT_EQ(known->desired("prod").revision, 2U) << "revisions go on growing";
}

TEST_F(inventory_test, refuses_a_second_of_the_same_name) {
  fill();
  const auto cluster = known->add_cluster({"ta", cluster_type::trusted});
  ASSERT_FALSE(cluster.ok());
  EXPECT_EQ(cluster.failure().code, errc::already_exists);
  EXPECT_TRUE(known->cluster("ta", cluster_type::trust_authority).ok()) << "the first stays";
  const auto member = known->add_member({"n1", "ta", "https://other:443", "CA"});
  ASSERT_FALSE(member.ok());
  EXPECT_EQ(member.failure().code, errc::already_exists);
  EXPECT_EQ(known->members("ta")[0].url, "https://n1:443");
  EXPECT_TRUE(known->add_member({"n1", "prod", "https://n1:443", "CA"}).ok())
      << "in another cluster it is another one";
}

TEST_F(inventory_test, refuses_a_second_service_of_the_same_address) {
  fill();
  const auto again = known->add_service(service("s2"));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.failure().code, errc::already_exists);
  EXPECT_EQ(again.failure().field, "address");
  EXPECT_NE(again.failure().message.find("s1"), std::string::npos) << "names the other";
  EXPECT_TRUE(known->add_service(service("s2", "n2.example")).ok());
  auto other_port = service("s3");
  other_port.port = 8443;
  EXPECT_TRUE(known->add_service(other_port).ok());
}

TEST_F(inventory_test, says_what_is_not_there) {
  fill();
  EXPECT_EQ(known->add_member({"x", "nowhere", "u", "c"}).failure().code, errc::not_found);
  EXPECT_EQ(known->remove_member("ta", "x").failure().code, errc::not_found);
  EXPECT_EQ(known->remove_member("prod", "n1").failure().code, errc::not_found);
  EXPECT_EQ(known->remove_service(service_type::kms, "s1").failure().code, errc::not_found);
  EXPECT_EQ(known->service(service_type::kms, "s1").failure().code, errc::not_found);
  EXPECT_EQ(known->cluster("ta", cluster_type::trusted).failure().code, errc::not_found)
      << "a cluster of the other type is not the one meant";
  EXPECT_EQ(known->cluster("", cluster_type::trusted).failure().code, errc::not_found);
}

TEST_F(inventory_test, keeps_a_service_that_a_cluster_uses) {
  fill();
  const auto used = known->remove_service(service_type::attestation, "s1");
  ASSERT_FALSE(used.ok());
  EXPECT_EQ(used.failure().code, errc::revision_conflict);
  EXPECT_NE(used.failure().message.find("prod"), std::string::npos) << "names the cluster";
  EXPECT_TRUE(known->service(service_type::attestation, "s1").ok());
}

TEST_F(inventory_test, numbers_each_desired_state) {
  fill();
  const auto second = known->set_desired("prod", {99, {"s1"}, {}});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->revision, 2U) << "whatever number came with it";
  EXPECT_EQ(known->desired("prod").revision, 2U);
  EXPECT_EQ(known->set_desired("other", {}).value().revision, 1U) << "each cluster its own";
}

TEST_F(inventory_test, changes_nothing_that_did_not_get_to_disk) {
  fill();
  store->broken = true;
  EXPECT_EQ(known->add_cluster({"new", cluster_type::trusted}).failure().code,
            errc::storage_failure);
  EXPECT_EQ(known->add_member({"n9", "ta", "u", "c"}).failure().code, errc::storage_failure);
  EXPECT_EQ(known->remove_member("ta", "n1").failure().code, errc::storage_failure);
  EXPECT_EQ(known->add_service(service("s9", "n9.example")).failure().code, errc::storage_failure);
  EXPECT_EQ(known->set_desired("prod", {}).failure().code, errc::storage_failure);
  expect_everything();
  EXPECT_EQ(known->clusters().size(), 2U);
  store->broken = false;
  open();
  expect_everything();
}

TEST_F(inventory_test, does_not_open_on_a_broken_disk) {
  store->broken = true;
  EXPECT_EQ(inventory::open(store).failure().code, errc::storage_failure);
}

TEST_F(inventory_test, names_the_object_that_is_damaged) {
  fill();
  struct damage {
    std::string key, value, named;
  };
  for (const auto& d : std::vector<damage>{
           {"cluster/ta", "", "cluster/ta"},
           {"cluster/ta", "{", "cluster/ta"},
           {"cluster/ta", "[]", "cluster/ta"},
           {"cluster/ta", R"({"id":"ta","type":3})", "/type"},
           {"cluster/ta", R"({"id":7,"type":1})", "/id"},
           {"member/ta/n1", R"({"id":"n1","cluster":"ta","url":"u"})", "/certificate"},
           {"service/kms/k1", R"({"id":"k1","type":2,"hostname":"h","port":0})", "/port"},
           {"desired/prod", R"({"revision":1,"attestation":[1],"kms":[]})", "/attestation/0"},
           {"desired/prod", R"({"revision":-1,"attestation":[],"kms":[]})", "/revision"},
           {"x", "{}", "x"},
           {"future/thing", "{}", "future/thing"},
       }) {
    const auto before = store->get(d.key).value();
    rocksdb::write_batch batch;
    batch.put(d.key, std::string_view(d.value));
    ASSERT_TRUE(store->write(batch, rocksdb::durability::synced).ok());
    const auto opened = inventory::open(store);
    ASSERT_FALSE(opened.ok()) << d.key << " " << d.value;
    EXPECT_EQ(opened.failure().code, errc::corrupted);
    EXPECT_NE(opened.failure().message.find(d.key), std::string::npos) << opened.failure().message;
    EXPECT_NE(opened.failure().message.find(d.named), std::string::npos)
        << opened.failure().message;
    rocksdb::write_batch repair;
    if (before)
      repair.put(d.key, *before);
    else
      repair.erase(d.key);
    ASSERT_TRUE(store->write(repair, rocksdb::durability::synced).ok());
  }
  open();
  expect_everything();
}

} // namespace custos::coordinator
