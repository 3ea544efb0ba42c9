#include "actors/attestation/sequence_diff.hpp"

#include <algorithm>

namespace custos::attestation {

namespace {

/// The part of two sequences between what they begin and end with alike.
struct middle {
  std::span<const std::uint32_t> a;
  std::span<const std::uint32_t> b;
  std::uint32_t start = 0; ///< position of both
};

/// Longest common subsequence by its table of lengths.
void by_table(const middle& m, std::vector<diff_step>& out) {
  const auto rows = m.a.size();
  const auto columns = m.b.size();
  // length[i][j]: of the longest that a from i and b from j share.
  std::vector<std::uint32_t> length((rows + 1) * (columns + 1), 0);
  const auto at = [&](std::size_t i, std::size_t j) -> std::uint32_t& {
    return length[i * (columns + 1) + j];
  };
  for (auto i = rows; i-- > 0;)
    for (auto j = columns; j-- > 0;)
      at(i, j) = m.a[i] == m.b[j] ? at(i + 1, j + 1) + 1 : std::max(at(i + 1, j), at(i, j + 1));
  std::uint32_t i = 0;
  std::uint32_t j = 0;
  while (i < rows || j < columns) {
    if (i < rows && j < columns && m.a[i] == m.b[j])
      out.push_back({step_kind::both, m.start + i++, m.start + j++});
    else if (j == columns || (i < rows && at(i + 1, j) >= at(i, j + 1)))
      out.push_back({step_kind::only_a, m.start + i++, 0});
    else
      out.push_back({step_kind::only_b, 0, m.start + j++});
  }
}

/// Once through a; b follows as far as it is found not too far ahead.
void by_look_ahead(const middle& m, std::vector<diff_step>& out) {
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> places;
  for (std::uint32_t j = 0; j < m.b.size(); ++j)
    places[m.b[j]].push_back(j);
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < m.a.size(); ++i) {
    const auto found = places.find(m.a[i]);
    if (found != places.end()) {
      const auto at = std::lower_bound(found->second.begin(), found->second.end(), next);
      if (at != found->second.end() && *at - next <= look_ahead_max) {
        while (next < *at)
          out.push_back({step_kind::only_b, 0, m.start + next++});
        out.push_back({step_kind::both, m.start + i, m.start + next++});
        continue;
      }
    }
    out.push_back({step_kind::only_a, m.start + i, 0});
  }
  while (next < m.b.size())
    out.push_back({step_kind::only_b, 0, m.start + next++});
}

} // namespace

std::vector<diff_step> diff_of(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
  const auto shorter = std::min(a.size(), b.size());
  std::size_t head = 0;
  while (head < shorter && a[head] == b[head])
    ++head;
  std::size_t tail = 0;
  while (tail < shorter - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail])
    ++tail;
  std::vector<diff_step> out;
  out.reserve(a.size() + b.size());
  for (std::uint32_t i = 0; i < head; ++i)
    out.push_back({step_kind::both, i, i});
  const middle m{a.subspan(head, a.size() - head - tail), b.subspan(head, b.size() - head - tail),
                 static_cast<std::uint32_t>(head)};
  if ((m.a.size() + 1) <= compared_pairs_max / (m.b.size() + 1))
    by_table(m, out);
  else
    by_look_ahead(m, out);
  for (auto left = tail; left > 0; --left)
    out.push_back({step_kind::both, static_cast<std::uint32_t>(a.size() - left),
                   static_cast<std::uint32_t>(b.size() - left)});
  return out;
}

} // namespace custos::attestation
