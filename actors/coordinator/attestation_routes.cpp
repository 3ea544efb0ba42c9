// What the nodes of a trust authority cluster know of the hosts that attest to them: each node
// knows those that came to it, the coordinator puts them together.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

const std::string attestation = "/custos/v1/trust-authority-clusters/{cluster}/attestation";
constexpr std::size_t node_answer_bytes_max = 8U << 20U;
constexpr std::size_t body_bytes_max = 1U << 16U;

http::response json_body(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

/// The answer of a node as an object; nothing if it is none.
std::optional<bj::object> object_of(const target_outcome& o) {
  if (!o.ok)
    return std::nullopt;
  auto parsed = json::parse_any(o.body, node_answer_bytes_max);
  if (!parsed || !parsed->is_object())
    return std::nullopt;
  return std::move(parsed->get_object());
}

std::int64_t number_of(const bj::object& o, std::string_view name) {
  const auto* const v = o.if_contains(name);
  const auto* const n = v == nullptr ? nullptr : v->if_int64();
  return n == nullptr ? 0 : *n;
}

std::string text_of(const bj::object& o, std::string_view name) {
  const auto* const v = o.if_contains(name);
  const auto* const s = v == nullptr ? nullptr : v->if_string();
  return s == nullptr ? std::string() : std::string(*s);
}

bool accepted_of(const bj::object& o, std::string_view when) {
  const auto* const v = o.if_contains(when);
  const auto* const verdict = v == nullptr ? nullptr : v->if_object();
  const auto* const a = verdict == nullptr ? nullptr : verdict->if_contains("accepted");
  return a != nullptr && a->is_bool() && a->get_bool();
}

/// When a node last judged this host; 0: never.
std::int64_t judged_at(const bj::object& host) {
  const auto* const v = host.if_contains("verdict");
  const auto* const verdict = v == nullptr ? nullptr : v->if_object();
  return verdict == nullptr ? 0 : number_of(*verdict, "at");
}

/// Objects of an array member.
std::vector<bj::object> objects_in(bj::object& o, std::string_view name) {
  std::vector<bj::object> out;
  auto* const v = o.if_contains(name);
  if (v == nullptr || !v->is_array())
    return out;
  for (auto& item : v->get_array())
    if (item.is_object())
      out.push_back(std::move(item.get_object()));
  return out;
}

/// Each host as the node saw it that judged it last.
class newest_hosts {
public:
  void add(const std::string& node, bj::object host, std::int64_t at) {
    const auto name = text_of(host, "host");
    const auto found = seen_.find(name);
    if (name.empty() || (found != seen_.end() && found->second.first >= at))
      return;
    host["node"] = node;
    seen_.insert_or_assign(name, std::pair(at, std::move(host)));
  }
  [[nodiscard]] const std::map<std::string, std::pair<std::int64_t, bj::object>>& all() const {
    return seen_;
  }

private:
  std::map<std::string, std::pair<std::int64_t, bj::object>> seen_;
};

/// No node had an answer: the first reason.
error nobody_knows(const target_outcomes& outcomes) {
  const bool unknown =
      std::any_of(outcomes.begin(), outcomes.end(), [](const auto& o) { return o.status == 404; });
  if (unknown)
    return field_error(errc::not_found, "host", "no node that answered has seen that host");
  auto failed = failure_of(outcomes);
  return failed ? *std::move(failed) : make_error(errc::unavailable, "no node answered");
}

/// Nodes that gave no answer, and why.
bj::array silent(const target_outcomes& outcomes) {
  std::vector<std::string> out;
  for (const auto& o : outcomes)
    if (!o.ok && o.status != 404)
      out.push_back(o.target + ": " + o.message);
  return messages_of(out);
}

/// Simulations of all nodes as one: of each host the newest evidence counts.
bj::object merged_simulation(const target_outcomes& outcomes) {
  newest_hosts newest;
  std::int64_t without = 0;
  for (const auto& o : outcomes) {
    auto answer = object_of(o);
    if (!answer)
      continue;
    without = std::max(without, number_of(*answer, "without_evidence"));
    for (auto& host : objects_in(*answer, "hosts")) {
      const auto at = number_of(host, "at");
      newest.add(o.target, std::move(host), at);
    }
  }
  bj::array hosts;
  std::int64_t would_fail = 0;
  for (const auto& [name, seen] : newest.all()) {
    const auto& host = seen.second;
    would_fail += accepted_of(host, "before") && !accepted_of(host, "after") ? 1 : 0;
    hosts.push_back(host);
  }
  return {{"hosts", std::move(hosts)},
          {"would_fail", would_fail},
          {"without_evidence", without},
          {"details", silent(outcomes)}};
}

} // namespace

void coordinator_api::add_attestation_routes() {
  add("GET", attestation + "/hosts", access::auditor,
      "The last verdict on every host, of the node that judged it last; ?after=ID&limit=N",
      [this](routed_request&& r, const http::responder& respond) { list_hosts(r, respond); });
  add("GET", attestation + "/hosts/{host}", access::auditor, "The last verdict on a host",
      [this](routed_request&& r, const http::responder& respond) { newest_of(r, "", respond); });
  add("GET", attestation + "/hosts/{host}/explain", access::auditor,
      "The host's last boot, compared with every image",
      [this](routed_request&& r, const http::responder& respond) {
        newest_of(r, "/explain", respond);
      });
  add("POST", attestation + "/simulate", access::administrator,
      "Judges the last evidence of all hosts as if these changes had been made",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        http::call call;
        call.method = "POST";
        call.url = "/attestation/v1/simulate";
        call.body = r.request.body;
        on_all(*nodes, call, [respond](const target_outcomes& outcomes) {
          if (std::none_of(outcomes.begin(), outcomes.end(), [](const auto& o) { return o.ok; }))
            return respond(contract_error(nobody_knows(outcomes)));
          respond(json_body(merged_simulation(outcomes)));
        });
      });
  add("DELETE", attestation + "/hosts/{host}", access::administrator,
      "Forgets a host on every node, so that it may be bound anew",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {"custos:Hosts.forget", r.path.at("cluster")},
            [this, nodes = *nodes, host = r.path.at("host")](const work_done& done) {
              http::call call;
              call.method = "DELETE";
              call.url = "/attestation/v1/hosts/" + host;
              on_all(nodes, call, [done](target_outcomes o) {
                const bool somewhere =
                    std::any_of(o.begin(), o.end(), [](const auto& one) { return one.ok; });
                for (auto& one : o) // a node that never saw it has nothing to forget
                  one.ok = one.ok || (somewhere && one.status == 404);
                work_result w;
                if (auto failed = failure_of(o))
                  w.outcome = *std::move(failed);
                w.targets = std::move(o);
                done(std::move(w));
              });
            });
      });
  add("PUT", attestation + "/hosts/{host}/quarantine", access::administrator,
      R"({"quarantined": true}: the host gets neither tokens nor keys, on any node)",
      [this](routed_request&& r, const http::responder& respond) { quarantine(r, respond); });
}

void coordinator_api::list_hosts(const routed_request& r, const http::responder& respond) const {
  auto nodes = nodes_of(r);
  if (!nodes)
    return respond(contract_error(nodes.failure()));
  http::call call;
  call.url = "/attestation/v1/hosts";
  char next = '?';
  for (const auto* const name : {"after", "limit"})
    if (const auto given = r.request.query.find(name); given != r.request.query.end()) {
      if (given->second.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789._-") != std::string::npos)
        return respond(contract_error(
            field_error(errc::invalid_argument, name, "expected a host id, or a number")));
      call.url.append(1, next).append(name).append("=").append(given->second);
      next = '&';
    }
  on_all(*nodes, call, [respond](const target_outcomes& outcomes) {
    if (std::none_of(outcomes.begin(), outcomes.end(), [](const auto& o) { return o.ok; }))
      return respond(contract_error(nobody_knows(outcomes)));
    newest_hosts newest;
    std::int64_t known = 0;
    for (const auto& o : outcomes) {
      auto answer = object_of(o);
      if (!answer)
        continue;
      known = std::max(known, number_of(*answer, "known"));
      for (auto& host : objects_in(*answer, "hosts")) {
        const auto at = judged_at(host);
        newest.add(o.target, std::move(host), at);
      }
    }
    bj::array hosts;
    for (const auto& [name, seen] : newest.all())
      hosts.push_back(seen.second);
    respond(json_body(
        bj::object{{"hosts", std::move(hosts)}, {"known", known}, {"details", silent(outcomes)}}));
  });
}

void coordinator_api::newest_of(const routed_request& r, const std::string& what,
                                const http::responder& respond) const {
  auto nodes = nodes_of(r);
  if (!nodes)
    return respond(contract_error(nodes.failure()));
  http::call call;
  call.url = "/attestation/v1/hosts/" + r.path.at("host") + what;
  on_all(*nodes, call, [respond](const target_outcomes& outcomes) {
    newest_hosts newest;
    for (const auto& o : outcomes)
      if (auto answer = object_of(o)) {
        const auto at = std::max(judged_at(*answer), number_of(*answer, "at"));
        newest.add(o.target, *std::move(answer), at);
      }
    if (newest.all().empty())
      return respond(contract_error(nobody_knows(outcomes)));
    respond(json_body(newest.all().begin()->second.second));
  });
}

void coordinator_api::quarantine(const routed_request& r, const http::responder& respond) const {
  auto nodes = nodes_of(r);
  if (!nodes)
    return respond(contract_error(nodes.failure()));
  auto body = json::parse_object(r.request.body, body_bytes_max);
  auto wanted = body ? body->boolean("quarantined") : result<bool>(body.failure());
  if (wanted)
    if (auto rest = body->finish(); !rest)
      wanted = rest.failure();
  if (!wanted)
    return respond(contract_error(wanted.failure()));
  run(r, respond, {"custos:Hosts.quarantine", r.path.at("cluster")},
      [this, nodes = *nodes, host = r.path.at("host"), on = *wanted](const work_done& done) {
        http::call get;
        get.url = "/config/v1/hosts/" + host;
        on_one(nodes, get, [this, nodes, host, on, done](const result<std::string>& read) {
          auto answer = read ? json::parse_any(*read, node_answer_bytes_max)
                             : result<bj::value>(read.failure());
          if (!answer)
            return done({answer.failure(), {}});
          auto* const binding =
              answer->is_object() ? answer->get_object().if_contains("object") : nullptr;
          if (binding == nullptr || !binding->is_object())
            return done({make_error(errc::internal, "a node answered without the host"), {}});
          binding->get_object()["quarantined"] = on;
          put_object(nodes, "hosts", host, bj::serialize(*binding), done);
        });
      });
}

} // namespace custos::coordinator
