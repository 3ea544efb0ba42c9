#pragma once
// What is to happen when, in a clock of whole milliseconds. What happens in the same one happens in
// the order in which it was entered, so a history depends on nothing but its seed.

#include "cluster/raft/types.hpp"

#include <array>
#include <cassert>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

namespace custos::raft::simulation {

/// A ring of lists, one a millisecond: nearly everything happens within seconds. The rest waits in
/// a map; it was entered before whatever the ring has for its millisecond.
template <class Event>
class calendar {
public:
  [[nodiscard]] bool empty() const { return entered_ == 0; }

  /// Not before the last event that was taken.
  void enter(milliseconds at, Event e) {
    assert(at >= now_);
    ++entered_;
    if (at - now_ >= ring_ms)
      far_[at].push_back(std::move(e));
    else
      append(ring_[at % ring_ms], std::move(e));
  }

  /// The next event and its time. Not when empty.
  std::pair<milliseconds, Event> take() {
    assert(!empty());
    for (;; ++now_) {
      if (!far_.empty() && far_.begin()->first == now_)
        bring_near();
      if (ring_[now_ % ring_ms].first != none)
        break;
    }
    auto& day = ring_[now_ % ring_ms];
    const auto at = day.first;
    day.first = slots_[at].next;
    if (day.first == none)
      day.last = none;
    slots_[at].next = std::exchange(free_, at);
    --entered_;
    return {now_, std::exchange(slots_[at].what, Event())};
  }

private:
  static constexpr milliseconds ring_ms = 4096;
  static constexpr auto none = std::numeric_limits<std::uint32_t>::max();
  struct list {
    std::uint32_t first = none;
    std::uint32_t last = none;
  };
  struct slot {
    Event what;
    std::uint32_t next = none;
  };

  void append(list& day, Event e) {
    auto at = free_;
    if (at == none) {
      at = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      free_ = slots_[at].next;
    }
    slots_[at].what = std::move(e);
    slots_[at].next = none;
    if (day.first == none)
      day.first = at;
    else
      slots_[day.last].next = at;
    day.last = at;
  }

  void bring_near() {
    const auto later = std::exchange(ring_[now_ % ring_ms], list());
    auto& day = ring_[now_ % ring_ms];
    for (auto& e : far_.begin()->second)
      append(day, std::move(e));
    far_.erase(far_.begin());
    if (later.first == none)
      return;
    slots_[day.last].next = later.first;
    day.last = later.last;
  }

  milliseconds now_ = 0;
  std::size_t entered_ = 0;
  std::array<list, ring_ms> ring_;
  std::vector<slot> slots_;
  std::uint32_t free_ = none;
  std::map<milliseconds, std::vector<Event>> far_;
};

} // namespace custos::raft::simulation
