#pragma once
// Which key server is asked next, and when one is left alone: the decisions of a group, without
// actor, clock or network. A server that fails failures_max times in a row is left alone for a
// while (circuit breaker); then one request, the probe, finds out whether it is back.

#include "messages/error.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace custos::kmip {

using time_point = std::chrono::steady_clock::time_point;

inline constexpr unsigned failures_max = 3;
inline constexpr std::chrono::seconds open_first{2};
inline constexpr std::chrono::seconds open_max{60};

/// What an answer says about the server that gave it.
enum class verdict : std::uint8_t {
  alive,   ///< it answered, if only to refuse
  failing, ///< away, silent, or not talking KMIP
  unknown, ///< nothing: a full queue of ours, a request that was taken back
};
verdict verdict_of(const error& e);

/// Whether another server should be asked after this error. `idempotent`: asking twice does no
/// harm; else only if the error says that nothing was done.
bool worth_another_server(const error& e, bool idempotent);

/// The one of two errors that tells more: what a server said before what a network did.
const error& more_telling(const error& a, const error& b);

class group_core {
public:
  struct target {
    std::size_t server = 0;
    std::size_t connection = 0;
    bool probe = false; ///< whether a server is back depends on it
  };

  group_core(std::size_t servers, std::size_t connections_per_server);

  /// A server not yet tried: healthy before failing, then the least loaded connection. Counts as
  /// load until `finished`. Servers left alone are only chosen, as a probe, if their time is up and
  /// nothing better is there.
  std::optional<target> choose(const std::vector<bool>& tried, time_point now);
  void finished(const target& t, verdict v, time_point now);

  /// A server whose time alone is up, to be probed; chosen for a connection of it.
  std::optional<target> choose_probe(time_point now);
  /// When choose_probe may find one.
  [[nodiscard]] std::optional<time_point> probe_at() const;
  /// When it makes sense to ask again if `choose` found nothing: whole seconds, at least 1.
  [[nodiscard]] std::uint32_t retry_after_s(time_point now) const;

private:
  struct server {
    unsigned failures = 0; ///< in a row
    unsigned openings = 0; ///< times in a row it was left alone
    bool open = false;
    bool probing = false;
    time_point open_until;
    std::vector<std::size_t> load; ///< requests on each connection
  };

  target take(std::size_t index, bool probe);

  std::vector<server> servers_;
};

} // namespace custos::kmip
