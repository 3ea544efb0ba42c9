#pragma once
// For this folder only: all connections of a node. It performs what admission and pairing decide.
//
// Thread rule: everything on the strand, except what says otherwise. What other threads may read
// (slots, statuses, counters) is under mutex_. Events run under event_mutex_, on the strand.

#include "cluster/link/admission.hpp"
#include "cluster/link/backoff.hpp"
#include "cluster/link/connection.hpp"
#include "cluster/link/dial.hpp"
#include "cluster/link/pairing.hpp"

#include <map>
#include <mutex>

namespace custos::cluster::link {

class hub final : public connection_owner, public std::enable_shared_from_this<hub> {
public:
  hub(asio::io_context& context, hello own, link_options options, link_events events,
      clock_source now, std::shared_ptr<const tls_identity> identity);

  // Any thread.
  result<void> bind();
  void start();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  result<void> set_members(std::vector<link_member> members);
  result<void> set_identity(const link_identity& identity);
  result<void> send(const std::string& name, byte_view frame);
  [[nodiscard]] std::vector<link_status> status() const;
  [[nodiscard]] link_counters counters() const;
  [[nodiscard]] const hello& own() const { return own_; }
  void stop();

  void spoke(connection& c) override;
  void secured(connection& c) override;
  void arrived(connection& c, record r) override;
  void closed(connection& c, const error& why) override;

private:
  struct entry {
    std::shared_ptr<connection> c;
    std::string dialled; ///< the member we dialled; empty: it was accepted
    std::string name;    ///< the member it has proven to be; empty before, and when it is refused
    bool hello_done = false;
    hello theirs;
    std::uint16_t version = 0;
  };
  struct peer {
    peer(const strand& s, link_member m, bool arbiter, const link_options& o)
        : member(std::move(m)), pair(arbiter), wait(o.dial_wait_min, o.dial_wait_max),
          dial_timer(s), probe_timer(s) {}
    link_member member;
    pairing pair;
    backoff wait;
    timer dial_timer;
    bool dial_armed = false;
    bool dialled_before = false;
    std::shared_ptr<dial_attempt> attempt;
    connection_id dialled = 0; ///< the connection that came of it
    timer probe_timer;
    bytes probe;
    connection_id link = 0;
    std::chrono::steady_clock::time_point link_since;
    std::string remote_group; ///< where the link comes from
  };
  /// What send() needs.
  struct slot {
    connection_id id = 0;
    std::shared_ptr<send_budget> budget;
  };

  // hub.cpp: accepting, identities, the end
  void accept_next();
  void on_accept(error_code failed, socket accepted);
  void make_room();
  void shed(const std::vector<std::uint64_t>& victims);
  void shut_down();
  void refuse(entry& e, refusal_reason reason);
  void note_stranger(const std::string& where, const error& why);
  void publish_sizes();
  template <class Event>
  void emit(const Event& event);

  // hub_peers.cpp: hello, pairing, dialling
  void on_hello(entry& e, byte_view content);
  void on_refusal(entry& e, std::uint8_t reason);
  void on_link_record(entry& e, peer& p, record r);
  void deliver(entry& e, record r);
  void apply(const std::string& name, const pairing_effects& effects);
  void perform(peer& p, const pairing_effect& effect);
  void link_up(peer& p, connection_id id);
  void link_down(peer& p, const error& why);
  void probe(peer& p, connection_id id);
  void schedule_dial(const std::string& name);
  void dial(peer& p);
  void on_dialled(const std::string& name, const dial_attempt* attempt,
                  result<dial_attempt::connected> r);
  void note_error(const std::string& name, const error& why);
  void note_state(const std::string& name);

  // hub_members.cpp
  void apply_members(const std::vector<link_member>& members);
  void add_member(const link_member& member);
  void change_member(peer& p, const link_member& member);
  void remove_member(const std::string& name);
  void expel(peer& p, refusal_reason reason, bool only_other_certificates);
  void limit_candidates(const entry& newest);
  void update_known();
  [[nodiscard]] std::optional<refusal_reason> membership_objects(const peer_certificate& who) const;

  entry* find(connection_id id);
  peer* find_peer(const std::string& name);

  const strand strand_;
  const hello own_;
  const link_options options_;
  const link_events events_;
  const clock_source now_;
  asio::basic_socket_acceptor<tcp, strand> acceptor_;
  timer accept_retry_;
  std::chrono::milliseconds accept_pause_ = accept_pause_min;
  std::uint16_t port_ = 0;
  std::shared_ptr<const tls_identity> identity_;
  bool started_ = false;
  bool shutting_down_ = false;
  connection_id last_id_ = 0;
  admission half_open_;
  std::map<connection_id, entry> connections_;
  std::map<std::string, std::unique_ptr<peer>> peers_;

  std::mutex event_mutex_; ///< held while an event runs
  bool silent_ = false;    ///< under event_mutex_: stop() was called

  mutable std::mutex mutex_;
  std::map<std::string, slot> slots_;
  std::map<std::string, link_status> statuses_;
  link_counters counters_;
};

template <class Event>
void hub::emit(const Event& event) {
  const std::lock_guard guard(event_mutex_);
  if (!silent_)
    event();
}

} // namespace custos::cluster::link
