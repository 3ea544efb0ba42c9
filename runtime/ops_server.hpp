#pragma once
// The operators' loopback listener: /healthz (the process lives), /readyz (it can serve, with the
// configuration revision), /metrics. Plain HTTP; refuses to listen anywhere but on loopback.

#include "adapters/http/http.hpp"
#include "runtime/metrics.hpp"

#include <functional>
#include <memory>
#include <string>

namespace custos::runtime {

struct readiness {
  bool ready = false;
  /// JSON object members for the answer, in order: {"configuration_revision", "7"}.
  std::vector<std::pair<std::string, std::string>> details;
};

/// `listen` is "address:port" or "off" (then the result is empty).
result<std::unique_ptr<http::server>> start_ops_server(http::io_pool& pool,
                                                       const std::string& listen, const metrics& m,
                                                       std::function<readiness()> ready);

} // namespace custos::runtime
