#include "adapters/kmip/tags.hpp"

#include "adapters/kmip/names.hpp"

#include <array>
#include <cstddef>

namespace custos::kmip {

namespace {

std::string name_or_number(std::string_view name, std::uint32_t number) {
  return name.empty() ? number_text(number) : std::string(name);
}

std::string value_name(tag enumeration, std::uint32_t number) {
  return name_or_number(enumeration_name(static_cast<std::uint32_t>(enumeration), number), number);
}

} // namespace

std::string to_string(tag t) {
  const auto number = static_cast<std::uint32_t>(t);
  return name_or_number(tag_name(number), number);
}

std::string to_string(operation o) {
  return value_name(tag::operation, static_cast<std::uint32_t>(o));
}

std::string to_string(result_reason r) {
  return r == result_reason::none ? "no reason given"
                                  : value_name(tag::result_reason, static_cast<std::uint32_t>(r));
}

std::string to_string(state s) {
  return value_name(tag::state, static_cast<std::uint32_t>(s));
}

std::string_view to_string(item_type t) {
  static constexpr std::array<std::string_view, 12> names = {
      "unknown", "Structure",   "Integer",     "Long Integer", "Big Integer", "Enumeration",
      "Boolean", "Text String", "Byte String", "Date-Time",    "Interval",    "Date-Time Extended"};
  const auto index = static_cast<std::size_t>(t);
  return index < names.size() ? names[index] : names[0];
}

} // namespace custos::kmip
