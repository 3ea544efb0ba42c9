#pragma once
// Byte containers used all over Custos. No ownership rule beyond the standard library's.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace custos {

/// Octets that are not secret. Secrets live in crypto::secret_bytes.
using bytes = std::vector<std::uint8_t>;

/// A view of octets; never outlives what it looks at.
using byte_view = std::span<const std::uint8_t>;

/// The octets of a text, without a copy.
inline byte_view as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A copy of the octets.
inline bytes to_bytes(byte_view view) {
  return {view.begin(), view.end()};
}
inline bytes to_bytes(std::string_view text) {
  return to_bytes(as_bytes(text));
}

/// The octets as characters (no check of any encoding).
inline std::string_view as_text(byte_view view) {
  return {reinterpret_cast<const char*>(view.data()), view.size()};
}

} // namespace custos
