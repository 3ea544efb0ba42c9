#pragma once
// The sections of a backup's content; see content.hpp. Views do not own.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <array>
#include <map>

namespace custos::backup {

enum class section : std::uint8_t {
  cluster_keys = 1,
  data_keys,
  state,
  tls_certificate,
  tls_private_key,
  entries,
};

inline constexpr std::size_t section_head_bytes = 9;
std::array<std::uint8_t, section_head_bytes> section_head(section tag, std::size_t value_bytes);

/// errc::corrupted: a length that does not fit, an unknown tag, a tag twice or out of order.
result<std::map<section, byte_view>> read_sections(byte_view content);
result<byte_view> section_of(const std::map<section, byte_view>& all, section tag);

} // namespace custos::backup
