// How often primary keys were needed, as every node counted, through the coordinator.

#include "actors/keyprovider/retirement.hpp"
#include "tests/actors/coordinator/fixture.hpp"

namespace custos::coordinator {

namespace {

const std::string node_path = "GET /keys/v1/admin/providers/vault/uses";
const std::string path = "/custos/v1/trust-authority-clusters/ta/kms/providers/vault/uses";

std::string uses_of(const std::string& node, const std::string& key) {
  keyprovider::use_table t(100);
  t.count("vault", key, keyprovider::counted_use::decrypt, 200);
  return keyprovider::uses_document(t, node, "vault", "new");
}

using provider_use_test = test::coordinator_fixture;

TEST_F(provider_use_test, puts_all_nodes_together_and_names_those_that_failed) {
  at("n1").instead[node_path] = test::json_answer(uses_of("called otherwise", "old"));
  at("n2").away = true;
  at("n3").instead[node_path] = test::json_answer("[]");
  const auto told = send("GET", path);
  ASSERT_EQ(told.status, 200U) << told.body;
  const auto nodes = keyprovider::read_cluster_uses(told.body);
  ASSERT_TRUE(nodes) << nodes.failure().message;
  ASSERT_EQ(nodes->size(), 3U);
  EXPECT_EQ((*nodes)[0].node, "n1") << "as the inventory calls it";
  EXPECT_EQ((*nodes)[0].problem, "");
  ASSERT_EQ((*nodes)[0].keys.size(), 1U);
  EXPECT_EQ((*nodes)[0].keys[0].primary_key_id, "old");
  EXPECT_EQ((*nodes)[1].node, "n2");
  EXPECT_NE((*nodes)[1].problem, "");
  EXPECT_NE((*nodes)[2].problem.find("something else"), std::string::npos);
}

TEST_F(provider_use_test, auditors_may_ask) {
  for (const auto& id : nodes())
    at(id).instead[node_path] = test::json_answer(uses_of(id, "old"));
  EXPECT_EQ(send("GET", path, {}, {}, certificates().auditor).status, 200U);
  EXPECT_EQ(send("GET", path, {}, {}, certificates().stranger).status, 403U);
  EXPECT_EQ(send("GET", "/custos/v1/trust-authority-clusters/none/kms/providers/vault/uses").status,
            404U);
}

} // namespace
} // namespace custos::coordinator
