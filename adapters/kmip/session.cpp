#include "adapters/kmip/session.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace custos::kmip {

namespace {

/// Discover Versions exists from here on, so that its own header says this (KMIP 1.1, 4.26).
constexpr protocol_version discover_header{1, 1};
constexpr protocol_version oldest{1, 0};
constexpr protocol_version first_of_2{2, 0};

/// How a server that knows no 1.1 answers a Discover Versions.
bool is_older_than_discover(const response& r) {
  return r.reason == result_reason::operation_not_supported ||
         r.reason == result_reason::invalid_message;
}

/// How a server that knows only 2.x answers one: the reason itself begins with 2.0.
bool is_newer_than_discover(const response& r) {
  return r.reason == result_reason::unsupported_protocol_version;
}

} // namespace

session::session(session_options options) : options_(std::move(options)) {
  assert(options_.new_id && options_.in_flight_max > 0);
  assert(options_.batch_max > 0 && options_.batch_max <= batch_items_max);
}

session_effects session::start() {
  assert(phase_ == phase::fresh);
  session_effects out;
  if (options_.assumed) {
    version_ = *options_.assumed;
    phase_ = phase::querying;
    send(out, 0, query{});
  } else {
    version_ = discover_header;
    phase_ = phase::discovering;
    send(out, 0, discover_versions{});
  }
  return out;
}

session_effects session::submit(std::uint64_t ticket, request r) {
  session_effects out;
  if (phase_ == phase::closed)
    out.completed.push_back(
        {ticket, make_error(errc::unavailable, "the connection to the key server is closed")});
  else if (waiting_.size() + requests_in_flight_ >= session_requests_max)
    out.completed.push_back(
        {ticket, make_error(errc::overloaded, "too many requests wait for the key server")});
  else {
    waiting_.push_back({ticket, std::move(r), false});
    send_waiting(out);
  }
  return out;
}

message_options session::options_for(protocol_version version) const {
  message_options options;
  options.version = version;
  options.limits = options_.limits;
  options.username = options_.username;
  options.password = options_.password;
  return options;
}

void session::send(session_effects& out, std::uint64_t ticket, request r) {
  message_options options = options_for(version_);
  options.id = options_.new_id();
  auto message = build_request(r, options);
  if (!message) {
    if (ticket == 0)
      return close(out, std::move(message).failure());
    out.completed.push_back({ticket, std::move(message).failure()});
    return;
  }
  out.output.push_back(*std::move(message));
  sent_message sent{{ticket}, {}, {*options.id}, version_};
  sent.what.push_back(std::move(r));
  in_flight_.push_back(std::move(sent));
  ++requests_in_flight_;
}

/// How many of those that wait may share the next message: the first ones that may be repeated,
/// since an answer to the whole batch may get lost.
std::size_t session::next_batch() const {
  std::size_t count = 0;
  while (count < waiting_.size() && count < options_.batch_max &&
         is_idempotent(waiting_[count].what))
    ++count;
  return count;
}

void session::send_batch(session_effects& out, std::size_t count) {
  sent_message sent;
  sent.version = version_;
  for (std::size_t i = 0; i < count; ++i) {
    sent.tickets.push_back(waiting_[i].ticket);
    sent.what.push_back(waiting_[i].what);
    sent.ids.push_back(options_.new_id());
  }
  auto message = build_batch(sent.what, sent.ids, options_for(version_));
  if (!message) {
    // One of them cannot be sent, or together they are too long. The first goes by itself, which
    // tells it what is wrong if it is the one; the others are tried again.
    pending next = std::move(waiting_.front());
    waiting_.pop_front();
    return send(out, next.ticket, std::move(next.what));
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  out.output.push_back(*std::move(message));
  in_flight_.push_back(std::move(sent));
  requests_in_flight_ += count;
}

void session::send_waiting(session_effects& out) {
  while (phase_ == phase::ready && !waiting_.empty() &&
         in_flight_.size() < options_.in_flight_max) {
    if (const std::size_t together = next_batch(); together > 1) {
      send_batch(out, together);
      continue;
    }
    pending next = std::move(waiting_.front());
    waiting_.pop_front();
    send(out, next.ticket, std::move(next.what));
  }
}

session_effects session::feed(byte_view octets) {
  session_effects out;
  while (phase_ != phase::closed && !octets.empty()) {
    if (in_flight_.empty())
      close(out, make_error(errc::malformed, "the key server sent octets nobody asked for"));
    else if (auto step = take_octets(out, octets); !step)
      close(out, std::move(step).failure());
    else
      send_waiting(out);
  }
  return out;
}

/// Takes one message off the front of the octets, in place if it is whole; what is cut is kept.
result<void> session::take_octets(session_effects& out, byte_view& octets) {
  if (received_.empty() && octets.size() >= ttlv_header_bytes) {
    CUSTOS_TRY(const std::size_t total, ttlv_total_bytes(octets, options_.limits));
    if (octets.size() >= total) {
      const byte_view message = octets.first(total);
      octets = octets.subspan(total);
      take_message(out, message);
      return {};
    }
  }
  keep(octets, ttlv_header_bytes);
  if (received_.size() < ttlv_header_bytes)
    return {};
  CUSTOS_TRY(const std::size_t total, ttlv_total_bytes(received_, options_.limits));
  keep(octets, total);
  if (received_.size() < total)
    return {};
  const crypto::wiped_bytes message = std::exchange(received_, {});
  take_message(out, message);
  return {};
}

void session::keep(byte_view& octets, std::size_t up_to) {
  if (received_.size() >= up_to)
    return;
  const std::size_t more = std::min(up_to - received_.size(), octets.size());
  received_.reserve(up_to);
  received_.insert(received_.end(), octets.begin(),
                   octets.begin() + static_cast<std::ptrdiff_t>(more));
  octets = octets.subspan(more);
}

void session::take_message(session_effects& out, byte_view message) {
  sent_message asked = std::move(in_flight_.front());
  in_flight_.pop_front();
  requests_in_flight_ -= asked.what.size();
  if (asked.what.size() > 1)
    return take_batch(out, std::move(asked), message);
  message_options options = options_for(asked.version);
  options.id = asked.ids.front();
  response r = parse_response(asked.what.front(), options, message);
  const std::uint64_t ticket = asked.tickets.front();
  if (ticket == 0)
    return negotiate(out, r);
  std::optional<error> why;
  if (r.close)
    why = r.outcome.failure();
  out.completed.push_back({ticket, std::move(r.outcome)});
  if (why)
    close(out, *std::move(why));
}

void session::take_batch(session_effects& out, sent_message asked, byte_view message) {
  batch_response r = parse_batch(asked.what, asked.ids, options_for(asked.version), message);
  if (r.fault) {
    // They may all be repeated: the caller does, one by one.
    requests_in_flight_ += asked.what.size();
    in_flight_.push_front(std::move(asked));
    out.batch_refused = true;
    return close(out, *std::move(r.fault));
  }
  std::optional<error> why;
  for (std::size_t i = 0; i < r.responses.size(); ++i) {
    response& one = r.responses[i];
    if (one.close && !why)
      why = one.outcome.failure();
    out.completed.push_back({asked.tickets[i], std::move(one.outcome)});
  }
  if (why)
    close(out, *std::move(why));
}

void session::negotiate(session_effects& out, const response& r) {
  if (phase_ == phase::querying)
    return finish_query(out, r);
  if (r.outcome)
    return use_versions(out, std::get<versions_supported>(*r.outcome).versions);
  const bool newer = is_newer_than_discover(r);
  // Once: a server that does not take Discover Versions in its own version either is beyond us.
  if ((!newer && !is_older_than_discover(r)) || version_ != discover_header)
    return close(out, r.outcome.failure());
  if (r.close) {
    // It could not even read the message: nothing more on this connection.
    out.fall_back = newer ? first_of_2 : oldest;
    return close(out, r.outcome.failure());
  }
  if (!newer)
    return use_versions(out, {oldest});
  version_ = first_of_2;
  send(out, 0, discover_versions{});
}

void session::use_versions(session_effects& out, const std::vector<protocol_version>& theirs) {
  // Our order decides, not the server's.
  for (const protocol_version ours : our_versions) {
    if (std::find(theirs.begin(), theirs.end(), ours) == theirs.end())
      continue;
    version_ = ours;
    phase_ = phase::querying;
    return send(out, 0, query{});
  }
  close(out, make_error(errc::unsupported,
                        "the key server has none of the KMIP versions 1.0 to 1.4, 2.0 and 2.1"));
}

void session::finish_query(session_effects& out, const response& r) {
  // Query may be forbidden to us; that says nothing about the keys.
  if (!r.outcome && (r.close || r.reason == result_reason::authentication_not_successful))
    return close(out, r.outcome.failure());
  server_.version_major = version_.major;
  server_.version_minor = version_.minor;
  if (r.outcome) {
    const auto& answered = std::get<query_answer>(*r.outcome);
    server_.operations = answered.operations;
    server_.server_information = answered.server_information;
  }
  phase_ = phase::ready;
  out.became_ready = true;
}

void session::close(session_effects& out, error why) {
  phase_ = phase::closed;
  out.close = std::move(why);
}

bool session::cancel(std::uint64_t ticket) {
  return std::erase_if(waiting_, [&](const pending& p) { return p.ticket == ticket; }) > 0;
}

std::vector<session::pending> session::take_unfinished() {
  std::vector<pending> out;
  for (auto& sent : in_flight_)
    for (std::size_t i = 0; i < sent.what.size(); ++i)
      if (sent.tickets[i] != 0)
        out.push_back({sent.tickets[i], std::move(sent.what[i]), true});
  for (auto& waiting : waiting_)
    out.push_back(std::move(waiting));
  in_flight_.clear();
  requests_in_flight_ = 0;
  waiting_.clear();
  return out;
}

} // namespace custos::kmip
