#include "actors/attestation/verifier_actor.hpp"

#include "messages/caf_error.hpp"

namespace custos::attestation {

namespace {

class verifier_actor : public verifier_api::base {
public:
  verifier_actor(caf::actor_config& config, verifier_dependencies given,
                 std::shared_ptr<const trust_source> trust)
      : verifier_api::base(config), given_(std::move(given)), core_(given_.keys, std::move(trust)),
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
          return to_caf(core_.issue_attestation_key(request, config_.get(), given_.now()));
        },
        [this](const evidence& e) -> caf::result<attestation_granted> {
          auto granted = core_.grant(e, config_.get(), given_.now());
          if (granted)
            given_.counters->count("ok");
          else
            given_.counters->count(granted.failure().check.empty()
                                       ? std::string(to_string(granted.failure().code))
                                       : granted.failure().check);
          return to_caf(std::move(granted));
        },
    };
  }

private:
  verifier_dependencies given_;
  verifier_core core_;
  config_reader config_;
};

} // namespace

void verdict_counters::count(const std::string& verdict) {
  const std::lock_guard guard(mutex_);
  ++counts_[verdict];
}

std::map<std::string, std::uint64_t> verdict_counters::read() const {
  const std::lock_guard guard(mutex_);
  return counts_;
}

std::vector<verifier_api> spawn_verifiers(caf::actor_system& system, std::size_t n,
                                          const verifier_dependencies& given) {
  std::vector<verifier_api> out;
  const auto trust = std::make_shared<const trust_source>();
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(system.spawn<verifier_actor>(given, trust));
  return out;
}

} // namespace custos::attestation
