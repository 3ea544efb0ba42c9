// Backups: as they come, and behind the digest, the signature and the encryption, where a file that
// was made on purpose gets to.

#include "cluster/backup/content.hpp"
#include "cluster/backup/sections.hpp"

#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::backup;

void require(bool holds) {
  if (!holds)
    std::abort();
}

/// What reads as a header is written the same.
void judge_header(std::string_view line) {
  if (const auto head = parse_header(line))
    require(write_header(*head) == std::string(line) + "\n");
}

/// Content that somebody sealed who may: the input, under a description with its right fingerprint.
void judge_content(byte_view input) {
  std::size_t total = 0;
  if (const auto sections = read_sections(input))
    for (const auto& [tag, value] : *sections)
      total += section_head_bytes + value.size();
  require(total == 0 || total == input.size());
  description about;
  require(!read_cluster_content(about, input)); // its id is empty
  about.kind = content_kind::coordinator;
  const auto entries = section_head(section::entries, input.size());
  bytes content(entries.begin(), entries.end());
  content.insert(content.end(), input.begin(), input.end());
  about.fingerprint = crypto::hex(crypto::sha256(input));
  if (const auto read = read_coordinator_content(about, content))
    require(input.empty() && read->entries.empty()); // the description counts none
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view input(data, size);
  // A header and what is behind it, with whatever signature.
  if (const auto file = read_file(input))
    require(file->sealed.size() == file->head.sealed.bytes);
  const auto text = as_text(input);
  judge_header(text.substr(0, text.find('\n')));
  judge_content(input);
  // Nobody has this key: it was made just now.
  static const auto key = crypto::random_bytes(32);
  require(!open_chunks(key, input));
  return 0;
}
