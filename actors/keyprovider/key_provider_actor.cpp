#include "actors/keyprovider/key_provider_actor.hpp"

#include "actors/keyprovider/key_provider_state_actor.hpp"
#include "actors/keyprovider/rotation_schedule.hpp"
#include "messages/caf_error.hpp"

#include <chrono>
#include <utility>

namespace custos::keyprovider {

namespace {

/// How often keys past their grace time are wiped and groups of removed providers stopped, also
/// when nobody calls.
constexpr std::chrono::seconds sweep_interval{30};

error no_provider(const std::string& name) {
  return make_error(errc::not_found, "there is no key provider " + name);
}

/// A provider of the snapshot that is on key servers.
result<const key_provider*> on_servers(const config_snapshot& config, const std::string& name) {
  const auto found = config.key_providers.find(name);
  if (found == config.key_providers.end())
    return no_provider(name);
  if (found->second.type == provider_type::native)
    return make_error(errc::unsupported, "native provider " + name + " has no key servers");
  return &found->second;
}

} // namespace

key_provider_actor::key_provider_actor(caf::actor_config& cfg, key_provider_dependencies given)
    : key_provider_self::base(cfg), given_(std::move(given)), config_(given_.config),
      gate_(given_.check_token, given_.limits.gate, given_.sight_of_host) {
  set_default_handler(caf::drop);
  set_down_handler([this](const caf::down_msg& down) { forget_group(down.source); });
}

key_provider_self::behavior_type key_provider_actor::make_behavior() {
  delayed_send(this, sweep_interval, tick{});
  return {
      [this](const generate_key& call) { return on_generate(call); },
      [this](const decrypt_key& call) { return on_decrypt(call); },
      [this](const encrypt_key& call) { return on_encrypt(call); },
      [this](const rewrap_keys& call) { return on_rewrap(call); },
      [this](const list_providers& call) { return on_list(call); },
      [this](const make_client_certificate& call) { return on_make_certificate(call); },
      [this](const create_primary_key& call) { return on_create_key(call); },
      [this](const get_peer_certificates& call) { return on_peer_certificates(call); },
      [this](const get_provider_status& call) { return on_status(call); },
      [this](const tick&) {
        present_config();
        for (auto& [provider, session] : sessions_)
          session->look_around();
        recipients_.sweep(given_.now());
        delayed_send(this, sweep_interval, tick{});
      },
      [](const posted_work& work) { (*work.run)(); },
  };
}

void key_provider_actor::on_exit() {
  for (auto& [provider, session] : sessions_)
    session->stop();
  sessions_.clear();
  // A promise that is only dropped leaves its caller waiting for a timeout.
  for (const auto& j : in_flight_)
    j->answer(make_error(errc::cancelled, "the service is stopping"));
  in_flight_.clear();
}

// ---- configuration and sessions
// -------------------------------------------------------------------

config_ptr key_provider_actor::present_config() {
  auto config = config_.get();
  if (config == applied_)
    return config;
  applied_ = config;
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    const auto found = config->key_providers.find(it->first);
    if (found != config->key_providers.end() &&
        it->second->follow(found->second, limits_of(found->second))) {
      ++it;
      continue;
    }
    it->second->stop();
    it = sessions_.erase(it);
  }
  return config;
}

gate& key_provider_actor::present_gate() {
  if (given_.token_keys_generation)
    if (const auto present = given_.token_keys_generation(); present != token_keys_seen_) {
      token_keys_seen_ = present;
      gate_.forget_verdicts();
    }
  return gate_;
}

session_limits key_provider_actor::limits_of(const key_provider& provider) const {
  const auto& l = given_.limits;
  return {l.primary_keys_max, provider.cache.primary_key_age_s.value_or(l.primary_key_age_s_max),
          provider.cache.grace_s.value_or(l.primary_key_grace_s_max), l.capabilities_age_s_max,
          l.retry_after_s};
}

/// The session of a provider of the snapshot applied last, begun when it is first needed.
result<session_ptr> key_provider_actor::session_of(const std::string& name) {
  if (const auto known = sessions_.find(name); known != sessions_.end())
    return known->second;
  const auto found = applied_->key_providers.find(name);
  if (found == applied_->key_providers.end())
    return no_provider(name);
  const auto& provider = found->second;
  session_ptr session;
  if (provider.type == provider_type::native) {
    session = std::make_shared<provider_session>(this, provider, given_.unseal, limits_of(provider),
                                                 given_.now);
  } else {
    const auto spawn = [this](const key_provider& p) -> result<kmip_api> {
      CUSTOS_TRY(auto group, given_.spawn_group(p));
      monitor(group);
      return group;
    };
    CUSTOS_TRY(auto group, spawn(provider));
    session = std::make_shared<provider_session>(this, provider, std::move(group), spawn,
                                                 limits_of(provider), given_.now);
  }
  sessions_.emplace(name, session);
  session->look_around();
  return session;
}

void key_provider_actor::forget_group(const caf::actor_addr& gone) {
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it)
    if (it->second->lost(gone)) {
      it->second->stop();
      sessions_.erase(it);
      return;
    }
}

// ---- administration ----------------------------------------------------------------------

void key_provider_actor::record_administration(std::string action, const std::string& provider,
                                               const error* failed, std::string detail) {
  send(given_.audit,
       audit_record{"administrator", "", std::move(action), provider,
                    failed ? std::string(to_string(failed->code)) : "ok", std::move(detail)});
}

caf::result<client_certificate_made>
key_provider_actor::on_make_certificate(const make_client_certificate& call) {
  const auto config = present_config();
  if (const auto known = on_servers(*config, call.provider); !known)
    return to_caf(known.failure());
  auto made =
      make_client_key(call, given_.seal, given_.now(), given_.limits.client_certificate_life_s);
  record_administration("provider.client-key", call.provider, made ? nullptr : &made.failure(),
                        made ? "a new client key was made" : made.failure().message);
  return to_caf(std::move(made));
}

caf::result<kmip::key_created> key_provider_actor::on_create_key(const create_primary_key& call) {
  const auto config = present_config();
  if (const auto known = on_servers(*config, call.provider); !known)
    return to_caf(known.failure());
  auto session = session_of(call.provider);
  if (!session)
    return to_caf(std::move(session).failure());
  auto promise = make_response_promise<kmip::key_created>();
  (*session)->create_key({call.key_name}, [this, promise,
                                           call](result<kmip::key_created> made) mutable {
    record_administration("provider.create-key", call.provider, made ? nullptr : &made.failure(),
                          made ? "primary-key=" + made->unique_identifier : made.failure().message);
    if (made)
      promise.deliver(*std::move(made));
    else
      promise.deliver(to_caf(std::move(made).failure()));
  });
  return promise;
}

caf::result<std::vector<peer_certificate>>
key_provider_actor::on_peer_certificates(const get_peer_certificates& call) {
  const auto config = present_config();
  const auto known = on_servers(*config, call.provider);
  if (!known)
    return to_caf(known.failure());
  return delegate(
      spawn_peer_collector(system(), (*known)->servers, given_.read_peer_certificates,
                           std::chrono::seconds(given_.limits.peer_certificates_timeout_s)),
      call);
}

caf::result<provider_status_report> key_provider_actor::on_status(const get_provider_status& call) {
  const auto config = present_config();
  auto session = session_of(call.provider);
  if (!session)
    return to_caf(std::move(session).failure());
  auto promise = make_response_promise<provider_status_report>();
  const auto& provider = config->key_providers.find(call.provider)->second; // there is a session
  auto report = std::make_shared<provider_status_report>();
  report->provider = call.provider;
  report->rotation = waits_for(provider);
  if (given_.rotation_problem && report->rotation.empty())
    report->rotation = given_.rotation_problem(call.provider);
  const bool native = provider.type == provider_type::native;
  auto answer = [promise, report, native, s = *session]() mutable {
    report->client_certificate = s->certificate_in_use();
    report->health =
        native ? s->status().health : health_of(report->servers, report->primary_key_state);
    promise.deliver(std::move(*report));
  };
  // First the next certificate: which one the rest is asked with follows from what is said to it.
  (*session)->try_next([promise, report, answer, s = *session, id = provider.primary_key_id](
                           result<std::vector<key_server_status>> next) mutable {
    if (next)
      report->next_servers = *std::move(next);
    s->server_status(
        [promise, report, answer, s, id](result<std::vector<key_server_status>> servers) mutable {
          if (!servers) {
            promise.deliver(to_caf(std::move(servers).failure()));
            return;
          }
          report->servers = *std::move(servers);
          if (id.empty())
            return answer();
          s->key_state(id, [report, answer](result<std::string> state) mutable {
            if (state)
              report->primary_key_state = *std::move(state);
            answer();
          });
        });
  });
  return promise;
}

key_provider_api spawn_key_provider(caf::actor_system& system, key_provider_dependencies given) {
  return system.spawn<key_provider_actor>(std::move(given));
}

} // namespace custos::keyprovider
