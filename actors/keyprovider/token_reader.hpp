#pragma once
// Step 1 of the gate with the Attestation Service's own tokens.

#include "actors/keyprovider/gate.hpp"
#include "adapters/jose/jose.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace custos::keyprovider {

/// The keys that tokens may be signed with at this time, those before included while their tokens
/// live. Called on the gate's thread; what it gives is good until it is called again.
using token_keys = std::function<std::span<const jose::trusted_key>(std::int64_t now)>;

/// Accepts tokens of this issuer for key operations (attestation::key_audience), and no others.
token_check tokens_of(std::string issuer, token_keys keys);

} // namespace custos::keyprovider
