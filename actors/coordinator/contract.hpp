#pragma once
// The wire conventions of the vcenter/trusted-infrastructure contract: error structures, tasks,
// small shared structures. Pure.

#include "adapters/http/http.hpp"
#include "messages/error.hpp"

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::coordinator {

/// The contract's error structure: {"error_type", "messages":[{"id","default_message","args"}]}
/// with its HTTP status.
http::response contract_error(const error& e);
/// What contract_error() wrote, back as an error, for clients. The field is part of the message.
error error_of_contract(const http::response& r);
/// "ALREADY_EXISTS", "INVALID_ARGUMENT", "NOT_FOUND", ...
std::string_view error_type_of(errc code);

/// What became of a call at one node or host.
struct target_outcome {
  std::string target; ///< id of the node or host
  bool ok = false;
  unsigned status = 0; ///< HTTP status; 0 when there was no answer
  std::string body;    ///< the answer
  std::string message; ///< why not, for people
};
using target_outcomes = std::vector<target_outcome>;

/// One error for a fan-out of which not every part succeeded; empty when all did. The first refusal
/// decides kind and field, before targets that did not answer; the message names every target that
/// failed.
std::optional<error> failure_of(const target_outcomes& outcomes);

enum class task_state : std::uint8_t { pending, running, succeeded, failed };
std::string_view to_string(task_state s);

struct task {
  std::string id;
  std::string operation; ///< "ti.tac.kms:Providers.create"
  std::string cluster;
  std::string user;
  task_state state = task_state::pending;
  std::int64_t started = 0;  ///< unix seconds
  std::int64_t finished = 0; ///< unix seconds, 0 while running
  std::string result;        ///< JSON of the result
  std::optional<error> failure;
  target_outcomes targets; ///< ours, in addition: a result per host
};
/// As GET /api/cis/tasks/{id} answers, with "custos_targets" in addition.
boost::json::object task_json(const task& t);

/// "2026-01-02T03:04:05Z" (RFC 3339).
std::string timestamp(std::int64_t unix_seconds);

} // namespace custos::coordinator
