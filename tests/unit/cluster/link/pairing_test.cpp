#include "cluster/link/pairing.hpp"

#include <deque>
#include <gtest/gtest.h>
#include <random>
#include <set>

namespace custos::cluster::link {
namespace {

incarnation process(std::uint8_t n) {
  incarnation out{};
  out[0] = n;
  return out;
}

/// Effects in short: "ready 1+", "accept 1 #2", "link 1", "refuse 1 link-duplicate", "end 1",
/// "probe 1", "clash 1".
std::string text_of(const pairing_effects& effects) {
  std::string out;
  for (const auto& effect : effects) {
    if (!out.empty())
      out += ", ";
    if (const auto* const r = std::get_if<send_ready>(&effect))
      out += "ready " + std::to_string(r->id) + (r->linked ? "+" : "-");
    else if (const auto* const a = std::get_if<send_accept>(&effect))
      out += "accept " + std::to_string(a->id) + " #" + std::to_string(a->number);
    else if (const auto* const l = std::get_if<become_link>(&effect))
      out += "link " + std::to_string(l->id);
    else if (const auto* const f = std::get_if<refuse_connection>(&effect))
      out += "refuse " + std::to_string(f->id) + " " + std::string(check_of(f->reason));
    else if (const auto* const e = std::get_if<end_link>(&effect))
      out += (e->dead ? "dead " : "end ") + std::to_string(e->id);
    else if (const auto* const p = std::get_if<send_probe>(&effect))
      out += "probe " + std::to_string(p->id);
    else
      out += "clash " + std::to_string(std::get<report_clash>(effect).link);
  }
  return out;
}

TEST(LinkPairing, TheArbiterDecidesWhenThePeerIsReady) {
  pairing arbiter(true);
  EXPECT_EQ(text_of(arbiter.passed(1, process(1))), "");
  EXPECT_EQ(text_of(arbiter.peer_ready(1, false)), "accept 1 #1, link 1");
  EXPECT_EQ(arbiter.link(), 1U);
}

TEST(LinkPairing, TheOtherFollows) {
  pairing other(false);
  EXPECT_EQ(text_of(other.passed(1, process(1))), "ready 1-");
  EXPECT_EQ(other.link(), std::nullopt);
  EXPECT_EQ(text_of(other.peer_accepted(1, 1)), "link 1");
  EXPECT_EQ(other.link(), 1U);
}

TEST(LinkPairing, ALinkThatBothHaveStays) {
  pairing arbiter(true);
  arbiter.passed(1, process(1));
  arbiter.peer_ready(1, false);
  arbiter.passed(2, process(1));
  EXPECT_EQ(text_of(arbiter.peer_ready(2, true)), "refuse 2 link-duplicate");
  EXPECT_EQ(arbiter.link(), 1U);
}

TEST(LinkPairing, ALinkThatThePeerLostIsReplaced) {
  pairing arbiter(true);
  arbiter.passed(1, process(1));
  arbiter.peer_ready(1, false);
  arbiter.passed(2, process(1));
  EXPECT_EQ(text_of(arbiter.peer_ready(2, false)), "end 1");
  EXPECT_EQ(text_of(arbiter.closed(1)), "accept 2 #2, link 2");
}

TEST(LinkPairing, TheHigherNumberCountsWhereAcceptsOvertake) {
  pairing other(false);
  other.passed(1, process(1));
  other.passed(2, process(1));
  EXPECT_EQ(text_of(other.peer_accepted(2, 2)), "link 2");
  EXPECT_EQ(text_of(other.peer_accepted(1, 1)), "refuse 1 link-duplicate");
  EXPECT_EQ(other.link(), 2U);
}

TEST(LinkPairing, ARestartedPeerTakesItsPlace) {
  pairing other(false);
  other.passed(1, process(1));
  other.peer_accepted(1, 9);
  EXPECT_EQ(text_of(other.passed(2, process(2))), "probe 1");
  EXPECT_EQ(text_of(other.probe_timed_out(1)), "dead 1");
  EXPECT_EQ(text_of(other.closed(1)), "ready 2-");
  EXPECT_EQ(text_of(other.peer_accepted(2, 1)), "link 2"); // it counts from one again
}

TEST(LinkPairing, TwoLivingProcessesOfOneNameAreToldApart) {
  for (const bool arbiter : {true, false}) {
    pairing p(arbiter);
    p.passed(1, process(1));
    arbiter ? p.peer_ready(1, false) : p.peer_accepted(1, 1);
    ASSERT_EQ(p.link(), 1U);
    EXPECT_EQ(text_of(p.passed(2, process(2))), "probe 1");
    EXPECT_EQ(text_of(p.passed(3, process(3))), ""); // one probe is enough
    EXPECT_EQ(text_of(p.echoed(1)),
              "refuse 2 link-identity-in-use, refuse 3 link-identity-in-use, clash 1");
    EXPECT_EQ(p.link(), 1U);
    EXPECT_EQ(text_of(p.echoed(1)), ""); // nobody asked
    EXPECT_EQ(text_of(p.probe_timed_out(1)), "");
  }
}

TEST(LinkPairing, WhoSpeaksOutOfTurnIsRefused) {
  pairing arbiter(true);
  arbiter.passed(1, process(1));
  EXPECT_EQ(text_of(arbiter.peer_accepted(1, 1)), "refuse 1 link-protocol");
  pairing other(false);
  other.passed(1, process(1));
  EXPECT_EQ(text_of(other.peer_ready(1, false)), "refuse 1 link-protocol");
  other.passed(2, process(1));
  EXPECT_EQ(text_of(other.peer_accepted(2, 0)), "refuse 2 link-protocol");
  EXPECT_EQ(text_of(other.peer_accepted(7, 1)), ""); // unknown: it is gone already
}

// ---- two of them, with everything that a network does -------------------------------------------

/// Two nodes, 0 the arbiter, and connections between them: queues whose octets arrive in order, and
/// ends that learn of each other's end late.
class two_nodes {
public:
  explicit two_nodes(std::uint64_t seed) : random_(seed) {}

  void run(unsigned steps, bool trouble) {
    for (unsigned i = 0; i < steps; ++i) {
      if (trouble && chance(40))
        cut();
      if (trouble && chance(150))
        restart(static_cast<unsigned>(random_() % 2));
      for (unsigned n = 0; n < 2; ++n)
        if (!nodes_[n].pair.link() && nodes_[n].dialled == 0 && chance(4))
          dial(n);
      deliver_one();
    }
  }

  /// Both have the same living connection, and nothing is under way.
  [[nodiscard]] bool settled() const {
    const auto a = nodes_[0].pair.link();
    const auto b = nodes_[1].pair.link();
    return a && a == b && connections_.at(*a).open[0] && connections_.at(*a).open[1];
  }
  [[nodiscard]] bool idle() const {
    for (const auto& [id, c] : connections_)
      if (!c.to[0].empty() || !c.to[1].empty())
        return false;
    return true;
  }
  [[nodiscard]] unsigned links(unsigned n) const { return nodes_[n].links; }

private:
  enum class what : std::uint8_t { hello, ready, accept, probe, echo, clash, end, timeout };
  struct item {
    what kind;
    std::uint64_t value = 0;
  };
  struct connection {
    std::deque<item> to[2]; ///< what travels to node 0 and 1
    bool open[2] = {true, true};
    std::uint8_t process[2] = {0, 0};
  };
  struct node {
    pairing pair;
    std::uint8_t process = 1;
    connection_id dialled = 0;
    unsigned links = 0;
  };

  bool chance(unsigned one_in) { return random_() % one_in == 0; }

  void dial(unsigned n) {
    const auto id = ++last_;
    auto& c = connections_[id];
    nodes_[n].dialled = id;
    for (unsigned i = 0; i < 2; ++i) {
      c.process[i] = nodes_[i].process;
      c.to[i].push_back({what::hello, nodes_[1 - i].process});
    }
  }

  /// Both ends learn of it, at times of their own.
  void cut() {
    if (connections_.empty())
      return;
    auto c = connections_.begin();
    std::advance(c, static_cast<std::ptrdiff_t>(random_() % connections_.size()));
    for (auto& queue : c->second.to)
      if (!chance(3))
        queue.clear(); // lost on the way
    for (auto& queue : c->second.to)
      queue.push_back({what::end});
  }

  /// The host lost power: its peer hears nothing of it, but for timeouts.
  void restart(unsigned n) {
    const auto next = static_cast<std::uint8_t>(nodes_[n].process + 1);
    nodes_[n] = node{pairing(n == 0), next, 0, nodes_[n].links};
    for (auto& [id, c] : connections_) {
      c.open[n] = false;
      c.to[n].clear();
      if (c.open[1 - n])
        c.to[1 - n].push_back({what::timeout});
    }
  }

  void deliver_one() {
    std::vector<std::pair<connection_id, unsigned>> ready;
    for (const auto& [id, c] : connections_)
      for (unsigned n = 0; n < 2; ++n)
        if (!c.to[n].empty())
          ready.emplace_back(id, n);
    if (ready.empty())
      return;
    const auto [id, n] = ready[random_() % ready.size()];
    auto& queue = connections_[id].to[n];
    const auto next = queue.front();
    queue.pop_front();
    if (connections_[id].open[n])
      arrive(id, n, next);
  }

  void arrive(connection_id id, unsigned n, item i) {
    auto& pair = nodes_[n].pair;
    switch (i.kind) {
    case what::hello:
      return apply(id, n, pair.passed(id, process(static_cast<std::uint8_t>(i.value))));
    case what::ready:
      return apply(id, n, pair.peer_ready(id, i.value != 0));
    case what::accept:
      return apply(id, n, pair.peer_accepted(id, i.value));
    case what::probe:
      return connections_[id].to[1 - n].push_back({what::echo}), void();
    case what::echo:
      return apply(id, n, pair.echoed(id));
    case what::clash:
      return;
    case what::timeout:
      apply(id, n, pair.probe_timed_out(id));
      if (connections_[id].open[n]) // heartbeats miss it in the end
        end(id, n);
      return;
    case what::end:
      return end(id, n);
    }
  }

  void end(connection_id id, unsigned n) {
    auto& c = connections_[id];
    if (!std::exchange(c.open[n], false))
      return;
    if (c.open[1 - n])
      c.to[1 - n].push_back({what::end});
    if (nodes_[n].dialled == id)
      nodes_[n].dialled = 0;
    apply(id, n, nodes_[n].pair.closed(id));
  }

  void apply(connection_id, unsigned n, const pairing_effects& effects) {
    for (const auto& effect : effects) {
      if (const auto* const r = std::get_if<send_ready>(&effect))
        connections_[r->id].to[1 - n].push_back({what::ready, r->linked ? 1U : 0U});
      else if (const auto* const a = std::get_if<send_accept>(&effect))
        connections_[a->id].to[1 - n].push_back({what::accept, a->number});
      else if (const auto* const l = std::get_if<become_link>(&effect)) {
        ++nodes_[n].links;
        EXPECT_EQ(nodes_[n].pair.link(), l->id);
      } else if (const auto* const f = std::get_if<refuse_connection>(&effect)) {
        EXPECT_NE(f->reason, refusal_reason::protocol);
        end(f->id, n);
      } else if (const auto* const e = std::get_if<end_link>(&effect))
        end(e->id, n);
      else if (const auto* const p = std::get_if<send_probe>(&effect)) {
        auto& c = connections_[p->id];
        if (c.open[1 - n])
          c.to[1 - n].push_back({what::probe});
        else
          c.to[n].push_back({what::timeout});
      }
    }
  }

  std::mt19937_64 random_;
  node nodes_[2] = {{pairing(true)}, {pairing(false)}};
  std::map<connection_id, connection> connections_;
  connection_id last_ = 0;
};

TEST(LinkPairing, ComesToOneLinkWhateverHappened) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    two_nodes nodes(seed);
    nodes.run(300, true);
    nodes.run(3000, false);
    ASSERT_TRUE(nodes.settled()) << "seed " << seed;
    ASSERT_TRUE(nodes.idle()) << "seed " << seed;
    // And it stays: no two nodes that replace their link for ever.
    const auto links = nodes.links(0) + nodes.links(1);
    nodes.run(500, false);
    ASSERT_EQ(nodes.links(0) + nodes.links(1), links) << "seed " << seed;
  }
}

} // namespace
} // namespace custos::cluster::link
