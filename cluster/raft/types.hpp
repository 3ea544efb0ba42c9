#pragma once
// The vocabulary of the replicated log, in the words of Ongaro's thesis "Consensus: Bridging Theory
// and Practice" (2014), called [O] in this folder. Plain values: no I/O, no clock, no CAF.

#include "messages/bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace custos::raft {

/// A replica's number, given when it joins and never to another. 0: nobody.
using replica_id = std::uint64_t;
/// Terms count from 1; 0: before the first.
using term_number = std::uint64_t;
/// Entries count from 1; 0: before the first.
using log_index = std::uint64_t;
/// Of a clock that does not go back.
using milliseconds = std::uint64_t;

using bytes_ptr = std::shared_ptr<const bytes>;

/// Members, voters and standbys together.
inline constexpr std::size_t members_max = 32;
/// What is said of one member.
inline constexpr std::size_t member_info_bytes_max = 4096;

enum class member_role : std::uint8_t {
  standby = 1, ///< gets the log, does not count
  voter = 2,
};

struct member {
  replica_id id = 0;
  member_role role = member_role::standby;
  /// Name, address, certificate: what the layer above wants to know. Means nothing here.
  std::string info;

  friend bool operator==(const member&, const member&) = default;
};

/// By id, each once.
using membership = std::vector<member>;
using membership_ptr = std::shared_ptr<const membership>;

inline const member* find_member(const membership& all, replica_id id) {
  const auto at = std::find_if(all.begin(), all.end(), [id](const auto& m) { return m.id == id; });
  return at == all.end() ? nullptr : &*at;
}

inline bool is_voter(const membership& all, replica_id id) {
  const auto* const m = find_member(all, id);
  return m != nullptr && m->role == member_role::voter;
}

inline std::size_t voters_of(const membership& all) {
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [](const auto& m) { return m.role == member_role::voter; }));
}

enum class entry_kind : std::uint8_t {
  nothing = 1, ///< a new leader's first entry: what commits the entries of earlier terms [O 3.6.2]
  command = 2, ///< for the state machine
  members = 3, ///< the membership from here on [O 4.1]
};

/// One entry of the log; its index is its place.
struct entry {
  term_number term = 0;
  entry_kind kind = entry_kind::nothing;
  bytes_ptr command;      ///< of `command`, else null
  membership_ptr members; ///< of `members`, else null
};

/// What a replica may not forget: it votes once a term.
struct durable_state {
  term_number term = 0;
  replica_id voted_for = 0; ///< in `term`

  friend bool operator==(const durable_state&, const durable_state&) = default;
};

/// What lies before the log: the last entry that is not kept as an entry, and the membership there.
struct log_base {
  log_index index = 0;
  term_number term = 0;
  membership_ptr members; ///< never null; of a replica that knows none yet, empty
  log_index members_index = 0;
};

/// The state machine as of one entry.
struct snapshot {
  log_base at;
  bytes_ptr data;
};
using snapshot_ptr = std::shared_ptr<const snapshot>;

} // namespace custos::raft
