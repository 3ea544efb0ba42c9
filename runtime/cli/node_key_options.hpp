#pragma once
// Options about the node key, for the commands that work on the data directory of a stopped node.

#include "cluster/node_key.hpp"
#include "runtime/cli/session.hpp"

#include <memory>
#include <string>

namespace custos::cli {

/// As typed.
struct node_key_arguments {
  std::string source = "file";
  std::string pcrs;
  std::string passphrase_file;
  std::string tcti = cluster::node_key_access().tcti;
};

/// --tcti and --node-key-passphrase-file: what opening a data directory may need.
void add_node_key_access(CLI::App* command, node_key_arguments& a);
/// The same, and --node-key and --node-key-pcrs: how a new directory keeps its node key.
void add_node_key_choice(CLI::App* command, node_key_arguments& a);

/// Credentials are where systemd says: $CREDENTIALS_DIRECTORY.
cluster::node_key_access node_key_access_of(const node_key_arguments& a);
/// errc::invalid_argument names the option.
result<cluster::node_key_request> node_key_request_of(const node_key_arguments& a);
/// Says what a key in a file means.
void warn_of_key_file(const session& s, const cluster::node_key_choice& choice);

void add_node_key_commands(command_set& commands, CLI::App* group);

} // namespace custos::cli
