#pragma once
// Which connection between this node and one peer is the link. Pure: every step gives back what has
// to be done, in this order.
//
// The node with the smaller name is the arbiter of the pair. A connection goes like this:
//
//   both      hello, judged by hello.hpp                      -> passed
//   larger    ready: content; says if it has an open link     -> peer_ready at the arbiter
//   arbiter   accept with a number that only grows, or refusal -> peer_accepted at the larger
//
// With the accept the connection is the link on both sides. The arbiter keeps an open link if the
// peer has it too, and else takes the new connection: whoever dials has lost its link. Two accepts
// on two connections may overtake each other; the higher number counts.
//
// A connection of another incarnation than the open link's is either a restarted node (its old link
// is dead, we have not noticed) or a second node with the same identity. The open link is asked for
// an echo: if it answers, the newcomer is refused and both are told.
//
// Thread rule: as a value.

#include "cluster/link/hello.hpp"

#include <map>
#include <optional>
#include <variant>
#include <vector>

namespace custos::cluster::link {

using connection_id = std::uint64_t;

/// Sends `ready` on a candidate.
struct send_ready {
  connection_id id = 0;
  bool linked = false;
};
/// Sends `accept` on a candidate; `become_link` follows.
struct send_accept {
  connection_id id = 0;
  std::uint64_t number = 0;
};
/// The candidate is the link now; no other connection is.
struct become_link {
  connection_id id = 0;
};
/// Sends a refusal and ends the connection.
struct refuse_connection {
  connection_id id = 0;
  refusal_reason reason = refusal_reason::duplicate;
};
/// Ends the link (the peer has a newer one, or it is dead); `closed` has to be called then.
struct end_link {
  connection_id id = 0;
  bool dead = false; ///< it did not answer
};
/// Asks the link for an echo within the probe timeout: call `echoed`, or `probe_timed_out`.
struct send_probe {
  connection_id id = 0;
};
/// Two processes have the peer's identity: tells the one on this link, and our user.
struct report_clash {
  connection_id link = 0;
};
using pairing_effect = std::variant<send_ready, send_accept, become_link, refuse_connection,
                                    end_link, send_probe, report_clash>;
using pairing_effects = std::vector<pairing_effect>;

class pairing {
public:
  explicit pairing(bool arbiter) : arbiter_(arbiter) {}

  /// A connection whose hello was found good.
  pairing_effects passed(connection_id id, const incarnation& process);
  /// The peer sent `ready` / `accept`. A peer that has no business to is refused.
  pairing_effects peer_ready(connection_id id, bool linked);
  pairing_effects peer_accepted(connection_id id, std::uint64_t number);
  pairing_effects echoed(connection_id id);
  pairing_effects probe_timed_out(connection_id id);
  /// A connection is gone, for whatever reason.
  pairing_effects closed(connection_id id);

  [[nodiscard]] std::optional<connection_id> link() const;

private:
  struct candidate {
    incarnation process{};
    bool judged = false;      ///< no clash with the open link when it was looked at
    bool peer_ready = false;  ///< arbiter: `ready` came
    bool peer_linked = false; ///< arbiter: it said it has another link
    std::uint64_t number = 0; ///< of the peer's accept; 0: none
  };
  struct open_link {
    connection_id id = 0;
    incarnation process{};
    std::uint64_t number = 0;
    bool ending = false; ///< told to close
    bool probed = false; ///< an echo is awaited
  };

  void consider(connection_id id, pairing_effects& out);
  void consider_all(pairing_effects& out);
  void decide(connection_id id, candidate& c, pairing_effects& out);
  void follow(connection_id id, candidate& c, pairing_effects& out);
  void replace_link(connection_id id, pairing_effects& out);
  void open(connection_id id, pairing_effects& out);
  void refuse(connection_id id, refusal_reason reason, pairing_effects& out);

  bool arbiter_;
  std::uint64_t last_number_ = 0; ///< arbiter: given out
  std::optional<open_link> open_;
  std::optional<connection_id> next_; ///< becomes the link when the open one is gone
  std::map<connection_id, candidate> candidates_;
};

} // namespace custos::cluster::link
