#pragma once
// Collects what the key servers of one provider present, for one call.

#include "messages/config.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace custos::keyprovider {

/// Reads what a key server presents, without trusting it; `done` is called once, on any thread.
using peer_certificates_reader =
    std::function<void(const key_server&, std::function<void(result<std::string> chain_pem)> done)>;

using peer_collector_api =
    caf::typed_actor<caf::replies_to<get_peer_certificates>::with<std::vector<peer_certificate>>,
                     /// From the reader's callbacks.
                     caf::reacts_to<peer_certificate>, caf::reacts_to<tick>>;

/// Answers its first call with one entry a server, in their order, and ends: when all have been
/// read, or after `budget` with errors for those that have not.
peer_collector_api spawn_peer_collector(caf::actor_system& system, std::vector<key_server> servers,
                                        peer_certificates_reader read, std::chrono::seconds budget);

} // namespace custos::keyprovider
