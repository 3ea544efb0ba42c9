#pragma once
// Who is behind a client certificate, and what they may do. Pure.

#include "actors/gateway/router.hpp"
#include "adapters/crypto/x509.hpp"
#include "messages/config.hpp"

#include <vector>

namespace custos::gateway {

/// The principal whose certificate this is: issued by one of the anchors for client authentication,
/// valid now, CN a configured principal. Errors: errc::unauthenticated without a certificate,
/// errc::forbidden (field "client certificate") otherwise.
result<principal> principal_of(const crypto::certificate& peer,
                               const std::vector<crypto::certificate>& anchors,
                               const config_snapshot& config, crypto::unix_seconds now);

/// Whether a role is enough for a route.
bool may(role r, access needed);

} // namespace custos::gateway
