#pragma once
// From method and path to a handler; deny by default: what no route names is 404, and every route
// says who may call it. Pure and immutable after set-up, so any thread may use it.

#include "adapters/http/http.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace custos::gateway {

/// Who may call a route.
enum class access : std::uint8_t {
  open,          ///< judged further inside: by evidence, by token, by one-time secret
  auditor,       ///< auditors and administrators
  administrator, ///< administrators
};

std::string_view to_string(access a);

using path_values = std::map<std::string, std::string, std::less<>>;

/// A request that has been routed and authorised.
struct routed_request {
  http::request request;
  path_values path;      ///< values of the {names} of the pattern
  std::string principal; ///< who it is: CN of the certificate; "anonymous" on open routes
};

using route_handler = std::function<void(routed_request&&, const http::responder&)>;

struct route {
  std::string method;
  std::string pattern; ///< "/keys/v1/providers/{provider}/generate"
  access who = access::administrator;
  std::string summary; ///< one sentence, for the OpenAPI document
  route_handler handle;
  bool linearizable = false; ///< sees all that was acknowledged, unless the caller says "local"
};

class router {
public:
  void add(route r);

  struct match {
    const route* found = nullptr;
    path_values path;
    std::vector<std::string> allowed; ///< each method of the path once, when only it is wrong
  };
  [[nodiscard]] match find(std::string_view method, std::string_view path) const;

  /// OpenAPI 3.1 document of all routes, JSON.
  [[nodiscard]] std::string openapi(std::string_view title) const;
  [[nodiscard]] const std::vector<route>& routes() const { return routes_; }

private:
  std::vector<route> routes_;
};

} // namespace custos::gateway
