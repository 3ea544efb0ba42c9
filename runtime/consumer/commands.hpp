#pragma once
// custos-host get-key, put-key and exec (docs/host-keys.md). Each returns an exit code, having said
// on standard error what went wrong.

#include "runtime/consumer/agent_client.hpp"
#include "runtime/consumer/key_output.hpp"

#include <optional>
#include <string>
#include <vector>

namespace custos::runtime {

struct key_source {
  std::string provider;   ///< may be empty where a ciphertext names it
  std::string ciphertext; ///< file
  /// Bound to the key; nothing: what FILE.context holds.
  std::optional<std::string> context;
};

struct get_key_options {
  key_source from;
  bool create = false;        ///< where the ciphertext file is not there
  std::string ciphertext_out; ///< for a new key, without `from.ciphertext`
  unsigned key_bytes = 32;
  key_output to;
};
int get_key(const agent_address& agent, const get_key_options& o);

struct put_key_options {
  key_source to;
  std::string in = "-"; ///< file with the key, or - for standard input
  key_format format = key_format::raw;
};
int put_key(const agent_address& agent, const put_key_options& o);

struct exec_options {
  std::vector<std::string> keys; ///< "NAME=FILE"
  std::vector<std::string> command;
};
/// Does not return where the program could be started.
int exec_with_keys(const agent_address& agent, const exec_options& o);

/// The key of a ciphertext file, from the agent; the exit code where there is none.
std::optional<int> open_key(const agent_address& agent, const key_source& from,
                            crypto::secret_bytes& key);

/// Parsed "NAME=FILE": NAME is letters, digits and "_", at most 64. errc::invalid_argument.
struct named_file {
  std::string name;
  std::string file;
};
result<named_file> parse_named_file(const std::string& text);
/// `argument` with every "{NAME}" replaced by that name's path; other braces stay.
std::string with_paths(std::string argument, const std::vector<named_file>& paths);

} // namespace custos::runtime
