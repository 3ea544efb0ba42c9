#pragma once
// The part of the log behind its base, in memory, and the memberships in it. Pure.

#include "cluster/raft/types.hpp"

#include <deque>
#include <optional>
#include <utility>

namespace custos::raft {

class log {
public:
  log(log_base base, std::vector<entry> entries);

  [[nodiscard]] const log_base& base() const { return base_; }
  [[nodiscard]] log_index last_index() const { return base_.index + entries_.size(); }
  [[nodiscard]] term_number last_term() const;
  /// Nothing before the base and behind the end.
  [[nodiscard]] std::optional<term_number> term_at(log_index index) const;
  /// base().index < index <= last_index()
  [[nodiscard]] const entry& at(log_index index) const;
  /// The last index up to `from` whose term is `term` or earlier; base().index at least. Where two
  /// logs differ, entries of later terms than the other's need not be tried.
  [[nodiscard]] log_index last_before(log_index from, term_number term) const;

  void append(entry e);
  /// Drops `index` and all behind it. index > base().index
  void truncate_from(log_index index);
  /// Entries up to `index` leave. base().index <= index <= last_index()
  void compact_to(log_index index);
  /// Everything before `base` is elsewhere, and nothing is behind it.
  void reset(log_base base);

  /// The latest membership, committed or not: it counts from when it is in the log [O 4.1].
  [[nodiscard]] const membership_ptr& members() const { return memberships_.back().second; }
  [[nodiscard]] log_index members_index() const { return memberships_.back().first; }
  /// What lies before the log if it began behind `index`. base().index <= index <= last_index()
  [[nodiscard]] log_base base_at(log_index index) const;

private:
  log_base base_;
  std::deque<entry> entries_;
  /// Where each came into force, the base's first.
  std::vector<std::pair<log_index, membership_ptr>> memberships_;
};

} // namespace custos::raft
