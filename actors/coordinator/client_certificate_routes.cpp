// The client certificate of a key provider: generated, requested or uploaded. The first one is used
// at once; whatever comes later stands beside it as the next one, which nodes use as soon as the
// key servers take it, until it is promoted or dropped.

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t pem_bytes_max = 65536;
constexpr std::size_t body_bytes_max = 1U << 20U;

const std::string certificate_path =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/{cluster}/kms/providers/{provider}/"
    "client-certificate";
const std::string own_path = "/custos/v1/trust-authority-clusters/{cluster}/kms/providers/"
                             "{provider}/client-certificate";

constexpr std::string_view current_pem = "client_certificate";
constexpr std::string_view current_key = "sealed_client_private_key";
constexpr std::string_view next_pem = "next_client_certificate";
constexpr std::string_view next_key = "sealed_next_client_private_key";

/// A text of a node's document; empty: it has none.
std::string text_of(const bj::object& document, std::string_view name) {
  const auto* const text = document.if_contains(name);
  return text == nullptr || !text->is_string() ? std::string() : std::string(text->get_string());
}

http::response json_body(const bj::value& v) {
  http::response r;
  r.body = bj::serialize(v);
  return r;
}

error no_next() {
  return field_error(errc::not_found, std::string(next_pem),
                     "the provider has no client certificate that follows the present one");
}

/// A new key pair, beside the present one if there is one that is complete.
void set_identity(bj::object& document, const std::string& pem, const std::string& sealed) {
  if (text_of(document, current_pem).empty()) {
    document[current_pem] = pem;
    document[current_key] = sealed;
    return;
  }
  document[next_key] = sealed;
  if (pem.empty())
    document.erase(next_pem);
  else
    document[next_pem] = pem;
}

/// The private keys that a certificate may be for, newest first.
std::vector<std::string> sealed_keys_of(const bj::object& document) {
  std::vector<std::string> out;
  for (const auto name : {next_key, current_key})
    if (auto sealed = text_of(document, name); !sealed.empty())
      out.push_back(std::move(sealed));
  return out;
}

http::call match_call(const std::string& provider, const std::string& pem,
                      const std::vector<std::string>& sealed) {
  http::call call;
  call.method = "POST";
  call.url = "/keys/v1/admin/providers/" + provider + "/match-private-key";
  call.body = bj::serialize(
      bj::object{{"certificate", pem},
                 {"sealed_client_private_keys", bj::array(sealed.begin(), sealed.end())}});
  return call;
}

result<std::string> member_of(const result<std::string>& body, std::string_view name) {
  if (!body)
    return body.failure();
  CUSTOS_TRY(auto answer, json::parse_object(*body, body_bytes_max));
  return answer.string(name, pem_bytes_max);
}

result<std::string> matched_of(const result<std::string>& body,
                               const std::vector<std::string>& sealed) {
  if (!body)
    return body.failure();
  CUSTOS_TRY(auto answer, json::parse_object(*body, body_bytes_max));
  CUSTOS_TRY(const auto index,
             answer.integer("index", 0, static_cast<std::int64_t>(sealed.size()) - 1));
  return sealed.at(static_cast<std::size_t>(index));
}

/// What the nodes use, by their status; empty when all use the next certificate.
std::string hesitating(const target_outcomes& outcomes) {
  std::string out;
  for (const auto& o : outcomes) {
    const auto status = o.ok ? json::parse_any(o.body, body_bytes_max)
                             : result<bj::value>(make_error(errc::unavailable, o.message));
    const bool uses_next =
        status && status->is_object() && text_of(status->get_object(), current_pem) == "next";
    if (!uses_next)
      out.append(out.empty() ? "" : ", ").append(o.target);
  }
  return out;
}

} // namespace

void coordinator_api::make_client_key(const std::vector<member>& nodes, const std::string& provider,
                                      bool csr, const work_done& done) const {
  http::call call;
  call.method = "POST";
  call.url = "/keys/v1/admin/providers/" + provider + "/client-certificate";
  call.body = bj::serialize(bj::object{{"csr", csr}});
  on_one(nodes, call, [this, csr, nodes, provider, done](const result<std::string>& body) {
    auto pem = member_of(body, "pem");
    auto sealed = member_of(body, current_key);
    if (!body)
      return done({body.failure(), {}});
    if (!pem || !sealed)
      return done({make_error(errc::internal, "a node answered without a certificate"), {}});
    edit_object(
        nodes, "key-providers", provider,
        [csr, pem = *pem, sealed = *sealed](bj::object& document) -> result<void> {
          set_identity(document, csr ? std::string() : pem, sealed);
          return {};
        },
        [done, pem = *pem](work_result w) {
          if (w.outcome)
            w.outcome = bj::serialize(bj::string(pem));
          done(std::move(w));
        });
  });
}

void coordinator_api::set_issued_certificate(const std::vector<member>& nodes,
                                             const std::string& provider, const std::string& pem,
                                             const work_done& done) const {
  const auto set = [this, nodes, provider, pem, done](const std::string& sealed) {
    edit_object(
        nodes, "key-providers", provider,
        [pem, sealed](bj::object& document) -> result<void> {
          if (text_of(document, next_key) == sealed)
            document[next_pem] = pem;
          else if (text_of(document, current_key) == sealed)
            document[current_pem] = pem;
          else
            return make_error(errc::revision_conflict, "another key was made meanwhile");
          return {};
        },
        done);
  };
  read_document(nodes, "key-providers", provider,
                [this, nodes, provider, pem, set, done](const result<bj::object>& document) {
                  if (!document)
                    return done({document.failure(), {}});
                  const auto sealed = sealed_keys_of(*document);
                  if (sealed.empty())
                    return done({field_error(errc::invalid_argument, "/private_key",
                                             "expected the certificate's private key: no request "
                                             "was made for this provider"),
                                 {}});
                  on_one(nodes, match_call(provider, pem, sealed),
                         [sealed, set, done](const result<std::string>& body) {
                           const auto matched = matched_of(body, sealed);
                           if (!matched)
                             return done({matched.failure(), {}});
                           set(*matched);
                         });
                });
}

void coordinator_api::set_uploaded_pair(const std::vector<member>& nodes,
                                        const std::string& provider, const std::string& pem,
                                        const crypto::secret_ptr& key,
                                        const work_done& done) const {
  const auto set = [this, nodes, provider, pem, done](const std::string& sealed) {
    edit_object(
        nodes, "key-providers", provider,
        [pem, sealed](bj::object& document) -> result<void> {
          set_identity(document, pem, sealed);
          return {};
        },
        done);
  };
  http::call seal;
  seal.method = "POST";
  seal.url = "/keys/v1/admin/providers/" + provider + "/seal-private-key";
  seal.body = bj::serialize(bj::object{{"private_key", as_text(key->reveal_secret())}});
  on_one(nodes, seal, [this, nodes, provider, pem, set, done](const result<std::string>& body) {
    const auto sealed = member_of(body, current_key);
    if (!sealed)
      return done({sealed.failure(), {}});
    const std::vector<std::string> one{*sealed};
    on_one(nodes, match_call(provider, pem, one),
           [one, set, done](const result<std::string>& answer) {
             const auto matched = matched_of(answer, one);
             if (!matched)
               return done({matched.failure(), {}});
             set(*matched);
           });
  });
}

void coordinator_api::promote_certificate(const std::vector<member>& nodes,
                                          const std::string& provider, bool force,
                                          const work_done& done) const {
  const auto promote = [this, nodes, provider, done] {
    edit_object(
        nodes, "key-providers", provider,
        [](bj::object& document) -> result<void> {
          if (text_of(document, next_pem).empty())
            return no_next();
          document[current_pem] = bj::value(document.at(next_pem));
          document[current_key] = text_of(document, next_key);
          document.erase(next_pem);
          document.erase(next_key);
          return {};
        },
        done);
  };
  if (force)
    return promote();
  http::call get;
  get.url = "/keys/v1/admin/providers/" + provider + "/status";
  on_all(nodes, get, [promote, done](target_outcomes outcomes) {
    const auto who = hesitating(outcomes);
    if (who.empty())
      return promote();
    work_result w;
    w.outcome = make_error(errc::unavailable,
                           "the next client certificate has not worked at these nodes yet: " + who);
    w.targets = std::move(outcomes);
    done(std::move(w));
  });
}

void coordinator_api::add_client_certificate_routes() {
  const auto make = [this](bool csr, const std::string& name) {
    return [this, csr, name](routed_request&& r, const http::responder& respond) {
      auto nodes = nodes_of(r);
      if (!nodes)
        return respond(contract_error(nodes.failure()));
      run(r, respond, {name, r.path.at("cluster"), 201},
          [this, csr, nodes = *nodes, provider = r.path.at("provider")](const work_done& done) {
            make_client_key(nodes, provider, csr, done);
          });
    };
  };
  add("POST", certificate_path, access::administrator, "Generates a self-signed client certificate",
      make(false, "ti.tac.kms.providers:ClientCertificate.create"));
  add("POST", certificate_path + "/csr", access::administrator,
      "Generates a certificate signing request",
      make(true, "ti.tac.kms.providers.client_certificate:Csr.create"));
  add_read(certificate_path, "ti.tac.kms.providers:ClientCertificate.get",
           "The client certificate in use, and the one that follows it",
           [this](routed_request&& r, const http::responder& respond) {
             auto nodes = nodes_of(r);
             if (!nodes)
               return respond(contract_error(nodes.failure()));
             read_document(
                 *nodes, "key-providers", r.path.at("provider"),
                 [respond](const result<bj::object>& document) {
                   if (!document)
                     return respond(contract_error(document.failure().code == errc::not_found
                                                       ? field_error(errc::not_found, "provider",
                                                                     "there is none of that name")
                                                       : document.failure()));
                   const auto pem = text_of(*document, current_pem);
                   if (pem.empty())
                     return respond(
                         contract_error(field_error(errc::not_found, std::string(current_pem),
                                                    "the provider has no client certificate yet")));
                   bj::object out{{"certificate", pem}};
                   if (const auto next = text_of(*document, next_pem); !next.empty())
                     out["custos"] = bj::object{{"next_certificate", next}};
                   respond(json_body(out));
                 });
           });
  add("PATCH", certificate_path, access::administrator,
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
              if (key->empty())
                set_issued_certificate(nodes, provider, pem, done);
              else
                set_uploaded_pair(nodes, provider, pem, key, done);
            });
      });
}

void coordinator_api::add_next_certificate_routes() {
  add("POST", own_path + "/promote", access::administrator,
      "The next client certificate takes the place of the other, once every node has used it",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto spec =
            json::parse_object(r.request.body.empty() ? "{}" : r.request.body, body_bytes_max);
        if (!nodes || !spec)
          return respond(contract_error(nodes ? spec.failure() : nodes.failure()));
        auto force = spec->optional_boolean("force");
        auto rest = spec->finish();
        if (!force || !rest)
          return respond(contract_error(force ? rest.failure() : force.failure()));
        run(r, respond, {"custos.kms.providers:ClientCertificate.promote", r.path.at("cluster")},
            [this, nodes = *nodes, provider = r.path.at("provider"),
             force = force->value_or(false)](const work_done& done) {
              promote_certificate(nodes, provider, force, done);
            });
      });
  add("DELETE", own_path + "/next", access::administrator,
      "Drops the next client certificate, or the request for one",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {"custos.kms.providers:ClientCertificate.drop-next", r.path.at("cluster")},
            [this, nodes = *nodes, provider = r.path.at("provider")](const work_done& done) {
              edit_object(
                  nodes, "key-providers", provider,
                  [](bj::object& document) -> result<void> {
                    if (text_of(document, next_key).empty())
                      return no_next();
                    document.erase(next_pem);
                    document.erase(next_key);
                    return {};
                  },
                  done);
            });
      });
}

} // namespace custos::coordinator
