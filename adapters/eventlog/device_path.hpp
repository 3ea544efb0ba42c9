#pragma once
// Device paths (UEFI 2.10, section 10) as text, for hints: where an image came from. Never a base
// for decisions: firmware does not measure them.
// Thread rule: pure functions on their arguments.

#include "messages/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace custos::eventlog {

inline constexpr std::size_t device_path_nodes_max = 32;
inline constexpr std::size_t device_path_chars_max = 512;

/// The nodes up to the end node, a limit or the first that is cut short, parted by slashes; kinds
/// that tell people nothing as "Path(type,subtype)". Text of the path itself is passed through as
/// it is: sanitise before it goes to a terminal. Never fails.
std::string device_path_text(byte_view path);

/// UCS-2 to UTF-8; surrogates become U+FFFD. An odd octet at the end is left out.
std::string utf8_of_ucs2(byte_view text);
/// Text in ASCII or, where at least half of its characters look like it, UCS-2; without
/// terminators and cut after 1024 octets.
std::string text_of(byte_view data);
/// "0x1f".
std::string hex_number(std::uint64_t value);

} // namespace custos::eventlog
