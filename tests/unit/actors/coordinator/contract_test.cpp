#include "actors/coordinator/contract.hpp"

#include "adapters/json/json.hpp"
#include "tests/unit/test_data.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

namespace custos::coordinator {

namespace {

namespace bj = boost::json;

bj::object json_of(const std::string& text) {
  const auto parsed = json::parse_any(text);
  EXPECT_TRUE(parsed.ok() && parsed->is_object()) << text;
  return parsed.ok() && parsed->is_object() ? parsed->as_object() : bj::object{};
}

target_outcome good(const std::string& name) {
  return {name, true, 200, "{}", ""};
}
target_outcome silent(const std::string& name) {
  return {name, false, 0, "", "cannot be reached"};
}
target_outcome refusing(const std::string& name, const error& e) {
  const auto r = http::problem(e);
  return {name, false, r.status, r.body, e.message};
}

} // namespace

TEST(contract_error_structure, has_the_type_and_status_of_the_contract) {
  struct kind {
    errc code;
    std::string type;
    unsigned status;
  };
  const std::vector<kind> kinds{
      {errc::invalid_argument, "INVALID_ARGUMENT", 400},
      {errc::malformed, "INVALID_ARGUMENT", 400},
      {errc::too_large, "INVALID_ARGUMENT", 400},
      {errc::unsupported, "UNSUPPORTED", 400},
      {errc::unauthenticated, "UNAUTHENTICATED", 401},
      {errc::forbidden, "UNAUTHORIZED", 403},
      {errc::not_found, "NOT_FOUND", 404},
      {errc::already_exists, "ALREADY_EXISTS", 400},
      {errc::revision_conflict, "RESOURCE_BUSY", 500},
      {errc::method_not_allowed, "NOT_FOUND", 404},
      {errc::unsupported_media_type, "INVALID_ARGUMENT", 400},
      {errc::rate_limited, "SERVICE_UNAVAILABLE", 503},
      {errc::overloaded, "SERVICE_UNAVAILABLE", 503},
      {errc::unavailable, "SERVICE_UNAVAILABLE", 503},
      {errc::timeout, "TIMED_OUT", 504},
      {errc::cancelled, "SERVICE_UNAVAILABLE", 503},
      {errc::attestation_failed, "ERROR", 500},
      {errc::token_invalid, "UNAUTHENTICATED", 401},
      {errc::crypto_failure, "ERROR", 500},
      {errc::storage_failure, "ERROR", 500},
      {errc::corrupted, "ERROR", 500},
      {errc::io_failure, "RESOURCE_INACCESSIBLE", 500},
      {errc::tpm_failure, "RESOURCE_INACCESSIBLE", 500},
      {errc::kmip_failure, "RESOURCE_INACCESSIBLE", 500},
      {errc::internal, "ERROR", 500},
  };
  ASSERT_EQ(kinds.size(), static_cast<std::size_t>(errc::internal));
  for (const auto& k : kinds) {
    const auto r = contract_error(field_error(k.code, "/name", "expected a name"));
    EXPECT_EQ(r.status, k.status) << k.type;
    EXPECT_EQ(error_type_of(k.code), k.type);
    const auto o = json_of(r.body);
    EXPECT_EQ(o.at("error_type").as_string(), k.type);
    const auto& message = o.at("messages").at(0).as_object();
    EXPECT_EQ(message.at("id").as_string(), "com.custos." + std::string(to_string(k.code)));
    EXPECT_EQ(message.at("default_message").as_string(), "/name: expected a name");
    EXPECT_EQ(message.at("args").at(0).as_string(), "/name");
  }
}

TEST(contract_error_structure, has_every_error_that_the_contract_names) {
  std::set<std::string> named;
  const auto contract = json_of(test::read_text("api/vcenter-trusted-infrastructure.json"));
  for (const auto& operation : contract.at("operations").as_array())
    for (const auto& e : operation.at("errors").as_array())
      named.insert(std::string(e.as_string()));
  std::set<std::string> ours;
  for (unsigned i = 1; i <= static_cast<unsigned>(errc::internal); ++i) {
    std::string type(error_type_of(static_cast<errc>(i)));
    std::transform(type.begin(), type.end(), type.begin(),
                   [](char c) { return c == '_' ? c : static_cast<char>(c - 'A' + 'a'); });
    ours.insert(type);
  }
  // Nothing is allocated here that could run out.
  named.erase("unable_to_allocate_resource");
  EXPECT_FALSE(named.empty());
  for (const auto& name : named)
    EXPECT_EQ(ours.count(name), 1U) << name;
}

TEST(contract_error_structure, leaves_out_what_there_is_not) {
  const auto r = contract_error(make_error(errc::internal, "no"));
  const auto o = json_of(r.body);
  EXPECT_EQ(o.at("messages").at(0).at("default_message").as_string(), "no");
  EXPECT_TRUE(o.at("messages").at(0).at("args").as_array().empty());
  EXPECT_TRUE(r.headers.empty());
  auto later = make_error(errc::overloaded, "later");
  later.retry_after_s = 5;
  ASSERT_EQ(contract_error(later).headers.size(), 1U);
  EXPECT_EQ(contract_error(later).headers[0].value, "5");
}

TEST(fan_out_failure, is_none_when_all_went_well) {
  EXPECT_FALSE(failure_of({}).has_value());
  EXPECT_FALSE(failure_of({good("a"), good("b")}).has_value());
}

TEST(fan_out_failure, names_every_target_that_failed) {
  const auto failed = failure_of({silent("a"), good("b"), silent("c")});
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->code, errc::unavailable);
  EXPECT_EQ(failed->message, "a: cannot be reached; c: cannot be reached");
}

TEST(fan_out_failure, is_of_the_kind_of_the_first_refusal_even_when_others_are_away) {
  const auto refused =
      field_error(errc::invalid_argument, "/certificates/0", "expected a certificate");
  const auto failed = failure_of({silent("a"), refusing("b", refused), good("c"),
                                  refusing("d", make_error(errc::forbidden, "no"))});
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->code, errc::invalid_argument);
  EXPECT_EQ(failed->field, "/certificates/0");
  EXPECT_EQ(failed->message, "a: cannot be reached; b: expected a certificate; d: no");
}

TEST(fan_out_failure, takes_answers_that_are_no_problem_documents) {
  const auto failed = failure_of({{"a", false, 502, "<html>", "bad gateway"}});
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->code, errc::io_failure);
  EXPECT_EQ(failed->message, "a: bad gateway");
}

TEST(task_document, shows_a_task_as_the_contract_has_it) {
  task t;
  t.id = "id";
  t.operation = "ti.tac.kms:Providers.create";
  t.cluster = "ta";
  t.user = "alice";
  t.state = task_state::running;
  t.started = 1'767'323'045;
  auto o = task_json(t);
  EXPECT_EQ(o.at("description").at("id").as_string(), "ti.tac.kms:Providers.create");
  EXPECT_EQ(o.at("service").as_string(), "ti.tac.kms:Providers");
  EXPECT_EQ(o.at("operation").as_string(), "create");
  EXPECT_EQ(o.at("status").as_string(), "RUNNING");
  EXPECT_EQ(o.at("start_time").as_string(), "2026-01-02T03:04:05Z");
  EXPECT_EQ(o.at("target").at("id").as_string(), "ta");
  EXPECT_FALSE(o.contains("end_time") || o.contains("result") || o.contains("error"));

  t.state = task_state::succeeded;
  t.finished = t.started + 1;
  t.result = "\"vault\"";
  o = task_json(t);
  EXPECT_EQ(o.at("end_time").as_string(), "2026-01-02T03:04:06Z");
  EXPECT_EQ(o.at("result").as_string(), "vault");

  t.state = task_state::failed;
  t.failure = field_error(errc::not_found, "name", "there is none");
  t.targets = {good("a"), silent("b")};
  o = task_json(t);
  EXPECT_EQ(o.at("error").at("error_type").as_string(), "NOT_FOUND");
  EXPECT_FALSE(o.contains("result"));
  ASSERT_EQ(o.at("custos_targets").as_array().size(), 2U);
  EXPECT_FALSE(o.at("custos_targets").at(1).at("ok").as_bool());
  EXPECT_EQ(o.at("custos_targets").at(1).at("message").as_string(), "cannot be reached");
}

TEST(task_document, has_the_states_of_the_contract) {
  EXPECT_EQ(to_string(task_state::pending), "PENDING");
  EXPECT_EQ(to_string(task_state::running), "RUNNING");
  EXPECT_EQ(to_string(task_state::succeeded), "SUCCEEDED");
  EXPECT_EQ(to_string(task_state::failed), "FAILED");
}

TEST(timestamp, is_in_utc) { // RFC 3339
  EXPECT_EQ(timestamp(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(timestamp(951'782'400), "2000-02-29T00:00:00Z");
  EXPECT_EQ(timestamp(4'102'444'799), "2099-12-31T23:59:59Z");
}

} // namespace custos::coordinator
