#pragma once
// Whose a JWE is, for whoever has several keys.

#include "messages/error.hpp"

#include <string>
#include <string_view>

namespace custos::jose {

/// The `kid` of a JWE's protected header, nothing else of which is judged; empty if it names none.
/// errc::token_invalid: jwe-size, jwe-form, jwe-header, jwe-critical, jwe-embedded-key.
result<std::string> key_id_of_jwe(std::string_view jwe);

} // namespace custos::jose
