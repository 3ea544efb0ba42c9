#pragma once
// The server's reading of one request, without a socket: for tests and the fuzzer.

#include "adapters/http/http.hpp"

namespace custos::http {

/// Parses exactly the path that a connection takes, with the same limits.
result<request> parse_request(byte_view raw, const server_options& limits);

} // namespace custos::http
