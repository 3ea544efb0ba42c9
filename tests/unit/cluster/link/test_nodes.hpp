#pragma once
// Nodes with links on loopback, and what happened to them.

#include "adapters/crypto/crypto.hpp"
#include "cluster/link/link.hpp"

#include <condition_variable>
#include <ctime>
#include <gtest/gtest.h>
#include <map>
#include <mutex>
#include <thread>

namespace custos::cluster::link {

using namespace std::chrono_literals;

/// How long anything may take that has to happen; the machine may be busy.
inline constexpr auto patience = 20s;

inline std::int64_t wall_clock() {
  return std::time(nullptr);
}

/// A cluster's CA, and identities of its nodes.
class test_cluster {
public:
  test_cluster()
      : keys(generate_cluster_keys("test", "https://ca.example", wall_clock()).value()) {}

  [[nodiscard]] link_identity node(const std::string& name) const {
    node_request request{name, {}, {"127.0.0.1"}};
    node_identity identity{name, crypto::generate_p256().value(), {}};
    identity.certificate =
        issue_node_certificate(keys, request, identity.tls_key, wall_clock()).value();
    return identity_of(keys, identity);
  }

  /// A certificate of the CA with any name, and other dates.
  [[nodiscard]] link_identity odd(const std::string& common_name, std::int64_t not_before,
                                  std::int64_t not_after) const {
    crypto::certificate_request request;
    request.common_name = common_name;
    request.ip_addresses = {"127.0.0.1"};
    request.client_auth = request.server_auth = true;
    request.not_before = not_before;
    request.not_after = not_after;
    link_identity out{keys.cluster_id, "", {}, crypto::generate_p256().value(), {}};
    out.certificate =
        crypto::issue_certificate(request, out.key, keys.ca_key, &keys.ca_certificate).value();
    out.node = common_name.substr(common_name.find(':') + 1);
    out.authorities = {keys.ca_certificate};
    return out;
  }

  cluster_keys keys;
};

/// What a node's link told.
class recorder {
public:
  link_events events() {
    link_events out;
    out.up = [this](const link_peer& peer) { note([&] { ups[peer.name].push_back(peer); }); };
    out.down = [this](const std::string& name, const error& why) {
      note([&] { downs[name].push_back(why); });
    };
    out.received = [this](const std::string& name, bytes frame, receipt done) {
      note([&] {
        frames[name].push_back(std::move(frame));
        if (hold_receipts)
          receipts.push_back(std::move(done));
      });
    };
    out.clash = [this](const identity_clash& clash) { note([&] { clashes.push_back(clash); }); };
    return out;
  }

  /// Waits until `condition` holds, which is asked under the lock.
  template <class Condition>
  bool wait(const Condition& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, patience, condition);
  }
  bool wait_up(const std::string& name, std::size_t times = 1) {
    return wait([&] { return ups[name].size() >= times; });
  }
  bool wait_down(const std::string& name, std::size_t times = 1) {
    return wait([&] { return downs[name].size() >= times; });
  }
  bool wait_frames(const std::string& name, std::size_t n) {
    return wait([&] { return frames[name].size() >= n; });
  }
  template <class Look>
  auto look(const Look& look_at) {
    const std::lock_guard guard(mutex);
    return look_at();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<link_peer>> ups;
  std::map<std::string, std::vector<error>> downs;
  std::map<std::string, std::vector<bytes>> frames;
  std::vector<identity_clash> clashes;
  std::vector<receipt> receipts;
  bool hold_receipts = false;

private:
  template <class Change>
  void note(const Change& change) {
    const std::lock_guard guard(mutex);
    change();
    changed.notify_all();
  }
};

/// Quick to dial again, slow to give up.
inline link_options test_options() {
  link_options out;
  out.handshake_timeout = out.dial_timeout = out.hello_timeout = 10s;
  out.probe_timeout = 5s;
  out.alive_interval = 100ms;
  out.silence_max = 20s;
  out.dial_wait_min = 20ms;
  out.dial_wait_max = 200ms;
  out.second_dial_delay = 50ms;
  return out;
}

struct test_node {
  test_node(http::io_pool& pool, const link_identity& identity,
            const link_options& options = test_options())
      : name(identity.node),
        link(node_link::listen(pool, identity, options, record.events(), wall_clock).value()) {}

  [[nodiscard]] link_member member() const { return {name, "127.0.0.1", link->port()}; }
  [[nodiscard]] link_status status_of(const std::string& peer) const {
    for (const auto& s : link->status())
      if (s.peer.name == peer)
        return s;
    return {};
  }
  /// Waits until the last error about a peer is of this check; the message, or what it was instead.
  std::string wait_check(const std::string& peer, std::string_view check) const {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (;;) {
      const auto last = status_of(peer).last_error;
      if (last && last->check == check)
        return last->message;
      if (std::chrono::steady_clock::now() > end)
        return "instead: " + (last ? last->check + ", " + last->message : std::string("nothing"));
      std::this_thread::yield();
    }
  }

  std::string name;
  recorder record;
  std::unique_ptr<node_link> link;
};

/// Both know each other and start.
inline void join(std::initializer_list<test_node*> nodes) {
  std::vector<link_member> members;
  for (const auto* const n : nodes)
    members.push_back(n->member());
  for (auto* const n : nodes) {
    ASSERT_TRUE(n->link->set_members(members).ok());
    n->link->start();
  }
}

} // namespace custos::cluster::link
