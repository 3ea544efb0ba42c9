#include "actors/kmip/connection_core.hpp"

#include "adapters/tls/stream.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace custos::kmip {

namespace {

constexpr unsigned back_off_doublings_max = 6;

/// Between half the delay and the whole of it, so that clients do not come back in step.
std::chrono::milliseconds back_off(unsigned failures, std::uint64_t random) {
  const unsigned doublings = std::min(failures - 1, back_off_doublings_max);
  const auto whole = std::min(back_off_first * (std::int64_t{1} << doublings), back_off_max);
  const auto half = whole.count() / 2;
  return std::chrono::milliseconds(
      half + static_cast<std::int64_t>(random % static_cast<std::uint64_t>(half + 1)));
}

std::uint32_t seconds_until(time_point then, time_point now) {
  const auto rest = std::chrono::ceil<std::chrono::seconds>(then - now).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(rest, 1));
}

batch_item_id id_of(std::uint64_t random) {
  batch_item_id id{};
  for (std::size_t i = 0; i < id.size(); ++i)
    id[i] = static_cast<std::uint8_t>(random >> (8U * i));
  return id;
}

} // namespace

connection_core::connection_core(connection_options options) : options_(std::move(options)) {
  assert(options_.random);
  status_.server = options_.server;
  status_.health = "error";
  status_.detail = "not connected yet";
}

// ---- requests -----------------------------------------------------------------------------------

connection_effects connection_core::refuse_in_back_off(std::uint64_t ticket, bool readiness,
                                                       time_point now) const {
  connection_effects out;
  error why = last_failure_;
  why.retry_after_s = seconds_until(back_off_until_, now);
  if (readiness)
    out.ready.push_back({ticket, std::move(why)});
  else
    out.completed.push_back({ticket, std::move(why)});
  return out;
}

connection_effects connection_core::submit(std::uint64_t ticket, request r, time_point now) {
  if (!session_ && now < back_off_until_)
    return refuse_in_back_off(ticket, false, now);
  connection_effects out;
  if (!session_)
    open(out, now);
  const bool ready = session_->ready();
  requests_[ticket] = {now + options_.request_timeout, ready ? connection_ : 0, false};
  apply(out, session_->submit(ticket, std::move(r)), now);
  return out;
}

connection_effects connection_core::when_ready(std::uint64_t ticket, time_point now) {
  if (!session_ && now < back_off_until_)
    return refuse_in_back_off(ticket, true, now);
  connection_effects out;
  if (!session_)
    open(out, now);
  if (session_->ready())
    out.ready.push_back({ticket, session_->server()});
  else
    ready_waiters_[ticket] = now + options_.request_timeout;
  return out;
}

void connection_core::open(connection_effects& out, time_point now) {
  session_options options;
  options.limits = options_.limits;
  options.username = options_.username;
  options.password = options_.password;
  options.in_flight_max = options_.in_flight_max;
  options.assumed = assumed_;
  options.new_id = [random = options_.random] { return id_of(random()); };
  session_.emplace(std::move(options));
  connected_ = false;
  was_ready_ = false;
  setup_deadline_ = now + options_.setup_timeout;
  out.open = ++connection_;
}

void connection_core::complete(connection_effects& out, std::uint64_t ticket,
                               result<answer> outcome) {
  if (requests_.erase(ticket) > 0)
    out.completed.push_back({ticket, std::move(outcome)});
}

// ---- events of the stream -----------------------------------------------------------------------

connection_effects connection_core::on_connected(std::uint64_t connection, time_point now) {
  connection_effects out;
  if (!session_ || connection != connection_)
    return out;
  connected_ = true;
  apply(out, session_->start(), now);
  return out;
}

connection_effects connection_core::on_received(std::uint64_t connection, byte_view octets,
                                                time_point now) {
  connection_effects out;
  if (!session_ || connection != connection_)
    return out;
  apply(out, session_->feed(octets), now);
  out.read_more = session_.has_value() && connection == connection_;
  return out;
}

connection_effects connection_core::on_closed(std::uint64_t connection, error why, time_point now) {
  connection_effects out;
  if (session_ && connection == connection_)
    go_down(out, std::move(why), now);
  return out;
}

void connection_core::apply(connection_effects& out, session_effects step, time_point now) {
  for (auto& message : step.output)
    out.write.push_back(std::move(message));
  for (auto& c : step.completed)
    complete(out, c.ticket, std::move(c.outcome));
  if (step.became_ready)
    became_ready(out);
  if (session_->idle())
    idle_since_ = now;
  if (!step.close)
    return;
  out.close = true;
  out.write.clear();
  // Once only: a server that cannot read 1.0 either is no KMIP 1.x server.
  const bool again = step.fall_back && !assumed_;
  if (again)
    assumed_ = step.fall_back;
  if (!again)
    return go_down(out, *std::move(step.close), now);
  auto unfinished = session_->take_unfinished();
  open(out, now);
  for (auto& p : unfinished)
    apply(out, session_->submit(p.ticket, std::move(p.what)), now);
}

void connection_core::became_ready(connection_effects& out) {
  failures_ = 0;
  was_ready_ = true;
  const capabilities& server = session_->server();
  status_.health = "ok";
  status_.client_trust_server = true;
  status_.server_trust_client = true;
  status_.protocol_version = to_string({server.version_major, server.version_minor});
  status_.detail = server.server_information;
  for (const auto& waiter : std::exchange(ready_waiters_, {}))
    out.ready.push_back({waiter.first, server});
}

// ---- the end of a connection --------------------------------------------------------------------

void connection_core::go_down(connection_effects& out, error why, time_point now) {
  const bool was_ready = was_ready_;
  const bool inside_message = session_->inside_message();
  auto unfinished = session_->take_unfinished();
  session_.reset();
  if (was_ready)
    connection_lost(out, why, inside_message, std::move(unfinished), now);
  else
    attempt_failed(out, std::move(why), std::move(unfinished), now);
}

void connection_core::attempt_failed(connection_effects& out, error why,
                                     std::vector<session::pending> unfinished, time_point now) {
  why.message = "key server " + options_.server + ": " + why.message;
  // Whatever ended the attempt, no request was sent.
  if (why.code != errc::unsupported)
    why.code = errc::unavailable;
  why.retryable = true;
  back_off_until_ = now + back_off(++failures_, options_.random());
  assumed_.reset();
  status_.health = "error";
  status_.client_trust_server = connected_ || why.check == tls::client_not_trusted_check;
  status_.server_trust_client = false;
  status_.protocol_version.clear();
  status_.detail = why.message;
  last_failure_ = why;
  for (auto& p : unfinished)
    complete(out, p.ticket, why);
  for (const auto& waiter : std::exchange(ready_waiters_, {}))
    out.ready.push_back({waiter.first, why});
}

void connection_core::connection_lost(connection_effects& out, const error& why,
                                      bool inside_message, std::vector<session::pending> unfinished,
                                      time_point now) {
  std::vector<session::pending> again;
  bool first_sent = true;
  for (auto& p : unfinished) {
    // Of an answer cut in two, the server has done its part: that is no stale connection.
    const bool partly_answered = p.sent && first_sent && inside_message;
    first_sent = first_sent && !p.sent;
    const auto known = requests_.find(p.ticket);
    if (known == requests_.end())
      continue;
    const bool on_kept = known->second.submitted_on == connection_;
    const bool may = !p.sent || (on_kept && is_idempotent(p.what) && !partly_answered);
    if (may && !known->second.repeated) {
      known->second.repeated = true;
      again.push_back(std::move(p));
      continue;
    }
    error e = make_error(p.sent ? errc::io_failure : errc::unavailable,
                         "key server " + options_.server +
                             ": the connection ended before the answer (" + why.message + ")");
    e.retryable = is_idempotent(p.what);
    complete(out, p.ticket, std::move(e));
  }
  if (again.empty())
    return;
  open(out, now);
  for (auto& p : again)
    apply(out, session_->submit(p.ticket, std::move(p.what)), now);
}

// ---- time ---------------------------------------------------------------------------------------

std::optional<time_point> connection_core::wake_at() const {
  std::optional<time_point> at;
  const auto consider = [&](time_point t) { at = at ? std::min(*at, t) : t; };
  for (const auto& r : requests_)
    consider(r.second.deadline);
  for (const auto& w : ready_waiters_)
    consider(w.second);
  if (session_ && !session_->ready())
    consider(setup_deadline_);
  if (session_ && session_->ready() && session_->idle())
    consider(idle_since_ + connection_idle_max);
  return at;
}

connection_effects connection_core::on_tick(time_point now) {
  connection_effects out;
  expire(out, now);
  if (!session_)
    return out;
  if (!session_->ready() && now >= setup_deadline_) {
    out.close = true;
    go_down(out,
            make_error(errc::timeout, connected_ ? "it does not answer Discover Versions and Query"
                                                 : "connecting takes too long"),
            now);
  } else if (session_->ready() && session_->idle() && now >= idle_since_ + connection_idle_max) {
    out.close = true;
    session_.reset();
  }
  return out;
}

void connection_core::expire(connection_effects& out, time_point now) {
  std::vector<std::uint64_t> late;
  for (const auto& [ticket, known] : requests_)
    if (now >= known.deadline)
      late.push_back(ticket);
  bool stuck = false;
  for (const std::uint64_t ticket : late) {
    const bool sent = !(session_ && session_->cancel(ticket));
    stuck = stuck || sent;
    const std::string within =
        " within " + std::to_string(options_.request_timeout.count()) + " ms";
    complete(out, ticket,
             sent ? make_error(errc::timeout,
                               "key server " + options_.server + " did not answer" + within)
                  : make_error(errc::unavailable, "the request was not sent to key server " +
                                                      options_.server + within));
  }
  std::erase_if(ready_waiters_, [&](const auto& waiter) {
    if (now < waiter.second)
      return false;
    out.ready.push_back({waiter.first, make_error(errc::timeout, "key server " + options_.server +
                                                                     " is not ready in time")});
    return true;
  });
  // The answer may still come, and would be taken for that to the next request.
  if (stuck && session_) {
    out.close = true;
    go_down(out, make_error(errc::timeout, "an earlier request was not answered"), now);
  }
}

connection_effects connection_core::shut_down() {
  connection_effects out;
  out.close = session_.has_value();
  session_.reset();
  const error why = make_error(errc::cancelled, "the connection to key server " + options_.server +
                                                    " is being shut down");
  for (const auto& r : std::exchange(requests_, {}))
    out.completed.push_back({r.first, why});
  for (const auto& w : std::exchange(ready_waiters_, {}))
    out.ready.push_back({w.first, why});
  return out;
}

} // namespace custos::kmip
