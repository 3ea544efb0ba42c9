#pragma once
// What kind of trouble a history has: drawn once, from its seed.

#include "tests/simulation/raft/machine.hpp"

#include <optional>
#include <string_view>

namespace custos::raft::simulation {

/// Trouble of every kind at once hides faults that need one kind often.
enum class profile : std::uint8_t {
  mixed = 1, ///< everything, a little
  storm,     ///< leaders fall as soon as they lead: Figure 3.7 of [O] and its like
  disks,     ///< some are slow, and power fails while they write
  churn,     ///< members change all the time, and as a leader's first act
  snapshots, ///< logs are short, and who was away gets a snapshot
  calm,      ///< long times without a fault
};

std::string_view name_of(profile kind);
std::optional<profile> profile_named(std::string_view name);

/// Clients that are slow show what busy ones hide: entries of an earlier term that nothing commits.
struct trouble {
  milliseconds delay_min = 1;
  milliseconds delay_max = 5;
  unsigned loss_percent = 0;
  unsigned repeat_percent = 0;
  bool in_order = true;    ///< as on a connection
  bool takes_along = true; ///< a cut and a crash take what was under way
  milliseconds disk_max = 2;
  bool uneven_disks = false; ///< each machine has a speed of its own
  unsigned disk_stall_permille = 0;
  unsigned stall_crash_percent = 0; ///< the power fails meanwhile
  milliseconds client_every = 10;
  bool moody_clients = false; ///< now fast, now slow
  milliseconds fault_every = 500;
  milliseconds down_max = 1000;
  unsigned relapse_percent = 0; ///< it crashes again as soon as it is back
  milliseconds relapse_within = 500;
  milliseconds cut_max = 2000;
  unsigned leader_victim_percent = 40;
  unsigned new_leader_falls_percent = 0;
  unsigned new_leader_loses_percent = 0; ///< one of its followers falls
  milliseconds new_leader_falls_within = 0;
  unsigned fall_is_crash_percent = 60; ///< else it is cut off, alone or not
  unsigned new_leader_changes_percent = 0;
  bool crashes = true;
  bool partitions = true;
  bool pauses = true;
  bool clocks = true;
  bool transfers = true;
  bool changes = true;
  unsigned voters_usual = 0; ///< one more or less is another majority; 0: as at the beginning
  machine_options machines;
};

profile draw_profile(random_source& random);
trouble draw_trouble(profile kind, random_source& random);

} // namespace custos::raft::simulation
