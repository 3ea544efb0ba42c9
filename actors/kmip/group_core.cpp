#include "actors/kmip/group_core.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace custos::kmip {

verdict verdict_of(const error& e) {
  switch (e.code) {
  case errc::unavailable:
  case errc::timeout:
  case errc::io_failure:
  case errc::malformed:
    return verdict::failing;
  case errc::overloaded:
  case errc::cancelled:
  case errc::invalid_argument:
  case errc::internal:
    return verdict::unknown;
  default:
    return verdict::alive;
  }
}

bool worth_another_server(const error& e, bool idempotent) {
  switch (e.code) {
  case errc::unavailable: // it was not sent
  case errc::overloaded:
  case errc::unsupported: // clones of a master refuse to create
    return true;
  case errc::timeout:
  case errc::io_failure:
  case errc::malformed:
  case errc::not_found: // a replica may lag
    return idempotent;
  case errc::kmip_failure:
    return (idempotent && e.retryable) || (!idempotent && e.check == "kmip-permission-denied");
  default:
    return false;
  }
}

const error& more_telling(const error& a, const error& b) {
  const auto rank = [](const error& e) {
    switch (verdict_of(e)) {
    case verdict::alive:
      return 2;
    case verdict::failing:
      return 1;
    case verdict::unknown:
      break;
    }
    return 0;
  };
  return rank(b) > rank(a) ? b : a;
}

group_core::group_core(std::size_t servers, std::size_t connections_per_server)
    : servers_(servers) {
  for (auto& s : servers_)
    s.load.assign(std::max<std::size_t>(connections_per_server, 1), 0);
}

group_core::target group_core::take(std::size_t index, bool probe) {
  server& s = servers_[index];
  const auto least = std::min_element(s.load.begin(), s.load.end());
  ++*least;
  s.probing = s.probing || probe;
  return {index, static_cast<std::size_t>(least - s.load.begin()), probe};
}

std::optional<group_core::target> group_core::choose(const std::vector<bool>& tried,
                                                     time_point now) {
  std::optional<std::size_t> best;
  const auto rank = [&](std::size_t i) {
    const server& s = servers_[i];
    return std::tuple(s.open, s.failures, std::accumulate(s.load.begin(), s.load.end(), 0UL));
  };
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const server& s = servers_[i];
    const bool may = !s.open || (now >= s.open_until && !s.probing);
    if (may && !tried[i] && (!best || rank(i) < rank(*best)))
      best = i;
  }
  if (!best)
    return std::nullopt;
  return take(*best, servers_[*best].open);
}

void group_core::finished(const target& t, verdict v, time_point now) {
  server& s = servers_[t.server];
  if (s.load[t.connection] > 0)
    --s.load[t.connection];
  if (t.probe)
    s.probing = false;
  if (v == verdict::alive) {
    s.failures = 0;
    s.openings = 0;
    s.open = false;
    return;
  }
  if (v == verdict::unknown)
    return;
  ++s.failures;
  // What was sent before the breaker opened and fails later is old news.
  if ((s.open && !t.probe) || (!s.open && s.failures < failures_max))
    return;
  constexpr unsigned doublings_max = 5;
  const auto alone = std::min(open_first * (1U << std::min(s.openings, doublings_max)), open_max);
  ++s.openings;
  s.open = true;
  s.open_until = now + alone;
}

std::optional<group_core::target> group_core::choose_probe(time_point now) {
  for (std::size_t i = 0; i < servers_.size(); ++i)
    if (servers_[i].open && !servers_[i].probing && now >= servers_[i].open_until)
      return take(i, true);
  return std::nullopt;
}

std::optional<time_point> group_core::probe_at() const {
  std::optional<time_point> at;
  for (const server& s : servers_)
    if (s.open && !s.probing)
      at = at ? std::min(*at, s.open_until) : s.open_until;
  return at;
}

std::uint32_t group_core::retry_after_s(time_point now) const {
  const auto at = probe_at();
  if (!at || *at <= now)
    return 1;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*at - now).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(seconds, 1));
}

} // namespace custos::kmip
