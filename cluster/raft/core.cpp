#include "cluster/raft/core.hpp"

#include <cassert>
#include <iterator>
#include <utility>

namespace custos::raft {

core::core(replica_id self, const options& given, recovered_state recovered, std::uint64_t seed,
           milliseconds now)
    : self_(self), options_(given), random_(seed), now_(now), durable_(recovered.durable),
      log_(std::move(recovered.base), std::move(recovered.entries)) {
  assert(self != 0 && recovered.applied >= log_.base().index &&
         recovered.applied <= log_.last_index());
  commit_ = recovered.applied;
  delivered_ = recovered.applied;
  stable_ = log_.last_index();
  push_back_election();
  const auto& members = *log_.members();
  if (is_voter(members, self_) && voters_of(members) == 1)
    election_at_ = now_; // there is nobody to wait for
}

void core::fail(std::string what) {
  if (fault_)
    return;
  fault_ = make_error(errc::corrupted, std::move(what));
  drop_reads();
  held_.clear();
  out_.messages.clear();
  role_ = raft::role::follower;
  leader_ = 0;
}

// ---- time ---------------------------------------------------------------------------------------

void core::push_back_election() {
  std::uniform_int_distribution<milliseconds> wait(options_.election_ms, 2 * options_.election_ms);
  election_at_ = now_ + wait(random_);
}

void core::tick(milliseconds now) {
  now_ = std::max(now_, now);
  if (fault_)
    return;
  if (role_ == raft::role::leader)
    return lead_on();
  if (now_ < election_at_)
    return;
  if (may_campaign())
    campaign(false);
  else
    push_back_election();
}

/// A voter; and one whose removal is not known to be committed: others may lack it, and need the
/// vote of one who has it [O 4.2.2].
bool core::may_campaign() const {
  if (is_voter(*log_.members(), self_))
    return true;
  const auto changed = log_.members_index();
  return changed > commit_ && changed > log_.base().index &&
         is_voter(*log_.base_at(changed - 1).members, self_);
}

/// A follower of a living leader, or that leader.
bool core::leader_is_alive() const {
  if (role_ == raft::role::leader)
    return true; // it steps down by itself when it hears no majority
  return leader_ != 0 && now_ - leader_heard_ < options_.election_ms;
}

// ---- terms and votes ----------------------------------------------------------------------------

void core::follow(term_number term, replica_id leader) {
  if (term > durable_.term) {
    durable_ = {term, 0};
    state_dirty_ = true;
    incoming_.reset();
    leader_ = 0;
  }
  if (role_ == raft::role::leader) {
    drop_reads();
    peers_.clear();
    transferee_ = 0;
    sending_.reset();
    snapshot_wanted_ = false;
    leader_ = 0;
    push_back_election();
  }
  role_ = raft::role::follower;
  votes_.clear();
  if (leader != 0)
    leader_ = leader;
}

void core::campaign(bool transfer) {
  follow(durable_.term + 1, 0);
  role_ = raft::role::candidate;
  durable_.voted_for = self_;
  state_dirty_ = true;
  push_back_election();
  vote_request ask;
  ask.term = durable_.term;
  ask.last_index = log_.last_index();
  ask.last_term = log_.last_term();
  ask.transfer = transfer;
  for (const auto& m : *log_.members())
    if (m.id != self_ && m.role == member_role::voter)
      hold(m.id, ask, 0);
  // The own vote is a vote like any other: it counts when it is durable.
  hold(self_, vote_response{durable_.term, true}, 0);
}

void core::handle(replica_id from, const vote_request& m) {
  if (m.term < durable_.term) {
    hold(from, vote_response{durable_.term, false}, 0);
    return;
  }
  const bool up_to_date =
      m.last_term > log_.last_term() ||
      (m.last_term == log_.last_term() && m.last_index >= log_.last_index()); // [O 3.6.1]
  const bool free = durable_.voted_for == 0 || durable_.voted_for == from;
  const bool granted = up_to_date && free;
  if (granted) {
    durable_.voted_for = from;
    state_dirty_ = true;
    push_back_election();
  }
  hold(from, vote_response{durable_.term, granted}, 0);
}

void core::handle(replica_id from, const vote_response& m) {
  if (role_ != raft::role::candidate || !m.granted || m.term != durable_.term)
    return;
  votes_.insert(from);
  count_votes();
}

void core::count_votes() {
  const auto& members = *log_.members();
  const auto votes = static_cast<std::size_t>(std::count_if(
      votes_.begin(), votes_.end(), [&](replica_id id) { return is_voter(members, id); }));
  if (votes > voters_of(members) / 2)
    lead();
}

void core::handle(replica_id from, const timeout_now& m) {
  if (m.term == durable_.term && from == leader_ && role_ == raft::role::follower &&
      is_voter(*log_.members(), self_))
    campaign(true);
}

void core::receive(milliseconds now, replica_id from, message m) {
  now_ = std::max(now_, now);
  if (fault_ || from == 0 || from == self_)
    return;
  // Who was removed, or cannot hear the leader, must not disturb those who can.
  if (const auto* const ask = std::get_if<vote_request>(&m))
    if (!ask->transfer && leader_is_alive())
      return;
  if (term_of(m) > durable_.term)
    follow(term_of(m), 0);
  std::visit([&](auto& one) { handle(from, std::move(one)); }, m);
}

// ---- what is durable ----------------------------------------------------------------------------

void core::entries_changed(log_index first) {
  dirty_first_ = dirty_first_ == 0 ? first : std::min(dirty_first_, first);
}

/// The last write, given out or not, that must be durable before it can be said that term, vote and
/// the log up to `match` are.
std::uint64_t core::write_that_has(log_index match) const {
  const bool collecting = state_dirty_ || installs_ || (dirty_first_ != 0 && dirty_first_ <= match);
  if (collecting)
    return last_write_ + 1;
  for (auto w = open_.rbegin(); w != open_.rend(); ++w)
    if (w->votes || w->installs || (w->first != 0 && w->first <= match))
      return w->number;
  return durable_write_;
}

void core::hold(replica_id to, message m, log_index match) {
  const auto until = write_that_has(match);
  if (until <= durable_write_ && to != self_)
    out_.messages.push_back({to, std::move(m)});
  else
    held_.push_back({until, {to, std::move(m)}});
}

std::optional<write> core::collect_write() {
  if (!state_dirty_ && dirty_first_ == 0 && !installs_ && !compacts_)
    return std::nullopt;
  write w;
  w.number = ++last_write_;
  if (state_dirty_)
    w.durable = durable_;
  w.installs = std::move(installs_);
  w.compacts = std::move(compacts_);
  w.first = dirty_first_;
  // Only what is durable leaves the log at its beginning: the base lies before what has changed.
  if (dirty_first_ != 0)
    for (auto i = dirty_first_; i <= log_.last_index(); ++i)
      w.entries.push_back(log_.at(i));
  open_.push_back(
      {w.number, state_dirty_, w.first, w.first == 0 ? 0 : log_.last_index(), w.installs});
  state_dirty_ = false;
  dirty_first_ = 0;
  installs_.reset();
  compacts_.reset();
  return w;
}

void core::written(std::uint64_t number) {
  if (fault_)
    return;
  while (!open_.empty() && open_.front().number <= number) {
    const auto done = std::move(open_.front());
    open_.pop_front();
    durable_write_ = done.number;
    // One that a newer one has replaced meanwhile is not delivered: that one may be on the disk.
    if (done.installs && done.installs->at.index > delivered_ &&
        done.installs->at.index >= log_.base().index) {
      delivered_ = done.installs->at.index;
      stable_ = std::max(stable_, delivered_);
      out_.deliveries.emplace_back(done.installs);
    }
    stable_ = std::max(stable_, done.last);
  }
  if (role_ == raft::role::leader)
    advance_commit();
  deliver();
}

void core::deliver() {
  const auto up_to = std::min(commit_, stable_);
  // What lies before the base is in a snapshot that will be delivered instead.
  while (delivered_ < up_to && delivered_ >= log_.base().index) {
    ++delivered_;
    out_.deliveries.emplace_back(delivered_entry{delivered_, log_.at(delivered_)});
  }
}

/// Messages whose words are durable now. Others may overtake those that wait for more.
void core::release_held() {
  if (released_for_ == durable_write_)
    return;
  released_for_ = durable_write_;
  std::vector<held_message> waiting;
  for (auto& m : std::exchange(held_, {})) {
    if (m.until > durable_write_)
      waiting.push_back(std::move(m));
    else if (m.what.to != self_)
      out_.messages.push_back(std::move(m.what));
    else
      handle(self_, std::get<vote_response>(m.what.what));
  }
  held_.insert(held_.begin(), std::make_move_iterator(waiting.begin()),
               std::make_move_iterator(waiting.end()));
}

actions core::take(bool can_write) {
  if (fault_)
    return std::exchange(out_, {});
  if (role_ == raft::role::leader && std::exchange(round_due_, false))
    heartbeat();
  release_held(); // the own vote may make a leader, who has more to write
  if (can_write)
    if (auto w = collect_write())
      out_.writes.push_back(*std::move(w));
  return std::exchange(out_, {});
}

} // namespace custos::raft
