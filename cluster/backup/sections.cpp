#include "cluster/backup/sections.hpp"

namespace custos::backup {

namespace {

error damaged(const std::string& what) {
  return make_error(errc::corrupted, "content of the backup: expected " + what);
}

} // namespace

std::array<std::uint8_t, section_head_bytes> section_head(section tag, std::size_t value_bytes) {
  std::array<std::uint8_t, section_head_bytes> out{static_cast<std::uint8_t>(tag)};
  auto left = static_cast<std::uint64_t>(value_bytes);
  for (std::size_t i = section_head_bytes - 1; i > 0; --i) {
    out.at(i) = static_cast<std::uint8_t>(left);
    left >>= 8U;
  }
  return out;
}

result<std::map<section, byte_view>> read_sections(byte_view content) {
  std::map<section, byte_view> out;
  std::uint8_t last = 0;
  while (!content.empty()) {
    if (content.size() < section_head_bytes)
      return damaged("a tag and a length");
    const auto tag = content.front();
    if (tag <= last || tag > static_cast<std::uint8_t>(section::entries))
      return damaged("known sections in order");
    last = tag;
    std::uint64_t length = 0;
    for (std::size_t i = 1; i < section_head_bytes; ++i)
      length = length << 8U | content[i];
    if (length > content.size() - section_head_bytes)
      return damaged("as many octets as a section's length says");
    out.emplace(static_cast<section>(tag),
                content.subspan(section_head_bytes, static_cast<std::size_t>(length)));
    content = content.subspan(section_head_bytes + static_cast<std::size_t>(length));
  }
  return out;
}

result<byte_view> section_of(const std::map<section, byte_view>& all, section tag) {
  const auto found = all.find(tag);
  if (found == all.end())
    return damaged("section " + std::to_string(static_cast<unsigned>(tag)));
  return found->second;
}

} // namespace custos::backup
