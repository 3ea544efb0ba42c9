// custos provider retire-check: may an old primary key go?

#include "actors/keyprovider/retirement.hpp"
#include "runtime/cli/session.hpp"

#include <boost/json.hpp>
#include <chrono>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::int64_t day_s = 24 * 3600;
constexpr std::uint32_t days_max = 3650;

struct retire_arguments {
  std::string provider;
  std::string key;
  std::vector<std::string> nodes;
  std::uint32_t days = 30;
};

/// Of every node of the cluster through the coordinator, or of those that were named.
result<std::vector<keyprovider::node_uses>> uses_of(session& s, const retire_arguments& a) {
  if (a.nodes.empty()) {
    CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
    CUSTOS_TRY(const auto answer,
               s.ask("GET", "/api/custos/v1/trust-authority-clusters/" + cluster +
                                "/kms/providers/" + segment(a.provider) + "/uses"));
    return keyprovider::read_cluster_uses(bj::serialize(answer));
  }
  std::vector<keyprovider::node_uses> out;
  for (const auto& node : a.nodes) {
    const auto answer = s.ask_node(
        node, "GET", "/keys/v1/admin/providers/" + segment(a.provider) + "/uses", nullptr);
    if (!answer) {
      keyprovider::node_uses away;
      away.node = node;
      away.problem = answer.failure().message;
      out.push_back(std::move(away));
      continue;
    }
    CUSTOS_TRY(auto one, keyprovider::read_node_uses(bj::serialize(*answer)));
    out.push_back(std::move(one));
  }
  return out;
}

bj::object shown(const std::string& key, const keyprovider::retirement& r) {
  bj::object out{{"primary_key_id", key.empty() ? "(any older)" : key},
                 {"may_be_retired", r.may},
                 {"last_used", r.last_used}};
  bj::array reasons(r.reasons.begin(), r.reasons.end());
  out["reasons"] = std::move(reasons);
  return out;
}

result<void> retire_check(session& s, const retire_arguments& a) {
  CUSTOS_TRY(const auto nodes, uses_of(s, a));
  auto keys = a.key.empty() ? keyprovider::older_keys(nodes) : std::vector<std::string>{a.key};
  if (keys.empty())
    keys.emplace_back(); // nobody needed one: is that known for long enough?
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  bj::array list;
  bool all = true;
  for (const auto& key : keys) {
    const auto judged = keyprovider::judge_retirement(nodes, key, a.days * day_s, now);
    all = all && judged.may;
    list.emplace_back(shown(key, judged));
  }
  s.show(list);
  if (all)
    return {};
  auto e = make_error(errc::revision_conflict,
                      "not yet: a primary key may be retired when every node has counted for " +
                          std::to_string(a.days) + " days and none has needed it");
  e.check = std::string(not_yet_check);
  return e;
}

} // namespace

void add_provider_retire_command(command_set& commands, CLI::App* group) {
  auto a = std::make_shared<retire_arguments>();
  auto* const c = commands.command(
      group, "retire-check",
      "Whether old primary keys may be retired; exit code 0: all of them, 75: not yet",
      [a](session& s) { return retire_check(s, *a); });
  c->add_option("name", a->provider, "The provider")->required();
  c->add_option("--key", a->key,
                "Unique identifier of one primary key; default: all that were needed and are not "
                "the present one");
  c->add_option("--days", a->days, "For how long no host may have needed it")
      ->check(CLI::Range(1U, days_max))
      ->capture_default_str();
  c->add_option("--node", a->nodes, "Ask these nodes, https://host:port, not the coordinator")
      ->delimiter(',');
}

} // namespace custos::cli
