#include "actors/coordinator/contract.hpp"

#include "adapters/json/json.hpp"

#include <array>
#include <boost/json.hpp>
#include <ctime>

namespace custos::coordinator {

namespace bj = boost::json;

namespace {

struct kind {
  std::string_view type;
  unsigned status;
};

/// HTTP status of each standard error of the contract (design: coordinator, contract).
kind kind_of(errc code) {
  switch (code) {
  case errc::already_exists:
    return {"ALREADY_EXISTS", 400};
  case errc::invalid_argument:
  case errc::malformed:
  case errc::too_large:
  case errc::unsupported_media_type:
    return {"INVALID_ARGUMENT", 400};
  case errc::unsupported:
    return {"UNSUPPORTED", 400};
  case errc::unauthenticated:
  case errc::token_invalid:
    return {"UNAUTHENTICATED", 401};
  case errc::forbidden:
    return {"UNAUTHORIZED", 403};
  case errc::not_found:
  case errc::method_not_allowed:
    return {"NOT_FOUND", 404};
  case errc::revision_conflict:
    return {"RESOURCE_BUSY", 500};
  case errc::unavailable:
  case errc::overloaded:
  case errc::rate_limited:
  case errc::cancelled:
    return {"SERVICE_UNAVAILABLE", 503};
  case errc::timeout:
    return {"TIMED_OUT", 504};
  case errc::io_failure:
  case errc::tpm_failure:
  case errc::kmip_failure:
    return {"RESOURCE_INACCESSIBLE", 500};
  default:
    return {"ERROR", 500};
  }
}

constexpr std::size_t error_bytes_max = 65536;
constexpr std::string_view error_id_prefix = "com.custos.";

std::string text_of(const bj::object& o, std::string_view name) {
  const auto* const v = o.if_contains(name);
  return v == nullptr || !v->is_string() ? std::string() : std::string(v->get_string());
}

bj::object error_json(const error& e) {
  const std::string text = e.field.empty() ? e.message : e.field + ": " + e.message;
  bj::object message{{"id", std::string(error_id_prefix) + std::string(to_string(e.code))},
                     {"default_message", text},
                     {"args", e.field.empty() ? bj::array{} : bj::array{bj::value(e.field)}}};
  return {{"error_type", kind_of(e.code).type}, {"messages", bj::array{std::move(message)}}};
}

} // namespace

std::string_view error_type_of(errc code) {
  return kind_of(code).type;
}

http::response contract_error(const error& e) {
  http::response r;
  r.status = kind_of(e.code).status;
  r.body = bj::serialize(error_json(e));
  if (e.retry_after_s)
    r.headers.push_back({"Retry-After", std::to_string(*e.retry_after_s)});
  return r;
}

error error_of_contract(const http::response& r) {
  auto out = make_error(errc::internal, "HTTP status " + std::to_string(r.status));
  const auto parsed = json::parse_any(r.body, error_bytes_max);
  const auto* const root = parsed ? parsed->if_object() : nullptr;
  const auto* const list = root == nullptr ? nullptr : root->if_contains("messages");
  if (list == nullptr || !list->is_array() || list->get_array().empty() ||
      !list->get_array()[0].is_object())
    return out;
  const auto& message = list->get_array()[0].get_object();
  out.message = text_of(message, "default_message");
  const auto id = text_of(message, "id");
  for (unsigned i = 1; i <= static_cast<unsigned>(errc::internal); ++i)
    if (id == std::string(error_id_prefix) + std::string(to_string(static_cast<errc>(i))))
      out.code = static_cast<errc>(i);
  return out;
}

std::optional<error> failure_of(const target_outcomes& outcomes) {
  std::optional<error> refusal;
  std::optional<error> silence;
  std::string names;
  for (const auto& o : outcomes) {
    if (o.ok)
      continue;
    if (o.status == 0) {
      if (!silence)
        silence = make_error(errc::unavailable, o.message);
    } else if (!refusal) {
      http::response answer;
      answer.status = o.status;
      answer.body = o.body;
      refusal = http::error_of(answer);
    }
    names.append(names.empty() ? "" : "; ").append(o.target).append(": ").append(o.message);
  }
  // What a target has against the call says more than that another one is away.
  auto first = refusal ? std::move(refusal) : std::move(silence);
  if (first)
    first->message = names;
  return first;
}

std::string_view to_string(task_state s) {
  switch (s) {
  case task_state::pending:
    return "PENDING";
  case task_state::running:
    return "RUNNING";
  case task_state::succeeded:
    return "SUCCEEDED";
  case task_state::failed:
    return "FAILED";
  }
  return "FAILED";
}

std::string timestamp(std::int64_t unix_seconds) {
  const std::time_t t = unix_seconds;
  std::tm parts{};
  gmtime_r(&t, &parts);
  std::array<char, 32> text{};
  const auto n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), n};
}

bj::object task_json(const task& t) {
  bj::object out;
  out["description"] =
      bj::object{{"id", t.operation}, {"default_message", t.operation}, {"args", bj::array{}}};
  out["service"] = t.operation.substr(0, t.operation.rfind('.'));
  out["operation"] = t.operation.substr(t.operation.rfind('.') + 1);
  out["status"] = to_string(t.state);
  out["cancelable"] = false;
  out["user"] = t.user;
  out["target"] = bj::object{{"type", "ClusterComputeResource"}, {"id", t.cluster}};
  out["start_time"] = timestamp(t.started);
  if (t.finished != 0)
    out["end_time"] = timestamp(t.finished);
  if (t.failure)
    out["error"] = error_json(*t.failure);
  boost::system::error_code failed;
  if (t.state == task_state::succeeded && !t.result.empty())
    out["result"] = bj::parse(t.result, failed);
  bj::array targets;
  for (const auto& o : t.targets)
    targets.push_back(bj::object{
        {"target", o.target}, {"ok", o.ok}, {"status", o.status}, {"message", o.message}});
  out["custos_targets"] = std::move(targets);
  return out;
}

} // namespace custos::coordinator
