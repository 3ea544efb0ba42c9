#include "tests/simulation/raft/world.hpp"

#include <algorithm>

namespace custos::raft::simulation {

namespace {

constexpr std::size_t members_wanted_max = 7;

} // namespace

/// Any of those for whom `fits` is true and that are not stopped; 0: none is.
template <class Predicate>
replica_id world::any_that(Predicate fits) {
  std::array<replica_id, machines_max> of{};
  std::size_t count = 0;
  for (replica_id id = 1; id <= machines_max; ++id)
    if (exists(id) && sites_[id].paused_until <= now_ && sites_[id].what->running() &&
        fits(*sites_[id].what))
      of.at(count++) = id;
  return count == 0 ? 0 : of.at(draw(count));
}

replica_id world::some_machine() {
  return any_that([](const machine&) { return true; });
}

/// One that believes it leads; there may be several.
replica_id world::some_leader() {
  return any_that([](const machine& m) { return m.leads(); });
}

replica_id world::some_follower() {
  return any_that([](const machine& m) { return !m.leads(); });
}

void world::client() {
  if (faults_ended_ && checker_.acknowledged() >= acknowledged_at_end_ + writes_when_well)
    return; // it must become well by itself, not thanks to new entries
  auto to = some_leader();
  if (to == 0 || chance(5))
    to = some_machine();
  if (to == 0)
    return;
  if (draw(3) == 0) {
    const auto token = ++last_command_;
    reads_[token] = checker_.must_be_seen();
    if (!sites_[to].what->read(token))
      reads_.erase(token);
  } else {
    sites_[to].what->propose(++last_command_);
  }
  look_at(to);
}

// ---- faults -------------------------------------------------------------------------------------

/// What is done to a leader in its first moments meets it before its first entry is everywhere.
void world::new_leader(replica_id id) {
  if (trouble_.changes && chance(trouble_.new_leader_changes_percent))
    change_members(id);
  if (chance(trouble_.new_leader_falls_percent))
    events_.enter(now_ + draw(trouble_.new_leader_falls_within),
                  {kind::fall, id, 0, sites_[id].life, {}});
  if (chance(trouble_.new_leader_loses_percent))
    if (const auto other = some_follower(); other != 0)
      events_.enter(now_ + draw(trouble_.new_leader_falls_within),
                    {kind::crash, other, 0, sites_[other].life, {}});
}

void world::fault() {
  if (trouble_.moody_clients && chance(30))
    trouble_.client_every = chance(50) ? between(3, 20) : between(50, 400);
  const auto which = draw(10);
  if (which < 3 && trouble_.crashes) {
    if (const auto victim =
            chance(trouble_.leader_victim_percent) ? some_leader() : some_follower();
        victim != 0)
      crash(victim);
  } else if (which < 5 && trouble_.partitions) {
    cut(chance(50) ? some_leader() : 0);
  } else if (which == 5 && trouble_.pauses) {
    if (const auto id = some_machine(); id != 0)
      sites_[id].paused_until = now_ + between(50, 2000);
  } else if (which == 6 && trouble_.clocks) {
    if (const auto id = some_machine(); id != 0)
      sites_[id].clock_ahead += draw(3000);
  } else if (which == 7 && trouble_.transfers) {
    if (const auto id = some_leader(); id != 0) {
      sites_[id].what->transfer(some_follower());
      look_at(id);
      if (trouble_.partitions && chance(50)) // it may not hear of its successor, and answers reads
        events_.enter(now_ + draw(2 * trouble_.delay_max), {kind::cut, id, 0, sites_[id].life, {}});
    }
  } else if (trouble_.changes) {
    if (const auto id = some_leader(); id != 0)
      change_members(id);
  }
}

/// And it starts again some time later.
void world::crash(replica_id id) {
  auto& s = sites_[id];
  if (!s.what->running())
    return;
  ++s.life;
  ++out_.counts.crashes;
  s.paused_until = 0;
  s.what->crash(random_);
  const auto back = now_ + 1 + draw(trouble_.down_max);
  events_.enter(back, {kind::restart, id, 0, 0, {}});
  if (chance(trouble_.relapse_percent))
    events_.enter(back + draw(trouble_.relapse_within), {kind::crash, id, 0, s.life, {}});
}

/// 0: whoever it hits.
void world::cut(replica_id from_others) {
  ++out_.counts.partitions;
  std::vector<replica_id> all;
  for (replica_id id = 1; id <= machines_max; ++id)
    if (exists(id))
      all.push_back(id);
  std::array<bool, machines_max + 1> side{};
  side.at(from_others != 0 ? from_others : all[draw(all.size())]) = true;
  if (chance(50))
    for (const auto id : all)
      side.at(id) = side.at(id) || chance(50);
  const bool one_way = chance(25);
  for (const auto a : all)
    for (const auto b : all)
      if (side.at(a) && !side.at(b)) {
        cuts_[a][b] = true;
        cuts_[b][a] = cuts_[b][a] || !one_way;
      }
  events_.enter(now_ + 1 + draw(trouble_.cut_max), {kind::heal, 0, 0, 0, {}});
}

void world::fall(replica_id id) {
  if (trouble_.crashes && (!trouble_.partitions || chance(trouble_.fall_is_crash_percent)))
    crash(id);
  else
    cut(id);
}

// ---- membership ---------------------------------------------------------------------------------

/// One that was removed earlier, or was never a member; 0: none is left.
replica_id world::newcomer(const membership& present) {
  for (replica_id id = 1; id <= machines_max; ++id) {
    if (!exists(id)) {
      add_machine(id, {});
      start(id);
      return id;
    }
    if (id > given_.replicas && find_member(present, id) == nullptr && sites_[id].what->running() &&
        sites_[id].what->members().empty())
      return id;
  }
  return 0;
}

membership world::with_one_change(const membership& present) {
  auto wanted = present;
  const auto voters = voters_of(present);
  const auto usual = trouble_.voters_usual != 0 ? trouble_.voters_usual : given_.replicas;
  const bool grow = voters < usual || (voters == usual && chance(50));
  if (grow) {
    for (auto& m : wanted)
      if (m.role == member_role::standby && chance(70)) {
        m.role = member_role::voter;
        return wanted;
      }
    if (wanted.size() >= members_wanted_max)
      return {};
    const auto id = newcomer(present);
    if (id == 0)
      return {};
    wanted.push_back({id, member_role::standby, {}});
    std::sort(wanted.begin(), wanted.end(), [](auto& a, auto& b) { return a.id < b.id; });
    return wanted;
  }
  auto at = draw(wanted.size());
  while (wanted[at].role != member_role::voter && chance(70))
    at = draw(wanted.size());
  if (chance(50) && wanted[at].role == member_role::voter)
    wanted[at].role = member_role::standby; // it may come back, unlike who is removed
  else
    wanted.erase(wanted.begin() + static_cast<long>(at));
  return voters_of(wanted) == 0 ? membership() : wanted;
}

void world::change_members(replica_id leader) {
  auto& m = *sites_[leader].what;
  if (!m.can_change_members())
    return;
  const auto wanted = with_one_change(m.members());
  if (!wanted.empty() && m.change(wanted))
    ++out_.counts.changes;
  look_at(leader);
}

// ---- the end ------------------------------------------------------------------------------------

void world::end_faults() {
  faults_ended_ = true;
  cuts_ = {};
  trouble_.client_every = 50;
  trouble_.delay_max = std::min<milliseconds>(trouble_.delay_max, 10);
  for (replica_id id = 1; id <= machines_max; ++id) {
    auto& s = sites_[id];
    if (!exists(id))
      continue;
    s.disk_max = std::min<milliseconds>(s.disk_max, 5);
    s.paused_until = 0;
    start(id);
  }
  acknowledged_at_end_ = checker_.acknowledged();
}

} // namespace custos::raft::simulation
