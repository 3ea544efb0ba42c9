#include "cluster/raft/core.hpp"

#include <utility>

namespace custos::raft {

// ---- becoming and staying leader ----------------------------------------------------------------

void core::lead() {
  role_ = raft::role::leader;
  leader_ = self_;
  votes_.clear();
  peers_.clear();
  round_ = 0;
  incoming_.reset();
  set_peers();
  entry first;
  first.term = durable_.term;
  append_own(std::move(first));
  heartbeat_at_ = now_ + options_.heartbeat_ms;
}

/// Whoever is in the latest membership, committed or not, is sent the log.
void core::set_peers() {
  const auto& members = *log_.members();
  for (auto p = peers_.begin(); p != peers_.end();)
    p = find_member(members, p->first) == nullptr ? peers_.erase(p) : std::next(p);
  for (const auto& m : members) {
    if (m.id == self_)
      continue;
    const auto [at, fresh] = peers_.try_emplace(m.id);
    if (!fresh)
      continue;
    at->second.next = log_.last_index() + 1;
    at->second.heard = now_; // it gets an election timeout's time to say something
  }
}

void core::append_own(entry e) {
  const bool members = e.kind == entry_kind::members;
  log_.append(std::move(e));
  entries_changed(log_.last_index());
  if (members)
    set_peers();
  for (auto& [id, p] : peers_)
    send_entries(id, p);
}

/// A leader's part of a tick.
void core::lead_on() {
  if (!hears_majority())
    return follow(durable_.term, 0);
  if (transferee_ != 0 && now_ >= transfer_until_)
    transferee_ = 0;
  if (now_ < heartbeat_at_)
    return;
  heartbeat();
}

bool core::hears_majority() const {
  const auto& members = *log_.members();
  std::size_t heard = is_voter(members, self_) ? 1 : 0;
  for (const auto& [id, p] : peers_)
    if (is_voter(members, id) && now_ - p.heard < options_.election_ms)
      ++heard;
  return heard > voters_of(members) / 2;
}

void core::heartbeat() {
  heartbeat_at_ = now_ + options_.heartbeat_ms;
  ++round_;
  bool snapshots = false;
  for (auto& [id, p] : peers_) {
    if (p.how == progress::mode::snapshot && now_ - p.heard >= options_.election_ms) {
      p.how = progress::mode::probe; // away: the snapshot need not be kept for it
      p.next = p.match + 1;
    }
    p.waiting = false;
    // A probe that was lost is sent again, but entries only to who may be there.
    send_append(id, p, p.how != progress::mode::probe || now_ - p.heard >= options_.election_ms);
    if (p.how == progress::mode::snapshot && now_ - p.sent >= options_.election_ms / 2)
      send_chunk(id, p);
    snapshots = snapshots || p.how == progress::mode::snapshot;
  }
  if (!snapshots) {
    sending_.reset();
    snapshot_wanted_ = false;
  }
  settle_reads();
}

// ---- sending ------------------------------------------------------------------------------------

void core::send_entries(replica_id to, progress& p) {
  switch (p.how) {
  case progress::mode::probe:
    if (!p.waiting)
      send_append(to, p, false);
    return;
  case progress::mode::stream:
    while (p.next <= log_.last_index() && p.next - p.match - 1 < options_.entries_in_flight_max &&
           p.how == progress::mode::stream)
      send_append(to, p, false);
    return;
  case progress::mode::snapshot:
    return;
  }
}

void core::send_append(replica_id to, progress& p, bool empty) {
  append_request m;
  m.term = durable_.term;
  m.round = round_;
  m.commit = commit_;
  // Who gets a snapshot is asked for nothing but a sign of life.
  if (p.how != progress::mode::snapshot) {
    const auto prev = log_.term_at(p.next - 1);
    if (!prev) {
      needs_snapshot(p);
      return send_append(to, p, true);
    }
    m.prev_index = p.next - 1;
    m.prev_term = *prev;
  }
  std::size_t octets = 0;
  for (auto i = p.next;
       !empty && i <= log_.last_index() && m.entries.size() < options_.entries_per_message_max &&
       octets < options_.bytes_per_message_max;
       ++i) {
    const auto& e = log_.at(i);
    octets += e.command ? e.command->size() : 0;
    m.entries.push_back(e);
  }
  if (p.how == progress::mode::stream)
    p.next += m.entries.size();
  else
    p.waiting = true;
  out_.messages.push_back({to, std::move(m)});
}

void core::needs_snapshot(progress& p) {
  p.how = progress::mode::snapshot;
  p.offset = 0;
  p.sent = 0;
  if (!sending_ && !std::exchange(snapshot_wanted_, true))
    out_.wants_snapshot = true;
}

void core::provide(log_index index, bytes_ptr data) {
  if (role_ != raft::role::leader || !snapshot_wanted_ || index > delivered_)
    return;
  if (index < log_.base().index) { // the log does not go on from there any more: a newer one
    out_.wants_snapshot = true;
    return;
  }
  snapshot_wanted_ = false;
  auto whole = std::make_shared<snapshot>();
  whole->at = log_.base_at(index);
  whole->data = std::move(data);
  sending_ = std::move(whole);
  for (auto& [id, p] : peers_)
    if (p.how == progress::mode::snapshot)
      send_chunk(id, p);
}

void core::send_chunk(replica_id to, progress& p) {
  if (!sending_)
    return;
  const auto& data = *sending_->data;
  snapshot_chunk m;
  m.term = durable_.term;
  m.at = sending_->at;
  m.total = data.size();
  m.offset = std::min<std::uint64_t>(p.offset, data.size());
  const auto size = std::min<std::uint64_t>(options_.snapshot_chunk_bytes_max, m.total - m.offset);
  const auto from = data.begin() + static_cast<long>(m.offset);
  m.data.assign(from, from + static_cast<long>(size));
  p.sent = now_;
  out_.messages.push_back({to, std::move(m)});
}

void core::compact(log_index index) {
  if (fault_)
    return;
  auto up_to = std::min(index, delivered_);
  up_to = up_to > options_.entries_behind ? up_to - options_.entries_behind : 0;
  // Whoever is getting a snapshot goes on from where it ends.
  if (sending_)
    up_to = std::min(up_to, sending_->at.index);
  if (up_to <= log_.base().index)
    return;
  log_.compact_to(up_to);
  compacts_ = log_.base();
}

// ---- answers ------------------------------------------------------------------------------------

void core::handle(replica_id from, const append_response& m) {
  const auto at = peers_.find(from);
  if (role_ != raft::role::leader || m.term != durable_.term || at == peers_.end())
    return;
  auto& p = at->second;
  p.heard = now_;
  p.round = std::max(p.round, m.round);
  if (m.success && m.match > log_.last_index())
    return fail("replica " + std::to_string(from) + " acknowledges what was never sent");
  if (!m.success) {
    refused(p, m);
  } else if (p.how != progress::mode::snapshot) {
    p.match = std::max(p.match, m.match);
    p.next = std::max(p.next, p.match + 1);
    p.how = progress::mode::stream;
    p.waiting = false;
    advance_commit();
  }
  if (role_ != raft::role::leader)
    return;
  send_entries(from, p);
  settle_reads();
  hand_over();
}

void core::refused(progress& p, const append_response& m) {
  const bool stale = m.prev_index <= p.match ||
                     (p.how == progress::mode::probe && m.prev_index != p.next - 1) ||
                     p.how == progress::mode::snapshot;
  if (stale)
    return;
  p.how = progress::mode::probe;
  p.waiting = false;
  p.next = p.match + 1; // if that is behind our log's beginning, a snapshot goes out
  const auto limit = std::min(m.hint, m.prev_index - 1);
  if (limit < log_.base().index)
    return;
  const auto equal = log_.last_before(limit, m.hint_term);
  if (*log_.term_at(equal) <= m.hint_term)
    p.next = std::max(p.match, equal) + 1;
}

void core::handle(replica_id from, const snapshot_response& m) {
  const auto at = peers_.find(from);
  if (role_ != raft::role::leader || m.term != durable_.term || at == peers_.end())
    return;
  auto& p = at->second;
  p.heard = now_;
  if (p.how != progress::mode::snapshot || !sending_ || m.index != sending_->at.index)
    return;
  if (m.done) {
    p.match = std::max(p.match, m.index);
    p.next = p.match + 1;
    p.how = progress::mode::probe;
    p.waiting = false;
    advance_commit();
    if (role_ == raft::role::leader)
      send_entries(from, p);
    return;
  }
  const bool further = m.offset > p.offset;
  p.offset = m.offset;
  if (further) // a repeated answer must not start a second stream of chunks
    send_chunk(from, p);
}

// ---- commit -------------------------------------------------------------------------------------

/// The value that a majority of the voters has reached.
template <class Value>
std::uint64_t core::majority_of(std::uint64_t own, Value value) const {
  std::vector<std::uint64_t> reached;
  for (const auto& m : *log_.members()) {
    if (m.role != member_role::voter)
      continue;
    const auto p = peers_.find(m.id);
    reached.push_back(m.id == self_ ? own : p == peers_.end() ? 0 : value(p->second));
  }
  if (reached.empty())
    return 0;
  std::sort(reached.begin(), reached.end(), std::greater<>());
  return reached[reached.size() / 2];
}

void core::advance_commit() {
  const auto reached = majority_of(stable_, [](const progress& p) { return p.match; });
  if (reached <= commit_ || log_.term_at(reached) != durable_.term)
    return;
  commit_ = reached;
  deliver();
  settle_reads();
  if (log_.members_index() <= commit_ && !is_voter(*log_.members(), self_)) {
    heartbeat(); // the others learn that it is committed
    follow(durable_.term, 0);
  }
}

bool core::committed_in_term() const {
  return log_.term_at(commit_) == durable_.term;
}

result<position> core::propose(bytes_ptr command) {
  if (role_ != raft::role::leader || transferee_ != 0)
    return make_error(errc::unavailable, role_ == raft::role::leader
                                             ? "the leader is handing over"
                                             : "this replica is not the leader");
  if (command->size() > options_.command_bytes_max)
    return make_error(errc::too_large, "expected a command of at most " +
                                           std::to_string(options_.command_bytes_max) + " octets");
  entry e;
  e.term = durable_.term;
  e.kind = entry_kind::command;
  e.command = std::move(command);
  append_own(std::move(e));
  return position{log_.last_index(), durable_.term};
}

// ---- membership ---------------------------------------------------------------------------------

result<void> core::check_change(const membership& wanted) const {
  const auto wrong = [](std::string what) {
    return field_error(errc::invalid_argument, "members", std::move(what));
  };
  if (wanted.size() > members_max)
    return wrong("expected at most " + std::to_string(members_max) + " members");
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (wanted[i].id == 0 || (i > 0 && wanted[i - 1].id >= wanted[i].id) ||
        wanted[i].info.size() > member_info_bytes_max)
      return wrong("expected members by id, each once");
  if (voters_of(wanted) == 0)
    return wrong("expected at least one voter");
  const auto& present = *log_.members();
  std::set<replica_id> changed;
  for (const auto& m : present)
    if (const auto* const w = find_member(wanted, m.id); w == nullptr || !(*w == m))
      changed.insert(m.id);
  for (const auto& m : wanted)
    if (find_member(present, m.id) == nullptr)
      changed.insert(m.id);
  if (changed.size() != 1)
    return wrong("expected a change of exactly one member");
  const auto id = *changed.begin();
  if (is_voter(present, id) || !is_voter(wanted, id))
    return {};
  const auto p = peers_.find(id);
  if (p == peers_.end())
    return wrong("expected a standby before a voter");
  if (p->second.match + options_.promotion_lag_max < log_.last_index())
    return wrong("expected a standby that is up to date");
  return {};
}

result<position> core::change_members(membership wanted) {
  if (role_ != raft::role::leader || transferee_ != 0 || !committed_in_term())
    return make_error(errc::unavailable, role_ == raft::role::leader
                                             ? "the leader cannot change the membership right now"
                                             : "this replica is not the leader");
  if (log_.members_index() > commit_)
    return make_error(errc::revision_conflict,
                      "the last change of the membership is not committed yet");
  CUSTOS_CHECK(check_change(wanted));
  entry e;
  e.term = durable_.term;
  e.kind = entry_kind::members;
  e.members = std::make_shared<const membership>(std::move(wanted));
  append_own(std::move(e));
  return position{log_.last_index(), durable_.term};
}

result<void> core::transfer(replica_id to) {
  if (role_ != raft::role::leader || transferee_ != 0)
    return make_error(errc::unavailable, "this replica is not the leader, or is handing over");
  if (to == self_ || !is_voter(*log_.members(), to))
    return field_error(errc::invalid_argument, "to", "expected another voter");
  transferee_ = to;
  transfer_until_ = now_ + options_.election_ms;
  hand_over();
  return {};
}

/// When the replica that is to lead has the whole log, it is told to campaign.
void core::hand_over() {
  const auto p = peers_.find(transferee_);
  if (transferee_ == 0 || p == peers_.end() || p->second.match != log_.last_index())
    return;
  out_.messages.push_back({transferee_, timeout_now{durable_.term}});
}

// ---- reads --------------------------------------------------------------------------------------

result<void> core::read(std::uint64_t token) {
  if (role_ != raft::role::leader)
    return make_error(errc::unavailable, "this replica is not the leader");
  if (reads_.size() >= options_.reads_waiting_max)
    return make_error(errc::overloaded, "too many reads are waiting");
  // A round that begins after the read was asked for; those asked for together share it.
  reads_.push_back({token, round_ + 1, 0});
  round_due_ = true;
  return {};
}

/// A read may be served at what was committed when it was asked for; a new leader knows that only
/// with the first commit of its term [O 6.4].
void core::settle_reads() {
  if (!committed_in_term())
    return;
  for (auto& r : reads_)
    if (r.index == 0)
      r.index = commit_;
  const auto known = majority_of(round_, [](const progress& p) { return p.round; });
  while (!reads_.empty() && reads_.front().round <= known) {
    out_.reads.push_back({reads_.front().token, reads_.front().index});
    reads_.pop_front();
  }
}

void core::drop_reads() {
  for (const auto& r : reads_)
    out_.reads.push_back({r.token, std::nullopt});
  reads_.clear();
  round_due_ = false;
}

} // namespace custos::raft
