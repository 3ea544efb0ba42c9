#pragma once
// The operations of the socket for local consumers (docs/host-keys.md): what is in a line, and what
// is answered. Thread rule: `answer` may be called from any thread; answers come from the bridge's.

#include "adapters/json/json.hpp"
#include "messages/interfaces.hpp"
#include "runtime/bridge.hpp"
#include "runtime/local_socket.hpp"

#include <boost/json/object.hpp>
#include <functional>
#include <string_view>

namespace custos::runtime {

/// Longest the agent takes for a key, and for an attestation.
inline constexpr std::chrono::milliseconds agent_budget{30000};
inline constexpr std::chrono::milliseconds attest_budget{90000};

class local_api {
public:
  local_api(bridge& calls, host_agent_api agent, host_keys_api keys)
      : calls_(calls), agent_(std::move(agent)), keys_(std::move(keys)) {}

  void answer(std::string_view line, unsigned uid, const local_responder& respond);
  /// Status of the agent with that of the rewrap, as managers get it, too.
  void status(bool attest_first, std::function<void(result<boost::json::object>)> finish);

private:
  void release(json::object& o, const std::string& op, unsigned uid,
               const local_responder& respond);
  void encrypt(json::object& o, unsigned uid, const local_responder& respond);
  void rewrap(const local_responder& respond);

  bridge& calls_;
  host_agent_api agent_;
  host_keys_api keys_;
};

/// The line {"key":...,"ciphertext":...} (without an empty ciphertext); leaves no copy of the key.
crypto::secret_bytes key_line(const crypto::secret_bytes& key, byte_view ciphertext);

} // namespace custos::runtime
