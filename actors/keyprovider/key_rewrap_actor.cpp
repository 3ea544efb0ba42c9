// Many ciphertexts of one host, brought under the present primary key in one call. Each is judged
// by itself; what is done here is done in slices, so that other calls have their turn, and what the
// key servers do is bounded.

#include "actors/keyprovider/key_provider_state_actor.hpp"
#include "messages/caf_error.hpp"

#include <utility>

namespace custos::keyprovider {

namespace {

/// Already as a new key would be: under the present primary key, in its first and only version.
bool is_present(const ciphertext_identity& identity, const std::string& primary_key_id) {
  return identity.primary_key_id == primary_key_id &&
         identity.primary_key_version == ciphertext_identity{}.primary_key_version;
}

std::string summary_of(const rewrap_batch& b) {
  std::size_t changed = 0;
  std::size_t refused = 0;
  for (const auto& one : b.outcomes) {
    changed += one.changed ? 1U : 0U;
    refused += one.failure ? 1U : 0U;
  }
  auto out = "keys=" + std::to_string(b.outcomes.size()) + " changed=" + std::to_string(changed) +
             " unchanged=" + std::to_string(b.outcomes.size() - changed - refused) +
             " refused=" + std::to_string(refused) + " primary-key=" + b.primary_key_id;
  if (refused > 0)
    out += " first refusal: " + b.first_refusal;
  return out;
}

/// "ok", or what the first that failed failed with.
std::string outcome_of(const rewrap_batch& b) {
  for (const auto& one : b.outcomes)
    if (one.failure)
      return std::string(to_string(one.failure->code));
  return "ok";
}

} // namespace

caf::result<keys_rewrapped> key_provider_actor::on_rewrap(const rewrap_keys& call) {
  auto j = std::make_shared<key_job>();
  auto promise = make_response_promise<keys_rewrapped>();
  auto b = std::make_shared<rewrap_batch>();
  b->answer = [promise](result<keys_rewrapped> r) mutable {
    if (r)
      promise.deliver(*std::move(r));
    else
      promise.deliver(to_caf(std::move(r).failure()));
  };
  // Errors of the whole call; keys go through the batch.
  j->answer = [answer = b->answer](result<key_released> r) mutable {
    answer(r ? make_error(errc::internal, "a rewrap gives no key") : std::move(r).failure());
  };
  if (!pass(j, call, "key.rewrap"))
    return promise;
  auto session = session_of(call.provider);
  b->primary_key_id = j->config->key_providers.find(call.provider)->second.primary_key_id;
  if (!session) {
    refuse(j, std::move(session).failure());
  } else if (b->primary_key_id.empty()) {
    refuse(j, make_error(errc::unavailable, "the provider has no primary key yet"));
  } else {
    b->job = j;
    b->session = *session;
    b->items = call.items;
    b->outcomes.resize(call.items.size());
    b->started = given_.now();
    step_rewrap(b);
  }
  return promise;
}

/// Begins items until as many run as may, this slice is full, or the time is over.
void key_provider_actor::step_rewrap(const batch_ptr& b) {
  const auto& limits = given_.limits;
  b->stepping = true;
  std::size_t begun = 0;
  while (b->next < b->items.size() && b->running < limits.rewraps_at_once_max &&
         begun < limits.rewrap_slice_max) {
    const auto i = b->next++;
    ++b->running;
    ++begun;
    const auto spent = given_.now() - b->started;
    if (spent >= 0 && spent <= std::int64_t{limits.rewrap_time_s_max}) {
      rewrap_one(b, i);
      continue;
    }
    auto late = make_error(errc::timeout, "not begun in time; ask again for this one");
    late.retryable = true;
    late.retry_after_s = limits.retry_after_s;
    settle(b, i, {{}, false, late}, late.message);
  }
  b->stepping = false;
  if (b->running > 0)
    return; // whoever settles goes on
  if (b->next == b->items.size())
    finish_rewrap(b);
  else
    go_on_rewrapping(b);
}

/// Behind the messages that wait already.
void key_provider_actor::go_on_rewrapping(const batch_ptr& b) {
  send(this, posted_work{std::make_shared<std::function<void()>>([this, b] { step_rewrap(b); })});
}

void key_provider_actor::rewrap_one(const batch_ptr& b, std::size_t i) {
  const auto& item = b->items[i];
  const auto& provider = b->job->config->key_providers.find(b->job->provider)->second;
  auto parsed = read_for(provider, item.ciphertext, item.context);
  if (!parsed) {
    auto why = refusal_detail(parsed.failure());
    return settle(b, i, {{}, false, std::move(parsed).failure()}, std::move(why));
  }
  if (is_present(parsed->identity, b->primary_key_id))
    return settle(b, i, {item.ciphertext, false, std::nullopt}, {});
  const auto what =
      std::make_shared<const key_to_open>(key_to_open{*std::move(parsed), item.context});
  auto seal = [this, b, i, what, mode = provider.mode](result<crypto::secret_bytes> key,
                                                       std::string why) {
    if (!key)
      return settle(b, i, {{}, false, std::move(key).failure()}, std::move(why));
    count_use(b->job->provider, what->parsed.identity.primary_key_id, counted_use::rewrap);
    auto shared = std::make_shared<const crypto::secret_bytes>(*std::move(key));
    seal_under(b->session,
               {b->job->provider, b->primary_key_id, mode, what->context, std::move(shared)},
               [this, b, i](result<sealed_key> sealed) {
                 if (sealed)
                   return settle(b, i, {std::move(sealed->ciphertext), true, std::nullopt}, {});
                 auto detail = refusal_detail(sealed.failure());
                 settle(b, i, {{}, false, std::move(sealed).failure()}, std::move(detail));
               });
  };
  open_under(b->session, what, std::move(seal));
}

void key_provider_actor::settle(const batch_ptr& b, std::size_t i, rewrapped_key outcome,
                                std::string why) {
  if (outcome.failure && b->first_refusal.empty())
    b->first_refusal = "key " + std::to_string(i) + ": " + std::move(why);
  b->outcomes[i] = std::move(outcome);
  --b->running;
  if (b->stepping) // the loop that began it goes on by itself
    return;
  step_rewrap(b);
}

void key_provider_actor::finish_rewrap(const batch_ptr& b) {
  const auto& j = *b->job;
  put_on_record({j.actor, j.remote, j.action, j.provider, outcome_of(*b), summary_of(*b)},
                [this, b](bool on_record) {
                  if (on_record)
                    b->answer(keys_rewrapped{std::move(b->outcomes)});
                  else
                    b->answer(not_on_record());
                  in_flight_.erase(b->job);
                });
}

} // namespace custos::keyprovider
