#pragma once
// What two sequences share, in order, and what only one of them has. Pure, bounded: time and
// memory are at most compared_pairs_max steps, else linear and perhaps not the shortest answer.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace custos::attestation {

/// Pairs that are compared for the shortest answer; sequences that would need more are gone through
/// once, with a look ahead.
inline constexpr std::size_t compared_pairs_max = std::size_t{1} << 21;
inline constexpr std::size_t look_ahead_max = 256;

enum class step_kind : std::uint8_t { both = 1, only_a, only_b };

struct diff_step {
  step_kind kind = step_kind::both;
  std::uint32_t a = 0; ///< position in the first, unless only_b
  std::uint32_t b = 0; ///< position in the second, unless only_a
};

/// Numbers for what is compared: equal numbers, equal things.
class numbering {
public:
  std::uint32_t of(std::string_view thing) {
    return numbers_.try_emplace(std::string(thing), static_cast<std::uint32_t>(numbers_.size()))
        .first->second;
  }

private:
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

/// Every position of both once, in order.
std::vector<diff_step> diff_of(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b);

} // namespace custos::attestation
