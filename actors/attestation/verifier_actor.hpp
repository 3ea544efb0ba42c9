#pragma once
// The verifier as an actor: one per core, each busy with one message at a time.

#include "actors/attestation/verifier_core.hpp"
#include "messages/clock.hpp"
#include "messages/config_cell.hpp"
#include "messages/interfaces.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace custos::attestation {

/// Verdicts by check ("ok" for granted), for metrics. Thread-safe; counted once an appraisal.
class verdict_counters {
public:
  void count(const std::string& verdict);
  [[nodiscard]] std::map<std::string, std::uint64_t> read() const;

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> counts_;
};

struct verifier_dependencies {
  std::shared_ptr<const verifier_keys> keys;
  std::shared_ptr<const config_cell> config;
  clock_source now;
  std::shared_ptr<verdict_counters> counters;
};

/// `n` verifiers; which one takes evidence is verifier_of(ticket, n).
std::vector<verifier_api> spawn_verifiers(caf::actor_system& system, std::size_t n,
                                          const verifier_dependencies& given);

} // namespace custos::attestation
