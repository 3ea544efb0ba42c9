#pragma once
// One actor per node or host, and one actor per fan-out.

#include "actors/coordinator/contract.hpp"
#include "adapters/http/http.hpp"
#include "messages/interfaces.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <vector>

namespace custos::coordinator {

/// How a proxy reaches its member; the callback may run on any thread.
using member_client = std::function<void(http::call, http::client::callback)>;

/// The coordinator's end of one node or host: turns a message into an HTTPS call of its member and
/// the answer into a message. Thread context: a scheduled actor; never blocks.
class host_proxy_actor : public host_proxy_api::base {
public:
  host_proxy_actor(caf::actor_config& config, std::string id, std::string url,
                   member_client client);
  const char* name() const override { return "host_proxy"; }
  host_proxy_api::behavior_type make_behavior() override;
  /// Whoever still waits is told; a promise that is kept would keep this actor, too.
  void on_exit() override;

private:
  std::string id_;
  std::string url_;
  member_client client_;
  std::uint64_t next_call_ = 0;
  std::map<std::uint64_t, caf::typed_response_promise<proxied_answer>> waiting_;
};

/// Makes the proxy of a member.
host_proxy_api spawn_host_proxy(caf::actor_system& system, std::string id, std::string url,
                                member_client client);

/// One call to many members: a window of calls in flight, a deadline a member and for the whole;
/// exactly one outcome a member whatever happens; then `done` is called (on the actor's thread) and
/// the actor ends.
struct fan_out_call {
  struct target {
    std::string id;
    host_proxy_api proxy;
    http::call call;
  };
  std::vector<target> targets;
  std::size_t window = 64;
  std::chrono::milliseconds budget{30000}; ///< for the whole
};
void spawn_fan_out(caf::actor_system& system, fan_out_call call,
                   std::function<void(target_outcomes)> done);

} // namespace custos::coordinator
