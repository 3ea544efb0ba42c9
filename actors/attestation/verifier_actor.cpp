#include "actors/attestation/verifier_actor.hpp"

#include "adapters/json/json.hpp"
#include "messages/caf_error.hpp"

#include <boost/json.hpp>

namespace custos::attestation {

namespace {

/// A binding is synced to disk before the first token is given.
constexpr std::chrono::seconds binding_budget{10};

std::string reason_of(const error& e) {
  return e.check.empty() ? std::string(to_string(e.code)) : e.check;
}

class verifier_actor : public verifier_api::base {
public:
  verifier_actor(caf::actor_config& config, verifier_dependencies given)
      : verifier_api::base(config), given_(std::move(given)), core_(given_.keys, given_.shared),
        config_(given_.config) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "attestation_verifier"; }

  verifier_api::behavior_type make_behavior() override {
    return {
        [this](const make_challenge&) -> caf::result<challenge> {
          return core_.make_challenge(config_.get(), given_.now());
        },
        [this](const attestation_key_request& request) -> caf::result<attestation_key_issued> {
          return to_caf(guarded<attestation_key_issued>(
              [&] { return core_.issue_attestation_key(request, config_.get(), given_.now()); }));
        },
        [this](const evidence& e) { return on_evidence(e); },
    };
  }

private:
  /// What no check foresaw is a failure that is told and counted: a verifier that ends silently
  /// would leave hosts unjudged (CVE-2022-3500).
  template <class T, class Call>
  result<T> guarded(Call call) {
    try {
      return call();
    } catch (const std::exception& thrown) {
      return make_error(errc::internal, std::string("appraisal: ") + thrown.what());
    }
  }

  caf::result<attestation_granted> on_evidence(const evidence& e) {
    const auto began = ticks();
    const auto config = config_.get();
    auto found = guarded<appraisal>([&] { return core_.appraise(e, config, given_.now()); });
    if (!found)
      return refuse(found.failure(), began);
    if (found->unbound)
      return bind(e, *std::move(found), began);
    return finish(e, *found, config, began);
  }

  caf::result<attestation_granted> finish(const evidence& e, const appraisal& found,
                                          const config_ptr& config, std::uint64_t began) {
    auto granted =
        guarded<attestation_granted>([&] { return core_.issue(found, e, config, given_.now()); });
    if (!granted)
      return refuse(granted.failure(), began);
    given_.counters->count("ok", ticks() - began);
    return *std::move(granted);
  }

  caf::error refuse(const error& why, std::uint64_t began) {
    given_.counters->count(reason_of(why), ticks() - began);
    return to_caf(why);
  }

  /// Host, EK and AK are bound in one write that creates, before the first token: of many that come
  /// at once with one host id, one is first (CVE-2025-13609).
  caf::result<attestation_granted> bind(const evidence& e, appraisal found, std::uint64_t began) {
    if (!given_.config_store)
      return refuse(make_error(errc::unavailable, "the host cannot be bound: no store"), began);
    config_command command;
    command.action = config_action::create;
    command.kind = object_kind::host;
    command.name = e.host;
    command.actor = given_.node;
    command.document =
        json::canonical(boost::json::object{{"ek_spki_sha256", crypto::hex(found.ek_spki_sha256)},
                                            {"ak_name", crypto::hex(found.ak_name)},
                                            {"quarantined", false}});
    auto promise = make_response_promise<attestation_granted>();
    auto kept = std::make_shared<std::pair<evidence, appraisal>>(e, std::move(found));
    request(given_.config_store, binding_budget, std::move(command))
        .then([this, kept, promise,
               began](const config_applied&) mutable { bound(*kept, promise, began); },
              [this, kept, promise, began](const caf::error& failed) mutable {
                auto why = from_caf(failed);
                // Another attestation of this host was first: what it bound decides.
                if (why.code == errc::already_exists)
                  return bound(*kept, promise, began);
                if (why.code == errc::forbidden) {
                  why.code = errc::attestation_failed;
                  why.check = "host-binding";
                  why.field = "/host";
                }
                give_up(*kept, why, promise, began);
              });
    return promise;
  }

  void bound(const std::pair<evidence, appraisal>& kept,
             caf::typed_response_promise<attestation_granted>& promise, std::uint64_t began) {
    const auto config = config_.get();
    auto still = guarded<bool>(
        [&] { return verifier_core::check_bound(kept.first.host, kept.second, config); });
    if (!still)
      return give_up(kept, still.failure(), promise, began);
    auto granted = guarded<attestation_granted>(
        [&] { return core_.issue(kept.second, kept.first, config, given_.now()); });
    if (!granted)
      return give_up(kept, granted.failure(), promise, began);
    given_.counters->count("ok", ticks() - began);
    promise.deliver(*std::move(granted));
  }

  void give_up(const std::pair<evidence, appraisal>& kept, const error& why,
               caf::typed_response_promise<attestation_granted>& promise, std::uint64_t began) {
    core_.take_back(kept.first, why, given_.now());
    promise.deliver(refuse(why, began));
  }

  [[nodiscard]] std::uint64_t ticks() const { return given_.ticks_us ? given_.ticks_us() : 0; }

  verifier_dependencies given_;
  verifier_core core_;
  config_reader config_;
};

} // namespace

void verdict_counters::count(const std::string& reason, std::uint64_t duration_us) {
  std::size_t bucket = 0;
  while (bucket < duration_bounds_us.size() && duration_us > duration_bounds_us.at(bucket))
    ++bucket;
  const std::lock_guard guard(mutex_);
  ++counts_[reason];
  ++durations_.counts.at(bucket);
  durations_.sum_us += duration_us;
}

std::map<std::string, std::uint64_t> verdict_counters::read() const {
  const std::lock_guard guard(mutex_);
  return counts_;
}

verdict_counters::durations verdict_counters::read_durations() const {
  const std::lock_guard guard(mutex_);
  return durations_;
}

std::vector<verifier_api> spawn_verifiers(caf::actor_system& system, std::size_t n,
                                          const verifier_dependencies& given) {
  std::vector<verifier_api> out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(system.spawn<verifier_actor>(given));
  return out;
}

} // namespace custos::attestation
