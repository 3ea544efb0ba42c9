#include "tests/unit/cluster/replica/world.hpp"

#include <gtest/gtest.h>

// Random histories: whatever happens to nodes, disks and network, what was acknowledged is there in
// the end, once, on every node. A failure names its seed, which gives the same history again.
namespace custos::cluster::replica::test {

namespace {

constexpr std::uint64_t seeds = 200;
constexpr int actions = 120;
constexpr std::size_t nodes_max = 5;

class history {
public:
  explicit history(std::uint64_t seed) : w(seed) {
    w.options.entries_kept = 24;
    w.options.answer_timeout_ms = 3000;
    w.network_ms_max = 20;
    w.disk_ms_max = 20;
    w.image_ms = 50;
    const unsigned nodes = seed % 2 == 0 ? 3 : 5;
    w.grow(nodes);
    for (unsigned i = 1; i <= nodes; ++i)
      names_.push_back("n" + std::to_string(i));
    w.lost_per_mille = 10;
  }

  void run() {
    for (int i = 0; i < actions; ++i) {
      act();
      w.run_for(random(60));
      look_at_replies();
    }
    settle_down();
    if (!testing::Test::HasFatalFailure())
      judge();
  }

private:
  struct asked_change {
    config_command command;
    bool acknowledged = false;
  };
  /// Of which process of a node: replies to those that are gone are not seen.
  struct asked {
    std::string node;
    unsigned starts = 0;
    request_token token = 0;
    std::size_t change = 0;
    std::uint64_t revision_at_least = 0; ///< of a read
    bool reads = false;
  };

  std::size_t random(std::size_t below) { return static_cast<std::size_t>(w.random() % below); }
  std::string any(const std::vector<std::string>& of) { return of.at(random(of.size())); }
  std::vector<std::string> crashed() {
    std::vector<std::string> out;
    for (const auto& name : names_)
      if (!unfinished_.contains(name) && !w.runs(name) && !w.at(name).stopped)
        out.push_back(name);
    return out;
  }

  void act() {
    const auto running = w.running();
    const auto down = crashed();
    const auto what = random(100);
    if (what < 8 && !down.empty())
      return w.start(any(down));
    if (running.empty())
      return;
    if (what < 13)
      return w.crash(any(running));
    if (what < 18)
      return w.cut(any(running), any(running));
    if (what < 21)
      return w.isolate(any(running));
    if (what < 29)
      return w.heal();
    if (what < 32) {
      w.transfer(any(running), any(running));
      return;
    }
    if (what < 34)
      return change_members(running, down);
    if (what < 50)
      return read(any(running));
    write(any(running));
  }

  void change_members(const std::vector<std::string>& running,
                      const std::vector<std::string>& down) {
    const auto via = any(running);
    if (random(3) == 0 && running.size() > 3) {
      w.change(via, member_action::remove, info_of(any(running)));
      return;
    }
    if (!down.empty() && random(2) == 0) {
      // Where it is not known whether it was replaced, it may come back as it was.
      w.join(any(down), via, member_action::replace);
      return;
    }
    if (running.size() >= nodes_max)
      return;
    const auto name = "m" + std::to_string(names_.size());
    names_.push_back(name);
    if (!w.join(name, via))
      unfinished_.insert(name);
  }

  /// A new change, or one again whose outcome is not known.
  void write(const std::string& node) {
    auto at = changes_.size();
    if (at > 0 && random(5) == 0)
      at = random(at);
    else
      changes_.push_back(
          {put("p" + std::to_string(at), "auditor", "op-" + std::to_string(at)), {}});
    asked_.push_back({node, w.at(node).starts, w.apply(node, changes_[at].command), at, 0, false});
  }

  void read(const std::string& node) {
    asked_.push_back({node, w.at(node).starts, w.settle(node, 0, true), 0, acknowledged_, true});
  }

  void look_at_replies() {
    std::erase_if(asked_, [&](const asked& a) {
      if (w.at(a.node).starts != a.starts)
        return true;
      const auto* const reply = w.reply_to(a.node, a.token);
      if (reply == nullptr)
        return false;
      if (const auto* const failure = std::get_if<error>(reply)) {
        EXPECT_TRUE(failure->code == errc::unavailable || failure->code == errc::forbidden)
            << failure->message;
      }
      if (const auto* const applied = std::get_if<config_applied>(reply)) {
        changes_[a.change].acknowledged = true;
        acknowledged_ = std::max(acknowledged_, applied->revision);
      }
      if (const auto* const read = std::get_if<settled>(reply); a.reads && read != nullptr) {
        EXPECT_GE(read->revision, a.revision_at_least) << "a read went back";
      }
      return true;
    });
  }

  /// Everything is mended, and every node that belongs to the cluster runs.
  void settle_down() {
    w.lost_per_mille = 0;
    w.heal();
    for (const auto& name : crashed())
      w.start(name);
    // Whoever leads first may have been removed, and learn of it now.
    ASSERT_TRUE(tried([&](const std::string& at) { return w.applied(at, put("last")).ok(); }))
        << dump();
    for (const auto& name : unfinished_)
      ASSERT_TRUE(tried([&](const std::string& at) {
        return w.join(name, at, member_action::replace);
      })) << name
          << dump();
    ASSERT_TRUE(w.wait_for([&] { return !w.leader().empty(); }, 20000)) << dump();
    // Who was removed or replaced while it was away finds nobody who talks to it.
    const auto members = w.core(w.leader()).core().log().members();
    for (const auto& name : w.running())
      if (raft::find_member(*members, w.core(name).self()) == nullptr)
        w.crash(name);
    ASSERT_TRUE(w.wait_for([&] { return w.converged(); }, 20000)) << "no agreement" << dump();
    look_at_replies();
  }

  /// Asks whoever leads, until it is done.
  template <class Ask>
  bool tried(const Ask& ask) {
    bool done = false;
    for (int i = 0; i < 5 && !done; ++i)
      done = w.wait_for([&] { return !w.leader().empty(); }, 20000) && ask(w.leader());
    return done;
  }

  /// How every node stands, for a history that did not end well.
  std::string dump() {
    std::string out;
    for (const auto& name : w.running()) {
      const auto& core = w.core(name).core();
      out += "\n" + name + ": term " + std::to_string(core.term()) + ", leader " +
             std::to_string(core.leader()) + ", log to " + std::to_string(core.log().last_index()) +
             ", applied " + std::to_string(w.core(name).state().applied_index()) + ", members";
      for (const auto& m : *core.log().members())
        out += " " + std::to_string(m.id) + (m.role == raft::member_role::voter ? "v" : "s");
    }
    return out;
  }

  void judge() {
    for (const auto& name : names_) {
      const auto& stopped = w.at(name).stopped;
      EXPECT_TRUE(!stopped || stopped->code == errc::forbidden)
          << name << ": " << (stopped ? stopped->message : "");
      EXPECT_TRUE(w.at(name).answered_twice.empty()) << name;
    }
    for (const auto& name : w.running()) {
      const auto& state = w.core(name).state();
      for (const auto& change : changes_) {
        if (change.acknowledged) {
          EXPECT_NE(state.find(object_kind::principal, change.command.name), nullptr)
              << change.command.name << " was acknowledged, and is not on " << name;
        }
      }
      EXPECT_EQ(state.revision(), state.count(object_kind::principal)) << "each once";
    }
  }

  world w;
  std::vector<std::string> names_;
  std::set<std::string> unfinished_; ///< it is not known whether the cluster took them in
  std::vector<asked_change> changes_;
  std::vector<asked> asked_;
  std::uint64_t acknowledged_ = 0;
};

} // namespace

TEST(replica_history, keeps_what_was_acknowledged) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    history(seed).run();
    if (testing::Test::HasFailure())
      return;
  }
}

} // namespace custos::cluster::replica::test
