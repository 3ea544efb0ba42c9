#include "actors/gateway/router.hpp"

#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>

namespace custos::gateway {

namespace {

using ::testing::ElementsAre;

route make(std::string method, std::string pattern, access who = access::administrator) {
  return {std::move(method), std::move(pattern), who, "Does it", {}};
}

router some_routes() {
  router out;
  out.add(make("GET", "/config/v1/status", access::auditor));
  out.add(make("GET", "/config/v1/{kind}", access::auditor));
  out.add(make("GET", "/config/v1/{kind}/{name}", access::auditor));
  out.add(make("PUT", "/config/v1/{kind}/{name}"));
  out.add(make("DELETE", "/config/v1/{kind}/{name}"));
  out.add(make("POST", "/keys/v1/providers/{provider}/generate", access::open));
  return out;
}

} // namespace

TEST(router, finds_a_route_and_the_values_of_its_path) {
  const auto routes = some_routes();
  const auto found = routes.find("PUT", "/config/v1/base-images/rack-7");
  ASSERT_NE(found.found, nullptr);
  EXPECT_EQ(found.found->pattern, "/config/v1/{kind}/{name}");
  EXPECT_EQ(found.found->method, "PUT");
  EXPECT_EQ(found.path, (path_values{{"kind", "base-images"}, {"name", "rack-7"}}));
}

TEST(router, keeps_whatever_characters_a_segment_has) {
  const auto routes = some_routes();
  const auto found = routes.find("GET", "/config/v1/hosts/a b%2f{x}?&");
  ASSERT_NE(found.found, nullptr);
  EXPECT_EQ(found.path.at("name"), "a b%2f{x}?&");
}

TEST(router, prefers_the_route_that_was_added_first) {
  const auto routes = some_routes();
  const auto found = routes.find("GET", "/config/v1/status");
  ASSERT_NE(found.found, nullptr);
  EXPECT_EQ(found.found->pattern, "/config/v1/status");
  EXPECT_TRUE(found.path.empty());
}

TEST(router, answers_head_where_there_is_a_get) {
  const auto routes = some_routes();
  const auto found = routes.find("HEAD", "/config/v1/hosts");
  ASSERT_NE(found.found, nullptr);
  EXPECT_EQ(found.found->method, "GET");
  EXPECT_EQ(routes.find("HEAD", "/keys/v1/providers/p/generate").found, nullptr);
}

TEST(router, denies_what_no_route_names) {
  const auto routes = some_routes();
  for (const auto* path :
       {"", "/", "//", "/config", "/config/v1", "/config/v1/", "/config/v1//", "/config/v1/a/b/c",
        "//config/v1/status", "/config/v1/status/", "/Config/v1/status", "/config/v1/hosts//",
        "/keys/v1/providers//generate", "config/v2/status"}) {
    const auto found = routes.find("GET", path);
    EXPECT_EQ(found.found, nullptr) << path;
    EXPECT_TRUE(found.allowed.empty()) << path;
  }
}

TEST(router, says_which_methods_a_path_has) {
  const auto routes = some_routes();
  const auto wrong = routes.find("POST", "/config/v1/hosts/h");
  EXPECT_EQ(wrong.found, nullptr);
  EXPECT_THAT(wrong.allowed, ElementsAre("GET", "HEAD", "PUT", "DELETE"));
  EXPECT_THAT(routes.find("GET", "/keys/v1/providers/p/generate").allowed, ElementsAre("POST"));
}

TEST(router, names_a_method_once_where_two_patterns_have_it) {
  const auto routes = some_routes();
  EXPECT_THAT(routes.find("POST", "/config/v1/status").allowed, ElementsAre("GET", "HEAD"));
}

TEST(router, compares_methods_exactly) {
  const auto routes = some_routes();
  for (const auto* method : {"get", "GET ", "", "GETT", "PROPFIND"})
    EXPECT_EQ(routes.find(method, "/config/v1/status").found, nullptr) << method;
}

TEST(router, without_routes_finds_nothing) {
  const router none;
  EXPECT_EQ(none.find("GET", "/").found, nullptr);
  EXPECT_EQ(none.find("GET", "").found, nullptr);
}

TEST(router, documents_every_route) {
  const auto routes = some_routes();
  auto document = json::parse_any(routes.openapi("Custos test"));
  ASSERT_TRUE(document.ok()) << document.failure().message;
  const auto& root = document->as_object();
  EXPECT_EQ(root.at("openapi").as_string(), "3.1.0");
  EXPECT_EQ(root.at("info").at("title").as_string(), "Custos test");
  const auto& paths = root.at("paths").as_object();
  for (const auto& r : routes.routes()) {
    auto method = r.method;
    for (auto& c : method)
      c = static_cast<char>(c - 'A' + 'a');
    const auto& operation = paths.at(r.pattern).at(method).as_object();
    EXPECT_EQ(operation.at("x-custos-access").as_string(), to_string(r.who)) << r.pattern;
    EXPECT_EQ(operation.at("summary").as_string(), r.summary);
    EXPECT_TRUE(operation.at("responses").as_object().contains("default")) << r.pattern;
  }
  EXPECT_EQ(paths.at("/config/v1/{kind}/{name}").as_object().size(), 3U);
  const auto& parameters = paths.at("/config/v1/{kind}/{name}").at("get").at("parameters");
  ASSERT_EQ(parameters.as_array().size(), 2U);
  EXPECT_EQ(parameters.at(1).at("name").as_string(), "name");
  EXPECT_TRUE(parameters.at(1).at("required").as_bool());
}

} // namespace custos::gateway
