// The trusted connection between a trusted key provider and its key servers: the certificates of
// the servers, and the user's password. Client certificates: client_certificate_routes.cpp.

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

void coordinator_api::set_password(const std::vector<member>& nodes, const std::string& provider,
                                   const crypto::secret_ptr& body, const work_done& done) const {
  http::call seal;
  seal.method = "POST";
  seal.url = "/keys/v1/admin/providers/" + provider + "/seal-password";
  seal.body = as_text(body->reveal_secret());
  on_one(nodes, seal, [this, nodes, provider, done](const result<std::string>& answered) {
    auto answer = answered ? json::parse_object(*answered, body_bytes_max)
                           : result<json::object>(answered.failure());
    auto sealed = answer ? answer->string("sealed_password", body_bytes_max)
                         : result<std::string>(answer.failure());
    if (!sealed)
      return done({sealed.failure(), {}});
    edit_object(
        nodes, "key-providers", provider,
        [sealed = *sealed](bj::object& document) -> result<void> {
          document["sealed_password"] = sealed;
          return {};
        },
        done);
  });
}

void coordinator_api::add_provider_trust_routes() {
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
  add_read(
      base + "/{provider}/peer-certs/trusted", "ti.tac.kms.providers:TrustedPeerCertificates.get",
      "The certificates of key servers that are trusted",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        read_document(*nodes, "key-providers", r.path.at("provider"),
                      [respond](const result<bj::object>& document) {
                        if (!document)
                          return respond(contract_error(document.failure()));
                        const auto* const list = document->if_contains("trusted_peer_certificates");
                        respond(json_body(bj::object{
                            {"certificates", list == nullptr ? bj::value(bj::array{}) : *list}}));
                      });
      });
  add("PUT", base + "/{provider}/credential", access::administrator,
      "Sets the password of the provider's user at its key servers; a node seals it first",
      [this](routed_request&& r, const http::responder& respond) {
        // The body is the password as a JSON string; whether it is one is judged where it is
        // sealed.
        const crypto::secret_ptr body = std::make_shared<const crypto::secret_bytes>(
            as_bytes("{\"password\":" + r.request.body + "}"));
        crypto::wipe(r.request.body.data(), r.request.body.size());
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {"ti.tac.kms.providers:Credential.set", r.path.at("cluster")},
            [this, nodes = *nodes, provider = r.path.at("provider"), body](const work_done& done) {
              set_password(nodes, provider, body, done);
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
