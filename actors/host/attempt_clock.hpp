#pragma once
// When the agent tries again. Timers stand still while a machine sleeps, and the wall clock may be
// set: so the agent sleeps in short slices, looks at the wall clock when it wakes, and does not
// wait for a time that has passed or that means something else now. Pure.

#include <cstdint>

namespace custos::host {

/// Longest sleep, and how far the wall clock may be off after it before it counts as a jump.
inline constexpr std::int64_t slice_s_max = 30;
inline constexpr std::int64_t clock_jump_s_min = 15;

class attempt_clock {
public:
  /// The next attempt is `after_s` from now.
  void plan(std::int64_t now, std::int64_t after_s);
  [[nodiscard]] std::int64_t due() const { return due_; }
  /// How long to sleep before the next look.
  [[nodiscard]] std::int64_t sleep(std::int64_t now);
  /// After that sleep. After a jump of the clock, either way, the attempt is due within `jitter`
  /// seconds: the machine was suspended, or token times were reckoned by another clock.
  [[nodiscard]] bool woke(std::int64_t now, std::uint8_t jitter);

private:
  std::int64_t due_ = 0;
  std::int64_t expected_ = 0; ///< the wall clock at the end of the sleep, if nothing happens
};

} // namespace custos::host
