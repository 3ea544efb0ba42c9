#include "tests/simulation/raft/world.hpp"

#include "tests/simulation/raft/calendar.hpp"
#include "tests/simulation/raft/checker.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace custos::raft::simulation {

namespace {

constexpr milliseconds tick_ms = 20;
constexpr milliseconds time_to_become_well_ms = 30000;
constexpr std::size_t machines_max = 12;
constexpr std::size_t members_wanted_max = 7;
/// When a cluster is well: writes since the last fault, and how far a member may be behind.
constexpr std::uint64_t writes_when_well = 3;
constexpr log_index lag_when_well_max = 20;

/// What kind of trouble a history has. Clients that are slow show what busy ones hide: entries of
/// an earlier term that nothing commits.
struct trouble {
  milliseconds delay_min = 1;
  milliseconds delay_max = 5;
  unsigned loss_percent = 0;
  unsigned repeat_percent = 0;
  bool in_order = true; ///< as on a connection
  milliseconds disk_max = 2;
  unsigned disk_stall_permille = 0;
  milliseconds client_every = 10;
  milliseconds fault_every = 500;
  milliseconds down_max = 1000;
  milliseconds cut_max = 2000;
  bool crashes = true;
  bool partitions = true;
  bool pauses = true;
  bool clocks = true;
  bool transfers = true;
  bool changes = true;
};

struct site {
  std::unique_ptr<raft::simulation::machine> what;
  std::uint64_t life = 0; ///< goes up with every crash
  milliseconds io_busy_until = 0;
  milliseconds paused_until = 0;
  milliseconds clock_ahead = 0;
};

class world final : public surroundings {
public:
  explicit world(const history_options& given) : given_(given), random_(given.seed) { set_up(); }

  history_outcome run();

  // surroundings
  void send(replica_id from, replica_id to, packet what) override;
  void write_started(replica_id by) override;
  void logged(replica_id by, log_index index, term_number term, term_number before,
              command_id command) override {
    checker_.logged(by, index, term, before, command);
  }
  void applied(replica_id by, const applied_entry& e, const machine_state& now) override {
    checker_.applied(by, e, now, sites_[by].what->term());
  }
  void restored(replica_id by, const machine_state& now) override {
    checker_.restored(by, now);
    ++out_.snapshots;
  }
  void acknowledged(replica_id, command_id command, log_index index) override {
    checker_.acknowledged(command, index);
  }
  void read_served(replica_id by, std::uint64_t token, log_index applied) override {
    const auto asked = reads_.find(token);
    if (asked == reads_.end())
      return;
    ++out_.reads;
    checker_.served(by, asked->second, applied);
    reads_.erase(asked);
  }
  void read_failed(replica_id, std::uint64_t token) override { reads_.erase(token); }
  void complained(replica_id by, const std::string& what) override {
    checker_.violated("replica " + std::to_string(by) + " found: " + what);
  }

private:
  enum class kind : std::uint8_t { tick, packet, io, client, fault, restart, heal, end_of_faults };
  struct event {
    kind what = kind::tick;
    replica_id to = 0;
    replica_id from = 0;
    std::uint64_t life = 0;
    packet content;
  };

  std::uint64_t draw(std::uint64_t below) { return below == 0 ? 0 : random_() % below; }
  milliseconds between(milliseconds a, milliseconds b) { return a + draw(b - a + 1); }
  bool chance(unsigned percent) { return draw(100) < percent; }
  milliseconds clock_of(const site& s) const { return now_ + s.clock_ahead; }

  void set_up();
  void draw_trouble();
  site& add_machine(replica_id id, const membership& members);
  void handle(event& e);
  void crash(replica_id id);
  void start(replica_id id);
  void client();
  void fault();
  void cut();
  void change_members();
  membership with_one_change(const membership& present);
  void end_faults();
  bool is_well();
  replica_id some_machine(bool running);
  replica_id some_leader();
  void look_at(replica_id id);
  bool cut_off(replica_id from, replica_id to) const { return cuts_.count({from, to}) != 0; }

  history_options given_;
  random_source random_;
  trouble trouble_;
  machine_options machine_options_;
  milliseconds now_ = 1;
  calendar<event> events_;
  std::map<replica_id, site> sites_;
  std::set<std::pair<replica_id, replica_id>> cuts_;
  std::map<std::pair<replica_id, replica_id>, milliseconds> last_arrival_;
  std::map<std::uint64_t, log_index> reads_;
  checker checker_;
  history_outcome out_;
  command_id last_command_ = 0;
  bool faults_ended_ = false;
  std::uint64_t acknowledged_at_end_ = 0;
};

void world::draw_trouble() {
  const auto one_of = [this](std::initializer_list<milliseconds> of) {
    return *(of.begin() + static_cast<long>(draw(of.size())));
  };
  trouble_.delay_max = one_of({3, 10, 60});
  trouble_.loss_percent = static_cast<unsigned>(one_of({0, 0, 1, 5}));
  trouble_.repeat_percent = static_cast<unsigned>(one_of({0, 0, 2}));
  trouble_.in_order = trouble_.loss_percent == 0 && draw(2) == 0;
  trouble_.disk_max = one_of({1, 5, 40});
  trouble_.disk_stall_permille = static_cast<unsigned>(one_of({0, 0, 5}));
  trouble_.client_every = one_of({3, 20, 100, 400});
  trouble_.fault_every = one_of({150, 400, 1000});
  trouble_.down_max = one_of({200, 1500});
  trouble_.cut_max = one_of({500, 3000});
  trouble_.crashes = !chance(10);
  trouble_.partitions = !chance(10);
  trouble_.pauses = chance(50);
  trouble_.clocks = chance(30);
  trouble_.transfers = chance(50);
  trouble_.changes = chance(60);
  machine_options_.election_ms = one_of({150, 300});
  machine_options_.heartbeat_ms = machine_options_.election_ms / 5;
  machine_options_.entries_behind = one_of({8, 64});
  machine_options_.snapshot_bytes = one_of({16, 1000});
  machine_options_.writes_in_flight_max = one_of({1, 4});
}

site& world::add_machine(replica_id id, const membership& members) {
  auto& s = sites_[id];
  s.what = make_machine(id, members, machine_options_, random_(), *this);
  return s;
}

void world::set_up() {
  draw_trouble();
  membership members;
  for (replica_id id = 1; id <= given_.replicas; ++id)
    members.push_back({id, member_role::voter, {}});
  for (const auto& m : members)
    add_machine(m.id, members);
  for (const auto& m : members)
    start(m.id);
  events_.enter(now_ + trouble_.client_every, {kind::client, 0, 0, 0, {}});
  events_.enter(now_ + 2 * machine_options_.election_ms, {kind::fault, 0, 0, 0, {}});
  events_.enter(given_.faults_ms, {kind::end_of_faults, 0, 0, 0, {}});
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

void world::crash(replica_id id) {
  auto& s = sites_[id];
  if (!s.what->running())
    return;
  ++s.life;
  ++out_.crashes;
  s.paused_until = 0;
  s.what->crash(random_);
}

void world::send(replica_id from, replica_id to, packet what) {
  if (sites_.count(to) == 0 || cut_off(from, to) ||
      (!faults_ended_ && chance(trouble_.loss_percent)))
    return;
  const auto copies = !faults_ended_ && chance(trouble_.repeat_percent) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    auto at = now_ + between(trouble_.delay_min, trouble_.delay_max);
    if (trouble_.in_order) {
      auto& last = last_arrival_[{from, to}];
      at = last = std::max(last, at);
    }
    events_.enter(at, {kind::packet, to, from, 0, what});
  }
}

void world::write_started(replica_id by) {
  auto& s = sites_[by];
  auto takes = draw(trouble_.disk_max + 1);
  if (!faults_ended_ && draw(1000) < trouble_.disk_stall_permille)
    takes += between(100, 1500);
  s.io_busy_until = std::max(s.io_busy_until, now_) + takes;
  events_.enter(s.io_busy_until, {kind::io, by, 0, s.life, {}});
}

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
    cuts_.clear();
    return;
  case kind::end_of_faults:
    end_faults();
    return;
  case kind::restart:
    start(e.to);
    return;
  case kind::tick:
  case kind::packet:
  case kind::io:
    break;
  }
  const auto at = sites_.find(e.to);
  if (at == sites_.end())
    return;
  auto& s = at->second;
  const bool of_this_life = e.what == kind::packet || e.life == s.life;
  if (!of_this_life || !s.what->running())
    return;
  if (s.paused_until > now_) { // stopped: everything waits
    events_.enter(s.paused_until, std::move(e));
    return;
  }
  if (e.what == kind::tick) {
    s.what->tick(clock_of(s));
    events_.enter(now_ + tick_ms, {kind::tick, e.to, 0, s.life, {}});
  } else if (e.what == kind::packet) {
    s.what->receive(clock_of(s), e.from, e.content);
  } else {
    s.what->io();
  }
  look_at(e.to);
}

void world::look_at(replica_id id) {
  const auto& m = *sites_[id].what;
  if (m.running() && m.leads())
    checker_.leads(id, m);
}

replica_id world::some_machine(bool running) {
  std::vector<replica_id> of;
  for (const auto& [id, s] : sites_)
    if (s.what->running() == running && s.paused_until <= now_)
      of.push_back(id);
  return of.empty() ? 0 : of[draw(of.size())];
}

/// One that believes it leads; there may be several.
replica_id world::some_leader() {
  std::vector<replica_id> of;
  for (const auto& [id, s] : sites_)
    if (s.what->running() && s.paused_until <= now_ && s.what->leads())
      of.push_back(id);
  return of.empty() ? 0 : of[draw(of.size())];
}

void world::client() {
  auto to = some_leader();
  if (to == 0 || chance(5))
    to = some_machine(true);
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

void world::fault() {
  const auto which = draw(10);
  if (which < 3 && trouble_.crashes) {
    auto victim = chance(40) ? some_leader() : some_machine(true);
    if (victim == 0)
      victim = some_machine(true);
    if (victim == 0)
      return;
    crash(victim);
    events_.enter(now_ + 1 + draw(trouble_.down_max), {kind::restart, victim, 0, 0, {}});
  } else if (which < 5 && trouble_.partitions) {
    cut();
  } else if (which == 5 && trouble_.pauses) {
    if (const auto id = some_machine(true); id != 0)
      sites_[id].paused_until = now_ + between(50, 2000);
  } else if (which == 6 && trouble_.clocks) {
    if (const auto id = some_machine(true); id != 0)
      sites_[id].clock_ahead += draw(3000);
  } else if (which == 7 && trouble_.transfers) {
    if (const auto id = some_leader(); id != 0) {
      sites_[id].what->transfer(some_machine(true));
      look_at(id);
    }
  } else if (trouble_.changes) {
    change_members();
  }
}

void world::cut() {
  ++out_.partitions;
  std::vector<replica_id> all;
  for (const auto& [id, s] : sites_)
    all.push_back(id);
  std::shuffle(all.begin(), all.end(), random_);
  std::set<replica_id> side;
  if (const auto leader = some_leader(); leader != 0 && chance(50))
    side.insert(leader);
  else
    side.insert(all.front());
  if (chance(50))
    for (const auto id : all)
      if (side.size() < all.size() / 2)
        side.insert(id);
  const bool one_way = chance(25);
  for (const auto a : all)
    for (const auto b : all)
      if (side.count(a) != 0 && side.count(b) == 0) {
        cuts_.insert({a, b});
        if (!one_way)
          cuts_.insert({b, a});
      }
  events_.enter(now_ + 1 + draw(trouble_.cut_max), {kind::heal, 0, 0, 0, {}});
}

membership world::with_one_change(const membership& present) {
  auto wanted = present;
  const auto voters = voters_of(present);
  const bool grow = voters < given_.replicas || (voters == given_.replicas && chance(50));
  if (grow) {
    for (auto& m : wanted)
      if (m.role == member_role::standby && chance(70)) {
        m.role = member_role::voter;
        return wanted;
      }
    if (wanted.size() >= members_wanted_max)
      return {};
    replica_id id = 1; // one that was removed earlier, or was never a member
    while (sites_.count(id) != 0 &&
           (id <= given_.replicas || find_member(present, id) != nullptr ||
            !sites_[id].what->running() || !sites_[id].what->members().empty()))
      ++id;
    if (id > machines_max)
      return {};
    if (sites_.count(id) == 0) {
      add_machine(id, {});
      start(id);
    }
    wanted.push_back({id, member_role::standby, {}});
    std::sort(wanted.begin(), wanted.end(), [](auto& a, auto& b) { return a.id < b.id; });
    return wanted;
  }
  const auto at = draw(wanted.size());
  if (chance(30) && wanted[at].role == member_role::voter)
    wanted[at].role = member_role::standby;
  else
    wanted.erase(wanted.begin() + static_cast<long>(at));
  return voters_of(wanted) == 0 ? membership() : wanted;
}

void world::change_members() {
  const auto leader = some_leader();
  if (leader == 0)
    return;
  const auto wanted = with_one_change(sites_[leader].what->members());
  if (!wanted.empty() && sites_[leader].what->change(wanted))
    ++out_.changes;
  look_at(leader);
}

void world::end_faults() {
  faults_ended_ = true;
  cuts_.clear();
  trouble_.client_every = std::min<milliseconds>(trouble_.client_every, 50);
  trouble_.delay_max = std::min<milliseconds>(trouble_.delay_max, 10);
  trouble_.disk_max = std::min<milliseconds>(trouble_.disk_max, 5);
  for (auto& [id, s] : sites_) {
    s.paused_until = 0;
    start(id);
  }
  acknowledged_at_end_ = checker_.acknowledged();
}

/// A leader, writes go on, and all its members are where it is.
bool world::is_well() {
  if (checker_.acknowledged() < acknowledged_at_end_ + writes_when_well)
    return false;
  const machine* leader = nullptr;
  for (const auto& [id, s] : sites_)
    if (s.what->running() && s.what->leads() &&
        (leader == nullptr || s.what->term() > leader->term()))
      leader = s.what.get();
  if (leader == nullptr)
    return false;
  const auto state = leader->state();
  for (const auto& m : leader->members()) {
    const auto at = sites_.find(m.id);
    if (at == sites_.end() || !at->second.what->running())
      return false;
    const auto there = at->second.what->state();
    if (there.applied + lag_when_well_max < state.applied)
      return false;
    if (there.applied == state.applied && there.hash != state.hash)
      checker_.violated("different states at index " + std::to_string(state.applied));
  }
  return true;
}

history_outcome world::run() {
  while (!events_.empty() && checker_.violation().empty()) {
    auto [at, e] = events_.take();
    now_ = at;
    ++out_.steps;
    handle(e);
    if (!faults_ended_ || e.what != kind::client)
      continue;
    if (is_well())
      break;
    if (now_ > given_.faults_ms + time_to_become_well_ms)
      checker_.violated("liveness: not well " + std::to_string(time_to_become_well_ms) +
                        " ms after the last fault");
  }
  checker_.check_nothing_lost();
  out_.violation = checker_.violation();
  out_.ended_at = now_;
  out_.acknowledged = checker_.acknowledged();
  out_.elections = checker_.elections();
  return out_;
}

} // namespace

history_outcome run_history(const history_options& options) {
  return world(options).run();
}

} // namespace custos::raft::simulation
