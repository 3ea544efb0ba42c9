#include "adapters/kmip/names.hpp"

#include <span>

namespace custos::kmip {

namespace {

/// The `index`th of names separated by '|'; empty past the end.
std::string_view nth(std::string_view names, std::uint32_t index) {
  for (; index > 0; --index) {
    const auto bar = names.find('|');
    if (bar == std::string_view::npos)
      return {};
    names.remove_prefix(bar + 1);
  }
  return names.substr(0, names.find('|'));
}

std::string_view in_runs(std::span<const detail::enumeration_run> runs, std::uint32_t tag,
                         std::uint32_t value) {
  for (const auto& run : runs)
    if (run.tag == tag && value >= run.first)
      if (const auto name = nth(run.names, value - run.first); !name.empty())
        return name;
  return {};
}

std::span<const detail::name_run> tags() {
  return {detail::tag_runs, detail::tag_runs_count};
}

std::span<const detail::enumeration_run> masks() {
  return {detail::mask_runs, detail::mask_runs_count};
}

} // namespace

std::string_view tag_name(std::uint32_t tag) {
  for (const auto& run : tags())
    if (tag >= run.first)
      if (const auto name = nth(run.names, tag - run.first); !name.empty())
        return name;
  return {};
}

std::string_view enumeration_name(std::uint32_t tag, std::uint32_t value) {
  return in_runs({detail::enumeration_runs, detail::enumeration_runs_count}, tag, value);
}

bool is_mask(std::uint32_t tag) {
  for (const auto& run : masks())
    if (run.tag == tag)
      return true;
  return false;
}

std::string_view mask_bit_name(std::uint32_t tag, unsigned bit) {
  return in_runs(masks(), tag, bit);
}

std::optional<std::uint32_t> tag_of(std::string_view name) {
  if (name.empty())
    return std::nullopt;
  for (const auto& run : tags()) {
    std::string_view rest = run.names;
    for (std::uint32_t number = run.first;; ++number) {
      const auto bar = rest.find('|');
      if (rest.substr(0, bar) == name)
        return number;
      if (bar == std::string_view::npos)
        break;
      rest.remove_prefix(bar + 1);
    }
  }
  return std::nullopt;
}

std::string number_text(std::uint32_t number) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out = "0x";
  for (int shift = 28; shift >= 0; shift -= 4)
    out.push_back(digits[(number >> static_cast<unsigned>(shift)) & 0x0FU]);
  return out;
}

} // namespace custos::kmip
