#pragma once
// The audit log's hash chain. One record is one line of JSON:
//   {"sequence":N,"time":"2026-01-31T12:00:00Z","actor":"...","remote":"...","action":"...",
//    "object":"...","outcome":"...","detail":"...","previous":"<hex>","hash":"<hex>"}
// (without the line break shown). `hash` is SHA-256 over the octets of the line up to the comma in
// front of "hash"; `previous` is the hash of the line before, 64 zeros for the first line ever.
// Changing, removing or inserting a line breaks the chain at that place. The chain has no key:
// whoever can rewrite the whole file can make a new one, so the latest hash should also be kept
// elsewhere (docs/audit.md). Pure: no clock, no I/O except reading in the verify functions.

#include "adapters/crypto/crypto.hpp"
#include "messages/error.hpp"
#include "messages/local.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace custos::audit {

/// Longest values written; what is longer is cut, and ends in "...".
inline constexpr std::size_t field_bytes_max = 512;
inline constexpr std::size_t detail_bytes_max = 2048;
/// No line is longer, line feed included: six octets ("\u0000") for one in the worst case.
inline constexpr std::size_t line_bytes_max = 6 * (5 * field_bytes_max + detail_bytes_max) + 512;

/// Where a chain stands: the last record's number and hash; 0 and zeros before the first.
struct chain_head {
  std::uint64_t sequence = 0;
  crypto::sha256_digest hash{};
  friend bool operator==(const chain_head&, const chain_head&) = default;
};

/// The next line, line feed included; advances `head`. `time` in unix seconds.
std::string next_line(const audit_record& record, std::int64_t time, chain_head& head);

/// What a line (without line feed) says of the chain. Error: corrupted when the form is wrong or
/// the hash is not that of the line.
struct chain_link {
  chain_head head;
  crypto::sha256_digest previous{};
};
result<chain_link> read_line(std::string_view line);

/// What a file or directory holds.
struct chain_summary {
  std::uint64_t lines = 0;
  chain_head before; ///< where the chain stood before the first line
  chain_head last;
};

/// Reads a file and checks every line and every link. `before`: where the chain must have stood;
/// empty for whatever the first line says. Errors: corrupted (the message names the line, from 1),
/// not_found, storage_failure.
result<chain_summary> verify_file(const std::filesystem::path& file,
                                  std::optional<chain_head> before = {});
/// All files of a log directory, oldest first, as one chain that starts with the first record that
/// is still there.
result<chain_summary> verify_directory(const std::filesystem::path& directory);

} // namespace custos::audit
