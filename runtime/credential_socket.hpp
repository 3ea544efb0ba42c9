#pragma once
// Gives units their keys without any command: LoadCredential=NAME:SOCKET makes the service manager
// connect here, and what it reads until the end is the credential (systemd.exec(5)). The key is the
// one in FOLDER/UNIT/NAME.ckek. Only root, and the agent's own user, may connect: others could
// claim to be any unit.
//
// At boot units start before the host is attested: the answer waits for that, up to a limit. A
// refusal can only be said by giving nothing; the log has the reason.

#include "adapters/http/http.hpp"
#include "messages/host.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace custos::runtime {

struct credential_socket_options {
  std::string path;
  std::string folder;
  std::chrono::milliseconds wait_max{60000}; ///< for the host to be attested, or a node to be there
  std::chrono::milliseconds retry{1000};
  std::chrono::milliseconds write_time_max{10000};
};

/// Asks for a key; the answer may come on any thread.
using key_question = std::function<void(request_key, std::function<void(result<key_ready>)>)>;

class credential_socket {
public:
  /// Replaces a stale socket file; mode 0600. errc::invalid_argument, errc::io_failure.
  static result<std::unique_ptr<credential_socket>>
  listen(http::io_pool& pool, credential_socket_options options, key_question ask);
  virtual ~credential_socket() = default;
  virtual void close() = 0;
};

} // namespace custos::runtime
