#include "actors/coordinator/proxy_actor.hpp"

#include "messages/caf_error.hpp"

#include <algorithm>
#include <set>

namespace custos::coordinator {

host_proxy_actor::host_proxy_actor(caf::actor_config& config, std::string id, std::string url,
                                   member_client client)
    : host_proxy_api::base(config), id_(std::move(id)), url_(std::move(url)),
      client_(std::move(client)) {
  set_default_handler(caf::drop);
}

void host_proxy_actor::on_exit() {
  for (auto& [number, promise] : waiting_)
    promise.deliver(to_caf(make_error(errc::cancelled, "the member was removed")));
  waiting_.clear();
}

host_proxy_api::behavior_type host_proxy_actor::make_behavior() {
  return {
      [this](const proxied_call& asked) -> caf::result<proxied_answer> {
        const auto number = next_call_++;
        auto promise = make_response_promise<proxied_answer>();
        waiting_.emplace(number, promise);
        http::call call;
        call.method = asked.method;
        call.url = url_ + asked.path;
        call.body = asked.body;
        call.timeout = asked.timeout;
        for (const auto& [name, value] : asked.headers)
          call.headers.push_back({name, value});
        // The answer comes on a socket thread: back into the mailbox with it. A weak handle: a call
        // in flight must not keep a removed member's proxy alive.
        const caf::weak_actor_ptr self = ctrl();
        client_(std::move(call), [self, number](result<http::response> r) {
          proxied_answer answer;
          answer.call = number;
          if (r) {
            answer.status = r->status;
            answer.body = std::move(r->body);
          } else {
            answer.failure = r.failure();
          }
          if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(self))
            caf::anon_send(caf::actor_cast<caf::actor>(strong), std::move(answer));
        });
        return promise;
      },
      [this](proxied_answer& answer) {
        const auto found = waiting_.find(answer.call);
        if (found == waiting_.end())
          return;
        auto promise = found->second;
        waiting_.erase(found);
        if (answer.failure)
          promise.deliver(to_caf(*answer.failure));
        else
          promise.deliver(std::move(answer));
      },
  };
}

host_proxy_api spawn_host_proxy(caf::actor_system& system, std::string id, std::string url,
                                member_client client) {
  return system.spawn<host_proxy_actor>(std::move(id), std::move(url), std::move(client));
}

namespace {

class fan_out_actor : public caf::event_based_actor {
public:
  fan_out_actor(caf::actor_config& config, fan_out_call call,
                std::function<void(target_outcomes)> on_done)
      : caf::event_based_actor(config), call_(std::move(call)), done_(std::move(on_done)) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "fan_out"; }

  caf::behavior make_behavior() override {
    if (call_.targets.empty()) {
      finish();
      return {};
    }
    delayed_send(this, call_.budget, tick{});
    for (std::size_t i = 0; i < std::min(call_.window, call_.targets.size()); ++i)
      ask_next();
    return {[this](const tick&) {
      for (const auto& t : call_.targets)
        settle(t.id, {t.id, false, 0, "", "no answer within the deadline of the whole call"});
    }};
  }

private:
  void ask_next() {
    if (next_ == call_.targets.size())
      return;
    const auto& t = call_.targets[next_++];
    proxied_call asked;
    asked.method = t.call.method;
    asked.path = t.call.url;
    asked.body = t.call.body;
    asked.timeout = t.call.timeout;
    for (const auto& h : t.call.headers)
      asked.headers.emplace_back(h.name, h.value);
    // A little longer than the call itself: the proxy's own timeout says more.
    const auto budget = t.call.timeout + std::chrono::seconds(1);
    request(t.proxy, budget, std::move(asked))
        .then(
            [this, id = t.id](const proxied_answer& a) {
              target_outcome o{id, a.status >= 200 && a.status < 300, a.status, a.body, ""};
              if (!o.ok) {
                http::response r;
                r.status = a.status;
                r.body = a.body;
                o.message = http::error_of(r).message;
              }
              settle(id, std::move(o));
              ask_next();
            },
            [this, id = t.id](const caf::error& e) {
              settle(id, {id, false, 0, "", from_caf(e).message});
              ask_next();
            });
  }

  void settle(const std::string& id, target_outcome o) {
    if (!done_ || !settled_.insert(id).second)
      return;
    outcomes_.push_back(std::move(o));
    if (outcomes_.size() == call_.targets.size())
      finish();
  }

  void finish() {
    std::sort(outcomes_.begin(), outcomes_.end(),
              [](const auto& a, const auto& b) { return a.target < b.target; });
    auto report = std::move(done_);
    done_ = nullptr;
    report(std::move(outcomes_));
    quit();
  }

  fan_out_call call_;
  std::function<void(target_outcomes)> done_;
  std::size_t next_ = 0;
  std::set<std::string> settled_;
  target_outcomes outcomes_;
};

} // namespace

void spawn_fan_out(caf::actor_system& system, fan_out_call call,
                   std::function<void(target_outcomes)> done) {
  system.spawn<fan_out_actor>(std::move(call), std::move(done));
}

} // namespace custos::coordinator
