#pragma once
// Step 4 of the gate: whether a provider's access rule lets a host pass. Pure.

#include "actors/keyprovider/gate.hpp"
#include "messages/config.hpp"

#include <string_view>

namespace custos::keyprovider {

/// '*' stands for any characters, also none; everything else for itself. Linear in text times
/// pattern at most.
bool matches_pattern(std::string_view text, std::string_view pattern);

/// Every part of the rule that is not empty must have the host: images, hosts (by id or pattern),
/// each claim.
bool lets_pass(const access_rule& rule, const token_facts& facts);

} // namespace custos::keyprovider
