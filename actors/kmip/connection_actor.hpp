#pragma once
// One KMIP connection to one key server as an actor: a shell around connection_core.

#include "actors/kmip/connection_core.hpp"
#include "adapters/tls/stream.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>

namespace custos::kmip {

/// kmip_api, and what the actor tells itself.
using connection_api = kmip_api::extend<caf::reacts_to<socket_event>, caf::reacts_to<tick>>;

/// Begins to connect. Tests put a stream of their own here; the real one is TLS.
using stream_factory = std::function<std::shared_ptr<tls::stream>(tls::stream_events)>;

kmip_api spawn_kmip_connection(caf::actor_system& system, connection_options options,
                               stream_factory connect);

} // namespace custos::kmip
