// Trusted key providers of a trust authority cluster: the provider, and its trusted connection.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t pem_bytes_max = 65536;
constexpr std::size_t body_bytes_max = 1U << 20U;
constexpr std::size_t servers_max = 16;
constexpr std::size_t certificates_max = 16;
constexpr std::int64_t timeout_s_max = 60;

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

/// ti.tac.kms:Providers.KeyServerCreateSpec onto the node's document.
result<void> read_key_server(json::object& spec, bj::object& document) {
  CUSTOS_TRY(const auto type, spec.string("type", 16));
  if (type != "KMIP")
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
  if (kmip) {
    CUSTOS_TRY(auto servers, servers_of(*kmip));
    document["servers"] = std::move(servers);
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
  CUSTOS_TRY(const auto key, spec.string("master_key_id", text_bytes_max));
  out.document["primary_key_id"] = key;
  CUSTOS_TRY(auto server, spec.child("key_server"));
  CUSTOS_CHECK(read_key_server(server, out.document));
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
    CUSTOS_CHECK(read_key_server(*server, document));
  CUSTOS_CHECK(read_extension(spec, document));
  CUSTOS_CHECK(spec.finish());
  return document;
}

/// What the contract shows of a provider; never a secret, not even sealed.
bj::object info_of(const std::string& document, bool agreed) {
  boost::system::error_code failed;
  const auto parsed = bj::parse(document, failed);
  const auto& o = parsed.as_object();
  bj::array servers;
  for (const auto& s : o.at("servers").as_array())
    servers.push_back(
        bj::object{{"name", s.at("name")},
                   {"address", bj::object{{"hostname", s.at("host")}, {"port", s.at("port")}}}});
  bj::object kmip{{"servers", std::move(servers)}};
  if (const auto* const user = o.if_contains("username"); user != nullptr)
    kmip["username"] = *user;
  return {{"master_key_id", o.at("primary_key_id")},
          {"health", agreed ? "OK" : "WARNING"},
          {"details", bj::array{}},
          {"key_server", bj::object{{"type", "KMIP"}, {"kmip_server", std::move(kmip)}}}};
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
  add("GET", base, access::auditor, "All trusted key providers",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_objects(*nodes, "key-providers", [respond](result<std::vector<seen_object>> seen) {
          if (!seen)
            return respond(contract_error(seen.failure()));
          bj::array list;
          for (const auto& one : *seen)
            list.push_back(
                bj::object{{"provider", one.name}, {"health", one.agreed ? "OK" : "WARNING"}});
          respond(json_body(list));
        });
      });
  add("GET", base + "/{provider}", access::auditor, "One trusted key provider",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_objects(
            *nodes, "key-providers",
            [respond, name = r.path.at("provider")](result<std::vector<seen_object>> seen) {
              if (!seen)
                return respond(contract_error(seen.failure()));
              for (const auto& one : *seen)
                if (one.name == name)
                  return respond(json_body(info_of(one.document, one.agreed)));
              respond(contract_error(
                  field_error(errc::not_found, "provider", "there is none of that name")));
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
              create.body = bj::serialize(bj::object{
                  {"name", "custos-" + provider + "-" + crypto::hex(crypto::random_bytes(8))}});
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

void coordinator_api::add_provider_trust_routes() {
  const auto certificate = base + "/{provider}/client-certificate";
  // Both make a key pair on one node, which seals the private key; then every node gets the same.
  const auto make = [this](bool csr, const std::string& name) {
    return [this, csr, name](routed_request&& r, const http::responder& respond) {
      auto nodes = nodes_of(r);
      if (!nodes)
        return respond(contract_error(nodes.failure()));
      run(r, respond, {name, r.path.at("cluster"), 201},
          [this, csr, nodes = *nodes, provider = r.path.at("provider")](const work_done& done) {
            http::call call;
            call.method = "POST";
            call.url = "/keys/v1/admin/providers/" + provider + "/client-certificate";
            call.body = bj::serialize(bj::object{{"csr", csr}});
            on_one(nodes, call, [this, csr, nodes, provider, done](result<std::string> body) {
              if (!body)
                return done({body.failure(), {}});
              auto made = json::parse_object(*body, body_bytes_max);
              auto pem =
                  made ? made->string("pem", pem_bytes_max) : result<std::string>(made.failure());
              auto sealed = made ? made->string("sealed_client_private_key", pem_bytes_max)
                                 : result<std::string>(made.failure());
              if (!pem || !sealed)
                return done(
                    {make_error(errc::internal, "a node answered without a certificate"), {}});
              edit_object(
                  nodes, "key-providers", provider,
                  [csr, pem = *pem, sealed = *sealed](bj::object& document) -> result<void> {
                    document["sealed_client_private_key"] = sealed;
                    document["client_certificate"] = csr ? std::string() : pem;
                    return {};
                  },
                  [done, pem = *pem](work_result w) {
                    if (w.outcome)
                      w.outcome = bj::serialize(bj::string(pem));
                    done(std::move(w));
                  });
            });
          });
    };
  };
  add("POST", certificate, access::administrator, "Generates a self-signed client certificate",
      make(false, "ti.tac.kms.providers:ClientCertificate.create"));
  add("POST", certificate + "/csr", access::administrator,
      "Generates a certificate signing request",
      make(true, "ti.tac.kms.providers.client_certificate:Csr.create"));
  add("GET", certificate, access::auditor, "The client certificate in use",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_objects(
            *nodes, "key-providers",
            [respond, name = r.path.at("provider")](result<std::vector<seen_object>> seen) {
              if (!seen)
                return respond(contract_error(seen.failure()));
              for (const auto& one : *seen) {
                boost::system::error_code failed;
                if (one.name == name)
                  return respond(json_body(bj::object{
                      {"certificate", bj::parse(one.document, failed).at("client_certificate")}}));
              }
              respond(contract_error(
                  field_error(errc::not_found, "provider", "there is none of that name")));
            });
      });
  add("PATCH", certificate, access::administrator,
      "Sets the client certificate; with its private key, which a node seals first",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto spec = json::parse_object(r.request.body, body_bytes_max);
        if (!nodes || !spec)
          return respond(contract_error(nodes ? spec.failure() : nodes.failure()));
        auto pem = spec->string("certificate", pem_bytes_max);
        const bool with_key = spec->has("private_key");
        auto private_key = with_key ? spec->secret_string("private_key", pem_bytes_max)
                                    : result<crypto::secret_bytes>(crypto::secret_bytes());
        auto rest = spec->finish();
        if (!pem || !private_key || !rest)
          return respond(contract_error(!pem           ? pem.failure()
                                        : !private_key ? private_key.failure()
                                                       : rest.failure()));
        crypto::wipe(r.request.body.data(), r.request.body.size());
        const crypto::secret_ptr key =
            std::make_shared<const crypto::secret_bytes>(*std::move(private_key));
        run(r, respond, {"ti.tac.kms.providers:ClientCertificate.update", r.path.at("cluster")},
            [this, nodes = *nodes, provider = r.path.at("provider"), pem = *pem,
             key](const work_done& done) {
              const auto set = [this, nodes, provider, pem, done](const std::string& sealed) {
                edit_object(
                    nodes, "key-providers", provider,
                    [pem, sealed](bj::object& document) -> result<void> {
                      document["client_certificate"] = pem;
                      if (!sealed.empty())
                        document["sealed_client_private_key"] = sealed;
                      return {};
                    },
                    done);
              };
              if (key->empty())
                return set("");
              http::call seal;
              seal.method = "POST";
              seal.url = "/keys/v1/admin/providers/" + provider + "/seal-private-key";
              seal.body = bj::serialize(bj::object{{"private_key", as_text(key->reveal_secret())}});
              on_one(nodes, seal, [set, done](result<std::string> body) {
                auto answer = body ? json::parse_object(*body, body_bytes_max)
                                   : result<json::object>(body.failure());
                auto sealed = answer ? answer->string("sealed_client_private_key", pem_bytes_max)
                                     : result<std::string>(answer.failure());
                if (!sealed)
                  return done({sealed.failure(), {}});
                set(*sealed);
              });
            });
      });
  add("GET", base + "/{provider}/peer-certs/current", access::auditor,
      "What the key servers present now",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        http::call get;
        get.url = "/keys/v1/admin/providers/" + r.path.at("provider") + "/peer-certificates";
        on_one(*nodes, get, [respond](result<std::string> body) {
          if (!body)
            return respond(contract_error(body.failure()));
          auto parsed = json::parse_any(*body, body_bytes_max);
          if (!parsed || !parsed->is_object())
            return respond(contract_error(
                make_error(errc::internal, "a node answered with something unexpected")));
          respond(json_body(parsed->get_object()["peer_certificates"]));
        });
      });
  add("PATCH", base + "/{provider}/peer-certs/trusted", access::administrator,
      "Trusts these certificates of key servers, and no others",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto spec = json::parse_object(r.request.body, body_bytes_max);
        if (!nodes || !spec)
          return respond(contract_error(nodes ? spec.failure() : nodes.failure()));
        auto items = spec->array("certificates", certificates_max, true);
        auto rest = spec->finish();
        if (!items || !rest)
          return respond(contract_error(items ? rest.failure() : items.failure()));
        bj::array list;
        for (const auto& item : *items) {
          auto pem = item.as_string(pem_bytes_max);
          if (!pem)
            return respond(contract_error(pem.failure()));
          list.emplace_back(*pem);
        }
        run(r, respond,
            {"ti.tac.kms.providers:TrustedPeerCertificates.update", r.path.at("cluster")},
            [this, nodes = *nodes, provider = r.path.at("provider"), list](const work_done& done) {
              edit_object(
                  nodes, "key-providers", provider,
                  [list](bj::object& document) -> result<void> {
                    document["trusted_peer_certificates"] = list;
                    return {};
                  },
                  done);
            });
      });
  add("GET", "/custos/v1/trust-authority-clusters/{cluster}/kms/providers/{provider}/status",
      access::auditor, "Health of a provider's key servers, as every node sees it",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        http::call get;
        get.url = "/keys/v1/admin/providers/" + r.path.at("provider") + "/status";
        on_all(*nodes, get, [respond](const target_outcomes& outcomes) {
          bj::object out;
          for (const auto& o : outcomes) {
            boost::system::error_code failed;
            out[o.target] = o.ok
                                ? bj::parse(o.body, failed)
                                : bj::value(bj::object{{"health", "error"}, {"detail", o.message}});
          }
          respond(json_body(out));
        });
      });
}

} // namespace custos::coordinator
