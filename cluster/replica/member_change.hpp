#pragma once
// Changes of the membership as nodes ask for them, and as octets. Pure.

#include "cluster/raft/types.hpp"
#include "cluster/replica/member_info.hpp"

namespace custos::cluster::replica {

enum class member_action : std::uint8_t {
  add = 1, ///< a new node, as standby
  replace, ///< the same, in place of the node of that name, if there is one
  remove,
  update, ///< a node says of itself where it is and what certificates it has
};

struct member_change {
  member_action action = member_action::add;
  member_info info; ///< of `remove` only the name counts
};
bytes encode(const member_change& change);
result<member_change> decode_member_change(byte_view octets);

/// The change is committed.
struct membership_answer {
  raft::replica_id id = 0; ///< of the node concerned; 0: it is no longer there
  raft::membership members;
};
bytes encode(const membership_answer& answer);
result<membership_answer> decode_membership_answer(byte_view octets);

} // namespace custos::cluster::replica
