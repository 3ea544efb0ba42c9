// Token signing keys of a trust authority cluster: made on one node, written to every node.

#include "tests/actors/coordinator/fixture.hpp"

namespace custos::coordinator {

namespace {

namespace bj = boost::json;

const std::string path = "/custos/v1/trust-authority-clusters/ta/attestation/token-keys";
const std::string make = "POST /attestation/v1/admin/token-keys";
const std::string document =
    R"({"algorithm":"ES384","expires":2000000300,"public_key":"PEM","sealed_private_key":"AQ",)"
    R"("signs_from":1750000300,"signs_until":2000000000})";

class token_key_test : public test::coordinator_fixture {
protected:
  void node_makes(const std::string& node, const std::string& kid = "kid-1") {
    at(node).instead[make] = test::json_answer(
        R"({"kind":"token-keys","name":")" + kid + R"(","object":)" + document + "}", 201);
  }
  bj::array listed() { return value_of(send("GET", path)).as_array(); }
};

} // namespace

TEST_F(token_key_test, is_made_on_one_node_and_written_to_all) {
  node_makes("n1");
  const auto a = send("POST", path, R"({"algorithm":"ES384","signs_for_s":100})");
  EXPECT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(value_of(a).as_string(), "kid-1");
  std::size_t made = 0;
  for (const auto& id : nodes()) {
    EXPECT_EQ(bj::parse(at(id).objects["token-keys/kid-1"]), bj::parse(document)) << id;
    for (const auto& c : at(id).calls)
      if (c.path == "/attestation/v1/admin/token-keys") {
        ++made;
        EXPECT_EQ(bj::parse(c.body), bj::parse(R"({"algorithm":"ES384","signs_for_s":100})"));
      }
  }
  EXPECT_EQ(made, 1U);
  EXPECT_EQ(audit.back().action, "custos.attestation:TokenKeys.rotate");
  EXPECT_EQ(audit.back().outcome, "ok");
}

TEST_F(token_key_test, is_made_by_another_node_if_one_is_away) {
  at("n1").away = true;
  node_makes("n2");
  EXPECT_EQ(send("POST", path).status, 201U);
  EXPECT_EQ(at("n2").objects.count("token-keys/kid-1"), 1U);
  EXPECT_EQ(at("n3").objects.count("token-keys/kid-1"), 1U);
}

TEST_F(token_key_test, writes_nothing_if_the_node_refuses_or_answers_something_else) {
  at("n1").instead[make] = http::problem(
      field_error(errc::invalid_argument, "/algorithm", "expected \"ES256\" or others"));
  expect_error(send("POST", path, R"({"algorithm":"none"})"), 400, "INVALID_ARGUMENT",
               "/algorithm");
  for (const std::string other :
       {"", "{}", "[]", R"({"name":"kid"})", R"({"name":"../x","object":{}})",
        R"({"name":7,"object":{}})", R"({"name":"kid","object":[]})"}) {
    at("n1").instead[make] = test::json_answer(other, 201);
    EXPECT_EQ(send("POST", path).status, 500U) << other;
  }
  expect_error(send("POST", path, "["), 400, "INVALID_ARGUMENT", "");
  for (const auto& id : nodes())
    EXPECT_EQ(at(id).count("PUT"), 0U) << id;
}

TEST_F(token_key_test, lists_keys_with_their_state_and_without_their_secret) {
  const auto key = [](std::int64_t from, std::int64_t until, std::int64_t expires) {
    return R"({"algorithm":"ES256","public_key":"PEM","sealed_private_key":"AQ","signs_from":)" +
           std::to_string(from) + R"(,"signs_until":)" + std::to_string(until) + R"(,"expires":)" +
           std::to_string(expires) + "}";
  };
  for (const auto& id : nodes()) {
    at(id).objects["token-keys/a"] = key(now + 1, now + 2, now + 3);
    at(id).objects["token-keys/b"] = key(now, now + 2, now + 3);
    at(id).objects["token-keys/c"] = key(now - 1, now, now + 3);
    at(id).objects["token-keys/d"] = key(now - 2, now - 1, now);
  }
  at("n3").objects.erase("token-keys/b");
  const auto list = listed();
  ASSERT_EQ(list.size(), 4U);
  const std::vector<std::string> states{"published", "signs", "verifies", "expired"};
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& one = list.at(i).as_object();
    EXPECT_EQ(one.at("state").as_string(), states[i]);
    EXPECT_EQ(one.at("algorithm").as_string(), "ES256");
    EXPECT_FALSE(one.contains("sealed_private_key"));
    EXPECT_EQ(one.at("health").as_string(), i == 1 ? "WARNING" : "OK");
  }
  EXPECT_EQ(list.at(1).at("kid").as_string(), "b");
}

TEST_F(token_key_test, is_forgotten_everywhere) {
  for (const auto& id : nodes())
    at(id).objects["token-keys/kid-1"] = document;
  EXPECT_EQ(send("DELETE", path + "/kid-1").status, 204U);
  for (const auto& id : nodes())
    EXPECT_EQ(at(id).objects.count("token-keys/kid-1"), 0U) << id;
  EXPECT_EQ(audit.back().action, "custos.attestation:TokenKeys.forget");
  expect_error(send("DELETE", path + "/kid-1"), 404, "NOT_FOUND", "");
  expect_error(send("DELETE", path + "/-x"), 400, "INVALID_ARGUMENT", "name");
}

} // namespace custos::coordinator
