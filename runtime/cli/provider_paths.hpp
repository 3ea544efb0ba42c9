#pragma once
// Where the coordinator has key providers, for the commands about them.

#include "runtime/cli/session.hpp"

namespace custos::cli {

/// ".../kms/providers" of the cluster, in the contract and of our own.
result<std::string> contract_providers(session& s);
result<std::string> own_providers(session& s);

/// rotate, retire, confirm-backup.
void add_primary_key_commands(command_set& commands, CLI::App* group);
/// client-certificate, csr, trust-server, password.
void add_provider_trust_commands(command_set& commands, CLI::App* group);

} // namespace custos::cli
