// Trusted key providers of a trust authority cluster: the provider, and its trusted connection.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t body_bytes_max = 1U << 20U;
constexpr std::size_t servers_max = 16;
constexpr std::int64_t timeout_s_max = 60;
/// The name of a key: "custos-", this much of the provider's, "-" and 16 digits; at most 128.
constexpr std::size_t provider_in_key_name_max = 96;

const std::string base =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/{cluster}/kms/providers";
const std::string service = "ti.tac.kms:Providers";

result<bj::array> servers_of(json::object& kmip) {
  CUSTOS_TRY(const auto items, kmip.array("servers", servers_max));
  bj::array out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto server, item.as_object());
    CUSTOS_TRY(const auto name, server.string("name", text_bytes_max));
    CUSTOS_TRY(auto address, server.child("address"));
    CUSTOS_TRY(const auto hostname, address.string("hostname", text_bytes_max));
    CUSTOS_TRY(const auto port, address.optional_integer("port", 1, 65535));
    CUSTOS_CHECK(address.finish());
    CUSTOS_CHECK(server.finish());
    out.push_back(bj::object{{"name", name}, {"host", hostname}, {"port", port.value_or(5696)}});
  }
  return out;
}

/// ti.tac.kms:Providers.KeyServerCreateSpec, or with `update` KeyServerUpdateSpec, in which every
/// member may be absent, onto the node's document.
result<void> read_key_server(json::object& spec, bj::object& document, bool update) {
  CUSTOS_TRY(const auto type, spec.optional_string("type", 16));
  if (!type && !update)
    return field_error(errc::invalid_argument, spec.path() + "/type", "expected KMIP");
  if (type && *type != "KMIP")
    return field_error(errc::invalid_argument, spec.path() + "/type", "expected KMIP");
  CUSTOS_TRY(const auto description, spec.optional_string("description", text_bytes_max));
  static_cast<void>(description); // the contract lets it be set; nothing depends on it
  if (spec.has("proxy_server"))
    return field_error(errc::unsupported, spec.path() + "/proxy_server",
                       "expected no proxy: key servers are reached directly");
  CUSTOS_TRY(const auto timeout, spec.optional_integer("connection_timeout", 1, timeout_s_max));
  if (timeout)
    document["timeout_ms"] = *timeout * 1000;
  CUSTOS_TRY(auto kmip, spec.optional_child("kmip_server"));
  if (!kmip && !update)
    return field_error(errc::invalid_argument, spec.path() + "/kmip_server",
                       "expected an object with the servers; it is missing");
  if (kmip) {
    if (!update || kmip->has("servers")) {
      CUSTOS_TRY(auto servers, servers_of(*kmip));
      document["servers"] = std::move(servers);
    }
    CUSTOS_TRY(const auto username, kmip->optional_string("username", text_bytes_max));
    if (username)
      document["username"] = *username;
    CUSTOS_CHECK(kmip->finish());
  }
  return spec.finish();
}

/// Ours in addition to the contract: "custos": {"mode", "access"}.
result<void> read_extension(json::object& spec, bj::object& document) {
  CUSTOS_TRY(auto ours, spec.optional_child("custos"));
  if (!ours)
    return {};
  CUSTOS_TRY(const auto mode, ours->optional_string("mode", 16));
  if (mode)
    document["mode"] = *mode;
  CUSTOS_TRY(auto rule, ours->optional_child("access"));
  if (rule) {
    bj::object out;
    for (const auto* name : {"images", "hosts"}) {
      CUSTOS_TRY(const auto items, rule->array(name, 4096, true));
      bj::array list;
      for (const auto& item : items) {
        CUSTOS_TRY(const auto text, item.as_string(text_bytes_max));
        list.emplace_back(text);
      }
      out[name] = std::move(list);
    }
    CUSTOS_CHECK(rule->finish());
    document["access"] = std::move(out);
  }
  return ours->finish();
}

struct provider_spec {
  std::string name;
  bj::object document;
};

result<provider_spec> read_create(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  provider_spec out;
  CUSTOS_TRY(out.name, spec.string("provider", 128));
  if (!is_object_name(out.name))
    return bad_object_name("/provider");
  CUSTOS_TRY(const auto key, spec.string("master_key_id", text_bytes_max));
  out.document["primary_key_id"] = key;
  CUSTOS_TRY(auto server, spec.child("key_server"));
  CUSTOS_CHECK(read_key_server(server, out.document, false));
  CUSTOS_CHECK(read_extension(spec, out.document));
  CUSTOS_CHECK(spec.finish());
  return out;
}

result<bj::object> read_update(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  bj::object document;
  CUSTOS_TRY(const auto key, spec.optional_string("master_key_id", text_bytes_max));
  if (key)
    document["primary_key_id"] = *key;
  CUSTOS_TRY(auto server, spec.optional_child("key_server"));
  if (server)
    CUSTOS_CHECK(read_key_server(*server, document, true));
  CUSTOS_CHECK(read_extension(spec, document));
  CUSTOS_CHECK(spec.finish());
  return document;
}

/// Members of a document that came from a node: whatever has another form is left out.
const bj::value& member_of(const bj::object& o, std::string_view name) {
  static const bj::value none;
  const auto* const found = o.if_contains(name);
  return found == nullptr ? none : *found;
}

bj::object key_server_of(const bj::object& o) {
  bj::array servers;
  if (const auto* const list = member_of(o, "servers").if_array(); list != nullptr)
    for (const auto& item : *list) {
      const auto* const s = item.if_object();
      if (s == nullptr)
        continue;
      servers.push_back(bj::object{{"name", member_of(*s, "name")},
                                   {"address", bj::object{{"hostname", member_of(*s, "host")},
                                                          {"port", member_of(*s, "port")}}}});
    }
  bj::object kmip{{"servers", std::move(servers)}};
  if (const auto& user = member_of(o, "username"); !user.is_null())
    kmip["username"] = user;
  bj::object out{{"type", "KMIP"}, {"description", ""}, {"kmip_server", std::move(kmip)}};
  if (const auto* const timeout_ms = member_of(o, "timeout_ms").if_int64(); timeout_ms != nullptr)
    out["connection_timeout"] = (*timeout_ms + 999) / 1000; // seconds in the contract
  return out;
}

/// What the contract shows of a provider (ti.tac.kms:Providers.Info); never a secret, not even
/// sealed.
bj::object info_of(const std::string& document, const std::vector<std::string>& details) {
  boost::system::error_code failed;
  const auto parsed = bj::parse(document, failed);
  const auto& o = parsed.as_object();
  return {{"master_key_id", member_of(o, "primary_key_id")},
          {"key_server", key_server_of(o)},
          {"status", bj::object{{"health", health_of(details)},
                                {"details", messages_of(details)},
                                {"servers", bj::array{}}}}};
}

http::response json_body(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

} // namespace

void coordinator_api::add_provider_routes() {
  add("POST", base, access::administrator, "Creates a trusted key provider on every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto spec = read_create(r.request.body);
        if (!nodes || !spec)
          return respond(contract_error(nodes ? spec.failure() : nodes.failure()));
        run(r, respond, {service + ".create", r.path.at("cluster"), 201},
            [this, nodes = *nodes, spec = *spec](const work_done& done) {
              create_object(nodes, "key-providers", spec.name, bj::serialize(spec.document), done);
            });
      });
  add_read(
      base, service + ".list", "All trusted key providers",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_objects(*nodes, "key-providers", [respond](result<seen_objects> seen) {
          if (!seen)
            return respond(contract_error(seen.failure()));
          bj::array list;
          for (const auto& one : seen->objects)
            list.push_back(bj::object{{"provider", one.name}, {"health", health_of(one.details)}});
          respond(json_body(list));
        });
      });
  add_read(base + "/{provider}", service + ".get", "One trusted key provider",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_objects(*nodes, "key-providers",
                          [respond, name = r.path.at("provider")](result<seen_objects> seen) {
                            if (!seen)
                              return respond(contract_error(seen.failure()));
                            for (const auto& one : seen->objects)
                              if (one.name == name)
                                return respond(json_body(info_of(one.document, one.details)));
                            respond(contract_error(field_error(errc::not_found, "provider",
                                                               "there is none of that name")));
                          });
           });
  add("PATCH", base + "/{provider}", access::administrator, "Changes a provider on every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto change = read_update(r.request.body);
        if (!nodes || !change)
          return respond(contract_error(nodes ? change.failure() : nodes.failure()));
        run(r, respond, {service + ".update", r.path.at("cluster")},
            [this, nodes = *nodes, change = *change,
             name = r.path.at("provider")](const work_done& done) {
              edit_object(
                  nodes, "key-providers", name,
                  [change](bj::object& document) -> result<void> {
                    for (const auto& [member_name, value] : change)
                      document[member_name] = value;
                    return {};
                  },
                  done);
            });
      });
  add("DELETE", base + "/{provider}", access::administrator, "Removes a provider from every node",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {service + ".delete", r.path.at("cluster")},
            [this, nodes = *nodes, name = r.path.at("provider")](const work_done& done) {
              delete_object(nodes, "key-providers", name, done);
            });
      });
  add("POST", "/custos/v1/trust-authority-clusters/{cluster}/kms/providers/{provider}/primary-key",
      access::administrator,
      "Creates and activates a primary key on the key server and makes it the provider's",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {"custos.kms:Providers.create-primary-key", r.path.at("cluster"), 201},
            [this, nodes = *nodes, provider = r.path.at("provider")](const work_done& done) {
              http::call create;
              create.method = "POST";
              create.url = "/keys/v1/admin/providers/" + provider + "/primary-key";
              // The name is new each time: an answer that got lost never makes a second key pass
              // for the first.
              create.body = bj::serialize(
                  bj::object{{"name", "custos-" + provider.substr(0, provider_in_key_name_max) +
                                          "-" + crypto::hex(crypto::random_bytes(8))}});
              on_one(nodes, create, [this, nodes, provider, done](result<std::string> body) {
                if (!body)
                  return done({body.failure(), {}});
                auto answer = json::parse_object(*body, body_bytes_max);
                auto id = answer ? answer->string("primary_key_id", text_bytes_max)
                                 : result<std::string>(answer.failure());
                if (!id)
                  return done({id.failure(), {}});
                edit_object(
                    nodes, "key-providers", provider,
                    [id = *id](bj::object& document) -> result<void> {
                      document["primary_key_id"] = id;
                      return {};
                    },
                    [done, id = *id](work_result w) {
                      if (w.outcome)
                        w.outcome = bj::serialize(bj::string(id));
                      done(std::move(w));
                    });
              });
            });
      });
}

} // namespace custos::coordinator
