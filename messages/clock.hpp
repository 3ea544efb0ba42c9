#pragma once
// Time comes in through this interface: only runtime/ reads the system's clock.

#include <cstdint>
#include <functional>

namespace custos {

/// Wall-clock seconds since 1970-01-01T00:00:00Z.
using clock_source = std::function<std::int64_t()>;

} // namespace custos
