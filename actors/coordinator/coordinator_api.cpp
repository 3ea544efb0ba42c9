#include "actors/coordinator/coordinator_api.hpp"

#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t tasks_kept_max = 1000;
constexpr std::chrono::milliseconds member_timeout{10000};
constexpr std::size_t node_answer_bytes_max = 8U << 20U;

} // namespace

coordinator_api::coordinator_api(coordinator_ports ports) : ports_(std::move(ports)) {
  add_inventory_routes();
  add_endorsement_routes();
  add_settings_and_image_routes();
  add_provider_routes();
  add_provider_trust_routes();
  add_service_routes();
  add_trusted_cluster_routes();
  add_task_routes();
}

void coordinator_api::add(std::string method, std::string pattern, access who, std::string summary,
                          gateway::route_handler h) {
  router_.add({std::move(method), "/api" + pattern, who, std::move(summary), std::move(h)});
}

void coordinator_api::handle(http::request&& request, const http::responder& respond) const {
  auto match = router_.find(request.method, request.path);
  if (match.found == nullptr)
    return respond(contract_error(
        make_error(match.allowed.empty() ? errc::not_found : errc::method_not_allowed,
                   "there is no such operation")));
  auto known =
      gateway::principal_of(request.peer, ports_.anchors, *ports_.principals(), ports_.now());
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
  match.found->handle({std::move(request), std::move(match.path), known->name}, respond);
}

void coordinator_api::run(const routed_request& r, const http::responder& respond, operation what,
                          const work& w) const {
  const bool as_task =
      r.request.query.count("vmw-task") != 0 && r.request.query.at("vmw-task") == "true";
  task t;
  t.id = crypto::hex(crypto::random_bytes(16)) + ":" + what.cluster;
  t.operation = what.name;
  t.cluster = what.cluster;
  t.user = r.principal;
  t.state = task_state::running;
  t.started = ports_.now();
  {
    const std::lock_guard guard(mutex_);
    if (!what.cluster.empty() && !busy_.insert(what.cluster).second)
      return respond(contract_error(field_error(errc::revision_conflict, "cluster",
                                                "another change of this cluster is under way")));
    tasks_.push_back(t);
    if (tasks_.size() > tasks_kept_max)
      tasks_.pop_front();
  }
  if (as_task) {
    http::response accepted;
    accepted.status = 202;
    accepted.body = bj::serialize(bj::string(t.id));
    respond(std::move(accepted));
  }
  w([this, respond, as_task, what, id = t.id, user = r.principal,
     remote = r.request.remote](work_result ended) {
    {
      const std::lock_guard guard(mutex_);
      busy_.erase(what.cluster);
      const auto found =
          std::find_if(tasks_.begin(), tasks_.end(), [&](const task& one) { return one.id == id; });
      if (found != tasks_.end()) {
        found->finished = ports_.now();
        found->targets = ended.targets;
        found->state = ended.outcome ? task_state::succeeded : task_state::failed;
        if (ended.outcome)
          found->result = *ended.outcome;
        else
          found->failure = ended.outcome.failure();
      }
    }
    ports_.audit({user, remote, what.name, what.cluster,
                  ended.outcome ? "ok" : std::string(to_string(ended.outcome.failure().code)),
                  ended.outcome ? "" : ended.outcome.failure().message});
    if (as_task)
      return;
    if (!ended.outcome)
      return respond(contract_error(ended.outcome.failure()));
    http::response done;
    done.body = *std::move(ended.outcome);
    done.status = done.body.empty() ? 204 : what.status;
    respond(std::move(done));
  });
}

void coordinator_api::add_task_routes() {
  add("GET", "/cis/tasks", access::auditor, "All tasks kept, newest last",
      [this](routed_request&&, const http::responder& respond) {
        bj::object out;
        {
          const std::lock_guard guard(mutex_);
          for (const auto& t : tasks_)
            out[t.id] = task_json(t);
        }
        http::response r;
        r.body = bj::serialize(out);
        respond(std::move(r));
      });
  add("GET", "/cis/tasks/{task}", access::auditor, "One task",
      [this](routed_request&& r, const http::responder& respond) {
        http::response out;
        {
          const std::lock_guard guard(mutex_);
          const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const task& one) {
            return one.id == r.path.at("task");
          });
          if (found == tasks_.end())
            out = contract_error(
                field_error(errc::not_found, "task", "there is no such task, or it is too old"));
          else
            out.body = bj::serialize(task_json(*found));
        }
        respond(std::move(out));
      });
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

void coordinator_api::on_all(const std::vector<member>& members, const http::call& call,
                             std::function<void(target_outcomes)> done) const {
  std::vector<member_call> calls;
  calls.reserve(members.size());
  for (const auto& m : members) {
    calls.push_back({m, call});
    calls.back().call.timeout = member_timeout;
  }
  ports_.fan_out(std::move(calls), std::move(done));
}

void coordinator_api::on_one(std::vector<member> members, const http::call& call,
                             std::function<void(result<std::string>)> done) const {
  const auto first = members.front();
  members.erase(members.begin());
  on_all(
      {first}, call,
      [this, members = std::move(members), call, done = std::move(done)](const target_outcomes& o) {
        const bool answered = o.front().status != 0 && o.front().status != 503;
        if (!answered && !members.empty())
          return on_one(members, call, done);
        if (auto failed = failure_of(o))
          return done(*std::move(failed));
        done(o.front().body);
      });
}

void coordinator_api::put_object(const std::vector<member>& nodes, const std::string& kind,
                                 const std::string& name, const std::string& document,
                                 const work_done& done) const {
  http::call put;
  put.method = "PUT";
  put.url = "/config/v1/" + kind + "/" + name;
  put.body = document;
  put.headers.push_back({"Custos-Operation-Id", crypto::hex(crypto::random_bytes(16))});
  on_all(nodes, put, [done](target_outcomes o) {
    work_result w;
    if (auto failed = failure_of(o))
      w.outcome = *std::move(failed);
    w.targets = std::move(o);
    done(std::move(w));
  });
}

void coordinator_api::create_object(const std::vector<member>& nodes, const std::string& kind,
                                    const std::string& name, const std::string& document,
                                    const work_done& done) const {
  http::call get;
  get.url = "/config/v1/" + kind + "/" + name;
  on_all(nodes, get, [this, nodes, kind, name, document, done](target_outcomes o) {
    // Only when every node has it is it there: a creation that reached some nodes may be repeated.
    const bool everywhere = std::all_of(o.begin(), o.end(), [](const auto& one) { return one.ok; });
    if (everywhere)
      return done({field_error(errc::already_exists, "name", "there is an object of that name"),
                   std::move(o)});
    put_object(nodes, kind, name, document, [done, name](work_result w) {
      if (w.outcome)
        w.outcome = bj::serialize(bj::string(name));
      done(std::move(w));
    });
  });
}

void coordinator_api::delete_object(const std::vector<member>& nodes, const std::string& kind,
                                    const std::string& name, const work_done& done) const {
  http::call erase;
  erase.method = "DELETE";
  erase.url = "/config/v1/" + kind + "/" + name;
  on_all(nodes, erase, [done](target_outcomes o) {
    const bool nowhere =
        std::all_of(o.begin(), o.end(), [](const auto& one) { return one.status == 404; });
    for (auto& one : o)
      one.ok = one.ok || (!nowhere && one.status == 404); // gone is what was asked for
    work_result w;
    if (auto failed = failure_of(o))
      w.outcome = *std::move(failed);
    w.targets = std::move(o);
    done(std::move(w));
  });
}

void coordinator_api::read_objects(
    const std::vector<member>& nodes, const std::string& kind,
    std::function<void(result<std::vector<seen_object>>)> done) const {
  http::call get;
  get.url = "/config/v1/" + kind;
  on_all(nodes, get, [done = std::move(done)](const target_outcomes& outcomes) {
    std::map<std::string, std::pair<seen_object, std::size_t>> seen;
    std::size_t answered = 0;
    for (const auto& o : outcomes) {
      const auto parsed = o.ok ? json::parse_any(o.body, node_answer_bytes_max)
                               : make_error(errc::unavailable, o.message);
      if (!parsed || !parsed->is_object() || !parsed->get_object().contains("objects"))
        continue;
      ++answered;
      for (const auto& item : parsed->get_object().at("objects").as_array()) {
        const auto& object = item.as_object();
        seen_object one{std::string(object.at("name").as_string()),
                        json::canonical(object.at("object")), true};
        auto& entry = seen.try_emplace(one.name, one, 0).first->second;
        entry.first.agreed = entry.first.agreed && entry.first.document == one.document;
        ++entry.second;
      }
    }
    if (answered == 0) {
      auto failed = failure_of(outcomes);
      return done(failed ? *std::move(failed)
                         : make_error(errc::internal, "no node answered as expected"));
    }
    std::vector<seen_object> out;
    for (auto& [name, entry] : seen) {
      entry.first.agreed = entry.first.agreed && entry.second == outcomes.size();
      out.push_back(std::move(entry.first));
    }
    done(std::move(out));
  });
}

void coordinator_api::edit_object(const std::vector<member>& nodes, const std::string& kind,
                                  const std::string& name,
                                  std::function<result<void>(bj::object&)> change,
                                  const work_done& done) const {
  http::call get;
  get.url = "/config/v1/" + kind + "/" + name;
  on_one(nodes, get,
         [this, nodes, kind, name, change = std::move(change), done](result<std::string> body) {
           if (!body)
             return done({body.failure(), {}});
           auto parsed = json::parse_any(*body, node_answer_bytes_max);
           auto* const object =
               parsed && parsed->is_object() ? parsed->get_object().if_contains("object") : nullptr;
           if (object == nullptr || !object->is_object())
             return done(
                 {make_error(errc::internal, "a node answered with something else than an object"),
                  {}});
           if (auto changed = change(object->get_object()); !changed)
             return done({changed.failure(), {}});
           put_object(nodes, kind, name, bj::serialize(*object), done);
         });
}

} // namespace custos::coordinator
