#pragma once
// What a node says of a provider's key servers, as JSON. Pure.

#include "messages/keys.hpp"

#include <string>

namespace custos::gateway {

/// {"provider", "health", "primary_key_state", "client_certificate", "servers": [...]}, and where
/// there is one "next_client_certificate": {"servers": [...]}, where there is something to tell
/// "rotation".
std::string encode_provider_report(const provider_status_report& report);

} // namespace custos::gateway
