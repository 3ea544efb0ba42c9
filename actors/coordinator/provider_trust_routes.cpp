// The trusted connection between a trusted key provider and its key servers: client certificate,
// and the certificates of the servers.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t pem_bytes_max = 65536;
constexpr std::size_t body_bytes_max = 1U << 20U;
constexpr std::size_t servers_max = 64;
constexpr std::size_t certificates_max = 16;

const std::string base =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/{cluster}/kms/providers";

http::response json_body(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

http::response client_certificate_answer(const std::string& document) {
  boost::system::error_code failed;
  const auto parsed = bj::parse(document, failed);
  const auto* const pem = parsed.as_object().if_contains("client_certificate");
  if (pem == nullptr || !pem->is_string() || pem->get_string().empty())
    return contract_error(field_error(errc::not_found, "client_certificate",
                                      "the provider has no client certificate yet"));
  return json_body(bj::object{{"certificate", *pem}});
}

/// The certificates of key servers that a provider's document trusts.
std::vector<crypto::certificate> trusted_of(const std::string& document) {
  boost::system::error_code failed;
  const auto parsed = bj::parse(document, failed);
  const auto* const list = parsed.as_object().if_contains("trusted_peer_certificates");
  std::vector<crypto::certificate> out;
  if (list == nullptr || !list->is_array())
    return out;
  for (const auto& item : list->get_array())
    if (const auto* const pem = item.if_string(); pem != nullptr)
      if (auto read = crypto::certificates_from_pem(as_bytes(std::string_view(*pem))); read)
        out.insert(out.end(), read->begin(), read->end());
  return out;
}

/// As a node judges a key server: its own certificate is trusted, or its chain leads to one that
/// is.
bool is_trusted(const std::string& pem, const std::vector<crypto::certificate>& trusted,
                std::int64_t now) {
  auto chain = crypto::certificates_from_pem(as_bytes(pem));
  if (!chain || chain->empty())
    return false;
  const auto leaf = chain->front();
  chain->erase(chain->begin());
  if (std::any_of(trusted.begin(), trusted.end(),
                  [&leaf](const auto& one) { return one.der() == leaf.der(); }))
    return true;
  crypto::verify_options options;
  options.use = crypto::purpose::tls_server;
  options.now = now;
  return crypto::verify_chain(leaf, *chain, trusted, options).ok();
}

/// The answer of a node as list<ti.tac.kms.providers:CurrentPeerCertificates.Summary>.
result<bj::array> presented_of(const std::string& body,
                               const std::vector<crypto::certificate>& trusted, std::int64_t now) {
  CUSTOS_TRY(auto answer, json::parse_object(body, body_bytes_max));
  CUSTOS_TRY(const auto items, answer.array("peer_certificates", servers_max));
  bj::array out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto one, item.as_object());
    CUSTOS_TRY(const auto server, one.string("server", text_bytes_max));
    CUSTOS_TRY(const auto pem, one.string("pem", pem_bytes_max));
    CUSTOS_TRY(const auto why, one.string("error", pem_bytes_max));
    std::vector<std::string> complaints;
    if (!why.empty())
      complaints.emplace_back(server).append(": ").append(why);
    bj::object summary{{"server_name", server},
                       {"error_messages", messages_of(complaints)},
                       {"trusted", is_trusted(pem, trusted, now)}};
    if (!pem.empty())
      summary["certificate"] = pem;
    out.push_back(std::move(summary));
  }
  return out;
}

} // namespace

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
  add_read(certificate, "ti.tac.kms.providers:ClientCertificate.get",
           "The client certificate in use",
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
                                return respond(client_certificate_answer(one.document));
                            respond(contract_error(field_error(errc::not_found, "provider",
                                                               "there is none of that name")));
                          });
           });
  add("PATCH", certificate, access::administrator,
      "Sets the client certificate; with its private key, which a node seals first",
      [this](routed_request&& r, const http::responder& respond) {
        auto spec = json::parse_object(r.request.body, body_bytes_max);
        // Whatever else is wrong: what was sent here may hold a private key.
        crypto::wipe(r.request.body.data(), r.request.body.size());
        auto nodes = nodes_of(r);
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
  add_read(base + "/{provider}/peer-certs/current",
           "ti.tac.kms.providers:CurrentPeerCertificates.list", "What the key servers present now",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_objects(*nodes, "key-providers",
                          [this, respond, nodes = *nodes,
                           provider = r.path.at("provider")](result<seen_objects> seen) {
                            if (!seen)
                              return respond(contract_error(seen.failure()));
                            std::vector<crypto::certificate> trusted;
                            for (const auto& one : seen->objects)
                              if (one.name == provider)
                                trusted = trusted_of(one.document);
                            http::call get;
                            get.url = "/keys/v1/admin/providers/" + provider + "/peer-certificates";
                            on_one(nodes, get, [this, respond, trusted](result<std::string> body) {
                              auto list = body ? presented_of(*body, trusted, ports_.now())
                                               : result<bj::array>(body.failure());
                              respond(list ? json_body(*list) : contract_error(list.failure()));
                            });
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
            auto status = o.ok ? json::parse_any(o.body, body_bytes_max)
                               : result<bj::value>(make_error(errc::unavailable, o.message));
            if (status && !status->is_object())
              status = make_error(errc::malformed, "answered with something else than a status");
            out[o.target] = status ? *std::move(status)
                                   : bj::value(bj::object{{"health", "error"},
                                                          {"detail", status.failure().message}});
          }
          respond(json_body(out));
        });
      });
}

} // namespace custos::coordinator
