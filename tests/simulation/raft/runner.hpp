#pragma once
// Many histories, one after the other or in several processes at once.

#include "tests/simulation/raft/world.hpp"

#include <string>

namespace custos::raft::simulation {

struct run_options {
  std::uint64_t histories = 1000;
  std::uint64_t seed = 1; ///< of the first; the others follow
  unsigned replicas = 0;  ///< 0: 3 for odd seeds and 5 for even ones
  std::uint64_t seconds = 0;
  unsigned jobs = 1;
  bool judge_liveness = true;
  std::optional<profile> trouble;
};

struct run_outcome {
  std::uint64_t histories = 0;
  std::uint64_t stuck = 0; ///< did not become well, where that is not judged
  history_counts counts;
  std::string violation; ///< the first that was found; empty: none
  std::uint64_t violating_seed = 0;
  std::string defect; ///< a process died; empty: none did
  double seconds = 0;
};

inline constexpr unsigned jobs_max = 64;

/// Ends at the first violation. With several jobs each has every jobs'th seed, in a process of its
/// own. Says on stderr how far it is.
run_outcome run_histories(const run_options& options);

} // namespace custos::raft::simulation
