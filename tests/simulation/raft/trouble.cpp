#include "tests/simulation/raft/trouble.hpp"

#include <array>
#include <initializer_list>
#include <utility>

namespace custos::raft::simulation {

namespace {

constexpr std::array<std::pair<profile, std::string_view>, 6> names{{
    {profile::mixed, "mixed"},
    {profile::storm, "storm"},
    {profile::disks, "disks"},
    {profile::churn, "churn"},
    {profile::snapshots, "snapshots"},
    {profile::calm, "calm"},
}};

class lots {
public:
  explicit lots(random_source& random) : random_(random) {}

  milliseconds one_of(std::initializer_list<milliseconds> of) {
    return *(of.begin() + static_cast<long>(random_() % of.size()));
  }
  unsigned number_of(std::initializer_list<milliseconds> of) {
    return static_cast<unsigned>(one_of(of));
  }
  bool chance(unsigned percent) { return random_() % 100 < percent; }

private:
  random_source& random_;
};

trouble mixed(lots& draw) {
  trouble t;
  t.delay_max = draw.one_of({3, 10, 60});
  t.loss_percent = draw.number_of({0, 0, 1, 5});
  t.repeat_percent = draw.number_of({0, 0, 2});
  t.in_order = t.loss_percent == 0 && draw.chance(50);
  t.takes_along = draw.chance(50);
  t.disk_max = draw.one_of({1, 5, 40});
  t.uneven_disks = draw.chance(20);
  t.disk_stall_permille = draw.number_of({0, 0, 5});
  t.stall_crash_percent = draw.number_of({0, 20});
  t.client_every = draw.one_of({4, 20, 100, 400});
  t.fault_every = draw.one_of({150, 400, 1000});
  t.down_max = draw.one_of({200, 1500});
  t.relapse_percent = draw.number_of({0, 30});
  t.cut_max = draw.one_of({500, 3000});
  t.crashes = !draw.chance(10);
  t.partitions = !draw.chance(10);
  t.pauses = draw.chance(50);
  t.clocks = draw.chance(30);
  t.transfers = draw.chance(50);
  t.changes = draw.chance(60);
  t.voters_usual = draw.number_of({0, 0, 0, 2});
  auto& m = t.machines;
  m.election_ms = draw.one_of({150, 300});
  m.heartbeat_ms = m.election_ms / 5;
  m.entries_behind = draw.one_of({8, 64});
  m.snapshot_bytes = draw.one_of({16, 1000});
  m.writes_in_flight_max = draw.one_of({1, 4});
  m.entries_per_message_max = draw.one_of({1, 3, 16});
  return t;
}

void storm(trouble& t, lots& draw) {
  t.takes_along = true;
  t.client_every = draw.one_of({20, 100, 400});
  t.disk_max = draw.one_of({5, 40, 100});
  t.new_leader_falls_percent = draw.number_of({40, 70});
  t.new_leader_loses_percent = draw.number_of({0, 50});
  t.new_leader_falls_within = 2 * t.delay_max + t.disk_max;
  t.leader_victim_percent = 70;
  t.machines.election_ms = 150;
  t.machines.heartbeat_ms = 30;
  t.machines.entries_per_message_max = draw.one_of({1, 1, 3});
  t.down_max = draw.one_of({30, 200, 600});
  t.cut_max = draw.one_of({200, 600});
  t.changes = false;
}

void disks(trouble& t, lots& draw) {
  t.disk_max = 100;
  t.uneven_disks = true;
  t.disk_stall_permille = draw.number_of({5, 20});
  t.stall_crash_percent = 40;
  t.delay_max = draw.one_of({3, 10});
  t.moody_clients = true;
  t.fault_every = draw.one_of({150, 400});
  t.cut_max = 500;
  t.leader_victim_percent = 70;
  t.changes = false;
}

void churn(trouble& t, lots& draw) {
  t.takes_along = true;
  t.changes = true;
  t.voters_usual = draw.number_of({2, 4});
  t.new_leader_changes_percent = 90;
  t.new_leader_falls_percent = 80;
  t.fall_is_crash_percent = 40;
  t.new_leader_falls_within = 2 * t.delay_max + t.disk_max;
  t.client_every = draw.one_of({20, 100, 400});
  t.fault_every = draw.one_of({100, 300});
  t.cut_max = draw.one_of({300, 1000});
  t.down_max = 300;
  t.machines.election_ms = 150;
  t.machines.heartbeat_ms = 30;
}

/// Leaders stay, so that what one was told stays with it; and clients are slow, so that the next
/// snapshot does not mend at once what went wrong with this one.
void snapshots(trouble& t, lots& draw) {
  t.delay_max = draw.one_of({3, 10});
  t.disk_max = draw.one_of({40, 200});
  t.disk_stall_permille = draw.number_of({0, 2});
  t.client_every = draw.one_of({20, 60, 150});
  t.fault_every = draw.one_of({300, 600});
  t.leader_victim_percent = 5;
  t.down_max = 1500;
  t.relapse_percent = 60;
  t.relapse_within = 400;
  t.pauses = false;
  t.clocks = false;
  t.transfers = false;
  t.partitions = draw.chance(30);
  t.machines.compact_every = draw.one_of({8, 24});
  t.machines.entries_behind = 4;
}

void calm(trouble& t, lots& draw) {
  t.fault_every = draw.one_of({2000, 5000});
  t.loss_percent = 0;
  t.client_every = draw.one_of({20, 100});
}

} // namespace

std::string_view name_of(profile kind) {
  for (const auto& [one, name] : names)
    if (one == kind)
      return name;
  return {};
}

std::optional<profile> profile_named(std::string_view name) {
  for (const auto& [one, known] : names)
    if (known == name)
      return one;
  return std::nullopt;
}

profile draw_profile(random_source& random) {
  const auto lot = random() % 20;
  if (lot < 5)
    return profile::mixed;
  if (lot < 9)
    return profile::storm;
  if (lot < 12)
    return profile::disks;
  if (lot < 16)
    return profile::churn;
  return lot < 19 ? profile::snapshots : profile::calm;
}

trouble draw_trouble(profile kind, random_source& random) {
  lots draw(random);
  auto t = mixed(draw);
  switch (kind) {
  case profile::mixed:
    break;
  case profile::storm:
    storm(t, draw);
    break;
  case profile::disks:
    disks(t, draw);
    break;
  case profile::churn:
    churn(t, draw);
    break;
  case profile::snapshots:
    snapshots(t, draw);
    break;
  case profile::calm:
    calm(t, draw);
    break;
  }
  return t;
}

} // namespace custos::raft::simulation
