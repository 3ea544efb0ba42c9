// Native providers through the coordinator: made, backed up, rotated, retired.

#include "tests/actors/coordinator/fixture.hpp"

namespace custos::coordinator {

namespace {

namespace bj = boost::json;

const std::string providers =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/ta/kms/providers";
const std::string lab = "/custos/v1/trust-authority-clusters/ta/kms/providers/lab";
const std::string native_key = "POST /keys/v1/admin/providers/lab/native-key";

class primary_key_test : public test::coordinator_fixture {
protected:
  void makes(const std::string& id, std::int64_t created = 7) {
    at("n1").instead[native_key] = test::json_answer(
        R"({"id":")" + id + R"(","sealed_key":"SEALED","created":)" + std::to_string(created) + "}",
        201);
  }
  void create() {
    makes("a");
    const auto a = send("POST", providers, R"({"provider":"lab","custos":{"type":"native"}})");
    ASSERT_EQ(a.status, 201U) << a.body;
  }
  bj::object kept() { return bj::parse(at("n2").objects["key-providers/lab"]).as_object(); }
  std::string primary() { return std::string(kept().at("primary_key_id").as_string()); }
  http::response confirm(const std::string& keys) {
    return send("POST", lab + "/primary-keys/confirm-backup", R"({"keys":)" + keys + "}");
  }
};

} // namespace

TEST_F(primary_key_test, of_a_native_provider_is_made_by_a_node_before_the_object) {
  makes("a");
  const auto a = send("POST", providers, R"({"provider":"lab","custos":{"type":"native",
    "access":{"host_patterns":["web-*"],"claims":{"ima":["true"]}},
    "limits":{"burst":5},"rotation":{"interval_days":30}}})");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(bj::value(kept()), bj::parse(R"({"type":"native","primary_key_id":"a",
    "primary_keys":[{"id":"a","sealed_key":"SEALED","created":7}],
    "access":{"images":[],"hosts":[],"host_patterns":["web-*"],"claims":{"ima":["true"]}},
    "limits":{"burst":5},"rotation":{"interval_days":30}})"));
  const auto shown = send("GET", providers + "/lab", "", {}, certificates().auditor);
  EXPECT_EQ(shown.body.find("SEALED"), std::string::npos);
  const auto o = object_of(shown);
  EXPECT_EQ(o.at("key_server").at("type").as_string(), "NATIVE");
  EXPECT_EQ(o.at("custos").at("primary_keys"),
            bj::parse(R"([{"id":"a","created":7,"backed_up":false}])"));
  EXPECT_EQ(o.at("custos").at("limits"), bj::parse(R"({"burst":5})"));
}

TEST_F(primary_key_test, is_not_written_when_no_node_makes_one) {
  for (const auto& r : {http::problem(make_error(errc::crypto_failure, "no")),
                        test::json_answer("{}"), test::json_answer(R"({"id":"a"})"),
                        test::json_answer(R"({"id":"a","sealed_key":"S","created":0})")}) {
    at("n1").instead[native_key] = r;
    EXPECT_GE(send("POST", providers, R"({"provider":"lab","custos":{"type":"native"}})").status,
              400U)
        << r.body;
  }
  expect_error(send("POST", providers, R"({"provider":"lab","custos":{"type":"native"},
                                           "master_key_id":"k"})"),
               400, "INVALID_ARGUMENT", "/master_key_id");
  EXPECT_EQ(at("n2").count("PUT") + at("n1").count("PUT"), 0U);
}

TEST_F(primary_key_test, protects_from_when_it_is_known_to_be_in_a_backup) {
  create();
  EXPECT_LT(confirm(R"(["a"])").status, 300U);
  EXPECT_TRUE(kept().at("primary_keys").at(0).at("backed_up").as_bool());
  EXPECT_EQ(primary(), "a");
  makes("b", 9);
  const auto rotated = send("POST", lab + "/primary-key");
  ASSERT_EQ(rotated.status, 201U) << rotated.body;
  EXPECT_EQ(value_of(rotated).as_string(), "b");
  EXPECT_EQ(primary(), "a") << "hosts get keys under the old one until the new one is safe";
  ASSERT_EQ(kept().at("primary_keys").as_array().size(), 2U);
  EXPECT_LT(confirm(R"(["a","b"])").status, 300U);
  EXPECT_EQ(primary(), "b");
  EXPECT_LT(confirm(R"(["a"])").status, 300U);
  EXPECT_EQ(primary(), "b") << "an older one takes no place";
}

TEST_F(primary_key_test, is_newer_than_the_others_even_where_clocks_differ) {
  create();
  makes("b", 3);
  ASSERT_EQ(send("POST", lab + "/primary-key").status, 201U);
  EXPECT_EQ(kept().at("primary_keys").at(1).at("created").as_int64(), 8);
}

TEST_F(primary_key_test, confirmations_name_keys_that_there_are) {
  create();
  expect_error(confirm(R"(["b"])"), 400, "INVALID_ARGUMENT", "/keys/0");
  expect_error(confirm(R"(["a","b"])"), 400, "INVALID_ARGUMENT", "/keys/1");
  expect_error(confirm("[]"), 400, "INVALID_ARGUMENT", "/keys");
  expect_error(confirm("[7]"), 400, "INVALID_ARGUMENT", "/keys/0");
  EXPECT_FALSE(kept().at("primary_keys").at(0).as_object().contains("backed_up"));
}

TEST_F(primary_key_test, is_retired_when_it_is_an_old_one) {
  create();
  makes("b", 9);
  send("POST", lab + "/primary-key");
  expect_error(send("DELETE", lab + "/primary-keys/a"), 400, "INVALID_ARGUMENT", "key");
  expect_error(send("DELETE", lab + "/primary-keys/c"), 404, "NOT_FOUND", "key");
  EXPECT_LT(confirm(R"(["b"])").status, 300U);
  EXPECT_LT(send("DELETE", lab + "/primary-keys/a").status, 300U);
  ASSERT_EQ(kept().at("primary_keys").as_array().size(), 1U);
  EXPECT_EQ(kept().at("primary_keys").at(0).at("id").as_string(), "b");
}

TEST_F(primary_key_test, of_key_servers_is_not_ours_to_confirm_or_retire) {
  for (const auto& id : nodes())
    at(id).objects["key-providers/lab"] = R"({"primary_key_id":"k","servers":[]})";
  expect_error(confirm(R"(["k"])"), 400, "UNSUPPORTED", "provider");
  expect_error(send("DELETE", lab + "/primary-keys/k"), 400, "UNSUPPORTED", "provider");
}

TEST_F(primary_key_test, schedule_keeps_since_when_it_counts) {
  for (const auto& id : nodes())
    at(id).objects["key-providers/lab"] = R"({"primary_key_id":"k","servers":[],
      "rotation":{"interval_days":30,"key":"k","since":5}})";
  EXPECT_EQ(
      send("PATCH", providers + "/lab", R"({"custos":{"rotation":{"interval_days":60}}})").status,
      204U);
  EXPECT_EQ(kept().at("rotation"), bj::parse(R"({"interval_days":60,"key":"k","since":5})"));
}

} // namespace custos::coordinator
