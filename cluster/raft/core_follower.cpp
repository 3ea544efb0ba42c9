#include "cluster/raft/core.hpp"

#include <utility>

namespace custos::raft {

// ---- entries ------------------------------------------------------------------------------------

/// Terms never fall along a log, and none is later than the leader's.
bool core::makes_sense(const append_request& m) const {
  auto term = m.prev_term;
  for (const auto& e : m.entries) {
    const bool whole = (e.kind == entry_kind::command) == (e.command != nullptr) &&
                       (e.kind == entry_kind::members) == (e.members != nullptr);
    if (e.term < term || !whole)
      return false;
    term = e.term;
  }
  return term <= m.term && m.prev_index + m.entries.size() >= m.prev_index;
}

void core::handle(replica_id from, append_request m) {
  append_response answer;
  answer.term = durable_.term;
  answer.prev_index = m.prev_index;
  answer.round = m.round;
  if (m.term < durable_.term) { // so that it learns of the newer term
    hold(from, answer, 0);
    return;
  }
  if (role_ == raft::role::leader)
    return fail("two leaders in term " + std::to_string(m.term));
  if (!makes_sense(m))
    return;
  follow(m.term, from);
  leader_heard_ = now_;
  push_back_election();

  if (m.prev_index > log_.base().index && log_.term_at(m.prev_index) != m.prev_term) {
    answer.hint = log_.last_before(m.prev_index, m.prev_term);
    answer.hint_term = *log_.term_at(answer.hint);
    hold(from, answer, 0);
    return;
  }
  const auto compared = m.prev_index + m.entries.size();
  const auto leader_commit = m.commit;
  const bool heartbeat = m.entries.empty();
  if (!take_entries(m))
    return;
  // Only what was compared is acknowledged, and committed: what lies behind may be of another log.
  commit_ = std::max(commit_, std::min(leader_commit, compared));
  answer.success = true;
  // A heartbeat is answered at once, however slow the disk is: with what is durable.
  answer.match = heartbeat ? std::min(compared, stable_) : compared;
  hold(from, answer, answer.match);
  deliver();
}

/// The log up to prev_index is equal; what lies before the base is committed, and so is equal.
bool core::take_entries(append_request& m) {
  auto index = m.prev_index;
  for (auto& e : m.entries) {
    ++index;
    if (index <= log_.base().index)
      continue;
    const auto own = log_.term_at(index);
    if (own == e.term)
      continue;
    if (own) {
      if (index <= commit_) {
        fail("entry " + std::to_string(index) + " was committed in term " + std::to_string(*own) +
             ", and a leader has it of term " + std::to_string(e.term));
        return false;
      }
      log_.truncate_from(index);
      stable_ = std::min(stable_, index - 1);
      for (auto& w : open_)
        w.last = std::min(w.last, index - 1);
    }
    entries_changed(index);
    log_.append(std::move(e));
  }
  return true;
}

// ---- snapshots ----------------------------------------------------------------------------------

void core::handle(replica_id from, snapshot_chunk m) {
  snapshot_response answer;
  answer.term = durable_.term;
  answer.index = m.at.index;
  if (m.term < durable_.term) {
    hold(from, answer, 0);
    return;
  }
  if (role_ == raft::role::leader)
    return fail("two leaders in term " + std::to_string(m.term));
  if (m.total > options_.snapshot_bytes_max || m.offset > m.total ||
      m.data.size() > m.total - m.offset || m.at.members == nullptr)
    return;
  follow(m.term, from);
  leader_heard_ = now_;
  push_back_election();

  // What is committed is equal; so is a log that has the snapshot's last entry [O 5.3].
  if (m.at.index <= commit_ || log_.term_at(m.at.index) == m.at.term) {
    commit_ = std::max(commit_, m.at.index);
    incoming_.reset();
    answer.done = true;
    hold(from, answer, m.at.index);
    deliver();
    return;
  }
  if (!incoming_ || incoming_->at.index != m.at.index || incoming_->at.term != m.at.term ||
      incoming_->total != m.total)
    incoming_ = incoming_snapshot{m.at, m.total, {}};
  auto& data = incoming_->data;
  if (m.offset == data.size())
    data.insert(data.end(), m.data.begin(), m.data.end());
  if (data.size() == m.total)
    return install(from);
  answer.offset = data.size();
  hold(from, answer, 0);
}

void core::install(replica_id from) {
  auto whole = std::make_shared<snapshot>();
  whole->at = incoming_->at;
  whole->data = std::make_shared<const bytes>(std::move(incoming_->data));
  incoming_.reset();
  log_.reset(whole->at);
  commit_ = whole->at.index;
  // Nothing of the new log is durable yet, and nothing of the old one counts.
  stable_ = std::min(stable_, delivered_);
  for (auto& w : open_)
    w.last = std::min(w.last, delivered_);
  dirty_first_ = 0;
  compacts_.reset();
  installs_ = whole;
  snapshot_response answer;
  answer.term = durable_.term;
  answer.index = whole->at.index;
  answer.done = true;
  hold(from, answer, whole->at.index);
}

} // namespace custos::raft
