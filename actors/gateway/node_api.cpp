#include "actors/gateway/node_api.hpp"

#include "actors/gateway/provider_report.hpp"
#include "actors/gateway/wire.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace custos::gateway {

namespace {

namespace bj = boost::json;

constexpr std::size_t admin_body_bytes_max = 4U << 20U;
constexpr std::int64_t join_token_life_s_max = 24 * 3600;
constexpr std::string_view cluster_status_pattern = "/cluster/v1/status";
constexpr std::string_view revision_header = "Custos-Revision";

http::response json_answer(const bj::value& body, unsigned status = 200) {
  http::response r;
  r.status = status;
  r.body = bj::serialize(body);
  return r;
}

http::response text_answer(std::string body) {
  http::response r;
  r.body = std::move(body);
  return r;
}

/// Turns an answer of a service into a response with the encoder, an error into a problem.
template <class T, class Encode>
callback<T> answer_with(const http::responder& respond, Encode encode) {
  return [respond, encode = std::move(encode)](result<T> r) {
    if (!r)
      respond(http::problem(r.failure()));
    else
      respond(encode(*r));
  };
}

result<std::optional<std::uint64_t>> if_match_of(const http::request& request) {
  auto value = request.header_value("If-Match");
  if (value.empty())
    return std::optional<std::uint64_t>{};
  if (value.size() > 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  std::uint64_t revision = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), revision);
  if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size())
    return field_error(errc::invalid_argument, "If-Match",
                       "expected a configuration revision in double quotes");
  return std::optional<std::uint64_t>{revision};
}

result<object_kind> kind_of(const routed_request& r) {
  const auto kind = object_kind_of(r.path.at("kind"));
  if (kind)
    return *kind;
  std::string known;
  for (unsigned i = 1; i <= static_cast<unsigned>(last_object_kind); ++i)
    known.append(known.empty() ? "" : ", ").append(to_string(static_cast<object_kind>(i)));
  return field_error(errc::not_found, "kind", "expected one of " + known);
}

result<token_key_wish> token_key_wish_of(const std::string& text) {
  constexpr std::int64_t time_max = INT64_MAX / 4; // two of them still add up
  CUSTOS_TRY(auto body, json::parse_object(text, admin_body_bytes_max));
  token_key_wish out;
  CUSTOS_TRY(auto algorithm, body.optional_string("algorithm", 16));
  if (algorithm)
    out.algorithm = *std::move(algorithm);
  CUSTOS_TRY(out.signs_from, body.optional_integer("signs_from", 0, time_max));
  CUSTOS_TRY(out.signs_for_s, body.optional_integer("signs_for_s", 0, time_max));
  CUSTOS_TRY(out.verifies_for_s, body.optional_integer("verifies_for_s", 0, time_max));
  CUSTOS_CHECK(body.finish());
  return out;
}

bj::object object_of(object_kind kind, const config_document& d) {
  bj::object out;
  out["kind"] = to_string(kind);
  out["name"] = d.name;
  boost::system::error_code failed;
  out["object"] = bj::parse(d.document, failed);
  return out;
}

http::response applied_answer(const config_applied& applied, unsigned status) {
  auto r = json_answer(bj::object{{"revision", applied.revision},
                                  {"fingerprint", applied.fingerprint},
                                  {"changed", applied.changed}},
                       status);
  r.headers.push_back({"ETag", '"' + std::to_string(applied.revision) + '"'});
  r.headers.push_back({std::string(revision_header), std::to_string(applied.revision)});
  return r;
}

http::response with_revision(http::response r, std::uint64_t revision) {
  r.headers.push_back({std::string(revision_header), std::to_string(revision)});
  return r;
}

/// "Custos-Revision: N": the caller has seen N. "Custos-Consistency: linearizable": everything that
/// was acknowledged before the request.
result<await_configuration> freshness_of(const http::request& request,
                                         bool linearizable_unless_told) {
  await_configuration out;
  const auto seen = request.header_value(revision_header);
  const auto parsed = std::from_chars(seen.data(), seen.data() + seen.size(), out.revision);
  if (!seen.empty() && (parsed.ec != std::errc{} || parsed.ptr != seen.data() + seen.size()))
    return field_error(errc::invalid_argument, std::string(revision_header),
                       "expected a revision of the configuration");
  const auto wanted = request.header_value("Custos-Consistency");
  if (!wanted.empty() && wanted != "linearizable" && wanted != "local")
    return field_error(errc::invalid_argument, "Custos-Consistency",
                       "expected linearizable or local");
  out.linearizable = wanted.empty() ? linearizable_unless_told : wanted == "linearizable";
  return out;
}

bj::object member_object(const cluster_member_status& m) {
  bj::object out{{"node", m.node},       {"id", m.id},
                 {"role", m.role},       {"address", m.address},
                 {"link", m.link},       {"applied_index", m.applied},
                 {"lag", m.lag},         {"revision", m.revision},
                 {"version", m.version}, {"problem", m.problem}};
  if (m.heard_ms_ago)
    out["heard_ms_ago"] = *m.heard_ms_ago;
  if (m.certificate_expires != 0)
    out["certificate_expires"] = m.certificate_expires;
  return out;
}

http::response cluster_answer(const cluster_status& s) {
  bj::array members;
  for (const auto& m : s.members)
    members.push_back(member_object(m));
  return json_answer(bj::object{{"cluster_id", s.cluster_id},
                                {"cluster_name", s.cluster_name},
                                {"node", s.node},
                                {"id", s.id},
                                {"role", s.role},
                                {"leader", s.leader},
                                {"term", s.term},
                                {"committed_index", s.committed},
                                {"applied_index", s.applied},
                                {"revision", s.revision},
                                {"fingerprint", s.fingerprint},
                                {"state_hash", s.state_hash},
                                {"version", s.version},
                                {"problem", s.problem},
                                {"members", std::move(members)}});
}

/// What a host asked for and did not get.
audit_record refusal_of(const std::string& host, const std::string& remote, const char* action,
                        const error& why) {
  return {
      host, remote, action, host, std::string(to_string(why.code)), why.check + ": " + why.message};
}

} // namespace

node_api::node_api(node_ports ports) : ports_(std::move(ports)), peers_(ports_.anchors) {
  add_attestation_routes();
  add_host_routes();
  add_token_key_routes();
  add_key_routes();
  add_many_keys_routes();
  add_key_use_routes();
  add_provider_admin_routes();
  add_provider_secret_routes();
  add_config_routes();
  add_cluster_routes();
  add_backup_routes();
  add_membership_routes();
  add_data_key_routes();
  add_well_known_routes();
}

void node_api::add(std::string method, std::string pattern, access who, std::string summary,
                   route_handler h) {
  router_.add({std::move(method), std::move(pattern), who, std::move(summary), std::move(h)});
}

void node_api::when_current(routed_request&& asked, const http::responder& respond,
                            const route& found) const {
  const auto wanted = freshness_of(asked.request, found.linearizable);
  if (!wanted)
    return respond(http::problem(wanted.failure()));
  if (wanted->revision == 0 && !wanted->linearizable)
    return found.handle(std::move(asked), respond);
  auto kept = std::make_shared<routed_request>(std::move(asked));
  ports_.await_revision(*wanted,
                        [respond, kept, handle = found.handle](const result<config_status>& r) {
                          if (!r)
                            return respond(http::problem(r.failure()));
                          handle(std::move(*kept), respond);
                        });
}

void node_api::refuse(const http::request& request, const std::string& who, const error& why,
                      const http::responder& respond) const {
  ports_.audit({who, request.remote, "http." + request.method, request.path,
                std::string(to_string(why.code)), why.message});
  respond(http::problem(why));
}

void node_api::handle(http::request&& request, const http::responder& respond) const {
  auto match = router_.find(request.method, request.path);
  if (match.found == nullptr) {
    if (match.allowed.empty())
      return respond(http::problem(
          make_error(errc::not_found, "there is no such resource; see /openapi.json")));
    std::string allowed;
    for (const auto& m : match.allowed)
      allowed.append(allowed.empty() ? "" : ", ").append(m);
    auto r = http::problem(make_error(errc::method_not_allowed, "expected one of " + allowed));
    r.headers.push_back({"Allow", allowed});
    return respond(std::move(r));
  }
  // How the cluster stands is told as long as anything is.
  if (auto why = ports_.out_of_service(); why && match.found->pattern != cluster_status_pattern)
    return respond(http::problem(*why));
  std::string who = "anonymous";
  if (match.found->who != access::open) {
    auto known = peers_.principal_of(request.peer, *ports_.snapshot(), ports_.now());
    if (!known)
      return refuse(request, request.peer ? request.peer.common_name() : who, known.failure(),
                    respond);
    who = known->name;
    if (!may(known->may, match.found->who))
      return refuse(request, who,
                    make_error(errc::forbidden,
                               "expected the role " + std::string(to_string(match.found->who))),
                    respond);
  }
  routed_request routed{std::move(request), std::move(match.path), std::move(who)};
  // What hosts ask waits for nothing, and how the cluster stands is told as it is.
  if (match.found->who == access::open || match.found->pattern == cluster_status_pattern)
    return match.found->handle(std::move(routed), respond);
  when_current(std::move(routed), respond, *match.found);
}

void node_api::add_attestation_routes() {
  add("POST", "/attestation/v1/challenges", access::open,
      "A nonce and the ticket that proves it is ours",
      [this](routed_request&&, const http::responder& respond) {
        ports_.new_challenge(make_challenge{},
                             answer_with<challenge>(respond, [](const challenge& c) {
                               return text_answer(encode_challenge(c));
                             }));
      });
  add("POST", "/attestation/v1/attestation-keys", access::open,
      "Certifies an attestation key to the TPM that holds it and the endorsement key",
      [this](routed_request&& r, const http::responder& respond) {
        auto request = decode_attestation_key_request(r.request.body);
        if (!request)
          return respond(http::problem(request.failure()));
        auto finish = [respond, audit = ports_.audit, host = request->host,
                       remote = r.request.remote](result<attestation_key_issued> issued) {
          if (!issued) {
            audit(refusal_of(host, remote, "attest.key", issued.failure()));
            return respond(http::problem(issued.failure()));
          }
          audit({host, remote, "attest.key", host, "ok", ""});
          respond(text_answer(encode_attestation_key_issued(*issued)));
        };
        ports_.issue_attestation_key(*std::move(request), std::move(finish));
      });
  add("POST", "/attestation/v1/tokens", access::open, "Appraises evidence; the answer is the token",
      [this](routed_request&& r, const http::responder& respond) {
        auto request = decode_evidence(r.request.body);
        if (!request)
          return respond(http::problem(request.failure()));
        ports_.audit({request->host, r.request.remote, "attest.token", request->host, "asked", ""});
        auto finish = [respond, audit = ports_.audit, host = request->host,
                       remote = r.request.remote](result<attestation_granted> granted) {
          if (!granted) {
            audit(refusal_of(host, remote, "attest.token", granted.failure()));
            return respond(http::problem(granted.failure()));
          }
          audit({host, remote, "attest.token", granted->image, "ok", granted->image_version});
          respond(text_answer(encode_attestation_granted(*granted)));
        };
        ports_.appraise(*std::move(request), std::move(finish));
      });
}

void node_api::add_token_key_routes() {
  add("POST", "/attestation/v1/admin/token-keys", access::administrator,
      "Makes a key that tokens are signed with; the answer goes to every node as token-keys/{kid}",
      [this](routed_request&& r, const http::responder& respond) {
        auto wish = token_key_wish_of(r.request.body);
        if (!wish)
          return respond(http::problem(wish.failure()));
        auto finish = [respond, audit = ports_.audit, who = r.principal,
                       remote = r.request.remote](result<config_document> made) {
          audit({who, remote, "attestation.make_token_key", made ? made->name : "",
                 made ? "ok" : std::string(to_string(made.failure().code)),
                 made ? "" : made.failure().message});
          respond(made ? json_answer(object_of(object_kind::token_key, *made), 201)
                       : http::problem(made.failure()));
        };
        ports_.new_token_key(*std::move(wish), std::move(finish));
      });
}

void node_api::add_provider_admin_routes() {
  const std::string base = "/keys/v1/admin/providers/{provider}";
  add("POST", base + "/client-certificate", access::administrator,
      "Makes a client key pair; the private key is answered sealed",
      [this](routed_request&& r, const http::responder& respond) {
        auto body = json::parse_object(r.request.body, admin_body_bytes_max);
        if (!body)
          return respond(http::problem(body.failure()));
        auto csr = body->optional_boolean("csr");
        if (!csr)
          return respond(http::problem(csr.failure()));
        if (auto rest = body->finish(); !rest)
          return respond(http::problem(rest.failure()));
        ports_.new_client_certificate(
            {r.path.at("provider"), csr->value_or(false)},
            answer_with<client_certificate_made>(respond, [](const auto& made) {
              return json_answer(bj::object{
                  {"pem", made.pem},
                  {"sealed_client_private_key", crypto::base64url(made.sealed_private_key)}});
            }));
      });
  add("POST", base + "/seal-private-key", access::administrator,
      "Seals an uploaded client private key",
      [this](routed_request&& r, const http::responder& respond) {
        auto body = json::parse_object(r.request.body, admin_body_bytes_max);
        // Whether it parses or not: what was sent here may hold a private key.
        crypto::wipe(r.request.body.data(), r.request.body.size());
        if (!body)
          return respond(http::problem(body.failure()));
        auto pem = body->secret_string("private_key", 65536);
        auto rest = body->finish();
        if (!pem || !rest)
          return respond(http::problem(pem ? rest.failure() : pem.failure()));
        const auto sealed = ports_.seal_private_key(r.path.at("provider"), *pem);
        if (!sealed)
          return respond(http::problem(sealed.failure()));
        respond(json_answer(bj::object{{"sealed_client_private_key", crypto::base64url(*sealed)}}));
      });
  add("POST", base + "/primary-key", access::administrator,
      "Creates and activates an AES-256 key on the key server",
      [this](routed_request&& r, const http::responder& respond) {
        auto body = json::parse_object(r.request.body, admin_body_bytes_max);
        if (!body)
          return respond(http::problem(body.failure()));
        auto name = body->string("name", object_name_bytes_max);
        if (!name)
          return respond(http::problem(name.failure()));
        if (auto rest = body->finish(); !rest)
          return respond(http::problem(rest.failure()));
        ports_.audit({r.principal, r.request.remote, "provider.create_primary_key",
                      r.path.at("provider"), "asked", *name});
        ports_.new_primary_key(
            {r.path.at("provider"), *std::move(name)},
            answer_with<kmip::key_created>(respond, [](const auto& created) {
              return json_answer(bj::object{{"primary_key_id", created.unique_identifier}}, 201);
            }));
      });
  add("GET", base + "/peer-certificates", access::auditor, "What the key servers present now",
      [this](routed_request&& r, const http::responder& respond) {
        ports_.peer_certificates(
            {r.path.at("provider")},
            answer_with<std::vector<peer_certificate>>(respond, [](const auto& list) {
              bj::array out;
              for (const auto& c : list)
                out.push_back(bj::object{{"server", c.server}, {"pem", c.pem}, {"error", c.error}});
              return json_answer(bj::object{{"peer_certificates", std::move(out)}});
            }));
      });
  add("GET", base + "/status", access::auditor,
      "Health of the key servers, both halves of the trust",
      [this](routed_request&& r, const http::responder& respond) {
        ports_.status_of_provider(
            {r.path.at("provider")},
            answer_with<provider_status_report>(respond, [](const auto& report) {
              return text_answer(encode_provider_report(report));
            }));
      });
}

void node_api::add_config_routes() {
  add("GET", "/config/v1/status", access::auditor, "Revision and fingerprint of the configuration",
      [this](routed_request&&, const http::responder& respond) {
        ports_.status({}, answer_with<config_status>(respond, [](const auto& s) {
                        return with_revision(json_answer(bj::object{{"revision", s.revision},
                                                                    {"fingerprint", s.fingerprint},
                                                                    {"cluster_id", s.cluster_id},
                                                                    {"node", s.node}}),
                                             s.revision);
                      }));
      });
  add("GET", "/config/v1/{kind}", access::auditor, "All objects of a kind",
      [this](routed_request&& r, const http::responder& respond) {
        auto kind = kind_of(r);
        if (!kind)
          return respond(http::problem(kind.failure()));
        ports_.list({*kind},
                    answer_with<config_documents>(respond, [kind = *kind](const auto& documents) {
                      bj::array out;
                      for (const auto& d : documents.objects)
                        out.push_back(object_of(kind, d));
                      return with_revision(json_answer(bj::object{{"revision", documents.revision},
                                                                  {"objects", std::move(out)}}),
                                           documents.revision);
                    }));
      });
  add("GET", "/config/v1/{kind}/{name}", access::auditor, "One object",
      [this](routed_request&& r, const http::responder& respond) {
        auto kind = kind_of(r);
        if (!kind)
          return respond(http::problem(kind.failure()));
        ports_.read({*kind, r.path.at("name")},
                    answer_with<config_document>(respond, [kind = *kind](const auto& d) {
                      auto body = object_of(kind, d);
                      body["revision"] = d.revision;
                      auto answer = json_answer(body);
                      answer.headers.push_back({"ETag", '"' + std::to_string(d.revision) + '"'});
                      return with_revision(std::move(answer), d.revision);
                    }));
      });
  const auto write = [this](config_action action, routed_request&& r,
                            const http::responder& respond) {
    auto kind = kind_of(r);
    if (!kind)
      return respond(http::problem(kind.failure()));
    auto revision = if_match_of(r.request);
    if (!revision)
      return respond(http::problem(revision.failure()));
    config_command command;
    command.action = action;
    if (action == config_action::put && r.request.header_value("If-None-Match") == "*")
      command.action = config_action::create;
    command.kind = *kind;
    command.name = r.path.at("name");
    command.document = std::move(r.request.body);
    command.if_revision = *revision;
    command.operation_id = r.request.header_value("Custos-Operation-Id");
    command.actor = r.principal;
    const auto object = std::string(to_string(*kind)) + "/" + command.name;
    const std::string verb = action == config_action::erase ? "config.erase" : "config.put";
    auto finish =
        [respond, audit = ports_.audit, object, verb, who = r.principal, remote = r.request.remote,
         created = command.action == config_action::create](result<config_applied> applied) {
          audit({who, remote, verb, object,
                 applied ? "ok" : std::string(to_string(applied.failure().code)),
                 applied ? "revision " + std::to_string(applied->revision)
                         : applied.failure().message});
          respond(applied ? applied_answer(*applied, created ? 201 : 200)
                          : http::problem(applied.failure()));
        };
    // Whoever could write one would know the key that secrets are sealed under from then on.
    if (*kind == object_kind::data_key)
      return finish(
          make_error(errc::forbidden, "data keys are made and removed by the cluster itself"));
    ports_.apply(std::move(command), std::move(finish));
  };
  add("PUT", "/config/v1/{kind}/{name}", access::administrator,
      "Creates or replaces an object; If-Match: revision, If-None-Match: * to create only",
      [write](routed_request&& r, const http::responder& respond) {
        write(config_action::put, std::move(r), respond);
      });
  add("DELETE", "/config/v1/{kind}/{name}", access::administrator, "Removes an object",
      [write](routed_request&& r, const http::responder& respond) {
        r.request.body.clear();
        write(config_action::erase, std::move(r), respond);
      });
}

void node_api::add_cluster_routes() {
  add("POST", "/cluster/v1/tokens", access::administrator,
      "A one-time token with which a node joins",
      [this](routed_request&& r, const http::responder& respond) {
        auto body = json::parse_object(r.request.body, admin_body_bytes_max);
        if (!body)
          return respond(http::problem(body.failure()));
        auto life = body->integer("life_s", 1, join_token_life_s_max);
        auto url = body->string("url", 512);
        if (!life || !url)
          return respond(http::problem(life ? url.failure() : life.failure()));
        if (auto rest = body->finish(); !rest)
          return respond(http::problem(rest.failure()));
        ports_.audit({r.principal, r.request.remote, "cluster.token", "", "asked",
                      std::to_string(*life) + " s"});
        ports_.new_join_token(static_cast<std::uint32_t>(*life), *std::move(url),
                              answer_with<std::string>(respond, [](const auto& token) {
                                return json_answer(bj::object{{"token", token}}, 201);
                              }));
      });
  add("POST", "/cluster/v1/join", access::open,
      "A new node proves its join token and gets its identity",
      [this](routed_request&& r, const http::responder& respond) {
        auto finish = [respond, audit = ports_.audit,
                       remote = r.request.remote](result<std::string> answer) {
          audit({"anonymous", remote, "cluster.join", "",
                 answer ? "ok" : std::string(to_string(answer.failure().code)),
                 answer ? "" : answer.failure().message});
          respond(answer ? text_answer(*std::move(answer)) : http::problem(answer.failure()));
        };
        ports_.join(std::move(r.request.body), std::move(finish));
      });
  add("POST", "/cluster/v1/certificates", access::administrator,
      "Issues a client certificate for a CSR",
      [this](routed_request&& r, const http::responder& respond) {
        auto body = json::parse_object(r.request.body, admin_body_bytes_max);
        if (!body)
          return respond(http::problem(body.failure()));
        auto csr = body->string("csr", 16384);
        auto name = body->string("name", object_name_bytes_max);
        if (!csr || !name)
          return respond(http::problem(csr ? name.failure() : csr.failure()));
        if (auto rest = body->finish(); !rest)
          return respond(http::problem(rest.failure()));
        ports_.audit({r.principal, r.request.remote, "cluster.certificate", *name, "asked", ""});
        ports_.issue_certificate(*std::move(csr), *std::move(name),
                                 answer_with<std::string>(respond, [](const auto& pem) {
                                   return json_answer(bj::object{{"certificate", pem}}, 201);
                                 }));
      });
}

void node_api::add_membership_routes() {
  add("GET", std::string(cluster_status_pattern), access::auditor,
      "The cluster as this node sees it", [this](routed_request&&, const http::responder& respond) {
        ports_.cluster({}, answer_with<cluster_status>(respond, cluster_answer));
      });
  const auto ask = [this](const std::string& verb, const std::string& node,
                          const port<std::string, cluster_status>& to, const routed_request& r,
                          const http::responder& respond) {
    to(node, [respond, audit = ports_.audit, verb, node, who = r.principal,
              remote = r.request.remote](result<cluster_status> done) {
      audit({who, remote, verb, node, done ? "ok" : std::string(to_string(done.failure().code)),
             done ? "" : done.failure().message});
      respond(done ? cluster_answer(*done) : http::problem(done.failure()));
    });
  };
  add("DELETE", "/cluster/v1/members/{node}", access::administrator,
      "Removes a node from the cluster; its certificate is worth nothing any more",
      [this, ask](routed_request&& r, const http::responder& respond) {
        ask("cluster.remove", r.path.at("node"), ports_.remove_member, r, respond);
      });
  add("POST", "/cluster/v1/leave", access::administrator, "This node leaves the cluster",
      [this, ask](routed_request&& r, const http::responder& respond) {
        ask("cluster.leave", ports_.node, ports_.remove_member, r, respond);
      });
  add("POST", "/cluster/v1/transfer", access::administrator, "Another node becomes the leader",
      [this, ask](routed_request&& r, const http::responder& respond) {
        auto body = json::parse_object(r.request.body, admin_body_bytes_max);
        if (!body)
          return respond(http::problem(body.failure()));
        auto to = body->string("to", object_name_bytes_max);
        if (!to)
          return respond(http::problem(to.failure()));
        if (auto rest = body->finish(); !rest)
          return respond(http::problem(rest.failure()));
        ask("cluster.transfer", *to, ports_.transfer_to, r, respond);
      });
  add("POST", "/cluster/v1/certificate/renew", access::administrator,
      "A new key and certificate for this node, without restart",
      [this, ask](routed_request&& r, const http::responder& respond) {
        ask(
            "cluster.renew", ports_.node,
            [this](const std::string&, callback<cluster_status> done) {
              ports_.renew_certificate({}, std::move(done));
            },
            r, respond);
      });
}

void node_api::add_data_key_routes() {
  add("POST", "/cluster/v1/data-key/rotate", access::administrator,
      "Makes a new data key for the cluster, under which every secret is then sealed anew",
      [this](routed_request&& r, const http::responder& respond) {
        ports_.rotate_data_key({}, [respond, audit = ports_.audit, who = r.principal,
                                    remote = r.request.remote](const result<std::string>& made) {
          audit({who, remote, "cluster.rotate_data_key", made ? *made : "",
                 made ? "ok" : std::string(to_string(made.failure().code)),
                 made ? "" : made.failure().message});
          respond(made ? json_answer(bj::object{{"data_key", *made}}, 201)
                       : http::problem(made.failure()));
        });
      });
}

void node_api::add_well_known_routes() {
  add("GET", "/.well-known/jwks.json", access::open, "Keys that verify our tokens (RFC 7517)",
      [this](routed_request&&, const http::responder& respond) {
        auto r = text_answer(ports_.jwks());
        // Shorter than a new key is published before it signs (token_key_lead_s).
        r.headers.push_back({"Cache-Control", "public, max-age=120"});
        respond(std::move(r));
      });
  add("GET", "/.well-known/openid-configuration", access::open,
      "OpenID discovery for relying parties",
      [this](routed_request&&, const http::responder& respond) {
        bj::array algorithms;
        for (const auto& alg : ports_.token_algorithms())
          algorithms.emplace_back(alg);
        respond(json_answer(
            bj::object{{"issuer", ports_.issuer},
                       {"jwks_uri", ports_.issuer + "/.well-known/jwks.json"},
                       {"response_types_supported", bj::array{"id_token"}},
                       {"subject_types_supported", bj::array{"public"}},
                       {"id_token_signing_alg_values_supported", std::move(algorithms)}}));
      });
  add("GET", "/openapi.json", access::open, "This API",
      [this](routed_request&&, const http::responder& respond) {
        respond(text_answer(router_.openapi("Custos node")));
      });
  add("GET", "/cluster/v1/ca.pem", access::open, "The cluster's certificate authority",
      [this](routed_request&&, const http::responder& respond) {
        auto r = text_answer(ports_.ca_pem);
        r.content_type = "application/x-pem-file";
        respond(std::move(r));
      });
}

} // namespace custos::gateway
