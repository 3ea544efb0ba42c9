#include "adapters/kmip/tags.hpp"

#include <array>
#include <cstddef>

namespace custos::kmip {

namespace {

std::string number_text(std::uint32_t number) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out = "0x";
  for (int shift = 28; shift >= 0; shift -= 4)
    out.push_back(digits[(number >> static_cast<unsigned>(shift)) & 0x0FU]);
  return out;
}

} // namespace

// NOLINTBEGIN
#define CUSTOS_KMIP_NAME(identifier, number, text)                                                 \
  case number:                                                                                     \
    return text;

std::string to_string(tag t) {
  switch (static_cast<std::uint32_t>(t)) { CUSTOS_KMIP_TAGS(CUSTOS_KMIP_NAME) }
  return number_text(static_cast<std::uint32_t>(t));
}
std::string to_string(operation o) {
  switch (static_cast<std::uint32_t>(o)) { CUSTOS_KMIP_OPERATIONS(CUSTOS_KMIP_NAME) }
  return number_text(static_cast<std::uint32_t>(o));
}
std::string to_string(result_reason r) {
  switch (static_cast<std::uint32_t>(r)) { CUSTOS_KMIP_RESULT_REASONS(CUSTOS_KMIP_NAME) }
  return r == result_reason::none ? "no reason given" : number_text(static_cast<std::uint32_t>(r));
}
std::string to_string(state s) {
  switch (static_cast<std::uint32_t>(s)) { CUSTOS_KMIP_STATES(CUSTOS_KMIP_NAME) }
  return number_text(static_cast<std::uint32_t>(s));
}
#undef CUSTOS_KMIP_NAME
// NOLINTEND

std::string_view to_string(item_type t) {
  static constexpr std::array<std::string_view, 12> names = {
      "unknown", "Structure",   "Integer",     "Long Integer", "Big Integer", "Enumeration",
      "Boolean", "Text String", "Byte String", "Date-Time",    "Interval",    "Date-Time Extended"};
  const auto index = static_cast<std::size_t>(t);
  return index < names.size() ? names[index] : names[0];
}

} // namespace custos::kmip
