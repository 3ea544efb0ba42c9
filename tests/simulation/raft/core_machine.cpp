// Our core on a virtual disk.

#include "cluster/raft/core.hpp"
#include "tests/simulation/raft/machine.hpp"

#include <cassert>
#include <cstring>
#include <deque>
#include <map>

namespace custos::raft::simulation {

namespace {

bytes_ptr to_command(command_id id) {
  bytes out(sizeof id);
  std::memcpy(out.data(), &id, sizeof id);
  return std::make_shared<const bytes>(std::move(out));
}

command_id from_command(const entry& e) {
  command_id id = 0;
  if (e.command)
    std::memcpy(&id, e.command->data(), sizeof id);
  return id;
}

bytes_ptr to_data(const machine_state& s, std::size_t size) {
  bytes out(std::max(size, sizeof s));
  std::memcpy(out.data(), &s, sizeof s);
  return std::make_shared<const bytes>(std::move(out));
}

machine_state from_data(const bytes& data) {
  machine_state s;
  std::memcpy(&s, data.data(), sizeof s);
  return s;
}

/// What is on the disk for good.
struct disk {
  durable_state durable;
  log_base base{0, 0, std::make_shared<const membership>(), 0};
  std::deque<entry> entries;
  machine_state state;

  [[nodiscard]] log_index last() const { return base.index + entries.size(); }

  void put_entries(log_index first, const std::vector<entry>& given, std::size_t count) {
    assert(first > base.index && first <= last() + 1);
    entries.resize(first - base.index - 1);
    entries.insert(entries.end(), given.begin(), given.begin() + static_cast<long>(count));
  }
  void put(const write& w) {
    if (w.durable)
      durable = *w.durable;
    if (w.installs) {
      base = w.installs->at;
      entries.clear();
      state = from_data(*w.installs->data);
    }
    if (w.first != 0)
      put_entries(w.first, w.entries, w.entries.size());
    if (w.compacts && w.compacts->index > base.index) {
      entries.erase(entries.begin(),
                    entries.begin() + static_cast<long>(w.compacts->index - base.index));
      base = *w.compacts;
    }
  }
};

class core_machine : public machine {
public:
  core_machine(replica_id id, const membership& members, const machine_options& given,
               std::uint64_t seed, surroundings& around)
      : id_(id), given_(given), random_(seed), around_(around) {
    if (members.empty())
      return;
    disk_.base = bootstrap_base(members);
    disk_.durable.term = 1;
    disk_.state.applied = 1;
  }

  void start(milliseconds now) override {
    if (!disk_makes_sense())
      return;
    options o;
    o.election_ms = given_.election_ms;
    o.heartbeat_ms = given_.heartbeat_ms;
    o.entries_per_message_max = given_.entries_per_message_max;
    o.entries_in_flight_max = 64;
    o.snapshot_chunk_bytes_max = 256;
    o.entries_behind = given_.entries_behind;
    o.promotion_lag_max = 8;
    state_ = disk_.state;
    core_.emplace(id_, o,
                  recovered_state{disk_.durable,
                                  disk_.base,
                                  {disk_.entries.begin(), disk_.entries.end()},
                                  disk_.state.applied},
                  random_(), now);
    around_.restored(id_, state_);
  }

  void crash(random_source& random) override {
    // Any number of the writes that were under way got there, and of the next a part.
    auto whole = pending_.empty() ? 0 : random() % (pending_.size() + 1);
    while (whole-- > 0)
      complete(false);
    if (!pending_.empty() && pending_.front().what && random() % 2 == 0)
      tear(*pending_.front().what, random);
    pending_.clear();
    core_.reset();
    accepted_.clear();
    reads_.clear();
  }
  bool running() const override { return core_.has_value(); }

  void tick(milliseconds now) override {
    core_->tick(now);
    act();
  }
  void receive(milliseconds now, replica_id from, const packet& what) override {
    core_->receive(now, from, *static_cast<const message*>(what.get()));
    act();
  }
  void io() override {
    if (pending_.empty())
      return;
    complete(true);
    act();
  }

  bool propose(command_id command) override {
    const auto at = core_->propose(to_command(command));
    if (at)
      accepted_[at->index] = {at->term, command};
    act();
    return at.ok();
  }
  bool read(std::uint64_t token) override {
    const bool ok = core_->read(token).ok();
    act();
    return ok;
  }
  bool can_change_members() const override { return true; }
  bool change(const membership& wanted) override {
    const bool ok = core_->change_members(wanted).ok();
    act();
    return ok;
  }
  bool transfer(replica_id to) override {
    const bool ok = core_->transfer(to).ok();
    act();
    return ok;
  }

  bool leads() const override { return core_->role() == role::leader; }
  term_number term() const override { return core_->term(); }
  membership members() const override { return *core_->log().members(); }
  machine_state state() const override { return state_; }
  std::optional<term_number> term_at(log_index index) const override {
    return core_->log().term_at(index);
  }
  log_index first_index() const override { return core_->log().base().index; }

private:
  /// A write of the core, or (nothing) the state machine's.
  struct pending_write {
    std::optional<write> what;
    machine_state state;
  };
  struct accepted_command {
    term_number term = 0;
    command_id command = 0;
  };
  struct waiting_read {
    std::uint64_t token = 0;
    log_index index = 0;
  };

  /// What was delivered is durable, so the state machine is never where the log is not.
  bool disk_makes_sense() {
    const auto at = disk_.state.applied;
    if (at >= disk_.base.index && at <= disk_.last())
      return true;
    around_.complained(id_, "the state machine is at " + std::to_string(at) +
                                ", and the log on the disk is not there");
    return false;
  }

  void complete(bool alive) {
    auto done = std::move(pending_.front());
    pending_.pop_front();
    if (done.what) {
      disk_.put(*done.what);
      if (alive)
        core_->written(done.what->number);
      return;
    }
    disk_.state = done.state;
    if (!disk_makes_sense())
      return;
    if (alive && disk_.state.applied >= core_->log().base().index + given_.compact_every)
      core_->compact(disk_.state.applied);
  }

  void tear(const write& w, random_source& random) {
    if (w.durable)
      disk_.durable = *w.durable;
    if (w.first != 0 && !w.installs && random() % 2 == 0)
      disk_.put_entries(w.first, w.entries, random() % (w.entries.size() + 1));
  }

  /// Does what the core wants, until it wants nothing more.
  void act() {
    for (;;) {
      auto todo = core_->take(pending_.size() < given_.writes_in_flight_max);
      if (core_->fault())
        around_.complained(id_, core_->fault()->message);
      const bool idle = todo.writes.empty() && todo.messages.empty() && todo.deliveries.empty() &&
                        todo.reads.empty() && !todo.wants_snapshot;
      if (idle)
        return;
      for (auto& w : todo.writes)
        begin(std::move(w));
      for (auto& m : todo.messages)
        around_.send(id_, m.to, std::make_shared<const message>(std::move(m.what)));
      for (const auto& d : todo.deliveries)
        std::visit([this](const auto& one) { apply(one); }, d);
      if (!todo.deliveries.empty()) {
        pending_.push_back({std::nullopt, state_});
        around_.write_started(id_);
      }
      for (const auto& r : todo.reads) {
        if (r.index)
          reads_.push_back({r.token, *r.index});
        else
          around_.read_failed(id_, r.token);
      }
      serve();
      if (todo.wants_snapshot)
        core_->provide(state_.applied, to_data(state_, given_.snapshot_bytes));
    }
  }

  void begin(write w) {
    auto index = w.first;
    auto before = term_number{0};
    if (index != 0)
      before = core_->log().term_at(index - 1).value_or(0);
    for (const auto& e : w.entries) {
      around_.logged(id_, index++, e.term, before, from_command(e));
      before = e.term;
    }
    pending_.push_back({std::move(w), {}});
    around_.write_started(id_);
  }

  void apply(const delivered_entry& d) {
    assert(d.index == state_.applied + 1);
    const auto command = from_command(d.what);
    state_ = {d.index, hash_on(state_.hash, d.index, command)};
    around_.applied(id_, {d.index, d.what.term, command}, state_);
    const auto mine = accepted_.find(d.index);
    if (mine == accepted_.end())
      return;
    if (mine->second.term == d.what.term)
      around_.acknowledged(id_, mine->second.command, d.index);
    accepted_.erase(mine);
  }
  void apply(const snapshot_ptr& s) {
    state_ = from_data(*s->data);
    around_.restored(id_, state_);
    accepted_.clear();
  }

  void serve() {
    for (auto r = reads_.begin(); r != reads_.end();) {
      if (r->index > state_.applied) {
        ++r;
        continue;
      }
      around_.read_served(id_, r->token, state_.applied);
      r = reads_.erase(r);
    }
  }

  replica_id id_;
  machine_options given_;
  random_source random_;
  surroundings& around_;
  disk disk_;
  std::deque<pending_write> pending_;
  std::optional<core> core_;
  machine_state state_;
  std::map<log_index, accepted_command> accepted_;
  std::vector<waiting_read> reads_;
};

} // namespace

std::unique_ptr<machine> make_machine(replica_id id, const membership& members,
                                      const machine_options& options, std::uint64_t seed,
                                      surroundings& around) {
  return std::make_unique<core_machine>(id, members, options, seed, around);
}

} // namespace custos::raft::simulation
