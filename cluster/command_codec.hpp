#pragma once
// A command of the ConfigStore as it lies in the replicated log. Pure; the bytes are for good: a
// log may be read by a later version of the program.
//
//   version(1) = 1 || valid until(8) || action(1) || kind(1) || has if_revision(1) ||
//   if_revision(8)
//   || length(1) || operation id || length(1) || name || length(2) || actor || length(4) ||
//   document
//
// Numbers are big-endian; if_revision is 0 where there is none. Equal commands have equal bytes,
// and every byte is accounted for.

#include "cluster/config_codec.hpp"
#include "messages/bytes.hpp"
#include "messages/config_commands.hpp"
#include "messages/error.hpp"

#include <cstdint>

namespace custos::cluster {

inline constexpr std::uint8_t command_version = 1;
inline constexpr std::size_t operation_id_bytes_max = 128;
inline constexpr std::size_t actor_bytes_max = 512;
/// Largest encoded command.
inline constexpr std::size_t command_bytes_max = 20 + 1 + operation_id_bytes_max + 1 +
                                                 object_name_bytes_max + 2 + actor_bytes_max + 4 +
                                                 config_document_bytes_max;

struct replicated_command {
  config_command command; ///< operation_id is never empty here
  /// The highest log index at which the entry may take effect; 0: any.
  std::uint64_t valid_until = 0;
};

/// 1-128 printable ASCII characters without spaces.
bool is_operation_id(std::string_view text);

/// Whether a command may enter the log at all: its sizes, kind, action, name and operation id.
/// Asked by whoever proposes it; what the state machine thinks of it is another matter.
/// errc::invalid_argument or errc::too_large, with the field.
result<void> check_replicable(const config_command& command);

/// check_replicable() holds; anything else is a programmer error.
bytes encode(const replicated_command& command);

/// errc::unsupported: another version, or a kind or action that this program does not know; a node
/// must stop then, or it would come to differ from the others. errc::malformed: everything else,
/// with the field.
result<replicated_command> decode_replicated_command(byte_view octets);

} // namespace custos::cluster
