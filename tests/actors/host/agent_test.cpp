#include "actors/host/agent_actor.hpp"

#include "tests/actors/deterministic.hpp"
#include "tests/actors/host/agent_doubles.hpp"

#include <gmock/gmock.h>
#include <set>

namespace custos::host {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

const std::string challenges = "/attestation/v1/challenges";

class agent_test : public test::deterministic {
protected:
  agent_test() {
    nodes->nodes["https://n1"] = {};
    nodes->nodes["https://n2"] = {};
    nodes->nodes["https://n3"] = {};
  }

  void start() { agent = own(spawn_agent(system, given())); }
  agent_dependencies given() {
    agent_dependencies d;
    d.host = "host-7";
    d.tpm = own(tpm_api(system.spawn<test::tpm_double>(tpm)));
    d.store = store;
    d.now = [this] { return nodes->now; };
    d.connect =
        [this](const std::string& ca,
               const http::tls_identity& identity) -> result<std::shared_ptr<http::client>> {
      if (connect_failure)
        return *connect_failure;
      anchors.push_back(ca);
      EXPECT_TRUE(identity.private_key);
      const auto certificate =
          crypto::certificate_from_pem(as_bytes(identity.certificate_chain_pem));
      EXPECT_TRUE(certificate.ok());
      EXPECT_TRUE(certificate->public_key().same_public(identity.private_key));
      EXPECT_EQ(certificate->common_name(), "host-7");
      return std::shared_ptr<http::client>(std::make_shared<test::client_double>(nodes));
    };
    d.report = [this](const host_status& s) { reports.push_back(s.state); };
    if (reporting)
      d.publish = [this](const std::string& token) { published.push_back(token); };
    return d;
  }
  static host_services services(std::uint64_t revision = 1) {
    return {{"https://n1", "https://n2"}, {"https://n1", "https://n2"}, ca(), revision};
  }
  static std::string ca() {
    static const std::string pem = [] {
      const auto key = crypto::generate_p256().value();
      crypto::certificate_request r;
      r.common_name = "ca";
      r.is_ca = true;
      r.not_after = 4'000'000'000;
      return crypto::issue_certificate(r, key, key, nullptr).value().pem();
    }();
    return pem;
  }

  /// Both clocks: the scheduler's and the one on the wall. In steps, or it would look like a clock
  /// that jumps.
  void pass(std::int64_t seconds) {
    constexpr std::int64_t step_s = 5;
    do {
      const auto step = std::min(seconds, step_s);
      nodes->now += step;
      advance(std::chrono::seconds(step));
      seconds -= step;
    } while (seconds > 0);
  }
  /// The same agent after its process ended.
  void restart() {
    caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
    run();
    start();
    pass(0);
  }
  host_status status() { return ask<host_status>(agent, get_host_status{}).value(); }
  void attest() {
    start();
    ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
    pass(0);
    ASSERT_EQ(status().state, "attested") << status().error;
  }
  static request_key wish(const std::string& provider = "vault") {
    request_key r;
    r.provider = provider;
    return r;
  }

  std::shared_ptr<test::node_cluster> nodes = std::make_shared<test::node_cluster>();
  std::shared_ptr<test::tpm_state> tpm = std::make_shared<test::tpm_state>();
  std::shared_ptr<rocksdb::kv_store> store = rocksdb::make_memory_store();
  std::optional<error> connect_failure;
  std::vector<std::string> anchors;
  std::vector<std::string> reports;
  bool reporting = false;
  std::vector<std::string> published;
  host_agent_api agent;
};

http::response problem_of(errc code, std::string check = {},
                          std::optional<std::uint32_t> retry_after_s = std::nullopt) {
  auto e = make_error(code, "the node says no");
  e.check = std::move(check);
  e.pcr = 7;
  e.event = 3;
  e.retry_after_s = retry_after_s;
  return http::problem(e);
}

} // namespace

// ---- attesting ----------------------------------------------------------------------------------

TEST_F(agent_test, does_nothing_until_it_is_configured) {
  start();
  pass(3600);
  EXPECT_EQ(status().state, "unconfigured");
  EXPECT_EQ(status().host, "host-7");
  EXPECT_TRUE(nodes->calls.empty());
  const auto key = ask<key_ready>(agent, wish());
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.failure().code, errc::unavailable);
}

TEST_F(agent_test, attests_as_soon_as_it_is_configured) {
  start();
  const auto applied = ask<services_applied>(agent, services(5));
  ASSERT_TRUE(applied.ok());
  EXPECT_EQ(applied->revision, 5U);
  EXPECT_EQ(applied->fingerprint, services_fingerprint(services(5)));
  pass(0);
  const auto s = status();
  EXPECT_EQ(s.state, "attested") << s.error;
  EXPECT_EQ(s.image, "rack");
  EXPECT_EQ(s.image_version, "12");
  EXPECT_EQ(s.token_expires, nodes->now + nodes->token_life_s);
  EXPECT_EQ(s.last_attested, nodes->now);
  EXPECT_EQ(s.services_revision, 5U);
  EXPECT_TRUE(s.error.empty());
  EXPECT_THAT(anchors, ElementsAre(ca()));
  EXPECT_EQ(tpm->quotes, 1U);
  EXPECT_EQ(reports.back(), "attested");
}

TEST_F(agent_test, goes_on_after_a_restart_with_what_it_kept) {
  ASSERT_TRUE(save_services(*store, services(9)).ok());
  start();
  pass(0);
  EXPECT_EQ(status().state, "attested");
  EXPECT_EQ(status().services_revision, 9U);
}

TEST_F(agent_test, says_when_what_it_kept_is_damaged) {
  rocksdb::write_batch batch;
  batch.put("services", std::string_view("{"));
  ASSERT_TRUE(store->write(batch).ok());
  start();
  pass(0);
  EXPECT_FALSE(status().error.empty());
  EXPECT_NE(status().state, "attested");
  EXPECT_TRUE(nodes->calls.empty());
  EXPECT_TRUE(ask<services_applied>(agent, services()).ok()) << "and can be configured anew";
  pass(0);
  EXPECT_EQ(status().state, "attested");
}

TEST_F(agent_test, attests_again_before_its_token_ends) {
  attest();
  const auto first = status();
  EXPECT_LE(first.next_attempt, nodes->now + nodes->token_life_s * 3 / 4);
  EXPECT_GE(first.next_attempt, nodes->now + nodes->token_life_s * 13 / 20);
  pass(first.next_attempt - nodes->now - 1);
  EXPECT_EQ(nodes->granted, 1U);
  pass(2);
  EXPECT_EQ(nodes->granted, 2U);
  EXPECT_EQ(status().state, "attested");
  EXPECT_GT(status().token_expires, first.token_expires);
  EXPECT_EQ(nodes->count("attestation-keys"), 1U) << "the attestation key is enrolled once";
}

TEST_F(agent_test, attests_now_when_it_is_asked_to) {
  attest();
  const auto s = ask<host_status>(agent, attest_now{});
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->state, "attested");
  EXPECT_EQ(nodes->granted, 2U);
}

TEST_F(agent_test, makes_one_attempt_for_all_who_ask_at_once) {
  attest();
  nodes->hold = true;
  const auto one = post<host_status>(agent, attest_now{});
  const auto two = post<host_status>(agent, attest_now{});
  run();
  EXPECT_FALSE(one->has_value());
  nodes->hold = false;
  nodes->release();
  run();
  ASSERT_TRUE(one->has_value() && two->has_value());
  EXPECT_EQ(nodes->granted, 2U);
}

TEST_F(agent_test, tells_whoever_waits_that_it_stops) {
  attest();
  nodes->hold = true;
  const auto waiting = post<host_status>(agent, attest_now{});
  run();
  ASSERT_FALSE(waiting->has_value());
  caf::anon_send_exit(agent, caf::exit_reason::user_shutdown);
  run();
  ASSERT_TRUE(waiting->has_value());
  EXPECT_EQ((*waiting)->failure().code, errc::cancelled);
}

TEST_F(agent_test, answers_at_once_that_there_is_nothing_to_attest_to) {
  start();
  const auto s = ask<host_status>(agent, attest_now{});
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->state, "unconfigured");
  EXPECT_FALSE(s->error.empty());
}

// ---- failures and back-off
// ------------------------------------------------------------------------

TEST_F(agent_test, tries_again_later_and_later_while_the_tpm_is_away) {
  tpm->away = true;
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  EXPECT_EQ(status().state, "failed");
  EXPECT_NE(status().error.find("TPM"), std::string::npos);
  for (std::uint32_t failures = 1; failures < 12; ++failures) {
    EXPECT_EQ(tpm->identities, failures);
    const auto wait = status().next_attempt - nodes->now;
    EXPECT_LE(wait, back_off_s(failures, 0)) << failures;
    EXPECT_GE(wait, std::max(1U, back_off_s(failures, 0) / 2)) << failures;
    pass(wait);
  }
  tpm->away = false;
  pass(300);
  EXPECT_EQ(status().state, "attested");
  EXPECT_TRUE(status().error.empty());
}

TEST_F(agent_test, gives_a_silent_tpm_up) {
  tpm->silent = true;
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  pass(59);
  EXPECT_EQ(status().state, "attesting");
  pass(2);
  EXPECT_EQ(status().state, "failed");
  tpm->silent = false;
  pass(2);
  EXPECT_EQ(status().state, "attested");
}

TEST_F(agent_test, spreads_the_attempts_of_a_fleet) {
  nodes->nodes["https://n1"].away = nodes->nodes["https://n2"].away = true;
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  std::set<std::int64_t> waits;
  for (int i = 0; i < 40; ++i) {
    const auto wait = status().next_attempt - nodes->now;
    if (i > 12)
      waits.insert(wait);
    EXPECT_LE(wait, 300);
    pass(wait);
  }
  EXPECT_GT(waits.size(), 5U) << "the longest waits differ";
}

TEST_F(agent_test, waits_as_long_as_a_node_says) {
  const auto busy = problem_of(errc::overloaded, "", 120);
  nodes->nodes["https://n1"].refuses = nodes->nodes["https://n2"].refuses = busy;
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  EXPECT_EQ(status().next_attempt - nodes->now, 120);
  nodes->nodes["https://n1"].refuses = nodes->nodes["https://n2"].refuses =
      problem_of(errc::overloaded, "", 86'400);
  pass(120);
  EXPECT_LE(status().next_attempt - nodes->now, 300) << "but not for ever";
}

TEST_F(agent_test, stays_attested_while_nodes_are_away_until_the_token_ends) {
  attest();
  nodes->nodes["https://n1"].away = nodes->nodes["https://n2"].away = true;
  const auto expires = status().token_expires;
  pass(status().next_attempt - nodes->now);
  EXPECT_EQ(status().state, "attested");
  EXPECT_FALSE(status().error.empty()) << "but says what is wrong";
  nodes->now = expires;
  EXPECT_EQ(status().state, "failed");
  const auto key = ask<key_ready>(agent, wish());
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.failure().code, errc::unavailable);
}

TEST_F(agent_test, loses_its_token_when_the_verdict_is_no) {
  attest();
  nodes->instead["/tokens"] = problem_of(errc::attestation_failed, "pcr-digest");
  const auto s = ask<host_status>(agent, attest_now{});
  EXPECT_EQ(s->state, "failed");
  EXPECT_EQ(s->check, "pcr-digest");
  EXPECT_EQ(s->pcr, 7U);
  EXPECT_EQ(s->event, 3U);
  const auto key = ask<key_ready>(agent, wish());
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.failure().check, "pcr-digest") << "whoever wants a key learns why there is none";
  EXPECT_TRUE(nodes->tokens_shown.empty());
}

TEST_F(agent_test, enrols_again_when_its_attestation_key_is_no_longer_taken) {
  attest();
  nodes->instead["/tokens"] = problem_of(errc::attestation_failed, "ak-certificate");
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  nodes->instead.clear();
  pass(2);
  EXPECT_EQ(status().state, "attested");
  EXPECT_EQ(nodes->count("attestation-keys"), 2U);
}

TEST_F(agent_test, tries_again_at_once_what_a_new_quote_may_cure) {
  attest();
  auto moved = make_error(errc::attestation_failed, "the PCRs moved");
  moved.check = "pcr-digest";
  moved.retryable = true;
  nodes->instead["/tokens"] = http::problem(moved);
  const auto s = ask<host_status>(agent, attest_now{});
  EXPECT_EQ(s->state, "attested") << "the last token stands";
  EXPECT_TRUE(s->retryable);
  EXPECT_EQ(s->check, "pcr-digest");
  EXPECT_EQ(s->next_attempt, nodes->now + 1);
  nodes->instead.clear();
  pass(1);
  EXPECT_EQ(nodes->granted, 2U);
  EXPECT_FALSE(status().retryable);
  EXPECT_TRUE(status().check.empty());
}

TEST_F(agent_test, gives_up_what_a_new_quote_does_not_cure_either) {
  attest();
  auto moved = make_error(errc::attestation_failed, "the PCRs moved");
  moved.check = "pcr-digest";
  moved.retryable = true;
  nodes->instead["/tokens"] = http::problem(moved);
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  for (unsigned i = 0; i < 3; ++i)
    pass(1);
  EXPECT_EQ(status().state, "failed");
  EXPECT_EQ(ask<key_ready>(agent, wish()).failure().check, "pcr-digest");
  EXPECT_GT(status().next_attempt, nodes->now + 1) << "and asks less often";
}

TEST_F(agent_test, attests_again_after_the_machine_slept) {
  attest();
  const auto due = status().next_attempt;
  nodes->now += 600; // the scheduler's clock stood still
  ASSERT_LT(nodes->now, due);
  pass(60);
  EXPECT_EQ(nodes->granted, 2U);
  EXPECT_EQ(status().state, "attested");
}

TEST_F(agent_test, attests_again_after_its_clock_was_set) {
  attest();
  nodes->now -= 3600;
  pass(60);
  EXPECT_EQ(nodes->granted, 2U);
  pass(1200);
  EXPECT_EQ(nodes->granted, 2U) << "once";
}

TEST_F(agent_test, knows_of_an_expired_token_after_a_long_sleep) {
  attest();
  nodes->now += 10LL * 24 * 3600;
  EXPECT_EQ(status().state, "failed");
  EXPECT_FALSE(ask<key_ready>(agent, wish()).ok());
  pass(30);
  EXPECT_EQ(status().state, "attested");
}

TEST_F(agent_test, tells_key_and_boot) {
  attest();
  const auto s = status();
  EXPECT_EQ(s.ak_name, crypto::hex(bytes(34, 0x0B)));
  ASSERT_TRUE(s.boot);
  EXPECT_EQ(s.boot->reset_count, 7U);
  EXPECT_EQ(s.boot->restart_count, 1U);
}

// ---- enrolment
// ----------------------------------------------------------------------------------

TEST_F(agent_test, needs_no_enrolment_after_a_restart) {
  attest();
  restart();
  EXPECT_EQ(status().state, "attested") << status().error;
  EXPECT_EQ(nodes->count("attestation-keys"), 1U);
  EXPECT_EQ(tpm->identities, 1U) << "the endorsement key was not needed";
  EXPECT_EQ(tpm->ak_asked, 1U);
  ASSERT_TRUE(ask<services_applied>(agent, services(2)).ok());
  pass(0);
  EXPECT_EQ(status().state, "attested");
  EXPECT_EQ(nodes->count("attestation-keys"), 1U) << "the same authority";
}

TEST_F(agent_test, enrols_again_when_the_tpm_has_another_key) {
  attest();
  tpm->ak_name = bytes(34, 0x0C);
  restart();
  EXPECT_EQ(status().state, "attested");
  EXPECT_EQ(nodes->count("attestation-keys"), 2U);
}

TEST_F(agent_test, enrols_again_when_the_tpm_is_cleared_under_way) {
  attest();
  tpm->ak_name = bytes(34, 0x0C);
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  EXPECT_EQ(nodes->granted, 1U) << "nothing is sent under the old certificate";
  pass(2);
  EXPECT_EQ(nodes->granted, 2U);
  EXPECT_EQ(status().ak_name, crypto::hex(bytes(34, 0x0C)));
  EXPECT_EQ(nodes->count("attestation-keys"), 2U);
}

TEST_F(agent_test, enrols_with_another_authority_anew) {
  attest();
  auto s = services(2);
  const auto key = crypto::generate_p256().value();
  crypto::certificate_request r;
  r.common_name = "another ca";
  r.is_ca = true;
  r.not_after = 4'000'000'000;
  s.trusted_ca = crypto::issue_certificate(r, key, key, nullptr).value().pem();
  ASSERT_TRUE(ask<services_applied>(agent, s).ok());
  pass(0);
  EXPECT_EQ(status().state, "attested");
  EXPECT_EQ(nodes->count("attestation-keys"), 2U);
}

TEST_F(agent_test, renews_the_certificate_of_its_key_before_it_ends) {
  nodes->ak_certificate_life_s = 24 * 3600;
  attest();
  const auto before = nodes->now + nodes->ak_certificate_life_s;
  while (nodes->count("attestation-keys") == 1 && nodes->now < before)
    pass(3600);
  EXPECT_LT(nodes->now, before);
  EXPECT_EQ(nodes->count("attestation-keys"), 2U);
  EXPECT_EQ(status().state, "attested");
}

TEST_F(agent_test, forgets_its_enrolment_with_its_configuration) {
  attest();
  ASSERT_TRUE(ask<services_applied>(agent, clear_host_services{}).ok());
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  EXPECT_EQ(nodes->count("attestation-keys"), 2U);
}

// ---- IMA
// ----------------------------------------------------------------------------------------

TEST_F(agent_test, sends_of_the_ima_log_what_is_new) {
  tpm->ima_entries = 100;
  attest();
  EXPECT_EQ(nodes->last.ima_first, 0U);
  EXPECT_EQ(nodes->last.ima_log.size(), 100U);
  tpm->ima_entries = 130;
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  EXPECT_EQ(nodes->last.ima_first, 100U);
  EXPECT_EQ(nodes->last.ima_log.size(), 30U);
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  EXPECT_EQ(nodes->last.ima_first, 130U);
  EXPECT_TRUE(nodes->last.ima_log.empty());
}

TEST_F(agent_test, sends_the_whole_ima_log_after_a_reset) {
  tpm->ima_entries = 100;
  attest();
  tpm->resets = 8;
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  EXPECT_EQ(nodes->last.ima_first, 0U);
  EXPECT_EQ(nodes->last.ima_log.size(), 100U);
}

TEST_F(agent_test, sends_the_whole_ima_log_at_once_when_a_node_does_not_know_the_rest) {
  tpm->ima_entries = 100;
  attest();
  nodes->ima_judged.clear();
  const auto s = ask<host_status>(agent, attest_now{});
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->state, "attested") << "one attempt for whoever asked";
  EXPECT_TRUE(s->error.empty());
  EXPECT_EQ(nodes->granted, 2U);
  EXPECT_EQ(nodes->last.ima_first, 0U);
}

TEST_F(agent_test, sends_the_whole_ima_log_to_another_node) {
  tpm->ima_entries = 100;
  attest();
  nodes->nodes["https://n1"].away = true;
  const auto s = ask<host_status>(agent, attest_now{});
  EXPECT_EQ(s->state, "attested");
  EXPECT_TRUE(s->error.empty()) << s->error;
  EXPECT_EQ(nodes->last.ima_first, 0U);
  EXPECT_EQ(nodes->last.ima_log.size(), 100U);
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  EXPECT_EQ(nodes->last.ima_first, 100U) << "and then what is new, there";
}

TEST_F(agent_test, takes_a_refused_whole_ima_log_for_a_failure) {
  tpm->ima_entries = 100;
  auto refusal = make_error(errc::attestation_failed, "no");
  refusal.check = "ima-log";
  refusal.retryable = true;
  nodes->instead["/tokens"] = http::problem(refusal);
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  EXPECT_EQ(status().check, "ima-log");
  EXPECT_EQ(nodes->count("/tokens"), 1U) << "no loop";
}

// ---- tokens for others
// --------------------------------------------------------------------------

TEST_F(agent_test, asks_for_no_reporting_token_unless_told_to) {
  attest();
  EXPECT_FALSE(nodes->last.reporting);
}

TEST_F(agent_test, publishes_its_reporting_token_while_it_holds) {
  reporting = true;
  attest();
  EXPECT_TRUE(nodes->last.reporting);
  EXPECT_EQ(published.back(), "report.1");
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  EXPECT_EQ(published.back(), "report.2");
  nodes->instead["/tokens"] = problem_of(errc::attestation_failed, "base-image");
  ASSERT_TRUE(ask<host_status>(agent, attest_now{}).ok());
  EXPECT_EQ(published.back(), "") << "it no longer says the truth";
}

TEST_F(agent_test, takes_no_token_that_has_ended_already) {
  nodes->token_life_s = -1;
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  EXPECT_EQ(status().state, "failed");
  EXPECT_NE(status().error.find("clock"), std::string::npos);
  pass(64);
  EXPECT_LT(nodes->granted, 9U) << "and does not ask every second";
}

TEST_F(agent_test, takes_answers_that_are_none_as_failures) {
  const std::vector<std::string> paths{"/attestation-keys", "/challenges", "/tokens"};
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  for (const auto& path : paths)
    for (const auto& body :
         {std::string(), std::string("{"), std::string("[]"), std::string("{\"nonce\":\"?\"}"),
          std::string(1000000, 'x'), std::string("<html>"), std::string("\xFF\x00", 2)}) {
      nodes->instead.clear();
      http::response r;
      r.body = body;
      nodes->instead[path] = r;
      ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
      pass(0);
      EXPECT_EQ(status().state, "failed") << path << " " << body.substr(0, 20);
      EXPECT_FALSE(status().error.empty());
    }
  nodes->instead.clear();
  pass(2);
  EXPECT_EQ(status().state, "attested");
}

TEST_F(agent_test, says_why_it_cannot_make_a_client) {
  connect_failure = field_error(errc::invalid_argument, "trusted_ca", "expected PEM certificates");
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  EXPECT_EQ(status().state, "failed");
  EXPECT_EQ(status().error, "expected PEM certificates");
}

// ---- several nodes
// --------------------------------------------------------------------------------

TEST_F(agent_test, goes_to_the_next_node_when_one_is_dead) {
  nodes->nodes["https://n1"].away = true;
  attest();
  EXPECT_THAT(nodes->nodes_called("/attestation/v1/attestation-keys"),
              ElementsAre("https://n1", "https://n2"));
  EXPECT_THAT(nodes->nodes_called(challenges), ElementsAre("https://n2"))
      << "and stays with the one that answered";
  ASSERT_TRUE(ask<key_ready>(agent, wish()).ok());
  EXPECT_EQ(nodes->calls.back().first, "https://n2");
}

TEST_F(agent_test, goes_to_the_next_node_when_one_says_that_it_is_overloaded) {
  nodes->nodes["https://n1"].refuses = problem_of(errc::overloaded);
  attest();
  EXPECT_THAT(nodes->nodes_called(challenges), ElementsAre("https://n2"));
}

TEST_F(agent_test, asks_no_other_node_when_one_says_no) {
  nodes->nodes["https://n1"].refuses = problem_of(errc::attestation_failed, "ek-not-trusted");
  start();
  ASSERT_TRUE(ask<services_applied>(agent, services()).ok());
  pass(0);
  EXPECT_EQ(status().check, "ek-not-trusted");
  EXPECT_EQ(nodes->calls.size(), 1U);
}

TEST_F(agent_test, asks_each_node_once_when_all_are_dead) {
  auto s = services();
  s.attestation.push_back("https://n3");
  for (auto& [name, node] : nodes->nodes)
    node.away = true;
  start();
  ASSERT_TRUE(ask<services_applied>(agent, s).ok());
  pass(0);
  EXPECT_EQ(nodes->calls.size(), 3U);
  EXPECT_EQ(status().error, "https://n3 cannot be reached");
}

TEST_F(agent_test, asks_each_node_for_each_question_whatever_the_others_found) {
  attest();
  // Two questions at n1 are in flight when it dies; the first to be told prefers n2 from then on.
  nodes->hold = true;
  nodes->nodes["https://n1"].away = true;
  const auto one = post<key_ready>(agent, wish());
  const auto two = post<key_ready>(agent, wish());
  run();
  ASSERT_EQ(nodes->held.size(), 2U);
  const auto second = std::move(nodes->held.back());
  nodes->held.pop_back();
  nodes->hold = false;
  nodes->release();
  run();
  ASSERT_TRUE(one->has_value());
  EXPECT_TRUE((*one)->ok());
  second();
  run();
  ASSERT_TRUE(two->has_value());
  EXPECT_TRUE((*two)->ok()) << (*two)->failure().message;
}

// ---- configuration that changes under way
// ---------------------------------------------------------

TEST_F(agent_test, ignores_what_an_attempt_of_the_old_configuration_brings) {
  start();
  nodes->hold = true;
  ASSERT_TRUE(ask<services_applied>(agent, services(1)).ok());
  pass(0);
  ASSERT_EQ(nodes->held.size(), 1U);
  auto s = services(2);
  s.attestation = {"https://n3"};
  ASSERT_TRUE(ask<services_applied>(agent, s).ok());
  nodes->hold = false;
  nodes->release();
  pass(0);
  EXPECT_EQ(status().state, "attested");
  EXPECT_EQ(status().services_revision, 2U);
  EXPECT_THAT(nodes->nodes_called(challenges), ElementsAre("https://n3"));
  EXPECT_EQ(nodes->clients, 2U) << "other anchors, another connection";
}

TEST_F(agent_test, survives_losing_its_configuration_while_it_asks) {
  attest();
  nodes->hold = true;
  nodes->nodes["https://n1"].away = true;
  const auto waiting = post<host_status>(agent, attest_now{});
  const auto key = post<key_ready>(agent, wish());
  run();
  ASSERT_TRUE(ask<services_applied>(agent, clear_host_services{}).ok());
  ASSERT_TRUE(waiting->has_value()) << "nobody waits for an attempt that will not be made";
  EXPECT_EQ((*waiting)->value().state, "unconfigured");
  nodes->hold = false;
  nodes->release(); // n1 was away: the next node's turn, with no configuration any more
  pass(0);
  ASSERT_TRUE(key->has_value());
  EXPECT_EQ(status().state, "unconfigured");
  EXPECT_EQ(status().image, "");
  pass(3600);
  EXPECT_EQ(nodes->granted, 1U) << "no timer of the old configuration is left";
  EXPECT_FALSE(ask<key_ready>(agent, wish()).ok());
  EXPECT_FALSE(load_services(*store).value().has_value());
}

TEST_F(agent_test, has_no_verdict_any_more_after_a_new_configuration) {
  attest();
  auto s = services(2);
  s.attestation.clear();
  ASSERT_TRUE(ask<services_applied>(agent, s).ok());
  pass(0);
  EXPECT_EQ(status().state, "unconfigured");
  EXPECT_FALSE(ask<key_ready>(agent, wish()).ok());
}

// ---- keys
// -----------------------------------------------------------------------------------------

TEST_F(agent_test, gets_keys_with_its_token) {
  attest();
  auto r = wish();
  r.context = {5};
  const auto made = ask<key_ready>(agent, r);
  ASSERT_TRUE(made.ok()) << made.failure().message;
  EXPECT_EQ(made->key->reveal_secret().size(), 32U);
  EXPECT_EQ(made->key->reveal_secret()[0], 0xAB);
  EXPECT_EQ(made->ciphertext, (bytes{1, 1, 1}));
  EXPECT_EQ(nodes->calls.back().second, "/keys/v1/providers/vault/generate");
  EXPECT_EQ(nodes->tokens_shown.back(), "Bearer token.1");
  r.ciphertext = made->ciphertext;
  ASSERT_TRUE(ask<key_ready>(agent, r).ok());
  EXPECT_EQ(nodes->calls.back().second, "/keys/v1/providers/vault/decrypt");
}

TEST_F(agent_test, asks_for_keys_of_providers_only) {
  attest();
  const auto before = nodes->calls.size();
  for (const auto& name :
       {std::string(), std::string("../../../cluster/v1/join?"), std::string("a/b"),
        std::string("a?b"), std::string("a b"), std::string("a\r\nb"), std::string(".."),
        std::string("%2e"), std::string(129, 'a')}) {
    const auto key = ask<key_ready>(agent, wish(name));
    ASSERT_FALSE(key.ok()) << name;
    EXPECT_EQ(key.failure().field, "/provider") << name;
  }
  EXPECT_EQ(nodes->calls.size(), before);
}

TEST_F(agent_test, attests_anew_when_the_gate_no_longer_takes_its_token) {
  attest();
  nodes->instead["/generate"] = problem_of(errc::token_invalid, "token-signature");
  const auto key = ask<key_ready>(agent, wish());
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.failure().code, errc::token_invalid);
  nodes->instead.clear();
  pass(0);
  EXPECT_EQ(nodes->granted, 2U);
  ASSERT_TRUE(ask<key_ready>(agent, wish()).ok());
  EXPECT_EQ(nodes->tokens_shown.back(), "Bearer token.2");
}

TEST_F(agent_test, attests_anew_when_image_or_host_are_not_what_its_token_says) {
  for (const auto* check : {"gate-image", "gate-host", "gate-boot"}) {
    attest();
    nodes->granted = 0;
    nodes->instead["/generate"] = problem_of(errc::forbidden, check);
    ASSERT_FALSE(ask<key_ready>(agent, wish()).ok());
    EXPECT_EQ(status().state, "attesting");
    EXPECT_EQ(status().check, check);
    nodes->instead.clear();
    pass(0);
    EXPECT_EQ(nodes->granted, 1U) << check;
    EXPECT_TRUE(ask<key_ready>(agent, wish()).ok());
  }
}

TEST_F(agent_test, does_not_attest_without_end_for_a_gate_that_takes_no_token) {
  attest();
  nodes->instead["/generate"] = problem_of(errc::forbidden, "gate-image");
  for (int i = 0; i < 120; ++i) {
    EXPECT_FALSE(ask<key_ready>(agent, wish()).ok());
    pass(1);
  }
  EXPECT_LT(nodes->granted, 12U);
}

TEST_F(agent_test, keeps_its_token_when_a_key_is_refused_for_another_reason) {
  attest();
  nodes->instead["/generate"] = problem_of(errc::forbidden, "provider-access");
  const auto key = ask<key_ready>(agent, wish());
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.failure().check, "provider-access");
  pass(0);
  EXPECT_EQ(nodes->granted, 1U);
}

TEST_F(agent_test, takes_no_key_that_is_not_for_it) {
  attest();
  const auto other = crypto::generate_p256().value();
  http::response r;
  r.body = gateway::encode_generated(
      {{1}, jose::encrypt_ecdh_es_a256kw(other, "kid", bytes(32)).value()});
  nodes->instead["/generate"] = r;
  EXPECT_FALSE(ask<key_ready>(agent, wish()).ok());
  r.body = "{\"jwe\":7}";
  nodes->instead["/generate"] = r;
  const auto malformed = ask<key_ready>(agent, wish());
  ASSERT_FALSE(malformed.ok());
  EXPECT_EQ(malformed.failure().field, "/jwe");
}

} // namespace custos::host
