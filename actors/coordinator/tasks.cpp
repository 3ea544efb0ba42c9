// Work as tasks, and the tasks themselves (com.vmware.cis.tasks).

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

} // namespace

bool wants_task(const http::request& r) {
  const auto found = r.query.find("vmw-task");
  return found != r.query.end() && found->second == "true";
}

result<std::string> outcome_of(const http::response& r) {
  if (r.status < 300)
    return r.body;
  return error_of_contract(r);
}

void coordinator_api::run(const routed_request& r, const http::responder& respond,
                          const operation& what, const work& w) const {
  const bool as_task = wants_task(r.request);
  const bool alone = !what.reads && !what.cluster.empty();
  task t;
  t.id = crypto::hex(crypto::random_bytes(16)) + ":" + what.cluster;
  t.operation = what.name;
  t.cluster = what.cluster;
  t.user = r.principal;
  t.state = task_state::running;
  t.started = ports_.now();
  {
    const std::lock_guard guard(mutex_);
    if (alone && !busy_.insert(what.cluster).second)
      return respond(contract_error(field_error(errc::revision_conflict, "cluster",
                                                "another change of this cluster is under way")));
    tasks_.push_back(t);
    if (tasks_.size() > tasks_kept_max) {
      // The oldest that has ended: whoever started a task must be able to see its end.
      const auto ended = std::find_if(tasks_.begin(), tasks_.end(),
                                      [](const task& one) { return one.finished != 0; });
      if (ended != tasks_.end())
        tasks_.erase(ended);
    }
  }
  if (as_task) {
    http::response accepted;
    accepted.status = 202;
    accepted.body = bj::serialize(bj::string(t.id));
    respond(std::move(accepted));
  }
  w([this, respond, as_task, alone, what, id = t.id, user = r.principal,
     remote = r.request.remote](work_result ended) {
    {
      const std::lock_guard guard(mutex_);
      if (alone)
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
    if (!what.reads)
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

} // namespace custos::coordinator
