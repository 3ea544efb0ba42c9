#pragma once
// One replica of the ConfigStore: Raft core, state machine, and what nodes ask of each other, put
// together. What happened goes in, what is to be done comes out of take(): nothing here reads a
// clock, a socket or a disk. Deterministic.
//
// A change is answered by the node that was asked when the entry with its operation id is applied
// there: the caller then reads its own write on that node. It is sent to the leader again until
// then; that is safe, because the state machine remembers what it has done (config_state).
//
// Thread rule: one thread at a time.

#include "adapters/rocksdb/kv_store.hpp"
#include "cluster/command_codec.hpp"
#include "cluster/config_state.hpp"
#include "cluster/raft/core.hpp"
#include "cluster/replica/frames.hpp"
#include "cluster/replica/member_change.hpp"
#include "cluster/replica/member_info.hpp"
#include "cluster/replica/membership_plan.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace custos::cluster::replica {

using raft::milliseconds;

struct replica_options {
  /// entries_behind is not used: what is kept of the log is given below.
  raft::options raft;
  /// What is kept behind the state machine, for replicas that were away a while.
  std::size_t entries_kept = 4096;
  std::size_t entry_bytes_kept = 16U << 20U;
  /// How long a change or a question waits for a leader and a majority.
  milliseconds answer_timeout_ms = 5000;
  /// When it is sent again.
  milliseconds resend_after_ms = 1000;
  milliseconds pulse_interval_ms = 500;
  /// Requests of this node that wait.
  std::size_t requests_max = 8192;
};

/// Who this replica is.
struct replica_identity {
  raft::replica_id self = 0;
  std::string name;
  /// The members as told when it joined; used as long as the log names none.
  raft::membership introduction;
  /// Random, of this process: makes operation ids that no other process makes.
  std::string incarnation;
  std::string program_version;
};

/// Names a request of this node until it is answered.
using request_token = std::uint64_t;

/// The state machine is where the request wanted it.
struct settled {
  std::uint64_t revision = 0;
  std::string fingerprint;
};
using reply_value = std::variant<error, config_applied, settled, membership_answer>;
struct reply {
  request_token to = 0;
  reply_value what;
};

/// To be put on disk together: first what the state machine changed, then the log's writes, in
/// order. A write that installs a snapshot replaces the state by it.
struct disk_job {
  rocksdb::write_batch state;
  std::vector<raft::write> writes;
  /// Without writes of the log nothing needs to be synced: the log can be applied again.
  [[nodiscard]] bool synced() const { return !writes.empty(); }
};

struct outgoing_frames {
  std::string to; ///< name of a node
  std::vector<bytes> frames;
};

struct effects {
  std::optional<disk_job> disk; ///< at most one at a time: disk_done() first
  std::vector<outgoing_frames> send;
  std::vector<reply> replies;
  bool state_changed = false;
  bool members_changed = false;
  /// encode_state() of this is wanted: image_made(). At most one at a time.
  std::optional<config_state> image_of;
};

/// A member as this replica sees it.
struct member_view {
  known_member member;
  milliseconds heard_at = 0; ///< 0: never
  raft::log_index applied = 0;
  std::uint64_t revision = 0;
  std::string program_version;
  /// Whether it has our state where both were; none: not compared yet.
  std::optional<bool> agrees;
};

class replica {
public:
  replica(replica_identity identity, const replica_options& options, raft::recovered_state found,
          config_state state, std::uint64_t seed, milliseconds now);

  // ---- what happens
  void tick(milliseconds now);
  /// From a peer whose identity the link has proved.
  void received(milliseconds now, const std::string& peer, byte_view frame);
  /// The job in hand is on disk; `installed`: the state that one of its writes installed.
  void disk_done(milliseconds now, std::optional<config_state> installed);
  /// Of effects::image_of.
  void image_made(raft::log_index index, raft::bytes_ptr image);

  // ---- what this node is asked; each token is answered once
  void apply(milliseconds now, request_token token, config_command command);
  /// Answers when the state is at least at this revision, and, if `linearizable`, at everything
  /// that was acknowledged anywhere before.
  void settle(milliseconds now, request_token token, std::uint64_t revision, bool linearizable);
  void change_member(milliseconds now, request_token token, const member_change& change);
  void transfer(milliseconds now, request_token token, const std::string& to);
  /// Hands leadership to somebody else if this replica leads; false: there is nobody.
  bool step_down();

  effects take();

  // ---- how it stands
  [[nodiscard]] const config_state& state() const { return state_; }
  [[nodiscard]] const raft::core& core() const { return core_; }
  [[nodiscard]] raft::replica_id self() const { return identity_.self; }
  [[nodiscard]] bool leads() const { return core_.role() == raft::role::leader; }
  /// Whom this replica speaks with: the newest membership that is known to be committed, and what a
  /// later one in the log changes. Who is removed stays until that is committed, since it may never
  /// be.
  [[nodiscard]] const std::vector<known_member>& members() const { return members_; }
  [[nodiscard]] const std::map<raft::replica_id, member_view>& others() const { return others_; }
  /// The newest membership that is known to be committed does not have this replica.
  [[nodiscard]] bool is_removed() const;
  /// It has nothing of the cluster's configuration yet.
  [[nodiscard]] bool is_empty() const { return state_.applied_index() == 0; }
  /// It must be taken out of service: its log or state contradicts the others', or holds what this
  /// program does not know.
  [[nodiscard]] const std::optional<error>& fault() const { return fault_; }
  [[nodiscard]] std::size_t requests_waiting() const {
    return changes_.size() + questions_.size() + settles_.size();
  }

private:
  /// A change asked of this node.
  struct waiting_change {
    std::vector<request_token> tokens;
    bytes octets; ///< the encoded replicated_command
    config_command command;
    milliseconds deadline = 0;
    milliseconds sent_at = 0; ///< 0: to nobody yet
    bool ever_sent = false;
  };
  /// A question asked of the leader by this node.
  struct waiting_question {
    request_token token = 0;
    question_kind kind = question_kind::read_index;
    bytes body;
    milliseconds deadline = 0;
    milliseconds sent_at = 0;
    bool ever_sent = false;
    std::uint64_t revision = 0; ///< of `settle`
  };
  struct waiting_settle {
    request_token token = 0;
    raft::log_index index = 0;
    std::uint64_t revision = 0;
    milliseconds deadline = 0;
  };
  /// Where a question came from: a peer, or this node itself (empty name).
  struct asker {
    std::string peer;
    std::uint64_t id = 0;
    friend bool operator==(const asker&, const asker&) = default;
  };
  struct wish {
    asker from;
    member_change change;
    milliseconds deadline = 0; ///< who asked has given up by then
  };

  // replica.cpp
  void fail(error why);
  void handle(const std::string& peer, const raft_parcel& p);
  void handle(const std::string& peer, const proposal_parcel& p);
  void handle(const std::string& peer, const question_parcel& p);
  void handle(const std::string& peer, const answer_parcel& p);
  void handle(const std::string& peer, const pulse_parcel& p);
  void handle(const std::string& peer, const members_parcel& p);
  [[nodiscard]] bool is_of(raft::replica_id id, const std::string& peer) const;
  void send(const std::string& peer, const parcel& p);
  void pump();
  void deliver(const raft::delivered_entry& entry);
  void install(const raft::snapshot& whole);
  void entry_applied(raft::log_index index, std::size_t octets);
  void shorten_log();
  void hand_to_disk(std::vector<raft::write> writes);
  void look_at_members();
  void show_members(const raft::membership& members);
  void notice_leader();
  void send_pulse();
  void remember_hash();
  void compare(raft::replica_id with);
  void judge_agreement();

  // replica_requests.cpp
  void dispatch(waiting_change& change);
  void propose(const std::string& operation_id, const bytes& octets);
  void ask(waiting_question question);
  void dispatch(std::uint64_t id, waiting_question& question);
  void serve(const asker& from, question_kind kind, byte_view body, milliseconds deadline);
  void answer(const asker& to, std::optional<error> failure, bytes body = {});
  void take_answer(std::uint64_t id, std::optional<error> failure, byte_view body);
  void resend();
  void expire();
  void settle_waiting();
  void change_settled(const config_command& command, const planned_change& outcome);
  void look_for_outcomes();
  void respond(request_token to, reply_value what);
  [[nodiscard]] const std::string* leader_name() const;
  [[nodiscard]] error no_leader() const;

  // replica_members.cpp
  void drive_membership();
  void drop_wishes();
  enum class progress : std::uint8_t { waits, done };
  progress drive(const wish& w);
  progress drive_add(const wish& w, const raft::membership& present);
  progress drive_remove(const wish& w, const raft::membership& present);
  progress drive_update(const wish& w, const raft::membership& present);
  progress change_to(const asker& from, raft::membership wanted);
  [[nodiscard]] members_seen seen() const;
  [[nodiscard]] bytes members_answer(raft::replica_id id) const;

  replica_identity identity_;
  replica_options options_;
  raft::core core_;
  config_state state_;
  milliseconds now_;
  std::optional<error> fault_;

  // disk
  bool disk_busy_ = false;
  std::uint64_t writes_in_hand_ = 0; ///< number of the last write of the job in hand
  rocksdb::write_batch state_changes_;
  bool state_dirty_ = false; ///< state_ and what is given to the disk differ
  std::optional<config_state> installed_;
  std::deque<std::pair<raft::log_index, std::size_t>> kept_; ///< applied entries and their octets
  std::size_t kept_bytes_ = 0;
  /// Of the image in the making; the log is kept from there on, or the image would be of no use.
  std::optional<raft::log_index> image_index_;

  // members
  struct told_members {
    raft::log_index index = 0;
    raft::membership members;
  };
  told_members told_;                ///< the newest that another told of, at first the introduction
  raft::membership_ptr seen_latest_; ///< the log's, as of the last look
  raft::membership_ptr seen_committed_; ///< the same, of what is committed
  raft::log_index seen_told_ = 0;
  std::vector<known_member> members_;
  raft::log_index sure_index_ = 0; ///< of the newest membership that is known to be committed
  bytes sure_octets_;
  bool surely_member_ = false; ///< this replica is in it
  std::map<raft::replica_id, member_view> others_;
  std::map<std::string, assembler> assemblers_;
  raft::term_number seen_term_ = 0;
  raft::replica_id seen_leader_ = 0;

  // requests of this node
  std::map<std::string, waiting_change> changes_; ///< by operation id
  std::map<std::uint64_t, waiting_question> questions_;
  std::vector<waiting_settle> settles_;
  /// Of what this replica asks; begins where no earlier process of this node did, so that an answer
  /// to one of those is not taken for another.
  std::uint64_t last_id_;

  // requests to the leader, if that is this replica
  std::unordered_map<std::string, raft::log_index> proposed_; ///< operation ids that are in the log
  std::map<std::uint64_t, asker> reads_;
  std::deque<wish> wishes_;

  // agreement of states
  struct hash_at {
    raft::log_index index = 0;
    crypto::sha256_digest hash{};
  };
  std::vector<hash_at> hashes_;                ///< a ring, by index
  std::map<raft::replica_id, hash_at> claims_; ///< the last that each other said
  milliseconds pulse_at_ = 0;

  effects out_;
};

} // namespace custos::cluster::replica
