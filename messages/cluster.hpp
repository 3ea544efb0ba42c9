#pragma once
// What the ConfigStore is told and asked as one replica among others.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace custos::cluster {
class config_state;
}

namespace custos {

/// A frame of a peer that the link has authenticated. The receipt is held until it was handled: so
/// long the peer may send only so much more.
struct link_frame {
  std::string peer;
  bytes octets;
  std::shared_ptr<void> receipt;
};

/// Work that was done elsewhere comes back to the actor it belongs to.
struct posted_work {
  std::shared_ptr<std::function<void()>> run;
};

/// The whole state at one moment, for backups.
struct get_config_state {};
struct held_config_state {
  std::shared_ptr<const cluster::config_state> state;
};

/// Waits until the state here has this revision; `linearizable`: and everything that any node
/// acknowledged before the question. errc::unavailable when that takes too long.
struct await_configuration {
  std::uint64_t revision = 0;
  bool linearizable = false;
};

enum class membership_action : std::uint8_t {
  add = 1, ///< as standby; it votes when it has caught up and the number of voters stays odd
  replace, ///< the same, in place of the node of that name
  remove,
  update, ///< address and certificates
};
/// Answered when the change is committed. errc::already_exists, errc::not_found,
/// errc::invalid_argument, errc::unavailable.
struct change_membership {
  membership_action action = membership_action::add;
  std::string info; ///< cluster/replica/member_info.hpp
};
struct membership_changed {
  std::uint64_t id = 0; ///< of the node's replica; 0: it is gone
  bytes members;        ///< cluster/replica/wire.hpp
};

/// Asks the leader to hand over to this node.
struct transfer_leadership {
  std::string to;
};

struct get_cluster_status {};
/// One member as a node sees it.
struct cluster_member_status {
  std::uint64_t id = 0;
  std::string node;
  std::string role;    ///< "leader", "voter", "standby"
  std::string address; ///< of its link
  std::string link;    ///< "up", "dialling", "waiting"; "self"
  std::string problem; ///< why the link is not up, or what is wrong with its state; may be empty
  std::optional<std::uint64_t> heard_ms_ago;
  std::uint64_t applied = 0; ///< index of the log
  std::uint64_t lag = 0;     ///< entries behind what this node knows to be committed
  std::uint64_t revision = 0;
  std::string version;
  std::int64_t certificate_expires = 0; ///< unix seconds; of its link, 0: not known
};
struct cluster_status {
  std::string cluster_id;
  std::string cluster_name;
  std::string node;
  std::uint64_t id = 0;
  std::string role;   ///< "leader", "voter", "standby", "removed", "out of service"
  std::string leader; ///< empty: none that this node follows
  std::uint64_t term = 0;
  std::uint64_t committed = 0;
  std::uint64_t applied = 0;
  std::uint64_t revision = 0;
  std::string fingerprint;
  std::string state_hash;
  std::string version;
  std::string problem; ///< why it is out of service; empty: it is in service
  std::vector<cluster_member_status> members;
};

} // namespace custos
