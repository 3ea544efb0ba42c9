#pragma once
// The transport key: the host's client certificate carries it, tokens are bound to it, keys come
// encrypted to it. It lives in memory only: whoever restarts attests again. Pure.

#include "adapters/http/http.hpp"
#include "messages/host.hpp"

#include <string>

namespace custos::host {

/// A fresh key and a certificate of its own signature; nodes look at the key alone.
result<http::tls_identity> make_transport_identity(const host_id& host, std::int64_t now);

/// The key in a node's answer to generate or decrypt.
result<key_ready> open_released(const crypto::key& transport, std::string_view body);

} // namespace custos::host
