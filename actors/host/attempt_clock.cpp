#include "actors/host/attempt_clock.hpp"

#include <algorithm>

namespace custos::host {

namespace {

/// Hosts that wake together do not come together.
constexpr std::int64_t spread_s = 10;

} // namespace

void attempt_clock::plan(std::int64_t now, std::int64_t after_s) {
  due_ = now + after_s;
}

std::int64_t attempt_clock::sleep(std::int64_t now) {
  const auto span = std::clamp<std::int64_t>(due_ - now, 0, slice_s_max);
  expected_ = now + span;
  return span;
}

bool attempt_clock::woke(std::int64_t now, std::uint8_t jitter) {
  if (now >= expected_ + clock_jump_s_min || now <= expected_ - clock_jump_s_min)
    due_ = std::min(due_, now + jitter % spread_s);
  return now >= due_;
}

} // namespace custos::host
