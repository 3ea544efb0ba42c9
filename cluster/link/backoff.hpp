#pragma once
// How long to wait before the next try. Pure; randomness comes in.

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace custos::cluster::link {

/// Doubles from `least` to `most`. Each wait is between half of that and all of it, so that nodes
/// which lost each other at the same moment do not dial at the same moment.
class backoff {
public:
  using milliseconds = std::chrono::milliseconds;
  backoff(milliseconds least, milliseconds most) : least_(least), most_(most), next_(least) {}

  milliseconds next(std::uint32_t random) {
    const auto whole = next_.count();
    next_ = std::min(next_ * 2, most_);
    const auto half = whole / 2;
    return milliseconds(half + static_cast<std::int64_t>(random) % (whole - half + 1));
  }
  void reset() { next_ = least_; }

private:
  milliseconds least_;
  milliseconds most_;
  milliseconds next_;
};

} // namespace custos::cluster::link
