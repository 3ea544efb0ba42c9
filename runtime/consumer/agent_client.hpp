#pragma once
// Commands of local consumers: they ask the running agent over its socket and end. Thread rule: one
// thread, blocking.

#include "adapters/crypto/secret_bytes.hpp"
#include "adapters/json/json.hpp"
#include "messages/error.hpp"

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>

namespace custos::runtime {

/// Locked memory that does not get into a core dump, for a command that handles keys; says so on
/// standard error where it cannot be locked.
void prepare_for_keys();

/// Prints what went wrong, and gives the exit code that fits.
int complain(const error& e);

/// Where the agent is, and how long it may be away, or the host not attested, before that counts.
struct agent_address {
  std::string socket;
  unsigned wait_s = 0;
};

/// One question to the agent. A refusal is printed, and its exit code returned; nothing means that
/// `answer` is there.
std::optional<int> ask_agent(const agent_address& where, const crypto::secret_bytes& question,
                             std::optional<json::object>& answer);
std::optional<int> ask_agent(const agent_address& where, const boost::json::object& question,
                             std::optional<json::object>& answer);

/// Prints the agent's answer to `op`; exit 0 if `good` of it.
int print_answer(const std::string& socket, const char* op, bool (*good)(json::object& answer));

/// The member "key" of an answer.
result<crypto::secret_bytes> key_of(json::object& answer);

} // namespace custos::runtime
