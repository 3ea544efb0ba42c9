#include "cluster/replica/membership_plan.hpp"

namespace custos::cluster::replica {

namespace {

std::size_t odd_below(std::size_t n) {
  const auto limited = std::min(n, voters_max);
  return limited > 0 && limited % 2 == 0 ? limited - 1 : limited;
}

std::size_t standbys_in(const raft::membership& present, const std::set<raft::replica_id>& among) {
  return static_cast<std::size_t>(
      std::count_if(present.begin(), present.end(), [&](const raft::member& m) {
        return m.role == raft::member_role::standby && among.contains(m.id);
      }));
}

raft::membership with_role(raft::membership members, raft::replica_id id, raft::member_role role) {
  for (auto& m : members)
    if (m.id == id)
      m.role = role;
  return members;
}

/// Who is away first, then the youngest; never the leader.
std::optional<raft::replica_id> to_stand_by(const raft::membership& present,
                                            const members_seen& seen) {
  std::optional<raft::replica_id> found;
  bool found_alive = true;
  for (const auto& m : present) {
    if (m.role != raft::member_role::voter || m.id == seen.leader)
      continue;
    const bool alive = seen.alive.contains(m.id);
    if (!found || !alive || found_alive) {
      found = m.id;
      found_alive = alive;
    }
  }
  return found;
}

} // namespace

std::optional<raft::replica_id> successor(const raft::membership& present, const members_seen& seen,
                                          raft::member_role role) {
  for (const auto& m : present)
    if (m.role == role && m.id != seen.leader && seen.caught_up.contains(m.id))
      return m.id;
  return std::nullopt;
}

std::optional<raft::membership> next_membership(const raft::membership& present,
                                                const members_seen& seen) {
  const auto voters = raft::voters_of(present);
  if (odd_below(voters + standbys_in(present, seen.caught_up)) > voters) {
    if (const auto next = successor(present, seen, raft::member_role::standby))
      return with_role(present, *next, raft::member_role::voter);
  }
  // A standby that is still catching up is waited for.
  if (odd_below(voters + standbys_in(present, seen.alive)) < voters) {
    if (const auto next = to_stand_by(present, seen))
      return with_role(present, *next, raft::member_role::standby);
  }
  return std::nullopt;
}

} // namespace custos::cluster::replica
