#include "cluster/replica/replica.hpp"

#include <utility>

namespace custos::cluster::replica {

using raft::member_role;
using raft::membership;

namespace {

/// The members but for that one.
membership without(const membership& members, raft::replica_id id) {
  membership out;
  for (const auto& m : members)
    if (m.id != id)
      out.push_back(m);
  return out;
}

/// The member that says it has this name.
std::optional<known_member> named(const membership& members, const std::string& name) {
  const auto known = known_members(members);
  const auto* const found = find_by_name(known, name);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

bool is_only_voter(const membership& members, raft::replica_id id) {
  return raft::is_voter(members, id) && raft::voters_of(members) == 1;
}

} // namespace

void replica::drop_wishes() {
  // Who asked asks the next leader; what is done already is found to be done.
  wishes_.clear();
}

members_seen replica::seen() const {
  members_seen out;
  out.leader = identity_.self;
  const auto last = core_.log().last_index();
  for (const auto& [id, p] : core_.peers()) {
    if (now_ - p.heard >= options_.raft.election_ms)
      continue;
    out.alive.insert(id);
    if (p.match + options_.raft.promotion_lag_max >= last)
      out.caught_up.insert(id);
  }
  return out;
}

void replica::drive_membership() {
  if (!leads())
    return;
  // What is granted when nobody waits for it any more surprises.
  std::erase_if(wishes_, [&](const wish& w) { return now_ >= w.deadline; });
  // One change at a time, and the next when the last is committed.
  while (!wishes_.empty() && core_.log().members_index() <= core_.commit_index()) {
    // Answering may end the leadership and with it the wishes.
    const auto first = wishes_.front();
    if (drive(first) == progress::waits)
      return;
    if (!wishes_.empty())
      wishes_.pop_front();
  }
  if (!wishes_.empty() || core_.transferring() ||
      core_.log().members_index() > core_.commit_index())
    return;
  if (auto next = next_membership(*core_.log().members(), seen()))
    static_cast<void>(core_.change_members(*std::move(next)).ok()); // refused: the next tick
}

replica::progress replica::drive(const wish& w) {
  const auto& present = *core_.log().members();
  switch (w.change.action) {
  case member_action::add:
  case member_action::replace:
    return drive_add(w, present);
  case member_action::remove:
    return drive_remove(w, present);
  case member_action::update:
    return drive_update(w, present);
  }
  answer(w.from, make_error(errc::unsupported, "a change that this node does not know"));
  return progress::done;
}

bytes replica::members_answer(raft::replica_id id) const {
  return encode(membership_answer{id, *core_.log().members()});
}

/// The change is made, or waits for what stands in its way, or is refused.
replica::progress replica::change_to(const asker& from, membership wanted) {
  const auto changed = core_.change_members(std::move(wanted));
  if (changed || changed.failure().code == errc::unavailable ||
      changed.failure().code == errc::revision_conflict)
    return progress::waits;
  answer(from, changed.failure());
  return progress::done;
}

replica::progress replica::drive_add(const wish& w, const membership& present) {
  const auto& info = w.change.info;
  if (const auto before = named(present, info.name)) {
    if (before->info.certificates == info.certificates) {
      answer(w.from, std::nullopt, members_answer(before->id));
      return progress::done;
    }
    if (w.change.action == member_action::replace)
      return drive_remove(w, present);
    answer(w.from, field_error(errc::already_exists, "node_name",
                               "expected a name that no node of the cluster has"));
    return progress::done;
  }
  // Where the entry comes to lie names the replica: no other one ever gets that number.
  auto wanted = present;
  wanted.push_back({core_.log().last_index() + 1, member_role::standby, write_member_info(info)});
  return change_to(w.from, std::move(wanted));
}

replica::progress replica::drive_remove(const wish& w, const membership& present) {
  const auto leaving = named(present, w.change.info.name);
  if (!leaving) {
    answer(w.from, std::nullopt, members_answer(0));
    return progress::done;
  }
  if (is_only_voter(present, leaving->id)) {
    const auto next = successor(present, seen(), member_role::standby);
    if (!next) {
      answer(w.from, field_error(errc::invalid_argument, "node",
                                 "expected another node that can take over: this is the only one "
                                 "that votes"));
      return progress::done;
    }
    auto wanted = present;
    for (auto& m : wanted)
      if (m.id == *next)
        m.role = member_role::voter;
    return change_to(w.from, std::move(wanted));
  }
  if (leaving->id == identity_.self) {
    // The next leader finishes it: this one would not learn that it is committed.
    step_down();
    return progress::waits;
  }
  return change_to(w.from, without(present, leaving->id));
}

replica::progress replica::drive_update(const wish& w, const membership& present) {
  const auto before = named(present, w.change.info.name);
  if (!before) {
    answer(w.from, field_error(errc::not_found, "node", "there is no node of that name"));
    return progress::done;
  }
  if (before->info == w.change.info) {
    answer(w.from, std::nullopt, members_answer(before->id));
    return progress::done;
  }
  auto wanted = present;
  for (auto& m : wanted)
    if (m.id == before->id)
      m.info = write_member_info(w.change.info);
  return change_to(w.from, std::move(wanted));
}

} // namespace custos::cluster::replica
