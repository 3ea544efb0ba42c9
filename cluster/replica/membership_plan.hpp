#pragma once
// Who should vote: the largest odd number that the living members allow, at most seven. Two voters
// survive no failure that one does not, and four none that three do not; what is left over stands
// by and takes the place of a voter that is removed. Pure.

#include "cluster/raft/types.hpp"

#include <optional>
#include <set>

namespace custos::cluster::replica {

inline constexpr std::size_t voters_max = 7;

/// What the leader knows of the others.
struct members_seen {
  raft::replica_id leader = 0;
  std::set<raft::replica_id> alive;     ///< heard within an election timeout
  std::set<raft::replica_id> caught_up; ///< alive, and the log's end is in reach
};

/// The membership after one step towards that number; nothing when there is no step to take now.
/// Voters that do not answer are never removed by themselves: who is away comes back.
std::optional<raft::membership> next_membership(const raft::membership& present,
                                                const members_seen& seen);

/// Another voter to hand over to, or a standby to make one: the first that is caught up.
std::optional<raft::replica_id> successor(const raft::membership& present, const members_seen& seen,
                                          raft::member_role role);

} // namespace custos::cluster::replica
