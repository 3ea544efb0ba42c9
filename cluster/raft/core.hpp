#pragma once
// Raft as a pure state machine: what happened goes in, what is to be done comes out. No I/O, no
// clock, no thread and no CAF inside; deterministic: the same inputs and seed, the same actions.
// Names and numbers in brackets are of Ongaro's thesis (types.hpp).
//
// Election: a majority of the voters; a voter whose leader is alive ignores candidates [O 4.2.3]
// unless the leader sent them; a leader that hears no majority steps down [O 6.2]. No pre-vote.
// Commit: by counting, entries of the own term only [O 3.6.2]; every term begins with an entry of
// its own. Membership: one member at a time [O 4.1], never before the term's first commit.
// Reads: by ReadIndex [O 6.4]. Leadership is handed over on request [O 3.10].
//
// The driver's part: it does what take() gives, writes in order, and says written() when one is
// durable; it delivers in order. What it does not let be written yet becomes one write later: that
// is group commit. Thread rule: one thread at a time.

#include "cluster/raft/log.hpp"
#include "cluster/raft/message.hpp"
#include "messages/error.hpp"

#include <map>
#include <random>
#include <set>
#include <variant>

namespace custos::raft {

struct options {
  /// Without a sign of the leader for one to two times this, a voter campaigns.
  milliseconds election_ms = 500;
  milliseconds heartbeat_ms = 100;
  std::size_t entries_per_message_max = 256;
  std::size_t bytes_per_message_max = 1U << 20U;
  /// Entries sent to a replica and not acknowledged.
  std::size_t entries_in_flight_max = 4096;
  std::size_t snapshot_chunk_bytes_max = 256U << 10U;
  std::size_t snapshot_bytes_max = 512U << 20U;
  /// Entries kept behind the state machine, for replicas that were away a while.
  std::size_t entries_behind = 4096;
  /// How far behind a standby may be when it becomes a voter.
  std::size_t promotion_lag_max = 64;
  /// Octets of one command.
  std::size_t command_bytes_max = 16U << 20U;
  std::size_t reads_waiting_max = 4096;
};

enum class role : std::uint8_t { follower = 1, candidate, leader };

/// What a replica finds on its disk. A new one: nothing; the first of a cluster: bootstrap_base().
struct recovered_state {
  durable_state durable;
  log_base base{0, 0, std::make_shared<const membership>(), 0};
  std::vector<entry> entries;
  log_index applied = 0; ///< where the state machine is, base.index at least
};

/// The beginning of every log of a cluster.
inline log_base bootstrap_base(membership members) {
  return {1, 1, std::make_shared<const membership>(std::move(members)), 1};
}

/// To be made durable at once or not at all.
struct write {
  std::uint64_t number = 0; ///< from 1, without gaps
  std::optional<durable_state> durable;
  /// State machine and log are replaced by this.
  snapshot_ptr installs;
  /// Entries up to its index need not be kept.
  std::optional<log_base> compacts;
  /// Entries from `first` on are replaced by `entries`; 0: the log stays.
  log_index first = 0;
  std::vector<entry> entries;
};

struct outgoing {
  replica_id to = 0;
  message what;
};

/// A committed entry, for the state machine.
struct delivered_entry {
  log_index index = 0;
  entry what;
};
/// Or a snapshot, which is durable, in place of all before.
using delivery = std::variant<delivered_entry, snapshot_ptr>;

/// A read that was asked for. `index`: once the state machine is there it may be served; none: this
/// replica is no longer the leader.
struct read_outcome {
  std::uint64_t token = 0;
  std::optional<log_index> index;
};

struct actions {
  std::vector<write> writes;
  std::vector<outgoing> messages; ///< any of them may be lost
  std::vector<delivery> deliveries;
  std::vector<read_outcome> reads;
  /// A replica needs a snapshot: provide() one, now or later.
  bool wants_snapshot = false;
};

/// Where a command came to lie. It is committed if an entry of this term is delivered there.
struct position {
  log_index index = 0;
  term_number term = 0;
};

/// A leader's knowledge of another replica.
struct progress {
  enum class mode : std::uint8_t { probe = 1, stream, snapshot };
  mode how = mode::probe;
  log_index match = 0;  ///< known to be equal and durable there
  log_index next = 1;   ///< the next to send
  bool waiting = false; ///< a probe is out
  milliseconds heard = 0;
  milliseconds sent = 0; ///< the last chunk
  std::uint64_t round = 0;
  std::uint64_t offset = 0; ///< of the snapshot
};

class core {
public:
  core(replica_id self, const options& given, recovered_state recovered, std::uint64_t seed,
       milliseconds now);

  /// Often: a tenth of a heartbeat is not too often.
  void tick(milliseconds now);
  /// From a peer whose identity is proved. What makes no sense is dropped.
  void receive(milliseconds now, replica_id from, message m);
  /// Everything up to this write is durable.
  void written(std::uint64_t number);

  /// errc::unavailable (not the leader, or it is handing over), errc::too_large.
  result<position> propose(bytes_ptr command);
  /// One member added (as standby), removed, or changed. errc::unavailable (not the leader, no
  /// commit of this term yet, handing over), errc::revision_conflict (the last change is not
  /// committed yet), errc::invalid_argument with the field "members": more than one change, a
  /// voter that was no standby before or is not up to date, no voter left.
  result<position> change_members(membership wanted);
  /// errc::unavailable, errc::invalid_argument (not another voter). It is given up when it does not
  /// come about within an election timeout.
  result<void> transfer(replica_id to);
  /// The outcome comes with take(). errc::unavailable (not the leader), errc::overloaded.
  result<void> read(std::uint64_t token);

  /// The state machine is durable up to `index`, which was delivered: the log may shrink.
  void compact(log_index index);
  /// The state machine as of `index`, durable there; an answer to wants_snapshot.
  void provide(log_index index, bytes_ptr data);

  /// `can_write`: false while the disk has enough to do; what is to be written is then collected.
  actions take(bool can_write = true);

  [[nodiscard]] replica_id self() const { return self_; }
  [[nodiscard]] raft::role role() const { return role_; }
  [[nodiscard]] term_number term() const { return durable_.term; }
  [[nodiscard]] replica_id leader() const { return leader_; }
  [[nodiscard]] log_index commit_index() const { return commit_; }
  [[nodiscard]] log_index durable_index() const { return stable_; }
  [[nodiscard]] const raft::log& log() const { return log_; }
  [[nodiscard]] const std::map<replica_id, progress>& peers() const { return peers_; }
  [[nodiscard]] bool transferring() const { return transferee_ != 0; }
  /// Set when the log contradicts what Raft guarantees: the replica does nothing more, and must be
  /// taken out of service.
  [[nodiscard]] const std::optional<error>& fault() const { return fault_; }

private:
  /// A write that was given out and is not durable yet.
  struct open_write {
    std::uint64_t number = 0;
    bool votes = false; ///< it holds term and vote
    log_index first = 0;
    log_index last = 0;
    snapshot_ptr installs;
  };
  struct held_message {
    std::uint64_t until = 0; ///< number of a write
    outgoing what;
  };
  struct waiting_read {
    std::uint64_t token = 0;
    std::uint64_t round = 0;
    log_index index = 0;
  };
  struct incoming_snapshot {
    log_base at;
    std::uint64_t total = 0;
    bytes data;
  };

  // core.cpp: terms, votes, what is durable
  void fail(std::string what);
  void follow(term_number term, replica_id leader);
  void campaign(bool transfer);
  void count_votes();
  void push_back_election();
  [[nodiscard]] bool may_campaign() const;
  [[nodiscard]] bool leader_is_alive() const;
  void handle(replica_id from, const vote_request& m);
  void handle(replica_id from, const vote_response& m);
  void handle(replica_id from, const timeout_now& m);
  void entries_changed(log_index first);
  [[nodiscard]] std::uint64_t write_that_has(log_index match) const;
  void hold(replica_id to, message m, log_index match);
  void release_held();
  void deliver();
  std::optional<write> collect_write();

  // core_follower.cpp
  void handle(replica_id from, append_request m);
  [[nodiscard]] bool makes_sense(const append_request& m) const;
  bool take_entries(append_request& m);
  void handle(replica_id from, snapshot_chunk m);
  void install(replica_id from);

  // core_leader.cpp
  void lead();
  void set_peers();
  void append_own(entry e);
  void send_entries(replica_id to, progress& p);
  void send_append(replica_id to, progress& p, bool empty);
  void send_chunk(replica_id to, progress& p);
  void needs_snapshot(progress& p);
  void heartbeat();
  void lead_on();
  [[nodiscard]] bool hears_majority() const;
  void handle(replica_id from, const append_response& m);
  void refused(progress& p, const append_response& m);
  void handle(replica_id from, const snapshot_response& m);
  void advance_commit();
  void settle_reads();
  void drop_reads();
  void hand_over();
  [[nodiscard]] bool committed_in_term() const;
  template <class Value>
  [[nodiscard]] std::uint64_t majority_of(std::uint64_t own, Value value) const;
  result<void> check_change(const membership& wanted) const;

  replica_id self_;
  options options_;
  std::mt19937_64 random_;
  milliseconds now_;

  durable_state durable_;
  raft::log log_;
  log_index commit_ = 0;
  log_index delivered_ = 0;
  raft::role role_ = raft::role::follower;
  replica_id leader_ = 0;
  milliseconds leader_heard_ = 0; ///< of leader_, if that is another
  milliseconds election_at_ = 0;
  std::optional<error> fault_;

  // candidate
  std::set<replica_id> votes_;

  // leader
  std::map<replica_id, progress> peers_;
  milliseconds heartbeat_at_ = 0;
  std::uint64_t round_ = 0;
  std::deque<waiting_read> reads_;
  bool round_due_ = false;
  replica_id transferee_ = 0;
  milliseconds transfer_until_ = 0;
  snapshot_ptr sending_; ///< what replicas that are far behind get
  bool snapshot_wanted_ = false;

  // follower
  std::optional<incoming_snapshot> incoming_;

  // what is durable
  log_index stable_ = 0;
  std::uint64_t last_write_ = 0; ///< given out
  std::uint64_t durable_write_ = 0;
  bool state_dirty_ = false;
  log_index dirty_first_ = 0; ///< entries from here on changed; 0: none
  snapshot_ptr installs_;
  std::optional<log_base> compacts_;
  std::deque<open_write> open_;
  std::vector<held_message> held_;
  std::uint64_t released_for_ = 0; ///< durable_write_ when held_ was last looked through

  actions out_;
};

} // namespace custos::raft
