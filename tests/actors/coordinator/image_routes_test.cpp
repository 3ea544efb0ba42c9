// Base images of a trust authority cluster: what the list says of them, and audit-only.

#include "tests/actors/coordinator/fixture.hpp"

namespace custos::coordinator {

namespace {

namespace bj = boost::json;

const std::string images = "/vcenter/trusted-infrastructure/trust-authority-clusters/ta/"
                           "attestation/os/linux/base-images";
const std::string times = "GET /attestation/v1/images";

class image_routes_test : public test::coordinator_fixture {
protected:
  image_routes_test() {
    for (const auto& id : nodes()) {
      at(id).objects["base-images/web"] =
          R"({"version":"12","bank":"sha384","pcrs":[{"pcr":4},{"pcr":7}]})";
      at(id).objects["base-images/new"] =
          R"({"version":"13","bank":"sha256","pcrs":[{"pcr":0}],"audit_only":true})";
    }
  }
  void last_attested(const std::string& node, const std::string& body) {
    at(node).instead[times] = test::json_answer(body);
  }
};

} // namespace

TEST_F(image_routes_test, lists_what_images_judge) {
  const auto list = value_of(send("GET", images, "", {}, certificates().auditor));
  EXPECT_EQ(list, bj::parse(R"([
      {"name":"new","version":"13","bank":"sha256","pcrs":[0],"audit_only":true,"health":"OK"},
      {"name":"web","version":"12","bank":"sha384","pcrs":[4,7],"audit_only":false,
       "health":"OK"}])"));
}

TEST_F(image_routes_test, tells_when_any_node_attested_a_host_with_it_last) {
  last_attested("n1", R"([{"name":"web","last_attested":1750000000}])");
  last_attested("n2", R"([{"name":"web","last_attested":1750000060},
                          {"name":"gone","last_attested":1750000061}])");
  at("n3").instead[times] = http::problem(make_error(errc::not_found, "there is no such path"));
  const auto list = value_of(send("GET", images));
  ASSERT_EQ(list.as_array().size(), 2U);
  EXPECT_FALSE(list.at(0).as_object().contains("last_attested_time"));
  EXPECT_EQ(list.at(1).at("last_attested_time"), "2025-06-15T15:07:40Z");
  const auto one = object_of(send("GET", images + "/web"));
  EXPECT_EQ(one.at("last_attested_time"), "2025-06-15T15:07:40Z");
  EXPECT_EQ(one.at("version"), "12");
  EXPECT_EQ(one.at("health"), "OK");
}

TEST_F(image_routes_test, survives_nodes_that_answer_anything_about_times) {
  for (const auto* body :
       {"", "null", "{}", "[7]", R"([{"name":7,"last_attested":1}])", R"([{"name":"web"}])",
        R"([{"name":"web","last_attested":"x"}])", R"([{"name":"web","last_attested":-1}])",
        R"([{"name":"web","last_attested":0}])", "\xFF"}) {
    for (const auto& id : nodes())
      last_attested(id, body);
    const auto list = value_of(send("GET", images));
    ASSERT_EQ(list.as_array().size(), 2U) << body;
    for (const auto& row : list.as_array())
      EXPECT_FALSE(row.as_object().contains("last_attested_time")) << body;
  }
}

TEST_F(image_routes_test, shows_documents_of_odd_content) {
  for (const auto& id : nodes())
    at(id).objects = {
        {"base-images/odd", R"({"version":7,"pcrs":[1,{"pcr":"x"}],"audit_only":1})"}};
  EXPECT_EQ(value_of(send("GET", images)),
            bj::parse(R"([{"name":"odd","pcrs":[],"audit_only":false,"health":"OK"}])"));
  EXPECT_EQ(object_of(send("GET", images + "/odd")).at("version"), 7);
}

TEST_F(image_routes_test, enforces_or_only_reports) {
  EXPECT_EQ(send("PATCH", images + "/web", R"({"audit_only":true})").status, 204U);
  for (const auto& id : nodes())
    EXPECT_EQ(bj::parse(at(id).objects["base-images/web"]).at("audit_only"), true) << id;
  EXPECT_EQ(send("PATCH", images + "/web", R"({"audit_only":false})").status, 204U);
  EXPECT_EQ(bj::parse(at("n2").objects["base-images/web"]).at("version"), "12");
  EXPECT_EQ(bj::parse(at("n2").objects["base-images/web"]).at("audit_only"), false);
  EXPECT_EQ(audit.back().action, "custos.attestation.linux:BaseImages.update");
}

TEST_F(image_routes_test, changes_nothing_else) {
  struct bad {
    std::string body, field;
  };
  for (const auto& c : std::vector<bad>{{"", ""},
                                        {"[]", ""},
                                        {"{}", "/audit_only"},
                                        {R"({"audit_only":"on"})", "/audit_only"},
                                        {R"({"audit_only":true,"version":"2"})", "/version"}})
    expect_error(send("PATCH", images + "/web", c.body), 400, "INVALID_ARGUMENT", c.field, c.body);
  expect_error(send("PATCH", images + "/nothing", R"({"audit_only":true})"), 404, "NOT_FOUND", "");
  EXPECT_EQ(
      send("PATCH", images + "/web", R"({"audit_only":true})", {}, certificates().auditor).status,
      403U);
  for (const auto& id : nodes())
    EXPECT_EQ(at(id).count("PUT"), 0U);
}

} // namespace custos::coordinator
