#pragma once
// Small messages of the process itself.

#include "adapters/crypto/wiped_bytes.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace caf {
class event_based_actor;
}

namespace custos {

/// Asks a verifier for a fresh challenge.
struct make_challenge {};

/// One line of the audit log: who did what to what, and how it ended. Never holds a secret.
struct audit_record {
  std::string actor;   ///< principal, host id, or "anonymous"
  std::string remote;  ///< address:port
  std::string action;  ///< "key.generate", "config.put", "attest.token" ...
  std::string object;  ///< what it was done to
  std::string outcome; ///< "ok", or the error's name
  std::string detail;  ///< reason, check, message
};

/// The same, answered only when the record is on disk: for what may not happen unaudited.
struct audit_append {
  audit_record record;
};
struct audit_appended {
  std::uint64_t sequence = 0; ///< of the record in the log's chain, from 1
};

/// What an Asio stream tells the actor that owns it. Bytes may hold key material.
struct socket_event {
  enum class what : std::uint8_t { connected, received, closed };
  what kind = what::closed;
  std::uint64_t connection = 0; ///< which attempt: late events of an older one are ignored
  std::shared_ptr<crypto::wiped_bytes> data; ///< with received
  std::optional<error> why;                  ///< with closed
  std::string peer_certificate_pem;          ///< with connected
};

/// Time for whatever the actor does from time to time.
struct tick {
  std::uint64_t id = 0;
};

/// Stop taking new work, answer with `drained` when the last work in hand is done.
struct drain {};
struct drained {};

/// One call of the coordinator to a node or host, through its proxy actor.
struct proxied_call {
  std::string method;
  std::string path;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  std::chrono::milliseconds timeout{10000};
};
/// Its HTTP answer; `failure` only on the way from the socket thread to the proxy.
struct proxied_answer {
  std::uint64_t call = 0;
  unsigned status = 0;
  std::string body;
  std::optional<error> failure;
};

/// Runs in the context of the bridge actor (runtime/bridge).
struct deferred_call {
  std::shared_ptr<std::function<void(caf::event_based_actor*)>> run;
};

} // namespace custos
