#pragma once
// JSON strings out of text from anywhere, for lines that people and programs read: audit and log.
// Pure.

#include <cstddef>
#include <string>
#include <string_view>

namespace custos::json {

/// Appends a JSON string (RFC 8259, 7). Whatever could move a terminal or split a line is escaped,
/// what is not UTF-8 becomes U+FFFD; text of more than `bytes_max` (at least 3) octets is cut there
/// and ends in "...".
void append_quoted(std::string& out, std::string_view text, std::size_t bytes_max);

} // namespace custos::json
