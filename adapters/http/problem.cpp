#include "adapters/http/http.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <charconv>
#include <strings.h>

namespace custos::http {

namespace {

constexpr std::string_view error_prefix = "urn:custos:error:";
constexpr std::string_view check_prefix = "urn:custos:check:";
constexpr std::size_t problem_bytes_max = 65536;

/// For answers that are no problem documents of ours: of proxies, of other servers.
errc errc_of_status(unsigned status) {
  switch (status) {
  case 400:
    return errc::invalid_argument;
  case 401:
    return errc::unauthenticated;
  case 403:
    return errc::forbidden;
  case 404:
    return errc::not_found;
  case 405:
    return errc::method_not_allowed;
  case 408:
    return errc::timeout;
  case 409:
    return errc::already_exists;
  case 412:
    return errc::revision_conflict;
  case 413:
    return errc::too_large;
  case 415:
    return errc::unsupported_media_type;
  case 422:
    return errc::unsupported;
  case 429:
    return errc::rate_limited;
  case 502:
    return errc::io_failure;
  case 503:
    return errc::unavailable;
  case 504:
    return errc::timeout;
  default:
    return errc::internal;
  }
}

std::optional<errc> errc_named(std::string_view name) {
  for (unsigned i = 1; i <= static_cast<unsigned>(errc::internal); ++i)
    if (to_string(static_cast<errc>(i)) == name)
      return static_cast<errc>(i);
  return std::nullopt;
}

std::string text_member(const boost::json::object& o, std::string_view name) {
  const auto* const v = o.if_contains(name);
  const auto* const s = v == nullptr ? nullptr : v->if_string();
  return s == nullptr ? std::string() : std::string(*s);
}

std::optional<std::uint32_t> number_member(const boost::json::object& o, std::string_view name) {
  const auto* const v = o.if_contains(name);
  const auto* const n = v == nullptr ? nullptr : v->if_int64();
  if (n == nullptr || *n < 0 || *n > 0xFFFFFFFFLL)
    return std::nullopt;
  return static_cast<std::uint32_t>(*n);
}

} // namespace

std::string_view request::header_value(std::string_view name) const {
  for (const auto& h : headers)
    if (h.name.size() == name.size() && strncasecmp(h.name.data(), name.data(), name.size()) == 0)
      return h.value;
  return {};
}

response problem(const error& e) {
  boost::json::object body;
  body["type"] = e.check.empty() ? std::string(error_prefix) + std::string(to_string(e.code))
                                 : std::string(check_prefix) + e.check;
  body["title"] = title_of(e.code);
  body["status"] = http_status_of(e.code);
  body["detail"] = e.message;
  body["code"] = to_string(e.code);
  if (!e.field.empty())
    body["field"] = e.field;
  if (e.pcr)
    body["pcr"] = *e.pcr;
  if (e.event)
    body["event"] = *e.event;
  if (e.retryable)
    body["retryable"] = true;
  response r;
  r.status = http_status_of(e.code);
  r.content_type = "application/problem+json";
  r.body = boost::json::serialize(body);
  if (e.retry_after_s)
    r.headers.push_back({"Retry-After", std::to_string(*e.retry_after_s)});
  else if (r.status == 503)
    r.headers.push_back({"Retry-After", "1"});
  return r;
}

error error_of(const response& r) {
  error e = make_error(errc_of_status(r.status),
                       "the service answered with HTTP status " + std::to_string(r.status));
  const auto parsed = json::parse_any(r.body, problem_bytes_max);
  if (parsed && parsed->is_object()) {
    const auto& o = parsed->get_object();
    if (const auto named = errc_named(text_member(o, "code")))
      e.code = *named;
    if (auto detail = text_member(o, "detail"); !detail.empty())
      e.message = std::move(detail);
    e.field = text_member(o, "field");
    const auto type = text_member(o, "type");
    if (type.rfind(check_prefix, 0) == 0)
      e.check = type.substr(check_prefix.size());
    e.pcr = number_member(o, "pcr");
    e.event = number_member(o, "event");
    const auto* const retryable = o.if_contains("retryable");
    e.retryable = retryable != nullptr && retryable->is_bool() && retryable->get_bool();
  }
  for (const auto& h : r.headers) {
    std::uint32_t seconds = 0;
    if (h.name.size() == 11 && strcasecmp(h.name.c_str(), "Retry-After") == 0 &&
        std::from_chars(h.value.data(), h.value.data() + h.value.size(), seconds).ec == std::errc{})
      e.retry_after_s = seconds;
  }
  return e;
}

result<url> parse_url(std::string_view text) {
  const auto bad = [&](const char* what) {
    return field_error(errc::invalid_argument, "url",
                       std::string("expected https://host[:port][/path]: ") + what);
  };
  url out;
  const auto scheme = text.find("://");
  if (scheme == std::string_view::npos)
    return bad("there is no scheme");
  out.scheme = text.substr(0, scheme);
  text.remove_prefix(scheme + 3);
  if (out.scheme != "https" && out.scheme != "http")
    return bad("the scheme is another one");
  out.port = out.scheme == "https" ? 443 : 80;
  const auto slash = text.find('/');
  auto authority = text.substr(0, slash);
  out.path = slash == std::string_view::npos ? "/" : std::string(text.substr(slash));
  for (const char c : out.path)
    if (c <= ' ' || c == '\x7f' || c == '#')
      return bad("the path has a character that must be encoded");
  auto colon = authority.rfind(':');
  if (!authority.empty() && authority.front() == '[') {
    const auto end = authority.find(']');
    if (end == std::string_view::npos)
      return bad("the IPv6 address is not closed");
    out.host = authority.substr(1, end - 1);
    colon =
        end + 1 < authority.size() && authority[end + 1] == ':' ? end + 1 : std::string_view::npos;
  } else {
    out.host = authority.substr(0, colon);
  }
  if (colon != std::string_view::npos) {
    const auto digits = authority.substr(colon + 1);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || out.port == 0)
      return bad("the port is no number from 1 to 65535");
  }
  if (out.host.empty() || out.host.size() > 253)
    return bad("there is no host");
  for (const char c : out.host)
    if (c <= ' ' || c == '@' || c == '\x7f')
      return bad("the host has a character that is not allowed");
  if (out.scheme == "http" && out.host != "127.0.0.1" && out.host != "localhost" &&
      out.host != "::1")
    return bad("plain HTTP is for loopback only");
  return out;
}

} // namespace custos::http
