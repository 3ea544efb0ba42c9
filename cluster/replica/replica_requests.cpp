#include "cluster/config_codec.hpp"
#include "cluster/replica/replica.hpp"

#include <limits>
#include <utility>

namespace custos::cluster::replica {

namespace {

constexpr std::uint32_t retry_after_s = 2;
/// Changes of the membership that wait at the leader.
constexpr std::size_t wishes_max = 64;

error too_busy() {
  auto e = make_error(errc::overloaded, "the configuration has all the requests in hand it takes");
  e.retry_after_s = 1;
  return e;
}

bool is_same(const config_command& a, const config_command& b) {
  return a.action == b.action && a.kind == b.kind && a.name == b.name && a.document == b.document &&
         a.if_revision == b.if_revision;
}

std::uint32_t patience_of(milliseconds deadline, milliseconds now) {
  constexpr milliseconds most = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::min(most, deadline > now ? deadline - now : 0));
}

error not_confirmed(const std::string& advice) {
  auto e = make_error(errc::unavailable, "the cluster did not confirm the change in time: it may "
                                         "still take effect. " +
                                             advice);
  e.check = "cluster-outcome-unknown";
  e.retry_after_s = retry_after_s;
  return e;
}

/// What is wrong whatever the state is goes into no log.
result<void> check_input(const config_command& command) {
  CUSTOS_CHECK(check_replicable(command));
  if (command.action != config_action::erase)
    CUSTOS_CHECK(read_object(command.kind, command.name, command.document));
  return {};
}

} // namespace

void replica::respond(request_token to, reply_value what) {
  out_.replies.push_back({to, std::move(what)});
}

const std::string* replica::leader_name() const {
  for (const auto& m : members_)
    if (m.id == core_.leader())
      return &m.info.name;
  return nullptr;
}

error replica::no_leader() const {
  auto e = make_error(errc::unavailable,
                      "the cluster has no leader that a majority of its voters follows: nothing "
                      "was changed, and what is configured stays in force");
  e.check = "cluster-no-quorum";
  e.retry_after_s = retry_after_s;
  return e;
}

// ---- changes ------------------------------------------------------------------------------------

void replica::apply(milliseconds now, request_token token, config_command command) {
  now_ = now;
  if (fault_)
    return respond(token, *fault_);
  if (requests_waiting() >= options_.requests_max)
    return respond(token, too_busy());
  if (command.operation_id.empty())
    command.operation_id = identity_.incarnation + "-" + std::to_string(++last_id_);
  if (auto checked = check_input(command); !checked)
    return respond(token, std::move(checked).failure());
  const auto id = command.operation_id;
  if (const auto same = changes_.find(id); same != changes_.end()) {
    // The same operation twice at a time: both get its outcome, unless it is another one.
    if (!is_same(same->second.command, command))
      return respond(token, field_error(errc::invalid_argument, "operation_id",
                                        "expected an id that was not used for another command"));
    same->second.tokens.push_back(token);
    return;
  }
  waiting_change change;
  change.tokens = {token};
  change.octets =
      encode(replicated_command{command, state_.applied_index() + operations_remembered_max});
  change.command = std::move(command);
  change.deadline = now + options_.answer_timeout_ms;
  dispatch(changes_.emplace(id, std::move(change)).first->second);
}

void replica::dispatch(waiting_change& change) {
  change.sent_at = now_;
  if (leads()) {
    change.ever_sent = true;
    return propose(change.command.operation_id, change.octets);
  }
  const auto* const leader = leader_name();
  if (leader == nullptr) {
    change.sent_at = 0;
    return;
  }
  change.ever_sent = true;
  send(*leader, proposal_parcel{change.octets});
}

/// Once in the log is enough; a second time would do no harm, but costs every replica.
void replica::propose(const std::string& operation_id, const bytes& octets) {
  if (proposed_.contains(operation_id))
    return;
  // Handing over, or a command that is too long: the sender's deadline tells.
  if (const auto at = core_.propose(std::make_shared<const bytes>(octets)))
    proposed_.emplace(operation_id, at->index);
}

/// Another command may have come with the same id, through another node: its outcome is not ours.
void replica::change_settled(const config_command& command, const planned_change& outcome) {
  const auto found = changes_.find(command.operation_id);
  if (found == changes_.end() || !is_same(found->second.command, command))
    return;
  for (const auto token : found->second.tokens) {
    if (outcome.refusal)
      respond(token, *outcome.refusal);
    else
      respond(token, outcome.outcome);
  }
  changes_.erase(found);
}

/// After an image was installed: what was applied on the way is remembered in it.
void replica::look_for_outcomes() {
  std::vector<std::pair<config_command, planned_change>> settled_now;
  for (const auto& [id, change] : changes_) {
    auto outcome = state_.judge({change.command, 0}, state_.applied_index());
    if (outcome.repeated)
      settled_now.emplace_back(change.command, std::move(outcome));
  }
  for (const auto& [command, outcome] : settled_now)
    change_settled(command, outcome);
}

// ---- questions to the leader --------------------------------------------------------------------

void replica::settle(milliseconds now, request_token token, std::uint64_t revision,
                     bool linearizable) {
  now_ = now;
  if (fault_)
    return respond(token, *fault_);
  if (requests_waiting() >= options_.requests_max)
    return respond(token, too_busy());
  const auto deadline = now + options_.answer_timeout_ms;
  if (!linearizable) {
    settles_.push_back({token, 0, revision, deadline});
    return;
  }
  waiting_question q;
  q.token = token;
  q.deadline = deadline;
  q.revision = revision;
  ask(std::move(q));
}

void replica::change_member(milliseconds now, request_token token, const member_change& change) {
  now_ = now;
  waiting_question q;
  q.token = token;
  q.kind = question_kind::change_member;
  q.body = encode(change);
  q.deadline = now + options_.answer_timeout_ms;
  ask(std::move(q));
}

void replica::transfer(milliseconds now, request_token token, const std::string& to) {
  now_ = now;
  waiting_question q;
  q.token = token;
  q.kind = question_kind::transfer;
  q.body = to_bytes(to);
  q.deadline = now + options_.answer_timeout_ms;
  ask(std::move(q));
}

void replica::ask(waiting_question question) {
  if (fault_)
    return respond(question.token, *fault_);
  if (requests_waiting() >= options_.requests_max)
    return respond(question.token, too_busy());
  const auto id = ++last_id_;
  dispatch(id, questions_.emplace(id, std::move(question)).first->second);
}

void replica::dispatch(std::uint64_t id, waiting_question& question) {
  const auto* const leader = leader_name();
  question.sent_at = leads() || leader != nullptr ? now_ : 0;
  question.ever_sent = question.ever_sent || question.sent_at != 0;
  if (leads())
    return serve({{}, id}, question.kind, bytes(question.body), question.deadline);
  if (leader != nullptr)
    send(*leader,
         question_parcel{id, question.kind, patience_of(question.deadline, now_), question.body});
}

void replica::serve(const asker& from, question_kind kind, byte_view body, milliseconds deadline) {
  // Who still waits asks again, of the leader.
  if (!leads() || now_ >= deadline)
    return;
  switch (kind) {
  case question_kind::read_index: {
    const auto token = ++last_id_;
    if (auto asked = core_.read(token); !asked)
      return answer(from, asked.failure());
    reads_.emplace(token, from);
    return;
  }
  case question_kind::change_member: {
    const bool known =
        std::any_of(wishes_.begin(), wishes_.end(), [&](const wish& w) { return w.from == from; });
    if (known)
      return;
    if (wishes_.size() >= wishes_max)
      return answer(from, too_busy());
    auto change = decode_member_change(body);
    if (!change)
      return answer(from, change.failure());
    wishes_.push_back({from, *std::move(change), deadline});
    return;
  }
  case question_kind::transfer: {
    const auto* const to = find_by_name(members_, as_text(body));
    if (to == nullptr)
      return answer(from, field_error(errc::not_found, "to", "there is no node of that name"));
    if (to->id == identity_.self)
      return answer(from, std::nullopt);
    auto begun = core_.transfer(to->id);
    return answer(from, begun ? std::nullopt : std::optional(begun.failure()));
  }
  }
  answer(from, make_error(errc::unsupported, "a question that this node does not know"));
}

void replica::answer(const asker& to, std::optional<error> failure, bytes body) {
  if (to.peer.empty())
    return take_answer(to.id, std::move(failure), body);
  send(to.peer, answer_parcel{to.id, std::move(failure), std::move(body)});
}

void replica::take_answer(std::uint64_t id, std::optional<error> failure, byte_view body) {
  const auto found = questions_.find(id);
  if (found == questions_.end())
    return;
  // The leader changed: the next one is asked, until the deadline.
  if (failure && failure->code == errc::unavailable)
    return;
  const auto question = std::move(questions_.extract(found).mapped());
  if (failure)
    return respond(question.token, *std::move(failure));
  switch (question.kind) {
  case question_kind::read_index: {
    const auto index = decode_index(body);
    if (!index)
      return respond(question.token, index.failure());
    settles_.push_back({question.token, *index, question.revision, question.deadline});
    return;
  }
  case question_kind::change_member: {
    auto answer = decode_membership_answer(body);
    if (!answer)
      return respond(question.token, answer.failure());
    return respond(question.token, *std::move(answer));
  }
  case question_kind::transfer:
    return respond(question.token, settled{state_.revision(), state_.fingerprint()});
  }
}

// ---- time ---------------------------------------------------------------------------------------

void replica::resend() {
  const auto due = [&](milliseconds sent_at) {
    return sent_at == 0 || now_ - sent_at >= options_.resend_after_ms;
  };
  for (auto& [id, change] : changes_)
    if (due(change.sent_at))
      dispatch(change);
  std::vector<std::uint64_t> open;
  for (const auto& [id, question] : questions_)
    if (due(question.sent_at))
      open.push_back(id);
  for (const auto id : open)
    if (const auto found = questions_.find(id); found != questions_.end())
      dispatch(id, found->second);
}

void replica::expire() {
  for (auto at = changes_.begin(); at != changes_.end();) {
    const auto& change = at->second;
    if (now_ < change.deadline) {
      ++at;
      continue;
    }
    const auto why = change.ever_sent
                         ? not_confirmed("Ask again with the operation id " +
                                         change.command.operation_id + " to learn its outcome")
                         : no_leader();
    for (const auto token : change.tokens)
      respond(token, why);
    at = changes_.erase(at);
  }
  for (auto at = questions_.begin(); at != questions_.end();) {
    if (now_ < at->second.deadline) {
      ++at;
      continue;
    }
    const auto& question = at->second;
    const bool may_have_happened = question.ever_sent && question.kind != question_kind::read_index;
    respond(question.token, may_have_happened
                                ? not_confirmed("Look at the status of the cluster, and ask again")
                                : no_leader());
    at = questions_.erase(at);
  }
}

void replica::settle_waiting() {
  std::erase_if(settles_, [&](const waiting_settle& s) {
    if (state_.applied_index() >= s.index && state_.revision() >= s.revision) {
      respond(s.token, settled{state_.revision(), state_.fingerprint()});
      return true;
    }
    if (now_ < s.deadline && !fault_)
      return false;
    auto why = make_error(errc::unavailable, "this node has revision " +
                                                 std::to_string(state_.revision()) +
                                                 " of the configuration, and has not got to " +
                                                 std::to_string(s.revision) + " yet");
    why.check = "cluster-behind";
    why.retry_after_s = 1;
    respond(s.token, fault_ ? *fault_ : why);
    return true;
  });
}

} // namespace custos::cluster::replica
