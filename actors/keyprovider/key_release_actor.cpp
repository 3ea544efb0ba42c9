#include "actors/keyprovider/key_provider_state_actor.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/jose/jwe_key.hpp"
#include "messages/caf_error.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace custos::keyprovider {

namespace {

/// The key's name in the audit log: enough to find its other uses, nothing to open it with.
std::string key_detail(const ciphertext_identity& identity, byte_view ciphertext) {
  constexpr std::size_t name_bytes = 16;
  const auto digest = crypto::sha256(ciphertext);
  return "key=" + crypto::hex(byte_view(digest).first(name_bytes)) +
         " primary-key=" + identity.primary_key_id +
         " algorithm=" + std::to_string(static_cast<unsigned>(identity.algorithm));
}

std::string actor_name(std::string host) {
  return host.empty() ? "anonymous" : std::move(host);
}

std::function<void(result<key_released>)>
answer_to(caf::typed_response_promise<key_released> promise) {
  return [promise](result<key_released> r) mutable {
    if (r)
      promise.deliver(*std::move(r));
    else
      promise.deliver(to_caf(std::move(r).failure()));
  };
}

} // namespace

// ---- answers
// --------------------------------------------------------------------------------------

void key_provider_actor::put_on_record(audit_record record,
                                       std::function<void(bool on_record)> then) {
  // Both handlers own the callback; exactly one of them runs.
  auto shared = std::make_shared<std::function<void(bool)>>(std::move(then));
  request(given_.audit, std::chrono::seconds(given_.limits.audit_timeout_s),
          audit_append{std::move(record)})
      .then([shared](const audit_appended&) { (*shared)(true); },
            [shared](const caf::error&) { (*shared)(false); });
}

result<std::string> key_provider_actor::jwe_for(const key_job& j, const crypto::secret_bytes& key) {
  return recipients_.encrypt(j.who.transport_key, j.who.transport_key_id, key.reveal_secret(),
                             given_.now());
}

void key_provider_actor::refuse(const job_ptr& j, error told, std::string why) {
  in_flight_.insert(j); // so that a stop answers it, too
  std::string code(to_string(told.code));
  put_on_record({j->actor, j->remote, j->action, j->provider, std::move(code), std::move(why)},
                [this, j, told = std::move(told)](bool) {
                  j->answer(told);
                  in_flight_.erase(j);
                });
}

void key_provider_actor::refuse(const job_ptr& j, error e) {
  auto why = refusal_detail(e);
  refuse(j, std::move(e), std::move(why));
}

error key_provider_actor::not_on_record() const {
  auto e = make_error(errc::unavailable, "the audit log cannot be written: no key is released");
  e.retry_after_s = given_.limits.retry_after_s;
  e.retryable = true;
  return e;
}

void key_provider_actor::release(const job_ptr& j, bytes ciphertext, std::string jwe) {
  put_on_record(
      {j->actor, j->remote, j->action, j->provider, "ok", j->detail},
      [this, j, released = key_released{std::move(ciphertext), std::move(jwe)}](bool on_record) {
        j->answer(on_record ? result<key_released>(released) : not_on_record());
        in_flight_.erase(j);
      });
}

/// The gate, for all operations. A job that did not pass is already being refused.
template <class Call>
bool key_provider_actor::pass(const job_ptr& j, const Call& call, std::string action) {
  const auto now = given_.now();
  j->action = std::move(action);
  j->remote = call.caller.remote;
  j->provider = call.provider;
  j->config = present_config();
  auto granted = present_gate().admit(call, j->config, now);
  j->actor = actor_name(gate_.host_of(call.caller, now));
  if (!granted) {
    refuse(j, std::move(granted).failure());
    return false;
  }
  if (in_flight_.size() >= given_.limits.calls_in_flight_max) {
    auto e = make_error(errc::overloaded, "too many calls wait for key servers");
    e.retry_after_s = given_.limits.retry_after_s;
    refuse(j, std::move(e));
    return false;
  }
  j->who = *std::move(granted);
  in_flight_.insert(j);
  return true;
}
template bool key_provider_actor::pass(const job_ptr& j, const rewrap_keys& call,
                                       std::string action);

void key_provider_actor::count_use(const std::string& provider, const std::string& primary_key_id,
                                   counted_use use) {
  if (given_.uses)
    given_.uses->count(provider, primary_key_id, use, given_.now());
}

// ---- generate
// -------------------------------------------------------------------------------------

caf::result<key_released> key_provider_actor::on_generate(const generate_key& call) {
  auto j = std::make_shared<key_job>();
  auto promise = make_response_promise<key_released>();
  j->answer = answer_to(promise);
  if (!pass(j, call, "key.generate"))
    return promise;
  j->context = call.context;
  seal(j, std::make_shared<const crypto::secret_bytes>(crypto::random_secret(call.key_bytes)),
       true);
  return promise;
}

void key_provider_actor::seal(const job_ptr& j, crypto::secret_ptr key, bool to_host) {
  const auto& provider = j->config->key_providers.find(j->provider)->second; // the gate saw it
  auto session = session_of(j->provider);
  if (!session)
    return refuse(j, std::move(session).failure());
  if (provider.primary_key_id.empty())
    return refuse(j, make_error(errc::unavailable, "the provider has no primary key yet"));
  seal_under(*session, {provider.name, provider.primary_key_id, provider.mode, j->context, key},
             [this, j, key, to_host](result<sealed_key> sealed) {
               if (!sealed)
                 return refuse(j, std::move(sealed).failure());
               j->detail = key_detail(sealed->identity, sealed->ciphertext) +
                           " bytes=" + std::to_string(key->size());
               auto jwe = to_host ? jwe_for(*j, *key) : result<std::string>(std::string());
               if (!jwe)
                 return refuse(j, std::move(jwe).failure());
               release(j, std::move(sealed->ciphertext), *std::move(jwe));
             });
}

// ---- decrypt
// --------------------------------------------------------------------------------------

caf::result<key_released> key_provider_actor::on_decrypt(const decrypt_key& call) {
  auto j = std::make_shared<key_job>();
  auto promise = make_response_promise<key_released>();
  j->answer = answer_to(promise);
  if (!pass(j, call, "key.decrypt"))
    return promise;
  const auto& provider = j->config->key_providers.find(call.provider)->second; // the gate saw it
  auto parsed = read_for(provider, call.ciphertext, call.context);
  if (!parsed) {
    refuse(j, std::move(parsed).failure());
    return promise;
  }
  j->detail = key_detail(parsed->identity, call.ciphertext);
  auto session = session_of(call.provider);
  if (!session) {
    refuse(j, std::move(session).failure());
    return promise;
  }
  const auto what =
      std::make_shared<const key_to_open>(key_to_open{*std::move(parsed), call.context});
  open_under(*session, what,
             [this, j, what, ciphertext = call.ciphertext](result<crypto::secret_bytes> key,
                                                           std::string why) {
               if (!key)
                 return refuse(j, std::move(key).failure(), std::move(why));
               count_use(j->provider, what->parsed.identity.primary_key_id, counted_use::decrypt);
               auto jwe = jwe_for(*j, *key);
               if (!jwe)
                 return refuse(j, std::move(jwe).failure());
               release(j, ciphertext, *std::move(jwe));
             });
  return promise;
}

// ---- encrypt
// --------------------------------------------------------------------------------------

/// The host's own key material, out of the JWE it came in.
result<crypto::secret_ptr> key_provider_actor::open_own_key(const encrypt_key& call) const {
  CUSTOS_TRY(const auto kid, jose::key_id_of_jwe(call.jwe));
  const auto own = given_.encryption_key(kid);
  if (!own) {
    auto e = field_error(errc::invalid_argument, "/jwe",
                         "the JWE is to a key that is not this service's, or not any more; see "
                         "GET /keys/v1/encryption-key");
    e.check = "encryption-key";
    return e;
  }
  CUSTOS_TRY(auto key, jose::decrypt_ecdh_es_a256kw(*own, call.jwe));
  if (key.size() < kek_bytes_min || key.size() > kek_bytes_max) {
    auto e = field_error(errc::invalid_argument, "/jwe", "a key has 16 to 64 bytes");
    e.check = "gate-request";
    return e;
  }
  return std::make_shared<const crypto::secret_bytes>(std::move(key));
}

caf::result<key_encrypted> key_provider_actor::on_encrypt(const encrypt_key& call) {
  auto j = std::make_shared<key_job>();
  auto promise = make_response_promise<key_encrypted>();
  j->answer = [promise](result<key_released> r) mutable {
    if (r)
      promise.deliver(key_encrypted{std::move(r->ciphertext)});
    else
      promise.deliver(to_caf(std::move(r).failure()));
  };
  if (!pass(j, call, "key.encrypt"))
    return promise;
  j->context = call.context;
  auto key = open_own_key(call);
  if (!key) {
    auto e = std::move(key).failure();
    // A token in a body is a field of the request like any other: its sender is known.
    if (e.code == errc::token_invalid)
      e.code = errc::invalid_argument;
    e.field = "/jwe";
    refuse(j, std::move(e));
    return promise;
  }
  seal(j, *std::move(key), false);
  return promise;
}

// ---- list
// -----------------------------------------------------------------------------------------

caf::result<std::vector<provider_status>> key_provider_actor::on_list(const list_providers& call) {
  const auto now = given_.now();
  auto listed = present_gate().admit(call, present_config(), now);
  if (listed) {
    std::vector<provider_status> out;
    for (const auto& provider : listed->providers) {
      const auto known = sessions_.find(provider);
      out.push_back(known == sessions_.end()
                        ? provider_status{provider, "ok", "not used yet on this node"}
                        : known->second->status());
      out.back().primary_key =
          primary_key_name(applied_->key_providers.find(provider)->second.primary_key_id);
    }
    return out;
  }
  auto promise = make_response_promise<std::vector<provider_status>>();
  const auto& e = listed.failure();
  put_on_record({actor_name(gate_.host_of(call.caller, now)), call.caller.remote, "key.list", "",
                 std::string(to_string(e.code)), refusal_detail(e)},
                [promise, e](bool) mutable { promise.deliver(to_caf(e)); });
  return promise;
}

} // namespace custos::keyprovider
