#pragma once
// How the files that read responses find fields. Internal to adapters/kmip.

#include "adapters/kmip/protocol.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

namespace custos::kmip::detail {

inline error malformed(std::string what) {
  return make_error(errc::malformed, "KMIP response: " + std::move(what));
}

/// At most one child of each of the given tags; one found twice is an error, others are skipped.
template <std::size_t N>
using fields = std::array<std::optional<ttlv_item>, N>;

template <std::size_t N>
result<fields<N>> read_fields(const ttlv_item& structure, const std::array<tag, N>& wanted) {
  fields<N> found;
  for (const ttlv_item item : structure.children()) {
    const auto* at = std::find(wanted.begin(), wanted.end(), item.name());
    if (at == wanted.end())
      continue;
    auto& field = found[static_cast<std::size_t>(at - wanted.begin())];
    if (field)
      return malformed(to_string(item.name()) + " twice");
    field = item;
  }
  return found;
}

inline result<ttlv_item> demand(const std::optional<ttlv_item>& field, tag t) {
  if (!field)
    return malformed(to_string(t) + " is missing");
  return *field;
}

result<protocol_version> read_version(const ttlv_item& item);

/// The Response Payload of a success.
result<answer> read_payload(const request& asked, const message_options& options,
                            const ttlv_item& payload);

} // namespace custos::kmip::detail
