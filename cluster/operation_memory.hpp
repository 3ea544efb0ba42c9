#pragma once
// Which operations were carried out or refused, so that a repeated one gets its first answer. Part
// of the replicated state: every replica remembers the same ones.
//
// An operation in octets, as it is stored and sent:
//
//   sequence(8) || length(1) || operation id || digest of the command(32) || memory before(32)
//   || outcome(1): 0 nothing changed, 1 changed, 2 refused || revision(8) || fingerprint(32)
//   || for a refusal: code(1) || length(2) || field || length(2) || message || length(1) || check
//
// Numbers are big-endian.

#include "adapters/crypto/crypto.hpp"
#include "cluster/command_codec.hpp"
#include "messages/config_commands.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace custos::cluster {

/// How many operations are remembered, the oldest forgotten first.
inline constexpr std::size_t operations_remembered_max = 4096;
/// What is kept of the texts of a refusal; longer ones are cut.
inline constexpr std::size_t refusal_text_bytes_max = 512;
inline constexpr std::size_t refusal_check_bytes_max = 64;

/// What a command came to.
struct remembered_operation {
  std::uint64_t sequence = 0; ///< from 1, in order of application
  std::string operation_id;
  crypto::sha256_digest command{}; ///< over everything the command asked for
  config_applied outcome;          ///< of a refusal: the state as it stayed
  std::optional<error> refusal;    ///< code, field, message and check
  crypto::sha256_digest before{};  ///< hash of the memory before this operation
};
using operation_ptr = std::shared_ptr<const remembered_operation>;

/// Largest operation in octets.
inline constexpr std::size_t operation_bytes_max = 8 + 1 + operation_id_bytes_max + 32 + 32 + 1 +
                                                   8 + 32 + 1 + 2 * (2 + refusal_text_bytes_max) +
                                                   1 + refusal_check_bytes_max;

bytes octets_of(const remembered_operation& operation);
/// errc::malformed, with the field.
result<remembered_operation> read_operation(byte_view octets);

/// What is remembered of a refusal.
error refusal_of(error failure);

/// The last operations, to be asked by id. Cheap to copy: shared until one of the copies changes.
/// Thread rule: as a value.
class operation_memory {
public:
  operation_memory();

  /// nullptr if the id is not remembered.
  [[nodiscard]] const remembered_operation* find(std::string_view operation_id) const;
  /// Oldest first.
  [[nodiscard]] const std::deque<operation_ptr>& all() const { return content_->order; }
  /// SHA-256 over the hash before || all of the last operation but the words of a refusal: these
  /// are for people, and those of libraries change with their versions. Zeros before the first.
  [[nodiscard]] const crypto::sha256_digest& hash() const { return content_->hash; }
  [[nodiscard]] std::uint64_t next_sequence() const;

  /// The next operation: its sequence is next_sequence(), `before` is hash(), the id is new. The
  /// oldest is forgotten if there are too many.
  void add(operation_ptr operation);
  /// The first one to be loaded may have any sequence and hash before it. errc::corrupted if it
  /// does not follow what is there.
  result<void> load(remembered_operation operation);
  /// None of the last ones is missing: there are as many as are remembered, or all from the first.
  [[nodiscard]] bool is_whole() const;

private:
  struct content {
    std::deque<operation_ptr> order;
    /// Views of the ids in `order`.
    std::unordered_map<std::string_view, const remembered_operation*> by_id;
    crypto::sha256_digest hash{};
  };
  content& writable();
  void append(operation_ptr operation);

  std::shared_ptr<content> content_;
};

} // namespace custos::cluster
