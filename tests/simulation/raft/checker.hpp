#pragma once
// What Raft promises [O 3.1 to 3.6, 6.4], checked as it happens. Every rule compares with what was
// seen first, so a replica alone cannot be wrong unnoticed.

#include "tests/simulation/raft/machine.hpp"

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace custos::raft::simulation {

class checker {
public:
  /// The first violation; empty: none.
  [[nodiscard]] const std::string& violation() const { return violation_; }
  void violated(std::string what) {
    if (violation_.empty())
      violation_ = std::move(what);
  }

  /// Election safety: one leader a term. Leader completeness: it has whatever was applied anywhere.
  void leads(replica_id id, const machine& m);
  /// Log matching: the entry at index and term is the same everywhere, and so is the one before it.
  void logged(replica_id id, log_index index, term_number term, term_number before,
              command_id command);
  /// State-machine safety, by entry and by the hash of all before.
  /// `during`: the term of the replica then; the entry was committed in it or earlier.
  void applied(replica_id id, const applied_entry& e, const machine_state& now, term_number during);
  void restored(replica_id id, const machine_state& now);

  void acknowledged(command_id command, log_index index);
  /// A read that began now must see everything that was acknowledged or read before.
  [[nodiscard]] log_index must_be_seen() const { return seen_; }
  void served(replica_id id, log_index must_see, log_index applied);

  [[nodiscard]] log_index last_applied() const { return truth_.size() - 1; }
  [[nodiscard]] std::uint64_t elections() const { return leaders_.size(); }
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  /// Acknowledged, and still where it was.
  void check_nothing_lost();

private:
  struct true_entry {
    term_number term = 0;
    command_id command = 0;
    std::uint64_t hash = 0;
    term_number seen_in = 0;
  };
  struct logged_entry {
    term_number before = 0;
    command_id command = 0;
  };

  std::string violation_;
  std::map<term_number, replica_id> leaders_;
  std::vector<true_entry> truth_{1};
  std::map<std::pair<log_index, term_number>, logged_entry> logged_;
  std::unordered_map<command_id, log_index> acks_;
  log_index seen_ = 0;
  std::uint64_t acknowledged_ = 0;
};

} // namespace custos::raft::simulation
