// The keys that a trust authority cluster signs tokens with: made on one node, which seals the
// private key under the cluster's data key; written to every node.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t body_bytes_max = 64U << 10U;
const std::string base = "/custos/v1/trust-authority-clusters/{cluster}/attestation/token-keys";
const std::string service = "custos.attestation:TokenKeys";

struct made_key {
  std::string kid;
  std::string document;
};

/// The answer of a node that made a key.
result<made_key> made_of(const std::string& body) {
  auto answer = json::parse_object(body, body_bytes_max);
  auto kid = answer ? answer->string("name", 128) : result<std::string>(answer.failure());
  auto document = answer ? answer->child("object") : result<json::object>(answer.failure());
  if (!kid || !document || !is_object_name(*kid))
    return make_error(errc::internal, "a node answered with something else than a token key");
  return made_key{*std::move(kid), document->text()};
}

std::int64_t time_of(const bj::object& document, const char* name) {
  const auto* const found = document.if_contains(name);
  return found != nullptr && found->is_int64() ? found->get_int64() : 0;
}

/// Where a key stands in its life.
const char* state_of(const bj::object& document, std::int64_t now) {
  if (now >= time_of(document, "expires"))
    return "expired";
  if (now >= time_of(document, "signs_until"))
    return "verifies";
  return now >= time_of(document, "signs_from") ? "signs" : "published";
}

/// What is told of a key: all but its private half.
bj::object told_of(const std::string& name, const std::string& document, std::int64_t now,
                   const std::vector<std::string>& details) {
  boost::system::error_code failed;
  const auto parsed = bj::parse(document, failed);
  bj::object out{{"kid", name}};
  if (const auto* const o = parsed.if_object()) {
    for (const auto* const member :
         {"algorithm", "signs_from", "signs_until", "expires", "public_key"})
      if (const auto* const found = o->if_contains(member))
        out[member] = *found;
    out["state"] = state_of(*o, now);
  }
  out["health"] = details.empty() ? "OK" : "WARNING";
  out["details"] = messages_of(details);
  return out;
}

} // namespace

void coordinator_api::add_token_key_routes() {
  add_read(base, service + ".list", "The keys that tokens are signed with, and where each stands",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_objects(*nodes, "token-keys",
                          [respond, now = ports_.now()](result<seen_objects> seen) {
                            if (!seen)
                              return respond(contract_error(seen.failure()));
                            bj::array list;
                            for (const auto& one : seen->objects)
                              list.push_back(told_of(one.name, one.document, now, one.details));
                            http::response out;
                            out.body = bj::serialize(list);
                            respond(std::move(out));
                          });
           });
  add("POST", base, access::administrator,
      "Makes a key on one node and gives it to all: published at once, signing from signs_from",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto wish =
            json::parse_object(r.request.body.empty() ? "{}" : r.request.body, body_bytes_max);
        if (!nodes || !wish)
          return respond(contract_error(nodes ? wish.failure() : nodes.failure()));
        run(r, respond, {service + ".rotate", r.path.at("cluster"), 201},
            [this, nodes = *nodes, body = wish->text()](const work_done& done) {
              http::call make;
              make.method = "POST";
              make.url = "/attestation/v1/admin/token-keys";
              make.body = body;
              on_one(nodes, make, [this, nodes, done](result<std::string> answer) {
                auto made = answer ? made_of(*answer) : result<made_key>(answer.failure());
                if (!made)
                  return done({made.failure(), {}});
                create_object(nodes, "token-keys", made->kid, made->document, done);
              });
            });
      });
  add("DELETE", base + "/{name}", access::administrator,
      "Forgets a key on every node: the tokens it signed end at once",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {service + ".forget", r.path.at("cluster")},
            [this, nodes = *nodes, kid = r.path.at("name")](const work_done& done) {
              delete_object(nodes, "token-keys", kid, done);
            });
      });
}

} // namespace custos::coordinator
