#pragma once
// A cluster of replicas in one thread, with a clock, a network and disks that the test moves. What
// was not synced is lost in a crash; frames pass only between nodes that know each other's
// certificate, as the link has it.

#include "cluster/replica/disk.hpp"
#include "cluster/replica/replica.hpp"
#include "tests/unit/cluster/replica/first_replica.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace custos::cluster::replica::test {

/// Buffered writes are on the disk with the next synced one, or as many of them as crash() keeps.
class crashing_store : public rocksdb::kv_store {
public:
  result<std::optional<bytes>> get(std::string_view key) const override { return view_->get(key); }
  result<std::vector<rocksdb::kv_entry>> scan(std::string_view prefix) const override {
    return view_->scan(prefix);
  }
  result<void> write(const rocksdb::write_batch& batch, rocksdb::durability how) override;
  void crash(std::size_t keep);
  [[nodiscard]] std::size_t buffered() const { return buffered_.size(); }

private:
  std::shared_ptr<rocksdb::kv_store> view_ = rocksdb::make_memory_store();
  std::shared_ptr<rocksdb::kv_store> durable_ = rocksdb::make_memory_store();
  std::vector<rocksdb::write_batch> buffered_;
};

config_command put(const std::string& name, const std::string& role = "auditor",
                   std::string id = {});

class world {
public:
  explicit world(std::uint64_t seed = 1);

  struct machine {
    std::string name;
    member_info info;
    std::shared_ptr<crashing_store> store;
    std::unique_ptr<stored_log> log;
    std::unique_ptr<replica> core; ///< none: it does not run
    std::optional<disk_job> job;
    milliseconds job_done_at = 0;
    std::optional<config_state> image;
    milliseconds image_done_at = 0;
    unsigned starts = 0;
    /// As the link was told; who was removed stays a moment longer, so that it hears of it.
    std::map<std::string, std::vector<crypto::sha256_digest>> knows;
    std::map<std::string, milliseconds> leaving;
    std::optional<error> stopped; ///< it took itself out of service
    std::map<request_token, reply_value> replies;
    std::vector<request_token> answered_twice;
  };

  // ---- nodes
  /// The first of a cluster.
  void found(const std::string& name);
  /// Asked of `via`; false: it was not taken in within ten seconds.
  bool join(const std::string& name, const std::string& via,
            member_action action = member_action::add);
  /// A cluster of n1, n2, ... of which `voters` vote; the rest stands by.
  void grow(unsigned nodes);
  void start(const std::string& name);
  /// Unsynced writes are lost, all or from one of them on.
  void crash(const std::string& name);
  [[nodiscard]] machine& at(const std::string& name) { return nodes_.at(name); }
  [[nodiscard]] replica& core(const std::string& name) { return *nodes_.at(name).core; }
  [[nodiscard]] bool runs(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> running() const;

  // ---- time
  void step();
  void run_for(milliseconds time);
  /// Until it holds; false: not within that time.
  bool wait_for(const std::function<bool()>& what, milliseconds at_most = 10000);
  milliseconds now = 1000;

  // ---- network
  void cut(const std::string& from, const std::string& to) { cut_.insert({from, to}); }
  void isolate(const std::string& name);
  void heal() { cut_.clear(); }
  /// Parcels for which it says so are lost; others it may change.
  std::function<bool(const std::string& from, const std::string& to, parcel&)> drops;
  unsigned lost_per_mille = 0;

  // ---- requests
  request_token apply(const std::string& node, config_command command);
  request_token settle(const std::string& node, std::uint64_t revision, bool linearizable);
  request_token change(const std::string& node, member_action action, const member_info& info);
  request_token transfer(const std::string& node, const std::string& to);
  [[nodiscard]] const reply_value* reply_to(const std::string& node, request_token token) const;
  /// Waits for the reply; an error by the name "test" if there is none.
  reply_value answer(const std::string& node, request_token token, milliseconds at_most = 10000);
  /// One change, from the asking to the answer.
  result<config_applied> applied(const std::string& node, config_command command);
  result<membership_answer> changed(const std::string& node, member_action action,
                                    const member_info& info);

  // ---- what holds
  /// The one that leads, in the highest term.
  [[nodiscard]] std::string leader() const;
  [[nodiscard]] std::size_t voters() const;
  /// All that run and are members have applied the same and agree, and there is a leader.
  [[nodiscard]] bool converged() const;

  replica_options options;
  /// How long writes and images take, at most.
  milliseconds disk_ms_max = 5;
  milliseconds image_ms = 5;
  milliseconds network_ms_max = 5;
  std::mt19937_64 random;

private:
  struct frame {
    milliseconds at = 0;
    std::string from;
    std::string to;
    bytes octets;
  };

  std::size_t up_to(std::size_t most) { return static_cast<std::size_t>(random() % (most + 1)); }
  void carry_out(machine& n);
  void send(machine& from, const outgoing_frames& out);
  [[nodiscard]] bool linked(const machine& a, const machine& b) const;
  void tell_members(machine& n);
  void finish_disk(machine& n);
  request_token new_token() { return ++last_token_; }

  std::map<std::string, machine> nodes_;
  std::set<std::pair<std::string, std::string>> cut_;
  std::map<std::pair<std::string, std::string>, std::vector<frame>> flying_;
  request_token last_token_ = 0;
};

} // namespace custos::cluster::replica::test
