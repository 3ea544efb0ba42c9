#include "actors/keyprovider/provider_session_actor.hpp"

#include "actors/keyprovider/administration.hpp"
#include "messages/caf_error.hpp"

#include <algorithm>
#include <utility>

namespace custos::keyprovider {

namespace {

/// The group has the provider's timeout for itself; this much later we give up on the group.
constexpr std::chrono::milliseconds group_margin{1000};

bool server_away(errc code) {
  return code == errc::unavailable || code == errc::timeout || code == errc::io_failure ||
         code == errc::overloaded || code == errc::cancelled;
}

} // namespace

provider_session::provider_session(key_provider_self::pointer self, key_provider provider,
                                   kmip_api group, group_spawner spawn, session_limits limits,
                                   clock_source now)
    : self_(self), provider_(std::move(provider)), group_(std::move(group)),
      spawn_(std::move(spawn)), limits_(limits), now_(std::move(now)),
      keys_(limits.primary_keys_max, limits.primary_key_age_s_max, limits.primary_key_grace_s_max),
      status_{provider_.name, "ok", ""} {}

provider_session::provider_session(key_provider_self::pointer self, key_provider provider,
                                   unseal_function unseal, session_limits limits, clock_source now)
    : self_(self), provider_(std::move(provider)),
      native_(std::make_unique<native_keys>(std::move(unseal))), limits_(limits),
      now_(std::move(now)), keys_(0, 0, 0) {
  native_->follow(provider_);
  native_status();
}

std::chrono::milliseconds provider_session::budget() const {
  return std::chrono::milliseconds(provider_.timeout_ms) + group_margin;
}

// ---- a change of configuration ------------------------------------------------------------------

bool provider_session::follow(const key_provider& configured, const session_limits& limits) {
  const bool same = same_connection(configured, provider_);
  // What was the next certificate is the certificate now: its group goes on.
  const bool promoted =
      !same && next_group_ && same_connection(configured, with_next_certificate(provider_));
  if (!same && !promoted)
    return false;
  if (promoted)
    promote();
  const bool same_next =
      !promoted && configured.next_client_certificate == provider_.next_client_certificate &&
      configured.next_client_private_key.sealed == provider_.next_client_private_key.sealed;
  provider_ = configured;
  limits_ = limits;
  keys_.set_policy(limits.primary_key_age_s_max, limits.primary_key_grace_s_max);
  if (native_) {
    native_->follow(provider_);
    native_status();
  } else if (!same_next) {
    end_next();
    begin_next();
  }
  return true;
}

void provider_session::promote() {
  // What it has in hand it may finish.
  const auto longest = std::chrono::duration_cast<std::chrono::seconds>(budget()).count() + 1;
  ending_.push_back({std::exchange(group_, std::exchange(next_group_, nullptr)), now_() + longest});
  use_next_ = false;
}

void provider_session::end_groups(bool all) {
  const auto now = now_();
  std::erase_if(ending_, [&](const auto& e) {
    if (!all && now < e.until)
      return false;
    self_->send_exit(e.group, caf::exit_reason::user_shutdown);
    return true;
  });
}

void provider_session::begin_next() {
  if (native_ || provider_.next_client_certificate.empty())
    return;
  auto group = spawn_(with_next_certificate(provider_));
  // Without it there is nothing to try; look_around() begins anew.
  if (!group)
    return;
  next_group_ = *std::move(group);
  try_next([](const result<std::vector<key_server_status>>&) {});
}

void provider_session::end_next() {
  use_next_ = false;
  if (next_group_)
    self_->send_exit(std::exchange(next_group_, nullptr), caf::exit_reason::user_shutdown);
}

bool provider_session::lost(const caf::actor_addr& gone) {
  std::erase_if(ending_, [&gone](const auto& e) { return e.group.address() == gone; });
  if (next_group_ && next_group_.address() == gone) {
    next_group_ = nullptr;
    use_next_ = false;
  }
  return group_ && group_.address() == gone;
}

// ---- the next client certificate ----------------------------------------------------------------

std::string provider_session::certificate_in_use() const {
  if (provider_.client_certificate.empty())
    return {};
  return use_next_ ? "next" : "current";
}

void provider_session::look_around() {
  keys_.sweep(now_());
  end_groups(false);
  if (native_ || stopped_)
    return;
  if (!next_group_)
    return begin_next();
  try_next([](const result<std::vector<key_server_status>>&) {});
}

void provider_session::try_next(done<std::vector<key_server_status>> then) {
  if (!next_group_)
    return then(std::vector<key_server_status>());
  auto shared = std::make_shared<done<std::vector<key_server_status>>>(std::move(then));
  self_->request(next_group_, budget(), kmip::get_server_status{})
      .then(
          [session = shared_from_this(), tried = next_group_,
           shared](std::vector<key_server_status>& servers) {
            if (session->next_group_ == tried)
              session->judge_next(servers);
            (*shared)(std::move(servers));
          },
          [shared](const caf::error& e) { (*shared)(from_caf(e)); });
}

/// A server that is away says nothing of the certificate. One that we trust and that does not
/// answer us refuses it.
void provider_session::judge_next(const std::vector<key_server_status>& servers) {
  const bool taken = std::any_of(servers.begin(), servers.end(),
                                 [](const auto& s) { return s.server_trust_client; });
  const bool refused = std::any_of(servers.begin(), servers.end(), [](const auto& s) {
    return s.client_trust_server && !s.server_trust_client;
  });
  if (refused)
    use_next_ = false;
  else if (taken)
    use_next_ = true;
}

// ---- questions ----------------------------------------------------------------------------------

template <class Answer, class Call>
void provider_session::ask(Call call, done<Answer> then) {
  if (native_)
    return then(make_error(errc::unsupported,
                           "native provider " + provider_.name + " has no key server to ask"));
  // Both handlers own the callback; exactly one of them runs.
  auto shared = std::make_shared<done<Answer>>(std::move(then));
  self_->request(target(), budget(), std::move(call))
      .then(
          [session = shared_from_this(), shared](Answer& answer) {
            session->status_ = {session->provider_.name, "ok", ""};
            (*shared)(std::move(answer));
          },
          [session = shared_from_this(), shared, by_next = use_next_](const caf::error& e) {
            auto failure = session->judged(e);
            // Whether it is the certificate: then the next call uses the other one.
            if (by_next && failure.code == errc::unavailable)
              session->try_next([](const result<std::vector<key_server_status>>&) {});
            (*shared)(std::move(failure));
          });
}

void provider_session::native_status() {
  const auto state = native_->state(provider_.primary_key_id);
  if (!state)
    status_ = {provider_.name, "error", state.failure().message};
  else if (*state != "Active")
    status_ = {provider_.name, "warning", "the primary key is in no backup that was confirmed"};
  else
    status_ = {provider_.name, "ok", ""};
}

/// A server that is away is one kind of error, whichever way it is away, and says when to come
/// again.
error provider_session::judged(const caf::error& e) {
  auto failure = from_caf(e);
  if (server_away(failure.code)) {
    failure.code = errc::unavailable;
    failure.retryable = true;
    if (!failure.retry_after_s)
      failure.retry_after_s = limits_.retry_after_s;
    status_ = {provider_.name, "error", failure.message};
  } else {
    status_ = {provider_.name, "warning", failure.message};
  }
  return failure;
}

void provider_session::choose_remote(primary_key_mode mode, done<bool> then) {
  if (native_)
    return then(false);
  if (mode != primary_key_mode::automatic)
    return then(mode == primary_key_mode::remote);
  const auto age = now_() - can_encrypt_known_;
  if (can_encrypt_ && age >= 0 && age <= std::int64_t{limits_.capabilities_age_s_max})
    return then(*can_encrypt_);
  ask<kmip::capabilities>(
      kmip::get_capabilities{},
      [session = shared_from_this(), then = std::move(then)](result<kmip::capabilities> known) {
        if (known) {
          session->can_encrypt_ = can_encrypt(*known);
          session->can_encrypt_known_ = session->now_();
        } else if (!session->can_encrypt_) {
          return then(std::move(known).failure());
        }
        // What a server could before it went away it can when it is back; a key in memory may even
        // do without it.
        then(*session->can_encrypt_);
      });
}

void provider_session::with_primary_key(const std::string& id, key_use use,
                                        done<crypto::secret_ptr> then) {
  if (native_)
    return then(native_->use(id, use));
  waiter w{use, std::move(then)};
  if (const auto* key = keys_.fresh(id, now_()))
    return hand_over(id, *key, w);
  auto& waiting = fetching_[id];
  waiting.push_back(std::move(w));
  if (waiting.size() == 1)
    fetch(id);
}

void provider_session::hand_over(const std::string& id, const primary_key& key, const waiter& to) {
  if (auto allowed = check_state(id, key.state, to.use); !allowed)
    return to.then(std::move(allowed).failure());
  to.then(key.key);
}

void provider_session::fetch(const std::string& id) {
  ask<kmip::key_state>(kmip::get_key_state{id}, [session = shared_from_this(),
                                                 id](result<kmip::key_state> state) {
    if (!state)
      return session->fetched(id, std::move(state).failure());
    // A key that is destroyed has no material: its state is the better answer.
    if (auto allowed = check_state(id, state->state, key_use::process); !allowed)
      return session->fetched(id, std::move(allowed).failure());
    session->ask<kmip::key_material>(kmip::get_key{id}, [session, id, known = state->state](
                                                            result<kmip::key_material> material) {
      if (!material)
        return session->fetched(id, std::move(material).failure());
      if (!material->key || !is_aes_key(*material->key))
        return session->fetched(
            id, make_error(errc::kmip_failure,
                           "primary key " + id + " is not an AES key of the key server"));
      session->fetched(id, primary_key{material->key, known});
    });
  });
}

void provider_session::fetched(const std::string& id, result<primary_key> outcome) {
  auto waiting = std::move(fetching_[id]);
  fetching_.erase(id);
  if (stopped_)
    outcome = make_error(errc::unavailable, "the provider's configuration changed");
  if (outcome) {
    keys_.put(id, *outcome, now_());
  } else if (const auto* old = keys_.within_grace(id, now_());
             old != nullptr && outcome.failure().code == errc::unavailable && !stopped_) {
    status_ = {provider_.name, "warning",
               "no key server answers; the primary key in memory is used: " +
                   outcome.failure().message};
    outcome = *old;
  } else if (outcome.failure().code != errc::unavailable) {
    keys_.erase(id); // the server has an opinion of this key, and it is not the old one
  }
  for (const auto& w : waiting) {
    if (outcome)
      hand_over(id, *outcome, w);
    else
      w.then(outcome.failure());
  }
}

void provider_session::encrypt(kmip::encrypt_data call, done<kmip::encrypted_data> then) {
  ask<kmip::encrypted_data>(std::move(call), std::move(then));
}

void provider_session::decrypt(kmip::decrypt_data call, done<kmip::decrypted_data> then) {
  ask<kmip::decrypted_data>(std::move(call), std::move(then));
}

void provider_session::create_key(kmip::create_key call, done<kmip::key_created> then) {
  ask<kmip::key_created>(std::move(call), std::move(then));
}

void provider_session::server_status(done<std::vector<key_server_status>> then) {
  if (native_)
    return then(std::vector<key_server_status>());
  ask<std::vector<key_server_status>>(kmip::get_server_status{}, std::move(then));
}

void provider_session::key_state(const std::string& id, done<std::string> then) {
  if (native_)
    return then(native_->state(id));
  ask<kmip::key_state>(kmip::get_key_state{id},
                       [then = std::move(then)](result<kmip::key_state> state) {
                         if (!state)
                           return then(std::move(state).failure());
                         then(std::move(state->state));
                       });
}

void provider_session::stop() {
  if (std::exchange(stopped_, true))
    return;
  // Requests in hand are answered by the groups' end; their handlers find us stopped.
  end_next();
  end_groups(true);
  if (group_)
    self_->send_exit(group_, caf::exit_reason::user_shutdown);
}

} // namespace custos::keyprovider
