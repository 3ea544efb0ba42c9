#pragma once
// Names of KMIP for people: every tag, and the values of every enumeration and mask, of KMIP 1.0 to
// 2.1. A number without a name is legal, and passes through. Pure; no allocation.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace custos::kmip {

/// "Batch Count" for 0x42000D; empty if the specifications have no such tag.
std::string_view tag_name(std::uint32_t tag);

/// The name of a value of the enumeration that a tag has: "Get" for 10 of Operation (0x42005C).
/// Empty if it has none.
std::string_view enumeration_name(std::uint32_t tag, std::uint32_t value);

/// The tag is an Integer of bits that have names, as Cryptographic Usage Mask.
bool is_mask(std::uint32_t tag);
/// The name of bit `bit` (0-31) of a mask; empty if it has none.
std::string_view mask_bit_name(std::uint32_t tag, unsigned bit);

/// The tag of that name, which is how 1.x names attributes ("Cryptographic Length").
std::optional<std::uint32_t> tag_of(std::string_view name);

/// "0x0042000D"
std::string number_text(std::uint32_t number);

namespace detail {

/// Names of consecutive numbers from `first`, separated by '|'; nothing between two: no name.
struct name_run {
  std::uint32_t first;
  std::string_view names;
};
struct enumeration_run {
  std::uint32_t tag;
  std::uint32_t first; ///< of a mask: the number of the bit
  std::string_view names;
};

extern const name_run tag_runs[];
extern const std::size_t tag_runs_count;
extern const enumeration_run enumeration_runs[];
extern const std::size_t enumeration_runs_count;
extern const enumeration_run mask_runs[];
extern const std::size_t mask_runs_count;

} // namespace detail

} // namespace custos::kmip
