#include "actors/keyprovider/key_provider_state_actor.hpp"
#include "adapters/jose/jose.hpp"
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

std::string refusal_detail(const error& e) {
  return e.check.empty() ? e.message : e.check + ": " + e.message;
}

std::string actor_name(std::string host) {
  return host.empty() ? "anonymous" : std::move(host);
}

ciphertext_identity new_identity(const key_job& j, wrap_algorithm algorithm,
                                 std::string primary_key) {
  ciphertext_identity identity;
  identity.algorithm = algorithm;
  identity.provider = j.provider;
  identity.primary_key_id = std::move(primary_key);
  const auto nonce = crypto::random_bytes(nonce_bytes);
  std::copy(nonce.begin(), nonce.end(), identity.nonce.begin());
  identity.context_hash = crypto::sha256(j.context);
  return identity;
}

/// Everything of a ciphertext that can be judged without the key server.
result<kek_ciphertext> read_ciphertext(const key_job& j, const key_provider& provider) {
  CUSTOS_TRY(auto parsed, parse_ciphertext(j.ciphertext));
  if (parsed.identity.provider != j.provider)
    return field_error(errc::forbidden, "ciphertext", "the ciphertext belongs to another provider");
  CUSTOS_CHECK(check_context(parsed, j.context));
  // Whoever asked that the primary key never leaves the server gets just that.
  if (parsed.identity.algorithm == wrap_algorithm::local_kwp &&
      provider.mode == primary_key_mode::remote)
    return field_error(errc::unsupported, "ciphertext",
                       "the ciphertext was made in local mode, and the provider's mode is remote; "
                       "mode automatic opens both");
  return parsed;
}

bool has_fresh_key(const kmip::decrypted_data& opened) {
  return opened.plaintext && opened.plaintext->size() == fresh_key_bytes;
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

void key_provider_actor::refuse(const job_ptr& j, error told, std::string why) {
  in_flight_.insert(j); // so that a stop answers it, too
  std::string code(to_string(told.code));
  put_on_record({j->actor, j->remote, j->action, j->provider, std::move(code), std::move(why)},
                [this, j, told = std::move(told)](bool) {
                  j->promise.deliver(to_caf(told));
                  in_flight_.erase(j);
                });
}

void key_provider_actor::refuse(const job_ptr& j, error e) {
  auto why = refusal_detail(e);
  refuse(j, std::move(e), std::move(why));
}

void key_provider_actor::release(const job_ptr& j, bytes ciphertext,
                                 const crypto::secret_bytes& key) {
  auto jwe = jose::encrypt_ecdh_es_a256kw(j->who.transport_key, j->who.transport_key_id,
                                          key.reveal_secret());
  if (!jwe)
    return refuse(j, std::move(jwe).failure());
  put_on_record(
      {j->actor, j->remote, j->action, j->provider, "ok", j->detail},
      [this, j, answer = key_released{std::move(ciphertext), *std::move(jwe)}](bool on_record) {
        if (on_record) {
          j->promise.deliver(answer);
        } else {
          auto e =
              make_error(errc::unavailable, "the audit log cannot be written: no key is released");
          e.retry_after_s = given_.limits.retry_after_s;
          e.retryable = true;
          j->promise.deliver(to_caf(std::move(e)));
        }
        in_flight_.erase(j);
      });
}

/// The gate, for both operations. A job that did not pass is already being refused.
template <class Call>
bool key_provider_actor::pass(const job_ptr& j, const Call& call, std::string action) {
  const auto now = given_.now();
  j->promise = make_response_promise<key_released>();
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
  j->context = call.context;
  in_flight_.insert(j);
  return true;
}

// ---- generate
// -------------------------------------------------------------------------------------

caf::result<key_released> key_provider_actor::on_generate(const generate_key& call) {
  auto j = std::make_shared<key_job>();
  if (!pass(j, call, "key.generate"))
    return j->promise;
  j->key_bytes = call.key_bytes;
  const auto& provider = j->config->key_providers.find(call.provider)->second; // the gate saw it
  auto session = session_of(call.provider);
  if (!session)
    refuse(j, std::move(session).failure());
  else if (provider.primary_key_id.empty())
    refuse(j, make_error(errc::unavailable, "the provider has no primary key yet"));
  else
    generate(j, *session, provider);
  return j->promise;
}

void key_provider_actor::generate(const job_ptr& j, const session_ptr& session,
                                  const key_provider& provider) {
  session->choose_remote(provider.mode, [this, j, session,
                                         id = provider.primary_key_id](result<bool> remote) {
    if (!remote)
      return refuse(j, std::move(remote).failure());
    if (*remote)
      return generate_remote(j, session, id);
    session->with_primary_key(id, key_use::protect, [this, j, id](result<crypto::secret_ptr> key) {
      if (!key)
        return refuse(j, std::move(key).failure());
      generate_local(j, id, **key);
    });
  });
}

void key_provider_actor::generate_local(const job_ptr& j, const std::string& id,
                                        const crypto::secret_bytes& key) {
  const auto fresh = crypto::random_secret(fresh_key_bytes);
  auto wrapped = crypto::aes_kwp_wrap(key.reveal_secret(), fresh.reveal_secret());
  if (!wrapped)
    return refuse(j, std::move(wrapped).failure());
  seal(j, new_identity(*j, wrap_algorithm::local_kwp, id), {{}, *std::move(wrapped), {}}, fresh);
}

void key_provider_actor::generate_remote(const job_ptr& j, const session_ptr& session,
                                         const std::string& id) {
  auto fresh = std::make_shared<const crypto::secret_bytes>(crypto::random_secret(fresh_key_bytes));
  // The additional data is for GCM; a server that answers with CBC was not sent any.
  auto identity = new_identity(*j, wrap_algorithm::remote_gcm, id);
  auto aad = identity_bytes(identity);
  if (!aad)
    return refuse(j, std::move(aad).failure());
  session->encrypt({id, fresh, *std::move(aad)}, [this, j, identity = std::move(identity), fresh](
                                                     result<kmip::encrypted_data> sealed) mutable {
    if (!sealed)
      return refuse(j, std::move(sealed).failure());
    if (!sealed->gcm)
      identity.algorithm = wrap_algorithm::remote_cbc;
    seal(j, identity,
         {std::move(sealed->iv), std::move(sealed->ciphertext), std::move(sealed->tag)}, *fresh);
  });
}

void key_provider_actor::seal(const job_ptr& j, const ciphertext_identity& identity,
                              const wrapped_key& wrapped, const crypto::secret_bytes& fresh) {
  const auto key = crypto::random_secret(j->key_bytes);
  auto sealed = seal_key(identity, wrapped, fresh, j->context, key);
  if (!sealed)
    return refuse(j, std::move(sealed).failure());
  j->detail = key_detail(identity, *sealed) + " bytes=" + std::to_string(key.size());
  release(j, *std::move(sealed), key);
}

// ---- decrypt
// --------------------------------------------------------------------------------------

caf::result<key_released> key_provider_actor::on_decrypt(const decrypt_key& call) {
  auto j = std::make_shared<key_job>();
  if (!pass(j, call, "key.decrypt"))
    return j->promise;
  j->ciphertext = call.ciphertext;
  const auto& provider = j->config->key_providers.find(call.provider)->second; // the gate saw it
  auto parsed = read_ciphertext(*j, provider);
  if (!parsed) {
    refuse(j, std::move(parsed).failure());
    return j->promise;
  }
  j->parsed = *std::move(parsed);
  j->detail = key_detail(j->parsed.identity, j->ciphertext);
  auto session = session_of(call.provider);
  if (!session)
    refuse(j, std::move(session).failure());
  else if (j->parsed.identity.algorithm == wrap_algorithm::local_kwp)
    open_local(j, *session);
  else
    open_remote(j, *session);
  return j->promise;
}

void key_provider_actor::open_local(const job_ptr& j, const session_ptr& session) {
  session->with_primary_key(j->parsed.identity.primary_key_id, key_use::process,
                            [this, j](result<crypto::secret_ptr> key) {
                              if (!key)
                                return refuse(j, std::move(key).failure());
                              auto fresh = crypto::aes_kwp_unwrap((*key)->reveal_secret(),
                                                                  j->parsed.wrapped.ciphertext);
                              if (!fresh)
                                return refuse(j, does_not_decrypt());
                              open(j, *fresh);
                            });
}

void key_provider_actor::open_remote(const job_ptr& j, const session_ptr& session) {
  const auto& wrapped = j->parsed.wrapped;
  const bool gcm = j->parsed.identity.algorithm == wrap_algorithm::remote_gcm;
  auto aad = identity_bytes(j->parsed.identity);
  if (!aad)
    return refuse(j, std::move(aad).failure());
  session->decrypt({j->parsed.identity.primary_key_id,
                    {gcm, wrapped.iv, wrapped.ciphertext, wrapped.tag},
                    gcm ? *std::move(aad) : bytes{}},
                   [this, j, gcm](result<kmip::decrypted_data> opened) {
                     const bool away = !opened && opened.failure().code == errc::unavailable;
                     const bool fresh = opened && has_fresh_key(*opened);
                     if (!gcm && !away && !fresh)
                       return open_in_vain(j, opened);
                     if (!opened)
                       return refuse(j, std::move(opened).failure());
                     if (!fresh)
                       return refuse(j, does_not_decrypt());
                     open(j, *opened->plaintext);
                   });
}

/// CBC is malleable, and the server says when its padding is wrong. A host that could tell that
/// from a wrong tag could decrypt, by asking often enough, fresh keys that are not its own
/// (Vaudenay's attack). So both read the same and cost us the same; the audit log has the truth.
void key_provider_actor::open_in_vain(const job_ptr& j,
                                      const result<kmip::decrypted_data>& opened) {
  const auto key = open_key(j->parsed, j->context, crypto::random_secret(fresh_key_bytes));
  auto told = key ? does_not_decrypt() : key.failure();
  auto why = told.message;
  if (!opened)
    why += " (" + refusal_detail(opened.failure()) + ")";
  refuse(j, std::move(told), std::move(why));
}

void key_provider_actor::open(const job_ptr& j, const crypto::secret_bytes& fresh) {
  const auto key = open_key(j->parsed, j->context, fresh);
  if (!key)
    return refuse(j, key.failure());
  release(j, std::move(j->ciphertext), *key);
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
