#include "cluster/raft/log.hpp"

#include <cassert>

namespace custos::raft {

log::log(log_base base, std::vector<entry> entries) {
  reset(std::move(base));
  for (auto& e : entries)
    append(std::move(e));
}

term_number log::last_term() const {
  return entries_.empty() ? base_.term : entries_.back().term;
}

std::optional<term_number> log::term_at(log_index index) const {
  if (index == base_.index)
    return base_.term;
  if (index < base_.index || index > last_index())
    return std::nullopt;
  return at(index).term;
}

const entry& log::at(log_index index) const {
  assert(index > base_.index && index <= last_index());
  return entries_[index - base_.index - 1];
}

log_index log::last_before(log_index from, term_number term) const {
  auto index = std::min(from, last_index());
  while (index > base_.index && at(index).term > term)
    --index;
  return std::max(index, base_.index);
}

void log::append(entry e) {
  if (e.kind == entry_kind::members)
    memberships_.emplace_back(last_index() + 1, e.members);
  entries_.push_back(std::move(e));
}

void log::truncate_from(log_index index) {
  assert(index > base_.index);
  if (index > last_index())
    return;
  entries_.resize(index - base_.index - 1);
  while (memberships_.back().first >= index)
    memberships_.pop_back();
}

void log::compact_to(log_index index) {
  assert(index >= base_.index && index <= last_index());
  auto base = base_at(index);
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<long>(index - base_.index));
  base_ = std::move(base);
  while (memberships_.size() > 1 && memberships_[1].first <= index)
    memberships_.erase(memberships_.begin());
}

void log::reset(log_base base) {
  base_ = std::move(base);
  entries_.clear();
  memberships_.assign(1, {base_.members_index, base_.members});
}

log_base log::base_at(log_index index) const {
  assert(index >= base_.index && index <= last_index());
  auto in_force = memberships_.begin();
  while (in_force + 1 != memberships_.end() && (in_force + 1)->first <= index)
    ++in_force;
  return {index, *term_at(index), in_force->second, in_force->first};
}

} // namespace custos::raft
