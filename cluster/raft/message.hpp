#pragma once
// What replicas say to each other. Lengths are checked where frames are read; contents here.

#include "cluster/raft/types.hpp"

#include <variant>

namespace custos::raft {

/// [O 3.4]
struct vote_request {
  term_number term = 0;
  log_index last_index = 0;
  term_number last_term = 0;
  bool transfer = false; ///< asked to by the leader: voters need not wait until it is silent
};

struct vote_response {
  term_number term = 0;
  bool granted = false;
};

/// [O 3.5]; without entries, a heartbeat.
struct append_request {
  term_number term = 0;
  log_index prev_index = 0;
  term_number prev_term = 0;
  log_index commit = 0;
  std::uint64_t round = 0; ///< repeated in the answer: who answers knows this leader [O 6.4]
  std::vector<entry> entries;
};

struct append_response {
  term_number term = 0;
  bool success = false;
  log_index prev_index = 0; ///< of the request
  log_index match = 0;      ///< success: equal to the leader's log up to here, and durable
  log_index hint = 0;       ///< refused: where logs may be equal
  term_number hint_term = 0;
  std::uint64_t round = 0;
};

/// Part of a snapshot [O 5].
struct snapshot_chunk {
  term_number term = 0;
  log_base at;
  std::uint64_t total = 0; ///< octets of all
  std::uint64_t offset = 0;
  bytes data;
};

struct snapshot_response {
  term_number term = 0;
  log_index index = 0;      ///< of the snapshot
  std::uint64_t offset = 0; ///< octets that are there
  bool done = false;        ///< the replica is at `index` or further, durable
};

/// Campaign now: the leader hands over [O 3.10].
struct timeout_now {
  term_number term = 0;
};

using message = std::variant<vote_request, vote_response, append_request, append_response,
                             snapshot_chunk, snapshot_response, timeout_now>;

inline term_number term_of(const message& m) {
  return std::visit([](const auto& one) { return one.term; }, m);
}

} // namespace custos::raft
