#include "actors/attestation/host_records_actor.hpp"

#include "actors/attestation/host_records.hpp"
#include "actors/attestation/reappraisal.hpp"
#include "messages/caf_error.hpp"

#include <boost/json.hpp>
#include <set>
#include <unordered_map>
#include <utility>

namespace custos::attestation {

namespace {

namespace bj = boost::json;

constexpr std::string_view record_prefix = "record/";
constexpr std::string_view evidence_prefix = "evidence/";
/// How long a changed record waits for others to share a write with.
constexpr std::chrono::milliseconds write_interval{1000};
constexpr std::size_t batch_bytes_max = 8U << 20U;
/// Hosts that one simulation tells of one by one; the counts are of all.
constexpr std::size_t simulated_hosts_max = 10000;

using records_self = host_records_api::extend<caf::reacts_to<tick>>;

class host_records_actor : public records_self::base {
public:
  host_records_actor(caf::actor_config& cfg, host_records_dependencies given,
                     std::set<std::pair<std::int64_t, host_id>> kept)
      : records_self::base(cfg), given_(std::move(given)), config_(given_.config),
        kept_(std::move(kept)) {
    for (const auto& [at, host] : kept_)
      kept_at_[host] = at;
    set_default_handler(caf::drop);
    set_exit_handler([this](caf::exit_msg& message) {
      flush();
      quit(std::move(message.reason));
    });
  }
  const char* name() const override { return "host_records"; }

  records_self::behavior_type make_behavior() override {
    return {
        [this](const host_record_changed& change) { on_change(change); },
        [this](const forget_host& f) -> caf::result<json_document> {
          forget(f.host);
          return json_document{"{}"};
        },
        [this](const explain_host& call) { return to_caf(explain_one(call.host)); },
        [this](const simulate_changes& call) { return to_caf(simulate_all(call)); },
        [this](const drain&) {
          flush();
          return drained{};
        },
        [this](const tick&) {
          tick_sent_ = false;
          flush();
        },
    };
  }

private:
  static std::string key_of(std::string_view prefix, std::string_view host) {
    return std::string(prefix).append(host);
  }

  void on_change(const host_record_changed& change) {
    given_.inbox->waiting.fetch_sub(1, std::memory_order_relaxed);
    dirty_.insert(change.host);
    if (change.evidence)
      keep(*change.evidence);
    if (batch_bytes_ >= batch_bytes_max)
      return flush();
    if (!std::exchange(tick_sent_, true))
      delayed_send(this, write_interval, tick{});
  }

  /// The newest evidence of each host, of as many hosts as the settings say, the oldest leave.
  void keep(const kept_evidence& e) {
    const auto hosts_max = config_.get()->settings.evidence_hosts_max;
    auto document = encode_kept_evidence(e);
    if (hosts_max == 0 || document.size() > rocksdb::value_bytes_max)
      return given_.hosts->drop_evidence(e.host);
    drop_older(e.host);
    kept_.emplace(e.at, e.host);
    kept_at_[e.host] = e.at;
    batch_bytes_ += document.size();
    batch_.put(key_of(evidence_prefix, e.host), document);
    while (kept_.size() > hosts_max) {
      const auto oldest = kept_.begin()->second;
      batch_.erase(key_of(evidence_prefix, oldest));
      drop_older(oldest);
      given_.hosts->drop_evidence(oldest);
      dirty_.insert(oldest);
    }
  }

  void drop_older(const host_id& host) {
    const auto found = kept_at_.find(host);
    if (found == kept_at_.end())
      return;
    kept_.erase({found->second, host});
    kept_at_.erase(found);
  }

  void forget(const host_id& host) {
    flush();
    given_.hosts->forget(host);
    drop_older(host);
    batch_.erase(key_of(record_prefix, host));
    batch_.erase(key_of(evidence_prefix, host));
    flush();
  }

  void flush() {
    for (const auto& host : std::exchange(dirty_, {}))
      if (const auto record = given_.hosts->find(host))
        batch_.put(key_of(record_prefix, host), encode_record(*record));
    const auto batch = std::exchange(batch_, {});
    batch_bytes_ = 0;
    if (batch.empty())
      return;
    if (auto written = given_.store->write(batch); !written && given_.complain)
      given_.complain(written.failure());
  }

  result<kept_evidence> load(const host_id& host) const {
    CUSTOS_TRY(const auto found, given_.store->get(key_of(evidence_prefix, host)));
    if (!found)
      return make_error(errc::not_found, "no evidence of host " + host + " is kept on this node");
    return decode_kept_evidence(host, as_text(*found));
  }

  result<json_document> explain_one(const host_id& host) {
    flush();
    CUSTOS_TRY(const auto kept, load(host));
    return json_document{
        bj::serialize(explain(kept, make_context(config_.get(), given_.ak_ca, given_.now())))};
  }

  result<json_document> simulate_all(const simulate_changes& call) {
    flush();
    CUSTOS_TRY(auto changed, given_.preview(config_.get(), call.changes));
    const auto before = make_context(config_.get(), given_.ak_ca, given_.now());
    const auto after = make_context(std::move(changed), given_.ak_ca, given_.now());
    bj::array hosts;
    std::size_t would_fail = 0;
    std::size_t judged = 0;
    for (const auto& [at, host] : kept_) {
      auto kept = load(host);
      if (!kept) // one document that does not read must not hide the others
        continue;
      const auto s = simulate(*kept, before, after);
      ++judged;
      would_fail += s.before.ok() && !s.after.ok() ? 1U : 0U;
      if (hosts.size() < simulated_hosts_max)
        hosts.emplace_back(s.document());
    }
    const auto known = given_.hosts->size();
    return json_document{
        bj::serialize(bj::object{{"hosts", std::move(hosts)},
                                 {"would_fail", would_fail},
                                 {"without_evidence", known > judged ? known - judged : 0}})};
  }

  host_records_dependencies given_;
  config_reader config_;
  /// Whose evidence is kept, by when it came.
  std::set<std::pair<std::int64_t, host_id>> kept_;
  std::unordered_map<host_id, std::int64_t> kept_at_;
  std::set<host_id> dirty_;
  rocksdb::write_batch batch_;
  std::size_t batch_bytes_ = 0;
  bool tick_sent_ = false;
};

template <caf::spawn_options Options>
result<host_records_api> spawn_with(caf::actor_system& system, host_records_dependencies given) {
  std::set<std::pair<std::int64_t, host_id>> kept;
  CUSTOS_TRY(const auto entries, given.store->scan(record_prefix));
  for (const auto& entry : entries) {
    const auto host = std::string_view(entry.key).substr(record_prefix.size());
    CUSTOS_TRY(auto record, decode_record(host, as_text(entry.value)));
    if (!record.evidence_sha256.empty())
      kept.emplace(record.last.at, record.host);
    given.hosts->restore(std::move(record));
  }
  return host_records_api(
      system.spawn<host_records_actor, Options>(std::move(given), std::move(kept)));
}

} // namespace

result<host_records_api> spawn_host_records(caf::actor_system& system,
                                            host_records_dependencies given) {
  return spawn_with<caf::detached>(system, std::move(given));
}

result<host_records_api> spawn_host_records_scheduled(caf::actor_system& system,
                                                      host_records_dependencies given) {
  return spawn_with<caf::no_spawn_options>(system, std::move(given));
}

std::function<void(const host_id&, std::shared_ptr<const kept_evidence>)>
record_changes(const host_records_api& records, std::shared_ptr<host_table> hosts,
               std::shared_ptr<record_inbox> inbox) {
  return [records, hosts = std::move(hosts), inbox = std::move(inbox)](
             const host_id& host, std::shared_ptr<const kept_evidence> evidence) {
    if (inbox->waiting.fetch_add(1, std::memory_order_relaxed) >= pending_changes_max) {
      inbox->waiting.fetch_sub(1, std::memory_order_relaxed);
      inbox->dropped.fetch_add(1, std::memory_order_relaxed);
      if (evidence) // it is to be offered again
        hosts->drop_evidence(host);
      return;
    }
    caf::anon_send(records, host_record_changed{host, std::move(evidence)});
  };
}

} // namespace custos::attestation
