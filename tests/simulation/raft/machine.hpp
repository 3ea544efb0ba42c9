#pragma once
// What the simulation drives: a machine with a replica, and a disk that outlives its crashes. The
// world knows it by this interface only, and so cannot look into the core that it judges.

#include "cluster/raft/types.hpp"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>

namespace custos::raft::simulation {

/// A counter that is stirred well (SplitMix64): quick, and no state to speak of.
class random_source {
public:
  using result_type = std::uint64_t;

  explicit random_source(std::uint64_t seed) : at_(seed) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() {
    auto x = at_ += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
  }

private:
  std::uint64_t at_;
};

/// A message on its way; only machines look inside.
using packet = std::shared_ptr<const void>;

/// A command of a client; 0: the entry is none.
using command_id = std::uint64_t;

/// The state machine of the simulation: all that was applied, as a hash.
struct machine_state {
  log_index applied = 0;
  std::uint64_t hash = 0;
};

struct applied_entry {
  log_index index = 0;
  term_number term = 0;
  command_id command = 0;
};

/// What a machine says and does; the world checks all of it.
class surroundings {
public:
  surroundings() = default;
  surroundings(const surroundings&) = delete;
  surroundings& operator=(const surroundings&) = delete;
  virtual ~surroundings() = default;

  virtual void send(replica_id from, replica_id to, packet what) = 0;
  /// The machine asks to be called (io) when a write may be complete.
  virtual void write_started(replica_id by) = 0;
  /// An entry came into the log of a machine; `before`: the term of the entry before it.
  virtual void logged(replica_id by, log_index index, term_number term, term_number before,
                      command_id command) = 0;
  virtual void applied(replica_id by, const applied_entry& entry, const machine_state& now) = 0;
  virtual void restored(replica_id by, const machine_state& now) = 0;
  /// A command that this machine accepted is applied.
  virtual void acknowledged(replica_id by, command_id command, log_index index) = 0;
  virtual void read_served(replica_id by, std::uint64_t token, log_index applied) = 0;
  virtual void read_failed(replica_id by, std::uint64_t token) = 0;
  /// The replica itself says that something is wrong.
  virtual void complained(replica_id by, const std::string& what) = 0;
};

struct machine_options {
  milliseconds election_ms = 500;
  milliseconds heartbeat_ms = 100;
  std::size_t compact_every = 24; ///< entries
  std::size_t entries_behind = 64;
  std::size_t snapshot_bytes = 1000;
  std::size_t writes_in_flight_max = 4;
  std::size_t entries_per_message_max = 16;
};

class machine {
public:
  machine() = default;
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;
  virtual ~machine() = default;

  /// From what the disk has.
  virtual void start(milliseconds now) = 0;
  /// What was not durable may be lost, or in part.
  virtual void crash(random_source& random) = 0;
  [[nodiscard]] virtual bool running() const = 0;

  virtual void tick(milliseconds now) = 0;
  virtual void receive(milliseconds now, replica_id from, const packet& what) = 0;
  /// The oldest write is complete.
  virtual void io() = 0;

  /// False: not now, or not here.
  virtual bool propose(command_id command) = 0;
  virtual bool read(std::uint64_t token) = 0;
  /// If it never can, nobody asks it to.
  [[nodiscard]] virtual bool can_change_members() const = 0;
  virtual bool change(const membership& wanted) = 0;
  virtual bool transfer(replica_id to) = 0;

  [[nodiscard]] virtual bool leads() const = 0;
  [[nodiscard]] virtual term_number term() const = 0;
  [[nodiscard]] virtual membership members() const = 0;
  [[nodiscard]] virtual machine_state state() const = 0;
  /// Of a leader: the term of its entry at `index`; none: it is behind its log's beginning, or
  /// lost.
  [[nodiscard]] virtual std::optional<term_number> term_at(log_index index) const = 0;
  [[nodiscard]] virtual log_index first_index() const = 0;
};

/// A machine with an empty disk, or one that was there from the beginning with `members`.
std::unique_ptr<machine> make_machine(replica_id id, const membership& members,
                                      const machine_options& options, std::uint64_t seed,
                                      surroundings& around);

/// The hash of a sequence of entries goes on.
inline std::uint64_t hash_on(std::uint64_t hash, log_index index, command_id command) {
  hash ^= index * 0x9E3779B97F4A7C15ULL + command;
  hash *= 0xBF58476D1CE4E5B9ULL;
  return hash ^ (hash >> 29U);
}

} // namespace custos::raft::simulation
