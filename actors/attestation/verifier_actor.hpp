#pragma once
// The verifier as an actor: one per core, each busy with one message at a time.

#include "actors/attestation/verifier_core.hpp"
#include "messages/clock.hpp"
#include "messages/config_cell.hpp"
#include "messages/interfaces.hpp"

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace custos::attestation {

/// Upper bounds of the buckets that appraisals are counted in by duration, in microseconds.
inline constexpr std::array<std::uint64_t, 10> duration_bounds_us{50,   100,  250,   500,   1000,
                                                                  2500, 5000, 10000, 50000, 250000};

/// Appraisals by reason ("ok" for granted, else the check or the name of the error) and by
/// duration, for metrics. Thread-safe; counted once an appraisal.
class verdict_counters {
public:
  void count(const std::string& reason, std::uint64_t duration_us = 0);
  [[nodiscard]] std::map<std::string, std::uint64_t> read() const;

  struct durations {
    /// One a bound, not cumulative; the last one is of everything longer.
    std::array<std::uint64_t, duration_bounds_us.size() + 1> counts{};
    std::uint64_t sum_us = 0;
  };
  [[nodiscard]] durations read_durations() const;

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> counts_;
  durations durations_;
};

struct verifier_dependencies {
  std::shared_ptr<const verifier_keys> keys;
  std::shared_ptr<const config_cell> config;
  clock_source now;
  std::shared_ptr<verdict_counters> counters;
  verifier_shared shared = {};
  /// Where hosts are bound at their first attestation; without it no unbound host gets a token.
  config_store_api config_store = {};
  /// Microseconds of a clock that never goes back; may be empty.
  std::function<std::uint64_t()> ticks_us = {};
  std::string node = {}; ///< who binds, for the audit log
};

/// `n` verifiers; which one takes evidence is verifier_of(ticket, n).
std::vector<verifier_api> spawn_verifiers(caf::actor_system& system, std::size_t n,
                                          const verifier_dependencies& given);

} // namespace custos::attestation
