#pragma once
// A cluster in one thread: virtual clock, network and disks, clients, faults of every kind, all of
// it from one seed. What Raft promises is checked at every step. The same seed, the same history.

#include "tests/simulation/raft/calendar.hpp"
#include "tests/simulation/raft/checker.hpp"
#include "tests/simulation/raft/trouble.hpp"

#include <array>
#include <map>
#include <string>
#include <vector>

namespace custos::raft::simulation {

struct history_options {
  std::uint64_t seed = 1;
  unsigned replicas = 3;          ///< at the beginning, all of them voters
  milliseconds faults_ms = 15000; ///< then everything is healed, and must become well
  std::optional<profile> trouble; ///< none: drawn
};

struct history_counts {
  milliseconds virtual_time = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t reads = 0;
  std::uint64_t crashes = 0;
  std::uint64_t partitions = 0;
  std::uint64_t elections = 0;
  std::uint64_t changes = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t steps = 0;

  history_counts& operator+=(const history_counts& other);
};

struct history_outcome {
  std::string violation; ///< of safety; empty: none
  std::string stuck;     ///< what did not become well; empty: everything did
  profile trouble = profile::mixed;
  history_counts counts;
};

inline constexpr replica_id machines_max = 12;
/// After the last fault so many more are acknowledged, and then everybody is at the same entry.
inline constexpr std::uint64_t writes_when_well = 4;

class world final : public surroundings {
public:
  explicit world(const history_options& given);

  /// Once.
  history_outcome run();

  // surroundings
  void send(replica_id from, replica_id to, packet what) override;
  void write_started(replica_id by) override;
  void logged(replica_id by, log_index index, term_number term, term_number before,
              command_id command) override;
  void applied(replica_id by, const applied_entry& e, const machine_state& now) override;
  void restored(replica_id by, const machine_state& now) override;
  void acknowledged(replica_id by, command_id command, log_index index) override;
  void read_served(replica_id by, std::uint64_t token, log_index applied) override;
  void read_failed(replica_id by, std::uint64_t token) override;
  void complained(replica_id by, const std::string& what) override;

private:
  enum class kind : std::uint8_t {
    tick,
    arrival,
    io,
    client,
    fault,
    crash,
    cut,
    fall,
    restart,
    heal,
    end_of_faults
  };
  struct event {
    kind what = kind::tick;
    replica_id to = 0;
    replica_id from = 0;
    std::uint64_t life = 0; ///< of whom it is about; of a packet, who sent it
    packet content;
  };
  struct site {
    std::unique_ptr<machine> what; ///< none: never was
    std::uint64_t life = 0;        ///< goes up with every crash
    milliseconds disk_max = 0;
    milliseconds io_busy_until = 0;
    milliseconds paused_until = 0;
    milliseconds clock_ahead = 0;
    term_number led = 0; ///< the last term in which it was seen to lead
  };
  template <class Value>
  using by_link = std::array<std::array<Value, machines_max + 1>, machines_max + 1>;

  std::uint64_t draw(std::uint64_t below) { return below == 0 ? 0 : random_() % below; }
  milliseconds between(milliseconds a, milliseconds b) { return a + draw(b - a + 1); }
  bool chance(unsigned percent) { return percent != 0 && draw(100) < percent; }
  milliseconds clock_of(const site& s) const { return now_ + s.clock_ahead; }
  bool exists(replica_id id) const { return id <= machines_max && sites_[id].what != nullptr; }
  bool cut_off(replica_id from, replica_id to) const { return cuts_[from][to]; }

  // world.cpp: what happens
  void set_up();
  void add_machine(replica_id id, const membership& members);
  void start(replica_id id);
  void handle(event& e);
  void handle_at_machine(event& e);
  bool is_lost(const event& arrival) const;
  void look_at(replica_id id);
  bool is_well();

  // world_faults.cpp: who does what to whom
  template <class Predicate>
  replica_id any_that(Predicate fits);
  replica_id some_machine();
  replica_id some_leader();
  replica_id some_follower();
  void client();
  void new_leader(replica_id id);
  void fault();
  void crash(replica_id id);
  void cut(replica_id from_others);
  void fall(replica_id id);
  void change_members(replica_id leader);
  membership with_one_change(const membership& present);
  replica_id newcomer(const membership& present);
  void end_faults();

  history_options given_;
  random_source random_;
  trouble trouble_;
  milliseconds now_ = 1;
  calendar<event> events_;
  std::array<site, machines_max + 1> sites_; ///< by id; 0: nobody
  by_link<bool> cuts_{};
  by_link<milliseconds> last_arrival_{};
  std::map<std::uint64_t, log_index> reads_;
  checker checker_;
  history_outcome out_;
  command_id last_command_ = 0;
  bool faults_ended_ = false;
  std::uint64_t acknowledged_at_end_ = 0;
};

inline history_outcome run_history(const history_options& options) {
  return world(options).run();
}

} // namespace custos::raft::simulation
