#include "tests/simulation/raft/world.hpp"

#include <algorithm>

namespace custos::raft::simulation {

namespace {

constexpr milliseconds tick_ms = 20;
constexpr milliseconds time_to_become_well_ms = 30000;

} // namespace

history_counts& history_counts::operator+=(const history_counts& other) {
  virtual_time += other.virtual_time;
  acknowledged += other.acknowledged;
  reads += other.reads;
  crashes += other.crashes;
  partitions += other.partitions;
  elections += other.elections;
  changes += other.changes;
  snapshots += other.snapshots;
  steps += other.steps;
  return *this;
}

world::world(const history_options& given) : given_(given), random_(given.seed) {
  const auto drawn = draw_profile(random_);
  out_.trouble = given.trouble.value_or(drawn);
  trouble_ = draw_trouble(out_.trouble, random_);
  set_up();
}

void world::set_up() {
  membership members;
  for (replica_id id = 1; id <= given_.replicas; ++id)
    members.push_back({id, member_role::voter, {}});
  for (const auto& m : members)
    add_machine(m.id, members);
  for (const auto& m : members)
    start(m.id);
  events_.enter(now_ + trouble_.client_every, {kind::client, 0, 0, 0, {}});
  events_.enter(now_ + 2 * trouble_.machines.election_ms, {kind::fault, 0, 0, 0, {}});
  events_.enter(given_.faults_ms, {kind::end_of_faults, 0, 0, 0, {}});
}

void world::add_machine(replica_id id, const membership& members) {
  auto& s = sites_[id];
  s.disk_max = trouble_.disk_max;
  if (trouble_.uneven_disks && chance(50))
    s.disk_max = 1 + draw(3);
  s.what = make_machine(id, members, trouble_.machines, random_(), *this);
}

void world::start(replica_id id) {
  auto& s = sites_[id];
  if (s.what->running())
    return;
  s.io_busy_until = now_;
  s.what->start(clock_of(s));
  events_.enter(now_ + draw(tick_ms), {kind::tick, id, 0, s.life, {}});
  look_at(id);
}

// ---- what machines say and do -------------------------------------------------------------------

void world::send(replica_id from, replica_id to, packet what) {
  if (!exists(to) || cut_off(from, to) || (!faults_ended_ && chance(trouble_.loss_percent)))
    return;
  const auto copies = !faults_ended_ && chance(trouble_.repeat_percent) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    auto at = now_ + between(trouble_.delay_min, trouble_.delay_max);
    if (trouble_.in_order) {
      auto& last = last_arrival_[from][to];
      at = last = std::max(last, at);
    }
    events_.enter(at, {kind::arrival, to, from, sites_[from].life, what});
  }
}

void world::write_started(replica_id by) {
  auto& s = sites_[by];
  auto takes = draw(s.disk_max + 1);
  if (!faults_ended_ && draw(1000) < trouble_.disk_stall_permille) {
    takes += between(100, 1500);
    if (chance(trouble_.stall_crash_percent))
      events_.enter(now_ + draw(takes), {kind::crash, by, 0, s.life, {}});
  }
  s.io_busy_until = std::max(s.io_busy_until, now_) + takes;
  events_.enter(s.io_busy_until, {kind::io, by, 0, s.life, {}});
}

void world::logged(replica_id by, log_index index, term_number term, term_number before,
                   command_id command) {
  checker_.logged(by, index, term, before, command);
}

void world::applied(replica_id by, const applied_entry& e, const machine_state& now) {
  checker_.applied(by, e, now, sites_[by].what->term());
}

void world::restored(replica_id by, const machine_state& now) {
  checker_.restored(by, now);
  ++out_.counts.snapshots;
}

void world::acknowledged(replica_id /*by*/, command_id command, log_index index) {
  checker_.acknowledged(command, index);
}

void world::read_served(replica_id by, std::uint64_t token, log_index applied) {
  const auto asked = reads_.find(token);
  if (asked == reads_.end())
    return;
  ++out_.counts.reads;
  checker_.served(by, asked->second, applied);
  reads_.erase(asked);
}

void world::read_failed(replica_id /*by*/, std::uint64_t token) {
  reads_.erase(token);
}

void world::complained(replica_id by, const std::string& what) {
  checker_.violated("replica " + std::to_string(by) + " found: " + what);
}

// ---- what happens -------------------------------------------------------------------------------

void world::handle(event& e) {
  switch (e.what) {
  case kind::client:
    client();
    events_.enter(now_ + 1 + draw(2 * trouble_.client_every), {kind::client, 0, 0, 0, {}});
    return;
  case kind::fault:
    if (faults_ended_)
      return;
    fault();
    events_.enter(now_ + 1 + draw(2 * trouble_.fault_every), {kind::fault, 0, 0, 0, {}});
    return;
  case kind::heal:
    cuts_ = {};
    return;
  case kind::end_of_faults:
    end_faults();
    return;
  case kind::restart:
    start(e.to);
    return;
  case kind::crash:
    if (!faults_ended_ && e.life == sites_[e.to].life)
      crash(e.to);
    return;
  case kind::cut:
    if (!faults_ended_ && e.life == sites_[e.to].life)
      cut(e.to);
    return;
  case kind::fall:
    if (!faults_ended_ && e.life == sites_[e.to].life)
      fall(e.to);
    return;
  case kind::tick:
  case kind::arrival:
  case kind::io:
    handle_at_machine(e);
    return;
  }
}

bool world::is_lost(const event& arrival) const {
  return trouble_.takes_along && !faults_ended_ &&
         (cut_off(arrival.from, arrival.to) || sites_[arrival.from].life != arrival.life);
}

void world::handle_at_machine(event& e) {
  auto& s = sites_[e.to];
  if (!s.what->running() || (e.what == kind::arrival ? is_lost(e) : e.life != s.life))
    return;
  if (s.paused_until > now_) { // stopped: everything waits
    events_.enter(s.paused_until, std::move(e));
    return;
  }
  if (e.what == kind::tick) {
    s.what->tick(clock_of(s));
    events_.enter(now_ + tick_ms, {kind::tick, e.to, 0, s.life, {}});
  } else if (e.what == kind::arrival) {
    s.what->receive(clock_of(s), e.from, e.content);
  } else {
    s.what->io();
  }
  look_at(e.to);
}

void world::look_at(replica_id id) {
  auto& s = sites_[id];
  if (!s.what->running() || !s.what->leads())
    return;
  checker_.leads(id, *s.what);
  if (s.led == s.what->term())
    return;
  s.led = s.what->term();
  if (!faults_ended_)
    new_leader(id);
}

/// A leader, writes went on, and all its members are where it is.
bool world::is_well() {
  if (checker_.acknowledged() < acknowledged_at_end_ + writes_when_well)
    return false;
  const machine* leader = nullptr;
  for (const auto& s : sites_)
    if (s.what != nullptr && s.what->running() && s.what->leads() &&
        (leader == nullptr || s.what->term() > leader->term()))
      leader = s.what.get();
  if (leader == nullptr)
    return false;
  const auto state = leader->state();
  for (const auto& m : leader->members()) {
    if (!exists(m.id) || !sites_[m.id].what->running())
      return false;
    const auto there = sites_[m.id].what->state();
    if (there.applied != state.applied)
      return false;
    if (there.hash != state.hash)
      checker_.violated("different states at index " + std::to_string(state.applied));
  }
  return true;
}

history_outcome world::run() {
  while (!events_.empty() && checker_.violation().empty() && out_.stuck.empty()) {
    auto [at, e] = events_.take();
    const bool by_client = e.what == kind::client;
    now_ = at;
    ++out_.counts.steps;
    handle(e);
    if (!faults_ended_ || !by_client)
      continue;
    if (is_well())
      break;
    if (now_ > given_.faults_ms + time_to_become_well_ms)
      out_.stuck = "liveness: not well " + std::to_string(time_to_become_well_ms) +
                   " ms after the last fault";
  }
  checker_.check_nothing_lost();
  out_.violation = checker_.violation();
  out_.counts.virtual_time = now_;
  out_.counts.acknowledged = checker_.acknowledged();
  out_.counts.elections = checker_.elections();
  return out_;
}

} // namespace custos::raft::simulation
