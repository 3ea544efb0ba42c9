#pragma once
// What nodes send each other over the link, as octets: parcels, cut into frames where they are
// longer than one. Pure; everything read is bounded.
//
//   frame:   1 || parcel                             a whole one
//            2 || part(4) || parts(4) || octets      part of one, from 0, sent one after another
//   parcel:  kind(1) || content

#include "cluster/raft/types.hpp"
#include "messages/error.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace custos::cluster::replica {

/// A message of the Raft core. The ids say which replica of a node is meant: one that was replaced
/// has another.
struct raft_parcel {
  raft::replica_id from = 0;
  raft::replica_id to = 0;
  bytes message; ///< wire.hpp
};

/// A command for the leader to propose. Not answered: whoever sent it sees it applied.
struct proposal_parcel {
  bytes command; ///< command_codec.hpp
};

/// A question to the leader.
enum class question_kind : std::uint8_t {
  read_index = 1, ///< answer: index(8)
  change_member,  ///< body: member_change; answer: membership_answer
  transfer,       ///< body: name of a node
};
struct question_parcel {
  std::uint64_t id = 0;
  question_kind kind = question_kind::read_index;
  std::uint32_t patience_ms = 0; ///< how long whoever asked still waits
  bytes body;
};
struct answer_parcel {
  std::uint64_t id = 0;
  std::optional<error> failure;
  bytes body;
};

/// Regularly, to every member: how far a replica is.
struct pulse_parcel {
  raft::replica_id from = 0;
  raft::log_index applied = 0;
  std::array<std::uint8_t, 32> state_hash{}; ///< as of `applied`
  std::uint64_t revision = 0;
  raft::log_index members_index = 0; ///< of the newest membership it knows
  std::string program_version;
};

/// A membership that the other does not know yet. Without it, who was away could never hear a
/// leader that joined meanwhile.
struct members_parcel {
  raft::log_index index = 0;
  bytes members; ///< wire.hpp
};

using parcel = std::variant<raft_parcel, proposal_parcel, question_parcel, answer_parcel,
                            pulse_parcel, members_parcel>;

/// The parcel, cut into frames of at most `frame_bytes_max` octets.
std::vector<bytes> to_frames(const parcel& p, std::size_t frame_bytes_max);

/// What a read index looks like in an answer.
bytes encode_index(raft::log_index index);
result<raft::log_index> decode_index(byte_view octets);

/// Puts the frames of one peer together again. Not thread-safe.
class assembler {
public:
  /// A parcel when one is complete. errc::malformed, errc::too_large, errc::unsupported.
  result<std::optional<parcel>> take(byte_view frame);

private:
  bytes waiting_;
  std::uint32_t next_part_ = 0;
  std::uint32_t parts_ = 0;
};

} // namespace custos::cluster::replica
