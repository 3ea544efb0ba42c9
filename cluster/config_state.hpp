#pragma once
// The ConfigStore's state machine: state and command in, next state and outcome out. Pure and
// deterministic: replicas that apply the same log have the same state, and state_hash() shows it.
//
// What counts as the configuration (revision, fingerprint) are all objects but host bindings: hosts
// come by themselves, and a new one is no change of what an administrator has configured. The
// bindings are replicated like everything else and are in the state hash.
//
//   fingerprint  SHA-256 over, for each kind but hosts that holds an object, in the order of their
//                numbers: kind(1) || hash of its table(32) (object_table.hpp); told in hex
//   state hash   SHA-256 over revision(8, big-endian) || fingerprint(32) || hash of the table of
//                hosts(32) || hash of the memory of operations(32) (operation_memory.hpp)

#include "adapters/crypto/crypto.hpp"
#include "cluster/command_codec.hpp"
#include "cluster/config_codec.hpp"
#include "cluster/object_table.hpp"
#include "cluster/operation_memory.hpp"
#include "messages/config.hpp"
#include "messages/config_commands.hpp"

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::cluster {

inline constexpr std::size_t object_kinds = static_cast<std::size_t>(last_object_kind);
/// Objects of one kind; those there is one of for every machine have their own limit.
inline constexpr std::size_t objects_per_kind_max = 16384;
inline constexpr std::size_t hosts_max = 262144;
constexpr std::size_t objects_max(object_kind kind) {
  return kind == object_kind::host || kind == object_kind::endorsement_key ? hosts_max
                                                                           : objects_per_kind_max;
}

/// What a command comes to, before anything has changed.
struct planned_change {
  object_kind kind = object_kind::tpm_ca;
  std::string name;
  /// The object is written (`object`) or erased (no object). False: nothing of it changes.
  bool writes = false;
  object_ptr object;
  std::optional<object_table> objects; ///< those of the kind after the change, if it writes
  config_applied outcome;              ///< of a refusal: the state as it stays
  /// The command is refused, and this is the answer to it.
  std::optional<error> refusal;
  /// Set if the command is to be remembered.
  operation_ptr operation;
  bool repeated = false; ///< the outcome, or refusal, is from memory
};

struct transition;

/// Cheap to copy: everything large is shared until it is changed. Thread rule: as a value.
class config_state {
public:
  /// Revision 0: default settings, nothing else.
  config_state();

  [[nodiscard]] std::uint64_t revision() const { return revision_; }
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }
  /// The last entry of the log that this state knows of; 0: none.
  [[nodiscard]] std::uint64_t applied_index() const { return applied_; }
  /// Over everything that replicas must agree on at one applied index, which itself is not in it.
  [[nodiscard]] crypto::sha256_digest state_hash() const;

  /// nullptr if there is no such object.
  [[nodiscard]] const stored_object* find(object_kind kind, std::string_view name) const;
  [[nodiscard]] std::size_t count(object_kind kind) const { return table(kind).size(); }
  /// By name.
  [[nodiscard]] std::vector<object_ptr> all(object_kind kind) const { return table(kind).sorted(); }
  [[nodiscard]] const object_table& table(object_kind kind) const;
  /// Oldest first.
  [[nodiscard]] const std::deque<operation_ptr>& operations() const { return memory_.all(); }

  /// Judges an entry of the log. Never fails: a refusal is an outcome like others, and remembered,
  /// so that whoever asks again with the same operation id gets the same answer. Not remembered are
  /// refusals of an id that is used for another command already (invalid_argument), and of entries
  /// that come too late: index > valid_until (errc::unavailable, field "operation_id").
  ///
  /// That makes "at most once" exact as long as whoever proposes a command sets
  ///
  ///   valid_until <= its applied index when it proposes + operations_remembered_max
  ///
  /// An entry adds at most one operation to the memory. So a second entry of the command either
  /// finds the first one remembered, or is too late.
  [[nodiscard]] planned_change judge(const replicated_command& entry, std::uint64_t index) const;
  /// The same for a command that is in no log, as previews and offline tools have it: refusals are
  /// errors, and not remembered. The operation id may be empty.
  ///
  /// Refusals of both: revision_conflict (if_revision is not the present revision), already_exists
  /// (create), not_found (erase), invalid_argument (names, documents, an operation id used for
  /// another command), malformed (documents), too_large (limits), forbidden (a host bound to
  /// another endorsement key: erase it first; the last administrator; the settings object erased).
  [[nodiscard]] result<planned_change> plan(const config_command& command) const;
  /// Makes the change, which was judged on this very state, in place.
  void commit(const planned_change& change);
  /// The log was applied up to here, whatever its entries were; never less than before.
  void set_applied(std::uint64_t index);
  /// plan() and commit() on a copy: the state machine as a function.
  [[nodiscard]] result<transition> apply(const config_command& command) const;

  /// A complete snapshot for the services; it shares its objects with the state.
  [[nodiscard]] config_ptr snapshot() const;

private:
  friend class config_state_loader;
  using object_tables = std::array<object_table, object_kinds>;

  /// The change alone: what is remembered is not looked at.
  [[nodiscard]] result<planned_change> change_of(const config_command& command) const;
  [[nodiscard]] result<planned_change> put_of(const config_command& command) const;
  [[nodiscard]] result<planned_change> erasure_of(const config_command& command) const;
  [[nodiscard]] result<void> keeps_an_administrator(const planned_change& change) const;
  [[nodiscard]] result<void> check_binding(const config_command& command,
                                           const stored_object& binding) const;
  [[nodiscard]] planned_change refused(error why) const;
  /// From memory, if the id is known.
  [[nodiscard]] std::optional<planned_change> repetition(const config_command& command,
                                                         const crypto::sha256_digest& hash) const;
  void remember(planned_change& change, const config_command& command,
                const crypto::sha256_digest& hash) const;
  [[nodiscard]] crypto::sha256_digest fingerprint_with(const planned_change* change) const;
  void show(object_kind kind, const std::string& name, const object_ptr& object);

  std::uint64_t revision_ = 0;
  std::uint64_t applied_ = 0;
  std::string fingerprint_;
  object_tables objects_;
  /// The same objects as services see them, kept in step.
  config_snapshot view_;
  /// Which host an endorsement key is bound to, by the octets of the key's digest.
  object_index<host_binding, host_shards> bound_keys_;
  operation_memory memory_;
};

/// What apply() gives.
struct transition {
  config_state next;
  config_applied outcome;
};

/// What a stored or sent state says of itself.
struct state_head {
  std::uint64_t revision = 0;
  std::string fingerprint;
  std::uint64_t applied_index = 0;
  std::optional<crypto::sha256_digest> state_hash; ///< not known where operations are left behind
};
state_head head_of(const config_state& state);

/// Builds a state from what was stored; finish() verifies it.
class config_state_loader {
public:
  config_state_loader();
  /// errc::corrupted if the document does not read or is not canonical.
  result<void> add_object(object_kind kind, const std::string& name, std::string_view document);
  /// Oldest first; errc::corrupted if one does not follow the one before.
  result<void> add_operation(remembered_operation operation);
  /// errc::corrupted unless what was added is what the head says.
  result<config_state> finish(const state_head& head);

private:
  config_state state_;
  std::array<std::vector<object_ptr>, object_kinds> objects_;
};

} // namespace custos::cluster
