#include "actors/host/host_keys_actor.hpp"

#include "actors/host/attempt_policy.hpp"
#include "actors/host/key_service_wire.hpp"
#include "actors/host/rewrap_round.hpp"
#include "actors/host/rewrap_store.hpp"
#include "actors/host/services.hpp"
#include "messages/caf_error.hpp"
#include "messages/config_commands.hpp"
#include "messages/keys.hpp"

namespace custos::host {

namespace {

/// More than a node takes for a batch, and than the agent needs to go through all nodes.
constexpr std::chrono::seconds call_budget{60};
/// The agent attests first.
constexpr std::uint32_t first_check_s = 5;

class host_keys_actor : public host_keys_api::base {
public:
  host_keys_actor(caf::actor_config& config, host_keys_dependencies given)
      : host_keys_api::base(config), given_(std::move(given)) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "host_keys"; }

  /// A promise that is kept would keep this actor, too.
  void on_exit() override {
    for (auto& promise : waiting_)
      promise.deliver(to_caf(make_error(errc::cancelled, "the agent is stopping")));
    waiting_.clear();
  }

  host_keys_api::behavior_type make_behavior() override {
    status_.configured = !given_.rewrap.empty();
    if (const auto kept = load_rewrap_totals(*given_.store)) {
      status_.last_rewrap = kept->last_rewrap;
      status_.rewrapped = kept->rewrapped;
    } else {
      status_.error = kept.failure().message;
    }
    if (status_.configured)
      schedule(first_check_s);
    return {
        [this](const put_key& p) { return put(p); },
        [this](const rewrap_now&) -> caf::result<rewrap_status> {
          if (!status_.configured)
            return to_caf(field_error(errc::not_found, "--rewrap",
                                      "no ciphertext files are configured on this host"));
          auto promise = make_response_promise<rewrap_status>();
          waiting_.push_back(promise);
          begin();
          return promise;
        },
        [this](const get_rewrap_status&) { return status_; },
        [this](const tick& t) {
          if (t.id == timer_)
            begin();
        },
    };
  }

private:
  void call(call_key_service c, std::function<void(result<std::string>)> finish) {
    request(given_.agent, call_budget, std::move(c))
        .then([finish](key_service_answer& a) { finish(std::move(a.body)); },
              [finish](const caf::error& e) { finish(from_caf(e)); });
  }

  // ---- keys that consumers bring

  caf::result<key_put> put(const put_key& p) {
    if (!is_object_name(p.provider)) // it becomes part of a path
      return to_caf(field_error(errc::invalid_argument, "/provider",
                                "expected the name of a trusted key provider"));
    if (p.key == nullptr || p.key->size() < kek_bytes_min || p.key->size() > kek_bytes_max)
      return to_caf(
          field_error(errc::invalid_argument, "/key", "expected a key of 16 to 64 bytes"));
    auto promise = make_response_promise<key_put>();
    encrypt(p, promise, encryption_key_.has_value());
    return promise;
  }

  /// `kept_key`: it may be one that the service no longer has; then it is fetched anew, once.
  void encrypt(const put_key& p, caf::typed_response_promise<key_put> promise, bool kept_key) {
    if (!encryption_key_)
      return fetch_encryption_key(p, std::move(promise));
    auto body = encode_encrypt(*encryption_key_, *p.key, p.context);
    if (!body) {
      promise.deliver(to_caf(body.failure()));
      return;
    }
    call({"POST", std::string(providers_path) + "/" + p.provider + "/encrypt", *std::move(body)},
         [this, p, promise, kept_key](result<std::string> answer) mutable {
           if (!answer && answer.failure().check == encryption_key_check && kept_key) {
             encryption_key_.reset();
             return encrypt(p, promise, false);
           }
           auto ciphertext = answer ? decode_encrypted(*answer) : result<bytes>(answer.failure());
           if (ciphertext)
             promise.deliver(key_put{*std::move(ciphertext)});
           else
             promise.deliver(to_caf(ciphertext.failure()));
         });
  }

  void fetch_encryption_key(const put_key& p, caf::typed_response_promise<key_put> promise) {
    call({"GET", std::string(encryption_key_path), {}},
         [this, p, promise](const result<std::string>& answer) mutable {
           auto key =
               answer ? decode_encryption_key(*answer) : result<encryption_key>(answer.failure());
           if (!key) {
             promise.deliver(to_caf(key.failure()));
             return;
           }
           encryption_key_ = *std::move(key);
           encrypt(p, promise, false);
         });
  }

  // ---- rewrap

  void schedule(std::uint32_t after_s) {
    status_.next_check = given_.now() + after_s;
    ++timer_;
    delayed_send(this, std::chrono::seconds(after_s), tick{timer_});
  }

  void begin() {
    if (round_)
      return; // whoever asked waits for its end
    ++timer_;
    round_.emplace();
    failure_.reset();
    const auto paths = find_ciphertexts(given_.rewrap);
    if (!paths)
      return give_up(paths.failure());
    round_->read(*paths);
    if (round_->files() == round_->problems().size())
      return finish(); // nobody has to be asked
    call({"GET", std::string(providers_path), {}}, [this](const result<std::string>& answer) {
      auto keys = answer ? decode_primary_keys(*answer)
                         : result<std::map<std::string, std::string>>(answer.failure());
      if (!keys)
        return give_up(keys.failure());
      round_->plan(*keys);
      next_batch();
    });
  }

  void next_batch() {
    const auto* const batch = round_->next();
    if (batch == nullptr)
      return finish();
    call({"POST", std::string(providers_path) + "/" + batch->provider + "/rewrap",
          round_->request_of(*batch)},
         [this](const result<std::string>& answer) {
           if (answer) {
             round_->answered(*answer);
           } else { // another provider may do better; this one is tried again in the next round
             failure_ = answer.failure();
             round_->refused();
           }
           next_batch();
         });
  }

  void give_up(const error& e) {
    failure_ = e;
    finish();
  }

  void finish() {
    const auto now = given_.now();
    const auto jitter = crypto::random_bytes(1)[0];
    const auto& round = *round_;
    status_.error = failure_ ? failure_->message : "";
    if (!failure_)
      status_.last_check = now;
    status_.files = round.files();
    status_.pending = round.pending();
    status_.failed = round.problems().size();
    status_.problems = round.problems();
    if (status_.problems.size() > rewrap_problems_max)
      status_.problems.resize(rewrap_problems_max);
    if (round.rewrapped() != 0) {
      status_.rewrapped += round.rewrapped();
      status_.last_rewrap = now;
      if (auto saved = save_rewrap_totals(*given_.store, {status_.last_rewrap, status_.rewrapped});
          !saved && status_.error.empty())
        status_.error = saved.failure().message;
    }
    round_.reset();
    failures_ = failure_ ? failures_ + 1 : 0;
    schedule(failure_ ? std::max(back_off_s(failures_, jitter),
                                 std::min(failure_->retry_after_s.value_or(0), retry_after_s_max))
                      : std::max(1U, given_.check_s - given_.check_s * jitter / 1024));
    if (given_.report)
      given_.report(status_);
    for (auto& promise : waiting_)
      promise.deliver(status_);
    waiting_.clear();
  }

  host_keys_dependencies given_;
  std::optional<encryption_key> encryption_key_;
  std::optional<rewrap_round> round_;
  std::optional<error> failure_;
  std::uint32_t failures_ = 0; ///< rounds in a row
  rewrap_status status_;
  std::vector<caf::typed_response_promise<rewrap_status>> waiting_;
  std::uint64_t timer_ = 0;
};

} // namespace

host_keys_api spawn_host_keys(caf::actor_system& system, host_keys_dependencies given) {
  return system.spawn<host_keys_actor, caf::detached>(std::move(given));
}

host_keys_api spawn_host_keys_scheduled(caf::actor_system& system, host_keys_dependencies given) {
  return system.spawn<host_keys_actor>(std::move(given));
}

} // namespace custos::host
