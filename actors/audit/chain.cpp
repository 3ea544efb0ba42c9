#include "actors/audit/chain.hpp"

#include "actors/audit/files.hpp"
#include "adapters/json/quoted.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <fstream>

namespace custos::audit {

namespace {

constexpr std::string_view line_start = R"({"sequence":)";
constexpr std::string_view previous_start = R"(,"previous":")";
constexpr std::string_view hash_start = R"(","hash":")";
constexpr std::string_view line_end = "\"}";
constexpr std::size_t hex_bytes = 64;

error corrupted(std::string message) {
  return make_error(errc::corrupted, std::move(message));
}

/// RFC 3339, UTC, seconds.
std::string time_text(std::int64_t time) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  std::array<char, 40> text{};
  if (::gmtime_r(&seconds, &parts) == nullptr ||
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
    return "1970-01-01T00:00:00Z";
  return text.data();
}

result<crypto::sha256_digest> digest_of_hex(std::string_view text) {
  // Canonical: what next_line writes is lower case.
  if (text.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return corrupted("a hash is not written in lower-case hexadecimal digits");
  const auto raw = crypto::from_hex(text);
  crypto::sha256_digest digest{};
  if (!raw || raw->size() != digest.size())
    return corrupted("a hash does not have 64 hexadecimal digits");
  std::copy(raw->begin(), raw->end(), digest.begin());
  return digest;
}

} // namespace

std::string next_line(const audit_record& record, std::int64_t time, chain_head& head) {
  std::string line;
  line.reserve(512);
  line += line_start;
  line += std::to_string(head.sequence + 1);
  line += R"(,"time":")" + time_text(time) + '"';
  const auto member = [&line](std::string_view name, std::string_view text, std::size_t max) {
    line += ",\"";
    line += name;
    line += "\":";
    json::append_quoted(line, text, max);
  };
  member("actor", record.actor, field_bytes_max);
  member("remote", record.remote, field_bytes_max);
  member("action", record.action, field_bytes_max);
  member("object", record.object, field_bytes_max);
  member("outcome", record.outcome, field_bytes_max);
  member("detail", record.detail, detail_bytes_max);
  line += previous_start;
  line += crypto::hex(head.hash);
  line += '"';
  head.hash = crypto::sha256(as_bytes(line));
  ++head.sequence;
  line += hash_start.substr(1); // the quote is there already
  line += crypto::hex(head.hash);
  line += line_end;
  line += '\n';
  return line;
}

result<chain_link> read_line(std::string_view line) {
  constexpr std::size_t tail = hash_start.size() + hex_bytes + line_end.size();
  constexpr std::size_t whole_tail = previous_start.size() + hex_bytes + tail;
  if (line.size() < line_start.size() + 1 + whole_tail || line.size() > line_bytes_max)
    return corrupted("the line is too short or too long for a record");
  const auto end = line.substr(line.size() - whole_tail);
  if (!line.starts_with(line_start) || !end.starts_with(previous_start) ||
      end.substr(previous_start.size() + hex_bytes, hash_start.size()) != hash_start ||
      !end.ends_with(line_end))
    return corrupted("the line does not have the form of a record");
  chain_link link;
  CUSTOS_TRY(link.previous, digest_of_hex(end.substr(previous_start.size(), hex_bytes)));
  CUSTOS_TRY(link.head.hash,
             digest_of_hex(end.substr(end.size() - line_end.size() - hex_bytes, hex_bytes)));
  const auto number = line.substr(line_start.size());
  const auto [stop, failed] =
      std::from_chars(number.data(), number.data() + number.size(), link.head.sequence);
  if (failed != std::errc{} || link.head.sequence == 0 || *stop != ',' || number.front() == '0')
    return corrupted("the line has no sequence number");
  // The hash covers everything up to, not including, the comma in front of "hash".
  const auto covered = line.substr(0, line.size() - tail + 1);
  if (crypto::sha256(as_bytes(covered)) != link.head.hash)
    return corrupted("the hash is not that of the line: it was changed");
  return link;
}

namespace {

/// One line of a file, checked against the one before.
result<void> follow(std::string_view line, std::optional<chain_head> expected,
                    chain_summary& summary) {
  CUSTOS_TRY(const chain_link link, read_line(line));
  if (!expected)
    expected = chain_head{link.head.sequence - 1, link.previous};
  if (link.head.sequence != expected->sequence + 1)
    return corrupted("record " + std::to_string(link.head.sequence) + " follows record " +
                     std::to_string(expected->sequence) + ": records are missing");
  if (link.previous != expected->hash)
    return corrupted("the record does not continue the one before: a record was exchanged");
  if (summary.lines == 0)
    summary.before = *expected;
  summary.last = link.head;
  ++summary.lines;
  return {};
}

error at_line(const std::filesystem::path& file, std::uint64_t line, error e) {
  e.message = file.filename().string() + " line " + std::to_string(line) + ": " + e.message;
  return e;
}

} // namespace

result<chain_summary> verify_file(const std::filesystem::path& file,
                                  std::optional<chain_head> before) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored))
    return make_error(errc::not_found, "there is no audit file " + file.string());
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return make_error(errc::storage_failure, "cannot read " + file.string());
  chain_summary summary;
  if (before)
    summary.before = summary.last = *before;
  std::string pending;
  std::array<char, 64U << 10U> chunk{};
  while (in.read(chunk.data(), chunk.size()), in.gcount() > 0) {
    pending.append(chunk.data(), static_cast<std::size_t>(in.gcount()));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = pending.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      const auto line = std::string_view(pending).substr(begin, end - begin);
      const auto expected = summary.lines == 0 ? before : std::optional(summary.last);
      if (auto done = follow(line, expected, summary); !done)
        return at_line(file, summary.lines + 1, std::move(done).failure());
    }
    pending.erase(0, begin);
    if (pending.size() > line_bytes_max)
      return at_line(file, summary.lines + 1, corrupted("the line is too long"));
  }
  if (in.bad())
    return make_error(errc::storage_failure, "reading " + file.string() + " failed");
  if (!pending.empty())
    return at_line(file, summary.lines + 1, corrupted("the last line is not finished"));
  return summary;
}

result<chain_summary> verify_directory(const std::filesystem::path& directory) {
  CUSTOS_TRY(const auto files, log_files(directory));
  if (files.empty())
    return make_error(errc::not_found, "there is no audit log in " + directory.string());
  chain_summary all;
  std::optional<chain_head> expected;
  for (const auto& file : files) {
    CUSTOS_TRY(const auto one, verify_file(file, expected));
    if (one.lines == 0)
      continue;
    if (all.lines == 0)
      all.before = one.before;
    all.lines += one.lines;
    all.last = one.last;
    expected = one.last;
  }
  return all;
}

} // namespace custos::audit
