#pragma once
// The whole state of the ConfigStore in one piece, for new replicas and for backups. Pure and
// deterministic: equal states have equal images.
//
//   "CUSTOSST"(8) || version(1) = 1 || applied index(8) || revision(8) || state hash(32)
//   || operations(4) || operation... || for each kind: kind(1) || objects(4) || object...
//   || SHA-256 of all before(32)
//
// An operation is as octets_of() writes it, with its length(4) before it; an object is length(1) ||
// name || length(4) || canonical document. Kinds are in the order of their numbers and all there,
// objects in the order of their names. Numbers are big-endian. Secrets in it are sealed as they are
// in the store.

#include "cluster/config_state.hpp"

namespace custos::cluster {

inline constexpr std::uint8_t state_image_version = 1;
/// Largest image that is read.
inline constexpr std::size_t state_image_bytes_max = std::size_t{2} << 30U;

bytes encode_state(const config_state& state);

/// Verifies checksum, canonical form, fingerprint and state hash. errc::unsupported: another
/// version, as one with more kinds of objects has to be; errc::corrupted: anything else, told
/// where; errc::too_large.
result<config_state> decode_state(byte_view image);

} // namespace custos::cluster
