#pragma once
// The limits of the link between nodes. What an operator may want to change is in link_options.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace custos::cluster::link {

/// Octets of one frame of the user.
inline constexpr std::size_t frame_bytes_max = 1U << 20U;
/// Octets of any other record; also of everything before a link is open, so that nobody makes us
/// allocate more than this before both sides accepted each other.
inline constexpr std::size_t control_bytes_max = 512;
/// Octets read from TLS at once, and gathered into one TLS record (RFC 8446, 5.1).
inline constexpr std::size_t io_chunk_bytes = 16U << 10U;
/// Records handled before other connections have their turn.
inline constexpr unsigned records_per_turn_max = 64;
/// Octets of the certificates a peer may present.
inline constexpr std::size_t peer_chain_bytes_max = 16U << 10U;
/// Connections of one member that have proven who they are and wait for hello or a decision. One
/// more ends the oldest of them.
inline constexpr std::size_t candidates_per_member_max = 4;
/// Members of a cluster, this node included.
inline constexpr std::size_t members_max = 64;
/// Accepting pauses for this long when the process has no descriptors left, growing up to the
/// second as long as nothing helps.
inline constexpr std::chrono::milliseconds accept_pause_min{20};
inline constexpr std::chrono::milliseconds accept_pause_max{1000};
/// How long a refused peer may take to read why.
inline constexpr std::chrono::milliseconds linger_max{1000};

} // namespace custos::cluster::link
