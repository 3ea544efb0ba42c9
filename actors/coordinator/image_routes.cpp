// Base images of a trust authority cluster: what they are, when a host last attested with them,
// and whether they are enforced.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t times_bytes_max = 4U << 20U;
constexpr std::size_t body_bytes_max = 64U << 10U;
const std::string images_path = "/vcenter/trusted-infrastructure/trust-authority-clusters/"
                                "{cluster}/attestation/os/linux/base-images";
const std::string service = "custos.attestation.linux:BaseImages";

/// A node is asked, not trusted: what has another form says nothing.
void take_times(const std::string& body, std::map<std::string, std::int64_t>& newest) {
  const auto parsed = json::parse_any(body, times_bytes_max);
  const auto* const list = parsed ? parsed->if_array() : nullptr;
  if (list == nullptr)
    return;
  for (const auto& item : *list) {
    const auto* const o = item.if_object();
    const auto* const name = o == nullptr ? nullptr : o->if_contains("name");
    const auto* const time = o == nullptr ? nullptr : o->if_contains("last_attested");
    if (name == nullptr || !name->is_string() || time == nullptr || !time->is_int64() ||
        time->get_int64() <= 0)
      continue;
    auto& known = newest[std::string(name->get_string())];
    known = std::max(known, time->get_int64());
  }
}

/// What a list says of an image; members that its document lacks are left out.
bj::object summary_of(const std::string& name, const bj::object& document) {
  bj::object out{{"name", name}};
  for (const auto* member : {"version", "bank"})
    if (const auto* const v = document.if_contains(member); v != nullptr && v->is_string())
      out[member] = *v;
  bj::array pcrs;
  if (const auto* const list = document.if_contains("pcrs"); list != nullptr && list->is_array())
    for (const auto& p : list->get_array())
      if (const auto* const o = p.if_object(); o != nullptr)
        if (const auto* const pcr = o->if_contains("pcr"); pcr != nullptr && pcr->is_int64())
          pcrs.push_back(*pcr);
  out["pcrs"] = std::move(pcrs);
  const auto* const audit_only = document.if_contains("audit_only");
  out["audit_only"] = audit_only != nullptr && audit_only->is_bool() && audit_only->get_bool();
  return out;
}

bj::object document_of(const std::string& text) {
  boost::system::error_code failed;
  auto parsed = bj::parse(text, failed);
  return parsed.is_object() ? std::move(parsed.get_object()) : bj::object{};
}

} // namespace

void coordinator_api::read_images(
    const std::vector<member>& nodes,
    std::function<void(result<seen_objects>, const last_attested_times&)> done) const {
  read_objects(
      nodes, "base-images", [this, nodes, done = std::move(done)](result<seen_objects> seen) {
        if (!seen)
          return done(std::move(seen), {});
        http::call get;
        get.url = "/attestation/v1/images";
        // A node that keeps no times, or is away by now, takes nothing from the answer.
        on_all(nodes, get, [seen = *std::move(seen), done](const target_outcomes& outcomes) {
          last_attested_times newest;
          for (const auto& o : outcomes)
            if (o.ok)
              take_times(o.body, newest);
          done(seen, newest);
        });
      });
}

void coordinator_api::add_image_routes() {
  add_read(
      images_path, service + ".list",
      "All base images, with health: do the nodes agree; and when a host last attested with it",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_images(*nodes,
                    [respond](const result<seen_objects>& seen, const last_attested_times& times) {
                      if (!seen)
                        return respond(contract_error(seen.failure()));
                      bj::array list;
                      for (const auto& one : seen->objects) {
                        auto row = summary_of(one.name, document_of(one.document));
                        row["health"] = health_of(one.details);
                        if (const auto t = times.find(one.name); t != times.end())
                          row["last_attested_time"] = timestamp(t->second);
                        list.push_back(std::move(row));
                      }
                      http::response out;
                      out.body = bj::serialize(list);
                      respond(std::move(out));
                    });
      });
  add_read(
      images_path + "/{name}", service + ".get", "One base image",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_images(*nodes, [respond, name = r.path.at("name")](const result<seen_objects>& seen,
                                                                const last_attested_times& times) {
          if (!seen)
            return respond(contract_error(seen.failure()));
          for (const auto& one : seen->objects) {
            if (one.name != name)
              continue;
            auto document = document_of(one.document);
            document["health"] = health_of(one.details);
            document["details"] = messages_of(one.details);
            if (const auto t = times.find(name); t != times.end())
              document["last_attested_time"] = timestamp(t->second);
            http::response out;
            out.body = bj::serialize(document);
            return respond(std::move(out));
          }
          respond(
              contract_error(field_error(errc::not_found, "name", "there is none of that name")));
        });
      });
  add("PATCH", images_path + "/{name}", access::administrator,
      "Enforces it, or only reports what it says",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto audit_only = [&r]() -> result<bool> {
          CUSTOS_TRY(auto o, json::parse_object(r.request.body, body_bytes_max));
          CUSTOS_TRY(const auto value, o.boolean("audit_only"));
          CUSTOS_CHECK(o.finish());
          return value;
        }();
        if (!nodes || !audit_only)
          return respond(contract_error(nodes ? audit_only.failure() : nodes.failure()));
        run(r, respond, {service + ".update", r.path.at("cluster")},
            [this, nodes = *nodes, name = r.path.at("name"),
             value = *audit_only](const work_done& done) {
              edit_object(
                  nodes, "base-images", name,
                  [value](bj::object& document) -> result<void> {
                    document["audit_only"] = value;
                    return {};
                  },
                  done);
            });
      });
}

} // namespace custos::coordinator
