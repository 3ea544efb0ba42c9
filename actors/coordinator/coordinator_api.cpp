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

constexpr std::chrono::milliseconds member_timeout{10000};
constexpr std::size_t node_answer_bytes_max = 8U << 20U;

/// The objects of a node's answer: name and document; nothing if the answer has another form. A
/// node is asked, not trusted.
std::optional<std::vector<std::pair<std::string, const bj::value*>>>
objects_of(const bj::value& answer) {
  const auto* const root = answer.if_object();
  const auto* const list = root == nullptr ? nullptr : root->if_contains("objects");
  if (list == nullptr || !list->is_array())
    return std::nullopt;
  std::vector<std::pair<std::string, const bj::value*>> out;
  for (const auto& item : list->get_array()) {
    const auto* const o = item.if_object();
    const auto* const name = o == nullptr ? nullptr : o->if_contains("name");
    const auto* const document = o == nullptr ? nullptr : o->if_contains("object");
    if (name == nullptr || !name->is_string() || document == nullptr || !document->is_object())
      return std::nullopt;
    out.emplace_back(std::string(name->get_string()), document);
  }
  return out;
}

} // namespace

error bad_object_name(std::string_view field) {
  return field_error(errc::invalid_argument, std::string(field),
                     "expected 1-128 characters of A-Z a-z 0-9 . _ -, the first a letter or digit");
}

std::string health_of(const std::vector<std::string>& details) {
  return details.empty() ? "OK" : "WARNING";
}

bj::array messages_of(const std::vector<std::string>& details) {
  bj::array out;
  for (const auto& text : details)
    out.push_back(
        bj::object{{"id", "com.custos.node"}, {"default_message", text}, {"args", bj::array{}}});
  return out;
}

coordinator_api::coordinator_api(coordinator_ports ports)
    : ports_(std::move(ports)), peers_(ports_.anchors) {
  add_inventory_routes();
  add_endorsement_routes();
  add_denial_routes();
  add_settings_routes();
  add_image_routes();
  add_attestation_routes();
  add_token_key_routes();
  add_provider_routes();
  add_primary_key_routes();
  add_client_certificate_routes();
  add_next_certificate_routes();
  add_provider_trust_routes();
  add_provider_use_routes();
  add_service_routes();
  add_trusted_cluster_routes();
  add_task_routes();
  add_backup_routes();
}

void coordinator_api::add(std::string method, const std::string& pattern, access who,
                          std::string summary, gateway::route_handler h) {
  router_.add({std::move(method), "/api" + pattern, who, std::move(summary), std::move(h)});
}

void coordinator_api::add_read(const std::string& pattern, std::string name, std::string summary,
                               gateway::route_handler h) {
  add("GET", pattern, access::auditor, std::move(summary), std::move(h));
  reads_.emplace("/api" + pattern, std::move(name));
}

void coordinator_api::handle(http::request&& request, const http::responder& respond) const {
  auto match = router_.find(request.method, request.path);
  if (match.found == nullptr)
    return respond(contract_error(
        make_error(match.allowed.empty() ? errc::not_found : errc::method_not_allowed,
                   "there is no such operation")));
  auto known = peers_.principal_of(request.peer, *ports_.principals(), ports_.now());
  if (known && !gateway::may(known->may, match.found->who))
    known = make_error(errc::forbidden,
                       "expected the role " + std::string(to_string(match.found->who)));
  if (!known) {
    const auto& e = known.failure();
    ports_.audit({request.peer ? request.peer.common_name() : "anonymous", request.remote,
                  "http." + request.method, request.path, std::string(to_string(e.code)),
                  e.message});
    return respond(contract_error(e));
  }
  // They become part of paths at the nodes.
  if (const auto host = match.path.find("host");
      host != match.path.end() && !is_host_name(host->second))
    return respond(contract_error(bad_object_name("host")));
  for (const auto* name : {"name", "provider"}) {
    const auto found = match.path.find(name);
    if (found != match.path.end() && !is_object_name(found->second))
      return respond(contract_error(bad_object_name(name)));
  }
  routed_request routed{std::move(request), std::move(match.path), known->name};
  const auto read = reads_.find(match.found->pattern);
  if (routed.request.method == "GET" && read != reads_.end() && wants_task(routed.request))
    return run(routed, respond, {read->second, routed.path.at("cluster"), 200, true},
               [found = match.found, routed](const work_done& done) {
                 found->handle(routed_request(routed), [done](const http::response& a) {
                   done({outcome_of(a), {}});
                 });
               });
  match.found->handle(std::move(routed), respond);
}

// ---- nodes --------------------------------------------------------------------------------------

result<std::vector<member>> coordinator_api::nodes_of(const routed_request& r) const {
  const auto& id = r.path.at("cluster");
  CUSTOS_CHECK([&]() -> result<void> {
    if (auto c = ports_.known->cluster(id, cluster_type::trust_authority); !c)
      return c.failure();
    return {};
  }());
  auto nodes = ports_.known->members(id);
  if (nodes.empty())
    return field_error(errc::unavailable, "cluster", "the cluster has no nodes in the inventory");
  return nodes;
}

namespace {

/// Of members asked one after another, the last that said anything.
const target_outcome& decisive(const target_outcomes& asked) {
  const auto said = std::find_if(asked.rbegin(), asked.rend(),
                                 [](const target_outcome& o) { return o.status != 0; });
  return said == asked.rend() ? asked.back() : *said;
}

} // namespace

std::uint64_t coordinator_api::seen_revision(const std::string& cluster) const {
  const std::lock_guard guard(mutex_);
  const auto found = revisions_.find(cluster);
  return found == revisions_.end() ? 0 : found->second;
}

void coordinator_api::saw_revision(const std::string& cluster,
                                   const target_outcomes& outcomes) const {
  for (const auto& o : outcomes) {
    const auto answer = o.ok ? json::parse_any(o.body, node_answer_bytes_max)
                             : make_error(errc::unavailable, o.message);
    const auto* const revision =
        answer && answer->is_object() ? answer->get_object().if_contains("revision") : nullptr;
    if (revision == nullptr || !revision->is_int64() || revision->get_int64() < 0)
      continue;
    const std::lock_guard guard(mutex_);
    auto& seen = revisions_[cluster];
    seen = std::max(seen, static_cast<std::uint64_t>(revision->get_int64()));
  }
}

void coordinator_api::on_all(const std::vector<member>& members, const http::call& call,
                             std::function<void(target_outcomes)> done) const {
  std::vector<member_call> calls;
  calls.reserve(members.size());
  for (const auto& m : members) {
    calls.push_back({m, call});
    auto& one = calls.back().call;
    one.timeout = member_timeout;
    // A node that is behind what was seen elsewhere catches up first, or says so. Hosts have none.
    if (const auto seen = seen_revision(m.cluster); seen > 0)
      one.headers.push_back({"Custos-Revision", std::to_string(seen)});
  }
  ports_.fan_out(std::move(calls), std::move(done));
}

void coordinator_api::on_first(std::vector<member> members, const http::call& call,
                               std::function<void(target_outcomes)> done) const {
  const auto first = members.front();
  members.erase(members.begin());
  on_all({first}, call,
         [this, members = std::move(members), call, done = std::move(done)](target_outcomes o) {
           const bool answered = o.front().status != 0 && o.front().status != 503;
           if (answered || members.empty())
             return done(std::move(o));
           on_first(members, call, [o = std::move(o), done](target_outcomes rest) mutable {
             rest.insert(rest.begin(), o.begin(), o.end());
             done(std::move(rest));
           });
         });
}

void coordinator_api::on_one(const std::vector<member>& members, const http::call& call,
                             std::function<void(result<std::string>)> done) const {
  on_first(members, call, [done = std::move(done)](const target_outcomes& o) {
    const auto& last = decisive(o);
    if (auto failed = failure_of({last}))
      return done(*std::move(failed));
    done(last.body);
  });
}

void coordinator_api::write_object(const std::vector<member>& nodes, http::call call,
                                   const work_done& done) const {
  call.headers.push_back({"Custos-Operation-Id", crypto::hex(crypto::random_bytes(16))});
  on_first(nodes, call, [this, cluster = nodes.front().cluster, done](target_outcomes o) {
    saw_revision(cluster, o);
    work_result w;
    if (auto failed = failure_of({decisive(o)}))
      w.outcome = *std::move(failed);
    w.targets = std::move(o);
    done(std::move(w));
  });
}

void coordinator_api::put_object(const std::vector<member>& nodes, const std::string& kind,
                                 const std::string& name, const std::string& document,
                                 const work_done& done) const {
  http::call put;
  put.method = "PUT";
  put.url = "/config/v1/" + kind + "/" + name;
  put.body = document;
  write_object(nodes, std::move(put), done);
}

void coordinator_api::create_object(const std::vector<member>& nodes, const std::string& kind,
                                    const std::string& name, const std::string& document,
                                    const work_done& done) const {
  http::call create;
  create.method = "PUT";
  create.url = "/config/v1/" + kind + "/" + name;
  create.body = document;
  create.headers.push_back({"If-None-Match", "*"});
  write_object(nodes, std::move(create), [done, name](work_result w) {
    if (w.outcome)
      w.outcome = bj::serialize(bj::string(name));
    else if (w.outcome.failure().code == errc::already_exists)
      w.outcome = field_error(errc::already_exists, "name", "there is an object of that name");
    done(std::move(w));
  });
}

void coordinator_api::delete_object(const std::vector<member>& nodes, const std::string& kind,
                                    const std::string& name, const work_done& done) const {
  http::call erase;
  erase.method = "DELETE";
  erase.url = "/config/v1/" + kind + "/" + name;
  write_object(nodes, std::move(erase), done);
}

void coordinator_api::read_objects(const std::vector<member>& nodes, const std::string& kind,
                                   std::function<void(result<seen_objects>)> done) const {
  http::call get;
  get.url = "/config/v1/" + kind;
  on_all(nodes, get, [done = std::move(done)](const target_outcomes& outcomes) {
    seen_objects out;
    std::map<std::string, seen_object> seen;
    std::map<std::string, std::set<std::string>> holders;
    std::vector<std::string> answered;
    for (const auto& o : outcomes) {
      const auto parsed = o.ok ? json::parse_any(o.body, node_answer_bytes_max)
                               : make_error(errc::unavailable, o.message);
      const auto objects = parsed ? objects_of(*parsed) : std::nullopt;
      if (!objects) {
        out.details.push_back(o.target + ": " +
                              (o.ok ? "answered with something else than objects" : o.message));
        continue;
      }
      answered.push_back(o.target);
      for (const auto& [name, value] : *objects) {
        auto document = json::canonical(*value);
        auto& one = seen.try_emplace(name, seen_object{name, document, {}}).first->second;
        if (one.document != document)
          one.details.push_back(o.target + ": has another content");
        holders[name].insert(o.target);
      }
    }
    if (answered.empty()) {
      auto failed = failure_of(outcomes);
      return done(failed ? *std::move(failed)
                         : make_error(errc::internal, "no node answered with objects"));
    }
    for (auto& [name, one] : seen) {
      for (const auto& node : answered)
        if (holders[name].count(node) == 0)
          one.details.push_back(node + ": does not have it");
      one.details.insert(one.details.end(), out.details.begin(), out.details.end());
      out.objects.push_back(std::move(one));
    }
    done(std::move(out));
  });
}

namespace {

struct read_answer {
  bj::object document;
  std::int64_t revision = 0;
};
/// A node is asked, not trusted.
result<read_answer> read_answer_of(const std::string& body) {
  auto parsed = json::parse_any(body, node_answer_bytes_max);
  auto* const answer = parsed ? parsed->if_object() : nullptr;
  auto* const object = answer == nullptr ? nullptr : answer->if_contains("object");
  const auto* const revision = answer == nullptr ? nullptr : answer->if_contains("revision");
  if (object == nullptr || !object->is_object() || revision == nullptr || !revision->is_int64())
    return make_error(errc::internal, "a node answered with something else than an object");
  return read_answer{std::move(object->get_object()), revision->get_int64()};
}

} // namespace

void coordinator_api::read_document(const std::vector<member>& nodes, const std::string& kind,
                                    const std::string& name,
                                    std::function<void(result<bj::object>)> done) const {
  http::call get;
  get.url = "/config/v1/" + kind + "/" + name;
  on_one(nodes, get, [done = std::move(done)](const result<std::string>& body) {
    auto answer = body ? read_answer_of(*body) : result<read_answer>(body.failure());
    done(answer ? result<bj::object>(std::move(answer->document))
                : result<bj::object>(answer.failure()));
  });
}

void coordinator_api::edit_object(const std::vector<member>& nodes, const std::string& kind,
                                  const std::string& name,
                                  std::function<result<void>(bj::object&)> change,
                                  const work_done& done, unsigned attempts) const {
  http::call get;
  get.url = "/config/v1/" + kind + "/" + name;
  on_one(nodes, get,
         [this, nodes, kind, name, change = std::move(change), done,
          attempts](const result<std::string>& body) {
           auto answer = body ? read_answer_of(*body) : result<read_answer>(body.failure());
           if (!answer)
             return done({answer.failure(), {}});
           if (auto changed = change(answer->document); !changed)
             return done({changed.failure(), {}});
           http::call put;
           put.method = "PUT";
           put.url = "/config/v1/" + kind + "/" + name;
           put.body = bj::serialize(answer->document);
           put.headers.push_back({"If-Match", '"' + std::to_string(answer->revision) + '"'});
           write_object(nodes, std::move(put),
                        [this, nodes, kind, name, change, done, attempts](work_result w) {
                          if (!w.outcome && attempts > 1 &&
                              w.outcome.failure().code == errc::revision_conflict)
                            return edit_object(nodes, kind, name, change, done, attempts - 1);
                          done(std::move(w));
                        });
         });
}

} // namespace custos::coordinator
