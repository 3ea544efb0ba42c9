#pragma once
// The ConfigStore's state machine: state and command in, next state and outcome out. Pure and
// deterministic: two replicas that apply the same commands have the same bytes.
//
// What counts as the configuration (revision, fingerprint) are the shared objects. Host bindings
// are local to a node: writing them changes neither.

#include "adapters/crypto/crypto.hpp"
#include "cluster/config_codec.hpp"
#include "messages/config.hpp"
#include "messages/config_commands.hpp"

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace custos::cluster {

inline constexpr std::size_t object_kinds = static_cast<std::size_t>(last_object_kind);
/// Objects of one kind; those there is one of for every machine have their own limit.
inline constexpr std::size_t objects_per_kind_max = 16384;
inline constexpr std::size_t hosts_max = 262144;
/// How many operation ids are remembered, the oldest forgotten first.
inline constexpr std::size_t operations_remembered_max = 1024;
inline constexpr std::size_t operation_id_bytes_max = 128;

/// An object with its canonical document. Immutable, shared between states.
struct stored_object {
  config_object value;
  std::string document;
};
using object_ptr = std::shared_ptr<const stored_object>;
using object_map = std::map<std::string, object_ptr, std::less<>>;

/// A command that succeeded, kept so that its repetition gets the same answer.
struct remembered_operation {
  std::uint64_t sequence = 0; ///< from 1, in order of application
  std::string operation_id;
  crypto::sha256_digest command{}; ///< over everything the command asked for
  config_applied outcome;
};

/// What a command comes to, before anything has changed.
struct planned_change {
  object_kind kind = object_kind::tpm_ca;
  std::string name;
  /// The object is written (`object`) or erased (no object). False: nothing of it changes.
  bool writes = false;
  object_ptr object;
  config_applied outcome;
  /// Set if the command is to be remembered.
  std::shared_ptr<const remembered_operation> operation;
  bool repeated = false; ///< the outcome is from memory
};

struct transition;

/// Cheap to copy: everything large is shared until it is changed. Thread rule: as a value.
class config_state {
public:
  /// Revision 0: default settings, nothing else.
  config_state();

  [[nodiscard]] std::uint64_t revision() const { return revision_; }
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }
  /// nullptr if there is no such object.
  [[nodiscard]] const stored_object* find(object_kind kind, std::string_view name) const;
  [[nodiscard]] const object_map& all(object_kind kind) const;
  /// Oldest first.
  [[nodiscard]] const std::deque<std::shared_ptr<const remembered_operation>>& operations() const {
    return operations_;
  }

  /// Judges one command. Errors: revision_conflict (if_revision is not the present revision),
  /// already_exists (create), not_found (erase), invalid_argument (names, documents, an operation
  /// id used for another command), too_large (limits), forbidden (a host bound to another
  /// endorsement key: erase it first; the last administrator; the settings object erased).
  [[nodiscard]] result<planned_change> plan(const config_command& command) const;
  /// Makes the change, which was planned on this very state, in place.
  void commit(const planned_change& change);
  /// Both, on a copy: the state machine as a function.
  [[nodiscard]] result<transition> apply(const config_command& command) const;

  /// A complete snapshot for the services; it shares its objects with the state.
  [[nodiscard]] config_ptr snapshot() const;

private:
  friend class config_state_loader;
  /// Changed in place only while nobody else shares it.
  using object_maps = std::array<std::shared_ptr<object_map>, object_kinds>;

  [[nodiscard]] result<planned_change> plan_put(const config_command& command) const;
  [[nodiscard]] result<planned_change> plan_erase(const config_command& command) const;
  [[nodiscard]] result<void> keeps_an_administrator(const planned_change& change) const;
  [[nodiscard]] const remembered_operation* remembered(std::string_view operation_id) const;
  [[nodiscard]] std::string fingerprint_after(const planned_change* change) const;

  void show(object_kind kind, const std::string& name, const object_ptr& object);
  [[nodiscard]] result<void> check_binding(const config_command& command,
                                           const stored_object& binding) const;

  std::uint64_t revision_ = 0;
  std::string fingerprint_;
  object_maps objects_;
  /// The same objects as services see them, kept in step.
  config_snapshot view_;
  /// Which host an endorsement key is bound to, by the key's digest.
  std::map<bytes, std::string> bound_keys_;
  std::deque<std::shared_ptr<const remembered_operation>> operations_;
};

/// What apply() gives.
struct transition {
  config_state next;
  config_applied outcome;
};

/// Builds a state from what was stored; finish() verifies the fingerprint.
class config_state_loader {
public:
  config_state_loader();
  /// errc::corrupted if the document does not read or is not canonical.
  result<void> add_object(object_kind kind, const std::string& name, std::string_view document);
  void add_operation(remembered_operation operation);
  /// errc::corrupted unless the objects have this fingerprint.
  result<config_state> finish(std::uint64_t revision, std::string_view fingerprint);

private:
  config_state state_;
  std::array<object_map, object_kinds> objects_;
};

} // namespace custos::cluster
