#pragma once
// A cluster in one thread: virtual clock, network and disks, clients, faults of every kind, all of
// it from one seed. What Raft promises is checked at every step. The same seed, the same history.

#include "tests/simulation/raft/machine.hpp"

#include <string>

namespace custos::raft::simulation {

struct history_options {
  std::uint64_t seed = 1;
  unsigned replicas = 3;          ///< at the beginning, all of them voters
  milliseconds faults_ms = 15000; ///< then everything is healed, and must become well
};

struct history_outcome {
  std::string violation; ///< empty: none
  milliseconds ended_at = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t reads = 0;
  std::uint64_t crashes = 0;
  std::uint64_t partitions = 0;
  std::uint64_t elections = 0;
  std::uint64_t changes = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t steps = 0;
};

history_outcome run_history(const history_options& options);

} // namespace custos::raft::simulation
