#include "tests/simulation/raft/checker.hpp"

namespace custos::raft::simulation {

namespace {

std::string at(const char* rule, replica_id id, log_index index) {
  return std::string(rule) + ": replica " + std::to_string(id) + ", index " + std::to_string(index);
}

} // namespace

void checker::leads(replica_id id, const machine& m) {
  const auto [known, fresh] = leaders_.try_emplace(m.term(), id);
  if (known->second != id)
    violated("election safety: replicas " + std::to_string(known->second) + " and " +
             std::to_string(id) + " lead in term " + std::to_string(m.term()));
  if (!fresh)
    return;
  for (auto index = std::max<log_index>(m.first_index(), 1); index < truth_.size(); ++index)
    // A leader whose votes were long under way may come late: others of later terms know more.
    if (const auto& t = truth_[index]; t.hash != 0 && t.seen_in < m.term())
      if (index > m.first_index() && m.term_at(index) != t.term)
        violated(at("leader completeness", id, index));
}

void checker::logged(replica_id id, log_index index, term_number term, term_number before,
                     command_id command) {
  const auto [known, fresh] = logged_.try_emplace({index, term}, logged_entry{before, command});
  if (!fresh && (known->second.command != command ||
                 (before != 0 && known->second.before != 0 && known->second.before != before)))
    violated(at("log matching", id, index));
}

void checker::applied(replica_id id, const applied_entry& e, const machine_state& now,
                      term_number during) {
  if (truth_.size() <= e.index)
    truth_.resize(e.index + 1);
  auto& t = truth_[e.index];
  if (t.hash == 0)
    t = {e.term, e.command, now.hash, during};
  else if (t.hash != now.hash || t.command != e.command || t.term != e.term)
    violated(at("state-machine safety", id, e.index));
}

void checker::restored(replica_id id, const machine_state& now) {
  if (now.applied <= 1)
    return;
  if (truth_.size() <= now.applied || truth_[now.applied].hash != now.hash)
    violated(at("restored state", id, now.applied));
}

void checker::acknowledged(command_id command, log_index index) {
  ++acknowledged_;
  acks_[command] = index;
  seen_ = std::max(seen_, index);
}

void checker::served(replica_id id, log_index must_see, log_index applied) {
  if (applied < must_see)
    violated(at("stale read", id, applied) + ", must see " + std::to_string(must_see));
  seen_ = std::max(seen_, applied);
}

void checker::check_nothing_lost() {
  for (const auto& [command, index] : acks_)
    if (truth_.size() <= index || truth_[index].command != command)
      violated("lost write: command " + std::to_string(command));
}

} // namespace custos::raft::simulation
