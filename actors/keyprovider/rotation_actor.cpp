#include "actors/keyprovider/rotation_actor.hpp"

#include "actors/keyprovider/rotation_schedule.hpp"
#include "adapters/crypto/crypto.hpp"
#include "messages/caf_error.hpp"

#include <chrono>
#include <set>
#include <utility>

namespace custos::keyprovider {

void rotation_problems::set(const std::string& provider, std::string why) {
  const std::lock_guard guard(mutex_);
  problems_[provider] = std::move(why);
}

void rotation_problems::clear(const std::string& provider) {
  const std::lock_guard guard(mutex_);
  problems_.erase(provider);
}

std::string rotation_problems::of(const std::string& provider) const {
  const std::lock_guard guard(mutex_);
  const auto found = problems_.find(provider);
  return found == problems_.end() ? std::string() : found->second;
}

namespace {

/// The name of a key: "custos-", this much of the provider's, "-" and 16 digits; at most 128.
constexpr std::size_t provider_in_key_name_max = 96;
constexpr std::size_t random_name_bytes = 8;
constexpr std::size_t operation_id_bytes = 16;

/// One change of a provider's object, from what it was when it was found to be due.
struct change {
  std::string provider;
  std::string action;         ///< of the audit record; empty: nothing to record
  std::string detail;         ///< of the audit record
  std::string primary_key_id; ///< it must still be this one
  std::function<key_provider(const key_provider&)> apply;
  std::uint32_t attempts = 0;
};
using change_ptr = std::shared_ptr<change>;

class rotation_actor : public rotation_api::base {
public:
  rotation_actor(caf::actor_config& cfg, rotation_dependencies given)
      : rotation_api::base(cfg), given_(std::move(given)), config_(given_.config) {
    set_default_handler(caf::drop);
  }

  const char* name() const override { return "primary_key_rotation"; }

  rotation_api::behavior_type make_behavior() override {
    look_again();
    return {[this](const tick&) {
      look_around();
      look_again();
    }};
  }

private:
  void look_again() {
    delayed_send(this, std::chrono::seconds(given_.limits.look_interval_s), tick{});
  }

  void look_around() {
    if (!given_.leads())
      return;
    const auto now = given_.now();
    const auto config = config_.get();
    for (const auto& [name, provider] : config->key_providers) {
      const auto step = next_step(provider, now);
      if (step == rotation_step::none) {
        given_.problems->clear(name);
        continue;
      }
      const auto waits = retry_at_.find(name);
      if (busy_.contains(name) || (waits != retry_at_.end() && now < waits->second))
        continue;
      busy_.insert(name);
      if (step == rotation_step::count)
        count(provider, now);
      else if (provider.type == provider_type::native)
        make_native(provider);
      else
        make_on_servers(provider);
    }
  }

  void count(const key_provider& provider, std::int64_t now) {
    auto c = change_of(provider);
    c->apply = [now](const key_provider& p) { return counting(p, now); };
    write(c);
  }

  void make_native(const key_provider& provider) {
    auto c = change_of(provider);
    c->action = "provider.rotate";
    auto made = given_.make_native_key(provider.name);
    if (!made)
      return failed(c, made.failure());
    c->detail = "primary-key=" + made->id + ", to be backed up";
    c->apply = [key = *std::move(made)](const key_provider& p) { return with_native_key(p, key); };
    write(c);
  }

  /// A key that was made and could not be written is the one that is written next time: it is on
  /// the key server anyway.
  void make_on_servers(const key_provider& provider) {
    auto c = change_of(provider);
    c->action = "provider.rotate";
    if (const auto known = made_.find(provider.name);
        known != made_.end() && known->second.first == provider.primary_key_id)
      return name_primary_key(c, known->second.second);
    create_primary_key call;
    call.provider = provider.name;
    call.key_name = "custos-" + provider.name.substr(0, provider_in_key_name_max) + "-" +
                    crypto::hex(crypto::random_bytes(random_name_bytes));
    request(given_.keys, std::chrono::seconds(given_.limits.make_timeout_s), std::move(call))
        .then(
            [this, c](const kmip::key_created& created) {
              made_[c->provider] = {c->primary_key_id, created.unique_identifier};
              name_primary_key(c, created.unique_identifier);
            },
            [this, c](const caf::error& e) { failed(c, from_caf(e)); });
  }

  void name_primary_key(const change_ptr& c, const std::string& id) {
    c->detail = "primary-key=" + id;
    c->apply = [id, now = given_.now()](const key_provider& p) {
      return with_primary_key(p, id, now);
    };
    write(c);
  }

  // ---- writing ----------------------------------------------------------------------------------

  static change_ptr change_of(const key_provider& provider) {
    auto c = std::make_shared<change>();
    c->provider = provider.name;
    c->primary_key_id = provider.primary_key_id;
    return c;
  }

  void write(const change_ptr& c) {
    const auto config = config_.get();
    const auto found = config->key_providers.find(c->provider);
    // Removed, or somebody else named a primary key: what is due now is another question.
    if (found == config->key_providers.end() || found->second.primary_key_id != c->primary_key_id) {
      busy_.erase(c->provider);
      return;
    }
    ++c->attempts;
    config_command command;
    command.operation_id = crypto::hex(crypto::random_bytes(operation_id_bytes));
    command.kind = object_kind::key_provider;
    command.name = c->provider;
    command.document = given_.document_of(c->apply(found->second));
    command.if_revision = config->revision;
    command.actor = given_.actor;
    request(given_.config_store, std::chrono::seconds(given_.limits.write_timeout_s),
            std::move(command))
        .then([this, c](const config_applied&) { done(c); },
              [this, c, revision = config->revision](const caf::error& e) {
                const auto why = from_caf(e);
                // The configuration changes all the time where hosts come; the change stays right.
                if (why.code == errc::revision_conflict && config_.get()->revision != revision &&
                    c->attempts < given_.limits.write_attempts_max)
                  return write(c);
                failed(c, why);
              });
  }

  void done(const change_ptr& c) {
    busy_.erase(c->provider);
    retry_at_.erase(c->provider);
    made_.erase(c->provider);
    given_.problems->clear(c->provider);
    record(c, "ok", c->detail);
  }

  void failed(const change_ptr& c, const error& why) {
    busy_.erase(c->provider);
    retry_at_[c->provider] = given_.now() + std::int64_t{given_.limits.retry_s};
    given_.problems->set(c->provider, "the primary key is due to be changed: " + why.message);
    record(c, std::string(to_string(why.code)),
           c->detail.empty() ? why.message : c->detail + ": " + why.message);
  }

  void record(const change_ptr& c, std::string outcome, std::string detail) {
    if (c->action.empty() && outcome == "ok")
      return;
    send(given_.audit,
         audit_record{given_.actor, "", c->action.empty() ? "provider.rotate" : c->action,
                      c->provider, std::move(outcome), std::move(detail)});
  }

  rotation_dependencies given_;
  config_reader config_;
  std::set<std::string> busy_;
  std::map<std::string, std::int64_t> retry_at_; ///< unix seconds
  /// By provider: the primary key it was made for, and the id of the key made.
  std::map<std::string, std::pair<std::string, std::string>> made_;
};

} // namespace

rotation_api spawn_rotation(caf::actor_system& system, rotation_dependencies given) {
  return system.spawn<rotation_actor>(std::move(given));
}

} // namespace custos::keyprovider
