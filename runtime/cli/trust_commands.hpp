#pragma once
// Between the parts of `custos trust`; nobody else includes this.

#include "runtime/cli/session.hpp"

#include <string>

namespace custos::cli {

/// Of our own routes beside the contract's, up to ".../attestation/".
result<std::string> own_trust_path(session& s);

void add_denial_commands(command_set& commands, CLI::App* group);
/// `custos trust settings`.
void add_settings_command(command_set& commands, CLI::App* group);

/// Of the contract's routes, up to ".../attestation/tpm2/".
result<std::string> tpm2_path(session& s);

} // namespace custos::cli
