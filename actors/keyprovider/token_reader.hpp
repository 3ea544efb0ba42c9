#pragma once
// Step 1 of the gate with the Attestation Service's own tokens.

#include "actors/keyprovider/gate.hpp"
#include "adapters/jose/jose.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace custos::keyprovider {

/// The keys tokens are signed with at present, the one before included while its tokens live.
/// Called on the gate's thread; never null.
using token_keys = std::function<std::shared_ptr<const std::vector<jose::trusted_key>>()>;

/// Accepts tokens of this issuer for key operations (attestation::key_audience), and no others.
token_check tokens_of(std::string issuer, token_keys keys);

} // namespace custos::keyprovider
