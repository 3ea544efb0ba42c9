#include "adapters/http/message.hpp"

#include "adapters/http/request_parser.hpp"

#include <boost/asio/buffer.hpp>

namespace custos::http {

namespace internal {

namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/// Percent-decoding (RFC 3986, 2.1); '+' as a space only in queries.
result<std::string> decode(std::string_view text, bool plus_is_space, std::string_view field) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || digit_of(text[i + 1]) < 0 || digit_of(text[i + 2]) < 0)
        return field_error(errc::malformed, std::string(field),
                           "expected two hexadecimal digits behind %");
      c = static_cast<char>(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2]));
      i += 2;
      if (c == '/')
        return field_error(errc::malformed, std::string(field), "expected no encoded slash");
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return field_error(errc::malformed, std::string(field), "expected no control characters");
    out.push_back(c);
  }
  return out;
}

result<void> read_query(std::string_view text, request& out) {
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (pair.empty())
      continue;
    const auto equals = pair.find('=');
    CUSTOS_TRY(auto name, decode(pair.substr(0, equals), true, "query"));
    CUSTOS_TRY(auto value, decode(equals == std::string_view::npos ? "" : pair.substr(equals + 1),
                                  true, "query"));
    if (out.query.size() == query_values_max)
      return field_error(errc::too_large, "query", "expected at most 64 parameters");
    if (!out.query.emplace(std::move(name), std::move(value)).second)
      return field_error(errc::malformed, "query", "expected each parameter once");
  }
  return {};
}

} // namespace

result<std::string> decode_path(std::string_view path) {
  if (path.empty() || path.front() != '/')
    return field_error(errc::malformed, "path", "expected a path that starts with /");
  CUSTOS_TRY(auto decoded, decode(path, false, "path"));
  std::string_view rest(decoded);
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const auto end = rest.find('/');
    const auto segment = rest.substr(0, end);
    if (segment == "." || segment == ".." || (segment.empty() && end != std::string_view::npos))
      return field_error(errc::malformed, "path", "expected no empty, . or .. segments");
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
  }
  return decoded;
}

void limit(request_parser& parser, const server_options& options) {
  parser.header_limit(static_cast<std::uint32_t>(options.header_bytes_max));
  parser.body_limit(options.body_bytes_max);
}

result<request> to_request(beast_request&& message) {
  request out;
  const auto method = message.method_string();
  out.method.assign(method.data(), method.size());
  const auto target_text = message.target();
  const std::string_view target(target_text.data(), target_text.size());
  if (target.size() > target_bytes_max)
    return field_error(errc::too_large, "path", "expected at most 8192 bytes");
  const auto mark = target.find('?');
  CUSTOS_TRY(out.path, decode_path(target.substr(0, mark)));
  if (mark != std::string_view::npos)
    CUSTOS_CHECK(read_query(target.substr(mark + 1), out));
  for (const auto& field : message)
    out.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  out.body = std::move(message.body());
  return out;
}

error parse_failure(const boost::system::error_code& failed) {
  if (failed == beast_http::error::body_limit)
    return field_error(errc::too_large, "body", "the body is larger than the limit");
  if (failed == beast_http::error::header_limit)
    return field_error(errc::too_large, "headers", "the header fields are larger than the limit");
  return make_error(errc::malformed, "expected an HTTP/1.1 request: " + failed.message());
}

beast_response to_beast(response&& r, unsigned version, bool keep_alive, bool head) {
  beast_response out(static_cast<beast_http::status>(r.status), version);
  if (!r.content_type.empty() && !(r.body.empty() && r.status == 204))
    out.set(beast_http::field::content_type, r.content_type);
  out.set(beast_http::field::cache_control, "no-store");
  for (const auto& h : r.headers)
    out.set(h.name, h.value);
  const auto size = r.body.size();
  if (!head)
    out.body() = std::move(r.body);
  out.keep_alive(keep_alive);
  if (head)
    out.content_length(size);
  else
    out.prepare_payload();
  return out;
}

} // namespace internal

result<request> parse_request(byte_view raw, const server_options& limits) {
  internal::request_parser parser;
  parser.eager(true);
  internal::limit(parser, limits);
  boost::system::error_code failed;
  std::size_t used = 0;
  while (used < raw.size() && !parser.is_done()) {
    const auto n = parser.put(boost::asio::buffer(raw.data() + used, raw.size() - used), failed);
    if (failed && failed != boost::beast::http::error::need_more)
      return internal::parse_failure(failed);
    if (n == 0)
      break;
    used += n;
  }
  if (!parser.is_done())
    return make_error(errc::malformed, "expected a complete HTTP/1.1 request");
  return internal::to_request(parser.release());
}

} // namespace custos::http
