#include "adapters/http/http.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::http {

namespace {

response answer(unsigned status, std::string body) {
  response r;
  r.status = status;
  r.body = std::move(body);
  return r;
}

boost::json::object document_of(const response& r) {
  auto parsed = json::parse_any(r.body);
  EXPECT_TRUE(parsed.ok()) << r.body;
  return parsed.ok() ? parsed->as_object() : boost::json::object{};
}

std::string retry_after_of(const response& r) {
  for (const auto& h : r.headers)
    if (h.name == "Retry-After")
      return h.value;
  return {};
}

} // namespace

TEST(problem_document, is_complete_for_every_code) { // RFC 9457, 3.1
  for (unsigned i = 1; i <= static_cast<unsigned>(errc::internal); ++i) {
    const auto code = static_cast<errc>(i);
    const auto r = problem(field_error(code, "/a/b", "expected something else"));
    EXPECT_EQ(r.status, http_status_of(code));
    EXPECT_EQ(r.content_type, "application/problem+json");
    const auto o = document_of(r);
    EXPECT_EQ(o.at("type").as_string(), "urn:custos:error:" + std::string(to_string(code)));
    EXPECT_EQ(o.at("title").as_string(), title_of(code));
    EXPECT_EQ(o.at("status").as_int64(), http_status_of(code));
    EXPECT_EQ(o.at("detail").as_string(), "expected something else");
    EXPECT_EQ(o.at("field").as_string(), "/a/b");
    EXPECT_FALSE(o.contains("pcr") || o.contains("event") || o.contains("retryable"));
  }
}

TEST(problem_document, brings_every_code_back) {
  for (unsigned i = 1; i <= static_cast<unsigned>(errc::internal); ++i) {
    auto e = field_error(static_cast<errc>(i), "/f\"\n", "one\ttwo \\ \"three\" \xC3\xA4");
    for (const auto* check : {"", "pcr-digest"}) {
      e.check = check;
      const auto back = error_of(problem(e));
      EXPECT_EQ(back.code, e.code);
      EXPECT_EQ(back.field, e.field);
      EXPECT_EQ(back.message, e.message);
      EXPECT_EQ(back.check, e.check);
      EXPECT_EQ(back.pcr, std::nullopt);
      EXPECT_FALSE(back.retryable);
    }
  }
}

TEST(problem_document, tells_when_to_come_back_whenever_the_service_is_away) { // RFC 9110, 10.2.3
  for (const auto code :
       {errc::overloaded, errc::unavailable, errc::cancelled, errc::tpm_failure}) {
    EXPECT_EQ(retry_after_of(problem(make_error(code, "m"))), "1") << to_string(code);
    auto e = make_error(code, "m");
    e.retry_after_s = 30;
    EXPECT_EQ(retry_after_of(problem(e)), "30");
    EXPECT_EQ(error_of(problem(e)).retry_after_s, 30U);
  }
  EXPECT_EQ(retry_after_of(problem(make_error(errc::invalid_argument, "m"))), "");
}

TEST(problem_document, of_somebody_else_is_judged_by_its_status) {
  const std::vector<std::pair<unsigned, errc>> statuses{
      {400, errc::invalid_argument},
      {401, errc::unauthenticated},
      {403, errc::forbidden},
      {404, errc::not_found},
      {405, errc::method_not_allowed},
      {408, errc::timeout},
      {409, errc::already_exists},
      {412, errc::revision_conflict},
      {413, errc::too_large},
      {415, errc::unsupported_media_type},
      {422, errc::unsupported},
      {429, errc::rate_limited},
      {500, errc::internal},
      {502, errc::io_failure},
      {503, errc::unavailable},
      {504, errc::timeout},
      {418, errc::internal},
      {302, errc::internal},
      {0, errc::internal},
  };
  for (const auto& [status, code] : statuses)
    for (const auto* body : {"", "<html>Bad gateway</html>", "[]", "{}", "{\"code\":7}",
                             "{\"code\":\"teapot\",\"detail\":\"\"}", "\xFF"}) {
      const auto e = error_of(answer(status, body));
      EXPECT_EQ(e.code, code) << status << " " << body;
      EXPECT_NE(e.message.find(std::to_string(status)), std::string::npos) << body;
      EXPECT_TRUE(e.field.empty() && e.check.empty());
    }
}

TEST(problem_document, with_members_of_other_types_is_read_as_far_as_it_goes) {
  const auto e = error_of(answer(
      400, R"({"code":"too-large","detail":"big","field":[],"type":7,"pcr":-1,"event":4294967296,
               "retryable":"yes"})"));
  EXPECT_EQ(e.code, errc::too_large);
  EXPECT_EQ(e.message, "big");
  EXPECT_TRUE(e.field.empty());
  EXPECT_TRUE(e.check.empty());
  EXPECT_EQ(e.pcr, std::nullopt);
  EXPECT_EQ(e.event, std::nullopt);
  EXPECT_FALSE(e.retryable);
}

TEST(problem_document, of_any_size_is_read_up_to_its_limit) {
  const auto huge = "{\"code\":\"too-large\",\"detail\":\"" + std::string(70000, 'x') + "\"}";
  const auto e = error_of(answer(500, huge));
  EXPECT_EQ(e.code, errc::internal);
  EXPECT_LT(e.message.size(), 100U);
}

TEST(problem_document, takes_retry_after_in_seconds_only) {
  for (const auto& [value, seconds] :
       std::vector<std::pair<std::string, std::optional<std::uint32_t>>>{
           {"120", 120U},
           {"0", 0U},
           {"Wed, 21 Oct 2026 07:28:00 GMT", std::nullopt},
           {"-1", std::nullopt},
           {"99999999999", std::nullopt},
           {"", std::nullopt}}) {
    auto r = answer(503, "");
    r.headers.push_back({"retry-after", value});
    EXPECT_EQ(error_of(r).retry_after_s, seconds) << value;
  }
}

} // namespace custos::http
