#pragma once
// Numbers and lengths in octets, big-endian, for what is stored and sent. Nobody outside this
// folder includes this.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

namespace custos::cluster {

template <class N>
void put_number(bytes& out, N n) {
  static_assert(std::is_unsigned_v<N>);
  for (std::size_t i = sizeof(N); i-- > 0;)
    out.push_back(static_cast<std::uint8_t>((n >> (8 * i)) & 0xFFU));
}

inline void put_octets(bytes& out, byte_view octets) {
  out.insert(out.end(), octets.begin(), octets.end());
}

/// The length first, as a number of type N; longer ones are a programmer error.
template <class N>
void put_text(bytes& out, std::string_view text) {
  assert(text.size() <= std::numeric_limits<N>::max());
  put_number(out, static_cast<N>(text.size()));
  put_octets(out, as_bytes(text));
}

/// Reads from the front of octets that may end anywhere. Errors are errc::malformed with the field.
class octet_reader {
public:
  /// `what` is being read, for messages; not owned.
  octet_reader(byte_view octets, std::string_view what) : rest_(octets), what_(what) {}

  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  [[nodiscard]] error bad(std::string_view field, std::string_view expected) const {
    return field_error(errc::malformed, std::string(field),
                       std::string(what_).append(": expected ").append(expected));
  }

  result<byte_view> take(std::size_t n, std::string_view field) {
    if (rest_.size() < n)
      return bad(field, "more octets");
    const auto out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  template <class N>
  result<N> number(std::string_view field) {
    CUSTOS_TRY(const auto octets, take(sizeof(N), field));
    N out = 0;
    for (const auto octet : octets)
      out = static_cast<N>(static_cast<std::uint64_t>(out) << 8U | octet);
    return out;
  }
  template <std::size_t N>
  result<std::array<std::uint8_t, N>> array(std::string_view field) {
    CUSTOS_TRY(const auto octets, take(N, field));
    std::array<std::uint8_t, N> out{};
    std::copy(octets.begin(), octets.end(), out.begin());
    return out;
  }
  /// A view; the length first, as a number of type N.
  template <class N>
  result<std::string_view> text(std::size_t bytes_max, std::string_view field) {
    CUSTOS_TRY(const auto size, number<N>(field));
    if (size > bytes_max)
      return bad(field, "at most " + std::to_string(bytes_max) + " octets");
    CUSTOS_TRY(const auto octets, take(size, field));
    return as_text(octets);
  }
  [[nodiscard]] result<void> finish() const {
    if (!rest_.empty())
      return bad("", "nothing behind it");
    return {};
  }

private:
  byte_view rest_;
  std::string_view what_;
};

} // namespace custos::cluster
