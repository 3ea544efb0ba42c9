#pragma once
// Options of `provider create` and `provider set` that say how a provider is used: who may, how
// often, how long keys stay in memory, when they change.

#include "messages/error.hpp"

#include <boost/json/fwd.hpp>
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace custos::cli {

struct provider_policy {
  std::string mode;
  std::vector<std::string> images, hosts, host_patterns; ///< {"none"}: the list is emptied
  std::vector<std::string> claims;                       ///< NAME=VALUE; {"none"}: all are dropped
  /// Numbers, or "default".
  std::string calls_per_second, burst, cache_s, grace_s;
  std::string rotation_days; ///< a number; 0: never

  void add_to(CLI::App* command);
  /// The member "custos" of a specification; `present` is that of the provider as it is, what is
  /// not said stays. Empty: nothing was said. errc::invalid_argument names the flag.
  [[nodiscard]] result<boost::json::object> extension(const boost::json::object& present) const;
  /// Whether any of it would be a change.
  [[nodiscard]] bool given() const;
};

} // namespace custos::cli
