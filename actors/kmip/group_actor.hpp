#pragma once
// The key servers of one provider behind one handle: healthy first, circuit breaker with half-open
// probes, one deadline a request, the next server when what failed is idempotent.

#include "actors/kmip/group_options.hpp"
#include "messages/interfaces.hpp"

#include <functional>

namespace custos::http {
class io_pool;
}

namespace custos::kmip {

/// Starts the group; no connection is opened before the first request. The io_pool must outlive the
/// actor system's actors. Stop it with an exit message: requests in hand then fail with
/// errc::cancelled. Errors of its answers:
///   unavailable      no server could be asked; retry_after_s says when it makes sense again
///   timeout          options.timeout passed
///   io_failure       the connection was lost after the request was sent
///   not_found        Item Not Found, on every server that answered
///   unsupported      version or operation the server does not have
///   kmip_failure     the server refused; `check` is "kmip-" and the Result Reason's name
///   malformed        the answer is not KMIP, or not the answer to what was asked
kmip_api spawn_kmip_group(caf::actor_system& system, http::io_pool& pool,
                          kmip_group_options options);

/// Makes one connection to the server of that index.
using connection_maker = std::function<kmip_api(caf::actor_system&, std::size_t server)>;

/// The same over given connections; of the options, servers, timeout and connections_per_server
/// count.
kmip_api spawn_kmip_group(caf::actor_system& system, kmip_group_options options,
                          connection_maker connect);

} // namespace custos::kmip
