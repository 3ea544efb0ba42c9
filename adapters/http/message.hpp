#pragma once
// For the .cpp files of this room only: between Beast's messages and ours; limits and forms that do
// not depend on a socket, so that they are tested and fuzzed without one.

#include "adapters/http/http.hpp"

#include <boost/beast/http.hpp>

namespace custos::http::internal {

namespace beast_http = boost::beast::http;
using beast_request = beast_http::request<beast_http::string_body>;
using beast_response = beast_http::response<beast_http::string_body>;
using request_parser = beast_http::request_parser<beast_http::string_body>;
using response_parser = beast_http::response_parser<beast_http::string_body>;

/// Longest request target, bytes.
inline constexpr std::size_t target_bytes_max = 8192;
inline constexpr std::size_t query_values_max = 64;

/// Sets the limits of the options on a fresh parser.
void limit(request_parser& parser, const server_options& options);

/// Our request; errors are answered as problem documents.
result<request> to_request(beast_request&& message);

/// A parser's failure as an error of ours.
error parse_failure(const boost::system::error_code& failed);

beast_response to_beast(response&& r, unsigned version, bool keep_alive, bool head);

/// Decodes and normalises a path: percent-decoding, no empty, "." or ".." segments, no encoded
/// slash, no control characters.
result<std::string> decode_path(std::string_view path);

} // namespace custos::http::internal
