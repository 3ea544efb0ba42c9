#include "actors/attestation/image_explain.hpp"

#include "actors/attestation/sequence_diff.hpp"
#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::attestation {

namespace bj = boost::json;

namespace {

/// A PCR's measured events, as the log has them.
std::vector<explained_event> measured_events(const eventlog::parsed_log& log, crypto::hash_alg bank,
                                             std::uint32_t pcr) {
  std::vector<explained_event> out;
  for (const auto& e : log.events)
    if (e.pcr == pcr && e.type != eventlog::event_type::no_action)
      out.push_back({event_outcome::unexpected, e.index, e.type, to_bytes(log.digest(e, bank)),
                     eventlog::describe(e)});
  return out;
}

/// Control characters of a hint could steer a terminal.
std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  return out;
}

explained_event expected_event(const image_event& e) {
  return {event_outcome::missing, std::nullopt, e.type, e.digest, printable(e.hint)};
}

std::uint32_t number_of(numbering& numbers, std::uint32_t type, const bytes& digest) {
  auto key = to_bytes(digest);
  for (unsigned shift = 0; shift < 32; shift += 8)
    key.push_back(static_cast<std::uint8_t>(type >> shift));
  return numbers.of(as_text(key));
}

std::vector<explained_event> in_order(const pcr_policy& policy,
                                      std::vector<explained_event> found) {
  numbering numbers;
  std::vector<std::uint32_t> a;
  std::vector<std::uint32_t> b;
  for (const auto& e : found)
    a.push_back(number_of(numbers, e.type, e.digest));
  for (const auto& e : policy.events)
    b.push_back(number_of(numbers, e.type, e.digest));
  std::vector<explained_event> out;
  for (const auto& step : diff_of(a, b)) {
    if (step.kind == step_kind::only_b) {
      out.push_back(expected_event(policy.events[step.b]));
      continue;
    }
    out.push_back(std::move(found[step.a]));
    if (step.kind == step_kind::both)
      out.back().outcome = event_outcome::matched;
  }
  return out;
}

std::vector<explained_event> in_set(const pcr_policy& policy, std::vector<explained_event> found) {
  numbering numbers;
  for (const auto& e : policy.events)
    number_of(numbers, e.type, e.digest);
  const auto known = number_of(numbers, 0, {}); // whatever is numbered from here on is new
  for (auto& e : found)
    if (number_of(numbers, e.type, e.digest) < known)
      e.outcome = event_outcome::matched;
  return found;
}

std::string told(const explained_event& e) {
  return (e.event ? "event " + std::to_string(*e.event) + " " : std::string()) +
         eventlog::type_text(e.type) + " '" + e.hint + "'";
}

/// "event 4 EV_IPL 'x', event 5 EV_IPL 'y' and 7 more"; empty if there are none.
std::string told(const std::vector<explained_event>& events, event_outcome outcome) {
  std::string out;
  std::size_t count = 0;
  for (const auto& e : events)
    if (e.outcome == outcome && ++count <= told_events_max)
      out += (count == 1 ? "" : ", ") + told(e);
  if (count > told_events_max)
    out += " and " + std::to_string(count - told_events_max) + " more";
  return out;
}

bool any(const explained_pcr& p, event_outcome outcome) {
  return std::any_of(p.events.begin(), p.events.end(),
                     [outcome](const auto& e) { return e.outcome == outcome; });
}

/// The same events, in other places.
bool only_moved(const std::vector<explained_event>& events) {
  std::vector<std::pair<std::uint32_t, const bytes*>> unexpected;
  std::vector<std::pair<std::uint32_t, const bytes*>> missing;
  for (const auto& e : events)
    if (e.outcome != event_outcome::matched)
      (e.outcome == event_outcome::missing ? missing : unexpected).emplace_back(e.type, &e.digest);
  return std::is_permutation(
      unexpected.begin(), unexpected.end(), missing.begin(), missing.end(),
      [](const auto& x, const auto& y) { return x.first == y.first && *x.second == *y.second; });
}

constexpr std::size_t moved_events_max = 256; // is_permutation compares every pair

std::string change_of_events(const explained_pcr& p) {
  if (p.form == pcr_form::set)
    return "the set would have to hold " + told(p.events, event_outcome::unexpected);
  const auto differences = std::count_if(p.events.begin(), p.events.end(), [](const auto& e) {
    return e.outcome != event_outcome::matched;
  });
  if (static_cast<std::size_t>(differences) <= moved_events_max && only_moved(p.events))
    return "the events are those expected, in another order: the image would have to take them as "
           "a set";
  std::string out;
  if (any(p, event_outcome::unexpected))
    out = "the image would have to expect " + told(p.events, event_outcome::unexpected);
  if (any(p, event_outcome::missing))
    out += (out.empty() ? "the image would have to do without " : ", and do without ") +
           told(p.events, event_outcome::missing);
  return out;
}

void judge(explained_pcr& p, const pcr_policy& policy) {
  if (policy.form == pcr_form::exact) {
    p.outcome =
        std::find(policy.values.begin(), policy.values.end(), p.value) != policy.values.end()
            ? pcr_outcome::matches
            : pcr_outcome::differs;
    if (p.outcome == pcr_outcome::differs)
      p.change = "the image would have to accept the value " + crypto::hex(p.value);
    return;
  }
  p.events = policy.form == pcr_form::set ? in_set(policy, std::move(p.events))
                                          : in_order(policy, std::move(p.events));
  if (any(p, event_outcome::unexpected) || any(p, event_outcome::missing)) {
    p.outcome = pcr_outcome::differs;
    p.change = change_of_events(p);
  }
}

explained_pcr explain_pcr(const pcr_policy& policy, const quoted_bank* quoted,
                          const eventlog::parsed_log& log,
                          const eventlog::replayed_bank* replayed) {
  explained_pcr out;
  out.pcr = policy.pcr;
  out.form = policy.form;
  const auto name = std::to_string(policy.pcr);
  if (quoted == nullptr || replayed == nullptr || (quoted->mask >> policy.pcr & 1U) == 0) {
    out.outcome = pcr_outcome::not_quoted;
    out.change = "the host would have to quote PCR " + name + " of the image's bank and log it";
    return out;
  }
  out.value = to_bytes(quoted->values.at(policy.pcr));
  const auto claimed = replayed->value(policy.pcr);
  const bool logged = (replayed->touched >> policy.pcr & 1U) != 0;
  out.events = measured_events(log, quoted->alg, policy.pcr);
  const bool by_value_alone = policy.form == pcr_form::exact && !logged;
  if (!by_value_alone &&
      !std::equal(claimed.begin(), claimed.end(), out.value.begin(), out.value.end())) {
    out.outcome = pcr_outcome::log_differs;
    out.change = logged ? "the log would have to lead to the quoted value: it is of another boot, "
                          "or something extended the PCR without logging it"
                        : "the log has no event of PCR " + name +
                              ": the image could accept its value " + crypto::hex(out.value);
    return out;
  }
  if (policy.form == pcr_form::ignored)
    out.outcome = pcr_outcome::ignored;
  else
    judge(out, policy);
  return out;
}

bj::object event_json(const explained_event& e) {
  bj::object out{{"outcome", to_string(e.outcome)}};
  if (e.event)
    out["event"] = *e.event;
  out["type"] = eventlog::type_text(e.type);
  out["digest"] = crypto::hex(e.digest);
  out["hint"] = e.hint;
  return out;
}

bj::object pcr_json(const explained_pcr& p) {
  bj::object out{{"pcr", p.pcr}, {"form", to_string(p.form)}, {"verdict", to_string(p.outcome)}};
  if (!p.value.empty())
    out["value"] = crypto::hex(p.value);
  if (!p.change.empty())
    out["change"] = p.change;
  // What the image does not judge event by event is no matter of expectation.
  if (p.outcome != pcr_outcome::matches && p.outcome != pcr_outcome::differs)
    return out;
  if (p.form == pcr_form::exact)
    return out;
  const bool all = p.events.size() <= shown_events_max;
  bj::array events;
  std::size_t left_out = 0;
  for (const auto& e : p.events) {
    const bool shown = all || e.outcome != event_outcome::matched;
    if (shown && events.size() < shown_events_max)
      events.emplace_back(event_json(e));
    else
      ++left_out;
  }
  out["events"] = std::move(events);
  if (left_out > 0)
    out["events_left_out"] = left_out;
  return out;
}

} // namespace

explanation explain(const base_image& image, const boot_evidence& boot) {
  explanation out{image.name, image.version, image.bank, image.audit_only, std::nullopt, {}};
  const auto alg = bank_of(image);
  const auto quoted = std::find_if(boot.banks.begin(), boot.banks.end(),
                                   [&](const auto& b) { return alg && b.alg == *alg; });
  const auto* const bank = quoted == boot.banks.end() ? nullptr : &*quoted;
  const auto* const replayed = alg ? boot.replayed.find(*alg) : nullptr;
  for (const auto& p : image.pcrs)
    if (p.pcr < eventlog::pcrs_max)
      out.pcrs.push_back(explain_pcr(p, bank, boot.log, replayed));
  const auto missing = std::find_if(out.pcrs.begin(), out.pcrs.end(), [](const auto& p) {
    return p.outcome == pcr_outcome::not_quoted;
  });
  if (bank == nullptr || replayed == nullptr || missing != out.pcrs.end()) {
    out.why = make_error(errc::attestation_failed,
                         "the quote and the log do not cover what the image judges");
    out.why->check = "pcr-selection";
    if (missing != out.pcrs.end())
      out.why->pcr = missing->pcr;
    return out;
  }
  if (auto m = match_image(image, *bank, boot.log, *replayed))
    out.why = std::move(m->why);
  return out;
}

bj::object json_of(const explanation& x) {
  bj::object out{{"image", x.image},
                 {"version", x.version},
                 {"bank", x.bank},
                 {"audit_only", x.audit_only},
                 {"matches", !x.why}};
  if (x.why) {
    bj::object why{{"check", x.why->check}, {"message", x.why->message}};
    if (x.why->pcr)
      why["pcr"] = *x.why->pcr;
    if (x.why->event)
      why["event"] = *x.why->event;
    out["why"] = std::move(why);
  }
  auto& pcrs = out["pcrs"].emplace_array();
  for (const auto& p : x.pcrs)
    pcrs.emplace_back(pcr_json(p));
  return out;
}

std::string_view to_string(event_outcome x) {
  switch (x) {
  case event_outcome::matched:
    return "matched";
  case event_outcome::unexpected:
    return "unexpected";
  case event_outcome::missing:
    return "missing";
  }
  return "unexpected";
}

std::string_view to_string(pcr_outcome x) {
  switch (x) {
  case pcr_outcome::matches:
    return "matches";
  case pcr_outcome::differs:
    return "differs";
  case pcr_outcome::ignored:
    return "ignored";
  case pcr_outcome::log_differs:
    return "log-differs";
  case pcr_outcome::not_quoted:
    return "not-quoted";
  }
  return "differs";
}

std::string_view to_string(pcr_form x) {
  switch (x) {
  case pcr_form::exact:
    return "exact";
  case pcr_form::ordered:
    return "ordered";
  case pcr_form::set:
    return "set";
  case pcr_form::ignored:
    return "ignored";
  }
  return "ignored";
}

} // namespace custos::attestation
