#include "actors/coordinator/proxy_actor.hpp"

#include "tests/actors/deterministic.hpp"

#include <algorithm>
#include <gmock/gmock.h>

namespace custos::coordinator {

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

/// The client of a member: keeps what it was asked until the test answers.
struct client_state {
  std::vector<http::call> asked;
  std::vector<http::client::callback> waiting;
};

class proxy_test : public test::deterministic {
protected:
  host_proxy_api proxy(const std::string& id) {
    auto state = clients[id] = std::make_shared<client_state>();
    return own(spawn_host_proxy(system, id, "https://" + id + ":443",
                                [state](http::call c, http::client::callback done) {
                                  state->asked.push_back(std::move(c));
                                  state->waiting.push_back(std::move(done));
                                }));
  }
  static http::response answer(unsigned status, std::string body = {}) {
    http::response r;
    r.status = status;
    r.body = std::move(body);
    return r;
  }
  void reply(const std::string& id, const result<http::response>& r) {
    auto& waiting = clients[id]->waiting;
    ASSERT_FALSE(waiting.empty()) << id;
    auto first = std::move(waiting.front());
    waiting.erase(waiting.begin());
    first(r);
    run();
  }

  std::map<std::string, std::shared_ptr<client_state>> clients;
  http::client::callback late;
};

class fan_out_test : public proxy_test {
protected:
  using outcomes = std::shared_ptr<std::vector<target_outcomes>>;
  void add(const std::string& id, std::chrono::milliseconds timeout = 10s) {
    http::call c;
    c.method = "PUT";
    c.url = "/host/v1/services";
    c.body = id;
    c.timeout = timeout;
    call.targets.push_back({id, proxy(id), std::move(c)});
  }
  outcomes start() {
    auto out = std::make_shared<std::vector<target_outcomes>>();
    spawn_fan_out(system, call, [out](target_outcomes o) { out->push_back(std::move(o)); });
    run();
    return out;
  }
  std::size_t asked() const {
    std::size_t n = 0;
    for (const auto& [id, c] : clients)
      n += c->asked.size();
    return n;
  }

  fan_out_call call;
};

} // namespace

TEST_F(proxy_test, makes_an_https_call_of_a_message) {
  const auto to = proxy("n1");
  proxied_call c;
  c.method = "PUT";
  c.path = "/config/v1/settings/settings";
  c.body = "{}";
  c.headers = {{"Custos-Operation-Id", "op"}};
  c.timeout = 3s;
  const auto got = post<proxied_answer>(to, c);
  run();
  ASSERT_EQ(clients["n1"]->asked.size(), 1U);
  const auto& asked = clients["n1"]->asked[0];
  EXPECT_EQ(asked.method, "PUT");
  EXPECT_EQ(asked.url, "https://n1:443/config/v1/settings/settings");
  EXPECT_EQ(asked.body, "{}");
  EXPECT_EQ(asked.timeout, 3s);
  ASSERT_EQ(asked.headers.size(), 1U);
  EXPECT_EQ(asked.headers[0].name, "Custos-Operation-Id");
  reply("n1", answer(409, "body"));
  ASSERT_TRUE(got->has_value() && (*got)->ok());
  EXPECT_EQ((**got)->status, 409U);
  EXPECT_EQ((**got)->body, "body");
}

TEST_F(proxy_test, passes_the_failure_of_the_connection_on) {
  const auto got = post<proxied_answer>(proxy("n1"), proxied_call{});
  run();
  reply("n1", make_error(errc::unavailable, "connection refused"));
  ASSERT_TRUE(got->has_value());
  ASSERT_FALSE((*got)->ok());
  EXPECT_EQ((*got)->failure().message, "connection refused");
}

TEST_F(proxy_test, keeps_answers_apart_that_come_in_another_order) {
  const auto to = proxy("n1");
  const auto one = post<proxied_answer>(to, proxied_call{});
  run();
  const auto two = post<proxied_answer>(to, proxied_call{});
  run();
  std::swap(clients["n1"]->waiting[0], clients["n1"]->waiting[1]);
  reply("n1", answer(200, "second"));
  EXPECT_FALSE(one->has_value());
  reply("n1", answer(200, "first"));
  EXPECT_EQ((**one)->body, "first");
  EXPECT_EQ((**two)->body, "second");
}

TEST_F(proxy_test, may_be_gone_when_an_answer_comes) {
  {
    const auto to = spawn_host_proxy(
        system, "n1", "https://n1:443",
        [this](http::call, http::client::callback done) { late = std::move(done); });
    const auto asked = post<proxied_answer>(to, proxied_call{});
    run();
    caf::anon_send_exit(to, caf::exit_reason::kill);
    run();
    ASSERT_TRUE(asked->has_value());
    EXPECT_EQ((*asked)->failure().code, errc::cancelled);
  }
  late(answer(200));
  run();
}

TEST_F(fan_out_test, asks_every_member_and_tells_of_each) {
  for (const auto* id : {"c", "a", "b"})
    add(id);
  const auto done = start();
  EXPECT_EQ(clients["b"]->asked[0].body, "b") << "each its own call";
  reply("b", answer(204));
  reply("c", http::problem(field_error(errc::invalid_argument, "/keys/0", "expected a URL")));
  EXPECT_TRUE(done->empty());
  reply("a", make_error(errc::unavailable, "connection refused"));
  ASSERT_EQ(done->size(), 1U);
  const auto& o = done->front();
  ASSERT_EQ(o.size(), 3U);
  EXPECT_EQ(o[0].target, "a");
  EXPECT_FALSE(o[0].ok);
  EXPECT_EQ(o[0].status, 0U);
  EXPECT_EQ(o[0].message, "connection refused");
  EXPECT_EQ(o[1].target, "b");
  EXPECT_TRUE(o[1].ok);
  EXPECT_EQ(o[1].status, 204U);
  EXPECT_EQ(o[2].status, 400U);
  EXPECT_EQ(o[2].message, "expected a URL");
}

TEST_F(fan_out_test, of_nobody_is_done_at_once) {
  const auto done = start();
  ASSERT_EQ(done->size(), 1U);
  EXPECT_TRUE(done->front().empty());
}

TEST_F(fan_out_test, is_not_held_up_by_one_that_is_slow) {
  add("fast");
  add("slow", 2s);
  const auto done = start();
  reply("fast", answer(200));
  EXPECT_TRUE(done->empty());
  advance(3001ms);
  ASSERT_EQ(done->size(), 1U);
  EXPECT_TRUE(done->front()[0].ok);
  EXPECT_FALSE(done->front()[1].ok);
  EXPECT_EQ(done->front()[1].target, "slow");
  EXPECT_EQ(done->front()[1].status, 0U);
  EXPECT_FALSE(done->front()[1].message.empty());
  reply("slow", answer(200)); // too late: nobody listens any more
  EXPECT_EQ(done->size(), 1U);
}

TEST_F(fan_out_test, ends_at_the_deadline_of_the_whole_with_an_outcome_for_each) {
  call.window = 2;
  call.budget = 5s;
  for (int i = 0; i < 10; ++i)
    add("h" + std::to_string(i), 60s);
  const auto done = start();
  EXPECT_EQ(asked(), 2U);
  reply("h0", answer(200));
  EXPECT_EQ(asked(), 3U);
  advance(5001ms);
  ASSERT_EQ(done->size(), 1U);
  ASSERT_EQ(done->front().size(), 10U);
  EXPECT_EQ(
      std::count_if(done->front().begin(), done->front().end(), [](const auto& o) { return o.ok; }),
      1);
  EXPECT_NE(done->front()[5].message.find("deadline"), std::string::npos);
  EXPECT_EQ(asked(), 3U) << "and asks no more";
}

TEST_F(fan_out_test, keeps_no_more_than_its_window_in_flight) {
  call.window = 3;
  for (int i = 0; i < 20; ++i)
    add("h" + std::to_string(i));
  const auto done = start();
  for (std::size_t answered = 0; answered < 20; ++answered) {
    EXPECT_EQ(asked(), std::min<std::size_t>(20, answered + 3));
    for (auto& [id, c] : clients)
      if (!c->waiting.empty()) {
        reply(id, answer(200));
        break;
      }
  }
  ASSERT_EQ(done->size(), 1U);
  EXPECT_EQ(done->front().size(), 20U);
}

TEST_F(fan_out_test, goes_on_when_the_proxy_of_one_is_gone) {
  add("a");
  add("gone");
  caf::anon_send_exit(call.targets[1].proxy, caf::exit_reason::kill);
  run();
  const auto done = start();
  reply("a", answer(200));
  ASSERT_EQ(done->size(), 1U);
  EXPECT_TRUE(done->front()[0].ok);
  EXPECT_FALSE(done->front()[1].ok);
}

} // namespace custos::coordinator
