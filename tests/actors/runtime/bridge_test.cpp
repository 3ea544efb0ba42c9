#include "runtime/bridge.hpp"

#include "adapters/http/http.hpp"
#include "tests/actors/deterministic.hpp"

#include <thread>

namespace custos::runtime {

namespace {

using namespace std::chrono_literals;

/// A service that answers, refuses, keeps silent or dies, as the test says.
struct service_state {
  enum class mood { answers, refuses, is_silent };
  mood now = mood::answers;
  std::vector<std::string> asked;
  std::vector<caf::typed_response_promise<proxied_answer>> kept;
};

class service_double : public host_proxy_api::base {
public:
  service_double(caf::actor_config& config, std::shared_ptr<service_state> state)
      : host_proxy_api::base(config), state_(std::move(state)) {
    set_default_handler(caf::drop);
  }
  void on_exit() override { state_->kept.clear(); }
  host_proxy_api::behavior_type make_behavior() override {
    return {
        [this](const proxied_call& call) -> caf::result<proxied_answer> {
          state_->asked.push_back(call.path);
          if (state_->now == service_state::mood::refuses)
            return to_caf(field_error(errc::not_found, "name", "there is none of that name"));
          if (state_->now == service_state::mood::is_silent) {
            state_->kept.push_back(make_response_promise<proxied_answer>());
            return state_->kept.back();
          }
          proxied_answer a;
          a.status = 200;
          a.body = call.path;
          return a;
        },
        /// Late: what the first of the kept calls gets after all.
        [this](const proxied_answer& a) { state_->kept.front().deliver(a); },
    };
  }

private:
  std::shared_ptr<service_state> state_;
};

class bridge_test : public test::deterministic {
protected:
  bridge_test() : service(own(host_proxy_api(system.spawn<service_double>(state)))) {}

  using outcome = std::shared_ptr<std::vector<result<proxied_answer>>>;
  outcome ask(const std::string& path, std::chrono::milliseconds budget = 5s,
              std::shared_ptr<void> permit = nullptr) {
    auto out = std::make_shared<std::vector<result<proxied_answer>>>();
    proxied_call call;
    call.path = path;
    calls.ask<proxied_answer>(
        service, budget, std::move(call),
        [out, permit](result<proxied_answer> r) { out->push_back(std::move(r)); });
    return out;
  }

  std::shared_ptr<service_state> state = std::make_shared<service_state>();
  host_proxy_api service;
  bridge calls{system, 3};
};

} // namespace

TEST_F(bridge_test, brings_the_answer_back_once) {
  const auto got = ask("/a");
  EXPECT_TRUE(got->empty()) << "nothing runs on the caller's thread";
  run();
  ASSERT_EQ(got->size(), 1U);
  ASSERT_TRUE(got->front().ok());
  EXPECT_EQ(got->front()->body, "/a");
}

TEST_F(bridge_test, brings_the_whole_error_back) {
  state->now = service_state::mood::refuses;
  const auto got = ask("/a");
  run();
  ASSERT_EQ(got->size(), 1U);
  ASSERT_FALSE(got->front().ok());
  EXPECT_EQ(got->front().failure().code, errc::not_found);
  EXPECT_EQ(got->front().failure().field, "name");
  EXPECT_EQ(got->front().failure().message, "there is none of that name");
}

TEST_F(bridge_test, gives_up_at_the_deadline_of_each_call) {
  state->now = service_state::mood::is_silent;
  const auto quick = ask("/quick", 1s);
  const auto patient = ask("/patient", 10s);
  advance(999ms);
  EXPECT_TRUE(quick->empty());
  advance(2ms);
  ASSERT_EQ(quick->size(), 1U);
  EXPECT_EQ(quick->front().failure().code, errc::timeout);
  EXPECT_TRUE(patient->empty()) << "one slow call is not the other's";
  const auto problem = http::problem(quick->front().failure());
  EXPECT_EQ(problem.status, 504U);
  advance(10s);
  ASSERT_EQ(patient->size(), 1U);
}

TEST_F(bridge_test, drops_an_answer_that_comes_after_the_deadline) {
  state->now = service_state::mood::is_silent;
  const auto got = ask("/a", 1s);
  advance(2s);
  ASSERT_EQ(got->size(), 1U);
  caf::anon_send(service, proxied_answer{});
  run();
  EXPECT_EQ(got->size(), 1U);
}

TEST_F(bridge_test, says_that_a_dead_service_is_away) {
  const auto waiting = ask("/a");
  caf::anon_send_exit(service, caf::exit_reason::user_shutdown);
  run();
  const auto later = ask("/b");
  run();
  ASSERT_EQ(waiting->size(), 1U);
  ASSERT_EQ(later->size(), 1U);
  EXPECT_EQ(later->front().failure().code, errc::unavailable);
  EXPECT_EQ(http::problem(later->front().failure()).status, 503U);
}

TEST_F(bridge_test, gives_up_on_a_service_that_dies_with_the_question) {
  state->now = service_state::mood::is_silent;
  const auto got = ask("/a", 5s);
  run();
  caf::anon_send_exit(service, caf::exit_reason::kill);
  advance(6s);
  ASSERT_EQ(got->size(), 1U);
  EXPECT_EQ(got->front().failure().code, errc::timeout);
}

TEST_F(bridge_test, keeps_the_calls_of_one_caller_apart) {
  std::vector<outcome> all;
  for (int i = 0; i < 100; ++i)
    all.push_back(ask("/" + std::to_string(i)));
  run();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(all[static_cast<std::size_t>(i)]->size(), 1U);
    EXPECT_EQ(all[static_cast<std::size_t>(i)]->front()->body, "/" + std::to_string(i));
  }
}

TEST_F(bridge_test, lets_go_of_calls_in_hand_when_it_stops) {
  state->now = service_state::mood::is_silent;
  admission gate(10);
  const auto in_hand = ask("/a", 60s, gate.try_enter());
  run();
  EXPECT_EQ(gate.in_flight(), 1U);
  calls.stop();
  run();
  const auto too_late = ask("/b", 60s, gate.try_enter());
  run();
  EXPECT_TRUE(in_hand->empty() && too_late->empty());
  EXPECT_EQ(gate.in_flight(), 0U) << "whatever the callbacks held is free again";
  EXPECT_EQ(state->asked, std::vector<std::string>{"/a"});
}

TEST_F(bridge_test, stops_twice) {
  calls.stop();
  run();
  calls.stop();
  run();
}

TEST(admission_gate, lets_in_as_many_as_it_may) {
  admission gate(2);
  auto first = gate.try_enter();
  auto second = gate.try_enter();
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(gate.try_enter());
  EXPECT_FALSE(gate.try_enter());
  EXPECT_EQ(gate.in_flight(), 2U);
  EXPECT_EQ(gate.refused(), 2U);
  const auto copy = first;
  first.reset();
  EXPECT_FALSE(gate.try_enter()) << "a copy holds the place";
  EXPECT_EQ(copy.use_count(), 1);
  second.reset();
  EXPECT_TRUE(gate.try_enter());
}

TEST(admission_gate, may_be_closed) {
  admission gate(0);
  EXPECT_FALSE(gate.try_enter());
  EXPECT_EQ(gate.in_flight(), 0U);
}

TEST(admission_gate, never_lets_in_more_from_many_threads) {
  admission gate(4);
  std::atomic<std::size_t> inside{0};
  std::atomic<bool> too_many{false};
  std::atomic<std::size_t> entered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i)
        if (const auto permit = gate.try_enter()) {
          if (inside.fetch_add(1) >= 4)
            too_many = true;
          ++entered;
          inside.fetch_sub(1);
        }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_FALSE(too_many);
  EXPECT_GT(entered, 0U);
  EXPECT_EQ(gate.in_flight(), 0U);
  EXPECT_EQ(entered + gate.refused(), 40000U);
}

} // namespace custos::runtime
