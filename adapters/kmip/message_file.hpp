#pragma once
// Files of KMIP messages as people keep them. Binary: one message behind the other. Text: one
// message a line in hex, perhaps with a mark in front ("> 4200…" for a request, "< 4200…" for a
// response), white space anywhere, empty lines, and comments that begin with '#'. A file is text if
// its first octet is neither 42 nor 54, the octets a message begins with. Pure.

#include "adapters/crypto/wiped_bytes.hpp"
#include "adapters/kmip/ttlv.hpp"

#include <string>
#include <vector>

namespace custos::kmip {

inline constexpr std::size_t message_file_bytes_max = std::size_t{8} << 20;
inline constexpr std::size_t file_messages_max = 65536;

/// A whole message that was found to be in order.
struct kept_message {
  char mark = 0;          ///< '>', '<', or 0
  std::size_t line = 0;   ///< of a text file, from 1; 0: binary
  std::size_t offset = 0; ///< of its first octet in a binary file
  crypto::wiped_bytes octets;

  [[nodiscard]] ttlv_item item() const;
};

/// All messages of a file, up to message_bytes_max each. Errors, malformed or too_large, say where
/// and what was expected: "line 3, offset 76: …", the offset counted in octets of the message;
/// "line 3, column 7: …" for what is no hex; "offset 356: …" of a binary file, counted from its
/// beginning.
result<std::vector<kept_message>> read_message_file(byte_view file);

} // namespace custos::kmip
