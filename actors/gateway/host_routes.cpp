// Routes of the node API about hosts that attest to this node: verdicts, explanations, simulations.

#include "actors/attestation/host_records.hpp"
#include "actors/gateway/node_api.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace custos::gateway {

namespace bj = boost::json;

namespace {

constexpr std::uint32_t hosts_per_page_max = 1000;
constexpr std::uint32_t hosts_per_page = 100;
constexpr std::size_t simulate_body_bytes_max = 8U << 20U;
constexpr std::size_t changes_max = 256;

http::response json_answer(std::string body) {
  http::response r;
  r.body = std::move(body);
  return r;
}

result<list_host_records> page_of(const http::request& request) {
  list_host_records page;
  page.hosts_max = hosts_per_page;
  if (const auto after = request.query.find("after"); after != request.query.end())
    page.after = after->second;
  const auto limit = request.query.find("limit");
  if (limit == request.query.end())
    return page;
  const auto& text = limit->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), page.hosts_max);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || page.hosts_max == 0 ||
      page.hosts_max > hosts_per_page_max)
    return field_error(errc::invalid_argument, "limit",
                       "expected a number of hosts, 1 to " + std::to_string(hosts_per_page_max));
  return page;
}

/// The record of a host and how it is bound; either may be missing.
bj::object shown(const host_id& host, const std::optional<host_record>& record,
                 const config_snapshot& config) {
  auto out = record ? attestation::json_of(*record) : bj::object{{"host", host}};
  const auto bound = config.hosts.find(host);
  if (bound != config.hosts.end()) {
    out["quarantined"] = bound->second.quarantined;
    out["ek_spki_sha256"] = crypto::hex(bound->second.ek_spki_sha256);
    out["bound_ak_name"] = crypto::hex(bound->second.ak_name);
  }
  return out;
}

/// {"kind","name"[,"object"]}.
result<config_command> change_of(json::object o, config_action action) {
  config_command out;
  out.action = action;
  CUSTOS_TRY(const auto kind, o.string("kind", 32));
  const auto known = object_kind_of(kind);
  if (!known)
    return field_error(errc::invalid_argument, o.path() + "/kind",
                       "expected a kind of configuration object, such as base-images");
  out.kind = *known;
  CUSTOS_TRY(out.name, o.string("name", 128));
  if (action != config_action::erase) {
    CUSTOS_TRY(const auto document, o.child("object"));
    out.document = document.text();
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

result<simulate_changes> changes_of(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, simulate_body_bytes_max));
  simulate_changes out;
  for (const auto& [member, action] :
       {std::pair{"put", config_action::put}, std::pair{"erase", config_action::erase}}) {
    CUSTOS_TRY(const auto items, o.array(member, changes_max, true));
    for (const auto& item : items) {
      CUSTOS_TRY(auto change, item.as_object());
      CUSTOS_TRY(auto command, change_of(std::move(change), action));
      out.changes.push_back(std::move(command));
    }
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

callback<json_document> document_to(const http::responder& respond) {
  return [respond](result<json_document> r) {
    respond(r ? json_answer(std::move(r->text)) : http::problem(r.failure()));
  };
}

} // namespace

void node_api::add_host_routes() {
  const std::string base = "/attestation/v1/hosts";
  add("GET", base, access::auditor,
      "Hosts that attested to this node, by id; ?after=ID&limit=N for a page",
      [this](routed_request&& r, const http::responder& respond) {
        auto page = page_of(r.request);
        if (!page)
          return respond(http::problem(page.failure()));
        const auto config = ports_.snapshot();
        bj::array hosts;
        for (const auto& record : ports_.hosts->list(*page))
          hosts.emplace_back(shown(record.host, record, *config));
        respond(json_answer(bj::serialize(
            bj::object{{"hosts", std::move(hosts)}, {"known", ports_.hosts->size()}})));
      });
  add("GET", base + "/{host}", access::auditor, "The last verdict on a host, and its binding",
      [this](routed_request&& r, const http::responder& respond) {
        const auto& host = r.path.at("host");
        const auto record = ports_.hosts->find(host);
        const auto config = ports_.snapshot();
        if (!record && !config->hosts.contains(host))
          return respond(
              http::problem(make_error(errc::not_found, "this node has not seen that host")));
        respond(json_answer(bj::serialize(shown(host, record, *config))));
      });
  add("GET", base + "/{host}/explain", access::auditor,
      "The host's last boot, compared with every image, event by event",
      [this](routed_request&& r, const http::responder& respond) {
        ports_.explain({r.path.at("host")}, document_to(respond));
      });
  add("DELETE", base + "/{host}", access::administrator,
      "Forgets a host: binding, record and evidence; it may then be bound anew",
      [this](routed_request&& r, const http::responder& respond) { forget(r, respond); });
  add("POST", "/attestation/v1/simulate", access::administrator,
      "Judges the kept evidence of all hosts as if these changes had been made",
      [this](routed_request&& r, const http::responder& respond) {
        auto changes = changes_of(r.request.body);
        if (!changes)
          return respond(http::problem(changes.failure()));
        ports_.simulate(*std::move(changes), document_to(respond));
      });
  add("GET", "/attestation/v1/images", access::auditor,
      "When a host was last attested with each image",
      [this](routed_request&&, const http::responder& respond) {
        const auto times = ports_.hosts->images_last_attested();
        const auto config = ports_.snapshot();
        bj::array out;
        for (const auto& [name, image] : config->base_images) {
          bj::object one{{"name", name}, {"version", image.version}};
          if (const auto at = times.find(name); at != times.end())
            one["last_attested"] = at->second;
          out.emplace_back(std::move(one));
        }
        respond(json_answer(bj::serialize(out)));
      });
}

/// The binding first: what is left when the second step fails does no harm.
void node_api::forget(const routed_request& r, const http::responder& respond) const {
  config_command command;
  command.action = config_action::erase;
  command.kind = object_kind::host;
  command.name = r.path.at("host");
  command.actor = r.principal;
  const auto known = ports_.hosts->find(command.name).has_value();
  ports_.apply(command, [this, respond, known, host = command.name, who = r.principal,
                         remote = r.request.remote](result<config_applied> erased) {
    const bool was_not_bound = !erased && erased.failure().code == errc::not_found;
    ports_.audit({who, remote, "host.forget", host,
                  erased || was_not_bound ? "ok" : std::string(to_string(erased.failure().code)),
                  erased ? "" : erased.failure().message});
    if (!erased && !(was_not_bound && known))
      return respond(http::problem(erased.failure()));
    ports_.forget({host}, document_to(respond));
  });
}

} // namespace custos::gateway
