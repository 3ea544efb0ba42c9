#pragma once
// What replicas say to each other, and what of it is stored, as octets. Version 1 of each begins
// with the octet 1; numbers are big-endian. Pure; everything read is bounded.

#include "cluster/raft/core.hpp"

namespace custos::cluster::replica {

/// Entries of one message, whatever their size.
inline constexpr std::size_t entries_max = 4096;
/// One command, as it lies in the log.
inline constexpr std::size_t entry_bytes_max = 16U << 20U;
/// One message; larger ones are neither sent nor read.
inline constexpr std::size_t message_bytes_max = 20U << 20U;

bytes encode(const raft::message& m);
/// errc::unsupported (another version or kind), errc::malformed.
result<raft::message> decode_message(byte_view octets);

bytes encode(const raft::entry& e);
result<raft::entry> decode_entry(byte_view octets);

bytes encode(const raft::log_base& base);
result<raft::log_base> decode_base(byte_view octets);

bytes encode(const raft::membership& members);
result<raft::membership> decode_members(byte_view octets);

} // namespace custos::cluster::replica
