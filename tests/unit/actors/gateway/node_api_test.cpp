#include "actors/gateway/node_api.hpp"

#include "actors/gateway/key_wire.hpp"
#include "actors/gateway/wire.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>

namespace custos::gateway {

namespace {

namespace bj = boost::json;

constexpr crypto::unix_seconds now = 1'750'000'000;
const std::string provider_path = "/keys/v1/admin/providers/vault";

/// A service that writes down what it was asked and answers what the test says.
template <class Request, class Answer>
struct fake_port {
  std::vector<Request> asked;
  result<Answer> reply = make_error(errc::unavailable, "the test gave no answer");

  port<Request, Answer> get() {
    return [this](Request r, callback<Answer> done) {
      asked.push_back(std::move(r));
      done(reply);
    };
  }
};

struct fake_services {
  fake_port<make_challenge, challenge> challenges;
  fake_port<attestation_key_request, attestation_key_issued> attestation_keys;
  fake_port<evidence, attestation_granted> appraisals;
  fake_port<generate_key, key_released> generated;
  fake_port<decrypt_key, key_released> decrypted;
  fake_port<encrypt_key, key_encrypted> encrypted;
  fake_port<rewrap_keys, keys_rewrapped> rewrapped;
  result<std::string> encryption_key = std::string(R"({"kty":"EC"})");
  result<std::string> uses = std::string(R"({"since":1})");
  std::vector<std::string> uses_asked;
  fake_port<list_providers, std::vector<provider_status>> providers;
  fake_port<make_client_certificate, client_certificate_made> certificates;
  fake_port<create_primary_key, kmip::key_created> primary_keys;
  fake_port<get_peer_certificates, std::vector<peer_certificate>> peers;
  fake_port<get_provider_status, provider_status_report> statuses;
  fake_port<config_command, config_applied> commands;
  fake_port<get_config_object, config_document> objects;
  fake_port<list_config_objects, config_documents> lists;
  fake_port<get_config_status, config_status> config_statuses;
  fake_port<explain_host, json_document> explanations;
  fake_port<simulate_changes, json_document> simulations;
  fake_port<forget_host, json_document> forgotten;
  std::shared_ptr<attestation::host_table> hosts = std::make_shared<attestation::host_table>();
  fake_port<token_key_wish, config_document> token_keys;
  fake_port<std::string, std::string> joins;
  fake_port<crypto::key, std::string> backups;
  fake_port<await_configuration, config_status> waits;
  fake_port<get_cluster_status, cluster_status> clusters;
  fake_port<std::string, cluster_status> removals;
  fake_port<std::string, cluster_status> transfers;
  fake_port<get_cluster_status, cluster_status> renewals;
  fake_port<get_cluster_status, std::string> rotations;
  std::vector<std::pair<std::uint32_t, std::string>> tokens;
  std::vector<std::pair<std::string, std::string>> csrs;
  std::vector<std::pair<std::string, std::string>> sealed;
  result<bytes> seal_reply = bytes{1, 2, 3};
  std::vector<std::string> matched;
  result<std::size_t> match_reply = std::size_t{1};
  std::vector<std::string> native_keys;
  result<native_key> native_reply = native_key{"00ff", {bytes{1, 2, 3}}, 7};
  std::vector<audit_record> audit;
};

crypto::certificate make_certificate(const std::string& name, bool is_ca, const crypto::key& key,
                                     const crypto::key& signer, const crypto::certificate* issuer) {
  crypto::certificate_request r;
  r.common_name = name;
  r.is_ca = is_ca;
  r.client_auth = !is_ca;
  r.not_before = now - 60;
  r.not_after = now + 3600;
  return crypto::issue_certificate(r, key, signer, issuer).value();
}

struct certificates {
  crypto::key ca_key = crypto::generate_p256().value();
  crypto::certificate ca = make_certificate("ca", true, ca_key, ca_key, nullptr);
  crypto::key client_key = crypto::generate_p256().value();
  crypto::certificate administrator = issue("alice");
  crypto::certificate auditor = issue("audrey");
  crypto::certificate stranger = issue("mallory");

  crypto::certificate issue(const std::string& name) const {
    return make_certificate(name, false, client_key, ca_key, &ca);
  }
};

const certificates& made() {
  static const certificates instance;
  return instance;
}

class node_api_test : public ::testing::Test {
protected:
  node_api_test() : api(ports()) {}

  node_ports ports() {
    node_ports p;
    p.new_challenge = services.challenges.get();
    p.issue_attestation_key = services.attestation_keys.get();
    p.appraise = services.appraisals.get();
    p.generate = services.generated.get();
    p.decrypt = services.decrypted.get();
    p.encrypt = services.encrypted.get();
    p.rewrap = services.rewrapped.get();
    p.encryption_key = [this] { return services.encryption_key; };
    p.provider_uses = [this](const std::string& provider) {
      services.uses_asked.push_back(provider);
      return services.uses;
    };
    p.providers = services.providers.get();
    p.new_client_certificate = services.certificates.get();
    p.new_primary_key = services.primary_keys.get();
    p.peer_certificates = services.peers.get();
    p.status_of_provider = services.statuses.get();
    p.apply = services.commands.get();
    p.read = services.objects.get();
    p.list = services.lists.get();
    p.status = services.config_statuses.get();
    p.hosts = services.hosts;
    p.explain = services.explanations.get();
    p.simulate = services.simulations.get();
    p.forget = services.forgotten.get();
    p.new_token_key = services.token_keys.get();
    p.join = services.joins.get();
    p.make_backup = services.backups.get();
    p.seal_private_key = [this](const std::string& provider,
                                const crypto::secret_bytes& pem) -> result<bytes> {
      services.sealed.emplace_back(provider, as_text(pem.reveal_secret()));
      return services.seal_reply;
    };
    p.seal_password = [this](const std::string& provider,
                             const crypto::secret_bytes& password) -> result<bytes> {
      services.sealed.emplace_back(provider, as_text(password.reveal_secret()));
      return services.seal_reply;
    };
    p.match_private_key = [this](const std::string& provider, const std::string& pem,
                                 const std::vector<bytes>& sealed) -> result<std::size_t> {
      services.matched.push_back(provider + " " + pem + " " + std::to_string(sealed.size()));
      return services.match_reply;
    };
    p.new_native_key = [this](const std::string& provider) -> result<native_key> {
      services.native_keys.push_back(provider);
      return services.native_reply;
    };
    p.new_join_token = [this](std::uint32_t life_s, std::string url, callback<std::string> done) {
      services.tokens.emplace_back(life_s, std::move(url));
      done(std::string("token-1"));
    };
    p.issue_certificate = [this](std::string csr, std::string name, callback<std::string> done) {
      services.csrs.emplace_back(std::move(csr), std::move(name));
      done(std::string("PEM"));
    };
    p.jwks = [] { return std::string(R"({"keys":[]})"); };
    p.token_algorithms = [] { return std::vector<std::string>{"ES256", "PS256"}; };
    p.issuer = "https://ta.example";
    p.ca_pem = "CA PEM";
    p.audit = [this](audit_record r) { services.audit.push_back(std::move(r)); };
    auto config = std::make_shared<config_snapshot>();
    config->principals["alice"] = {"alice", role::administrator};
    config->principals["audrey"] = {"audrey", role::auditor};
    p.snapshot = [config = config_ptr(config)] { return config; };
    p.anchors = {made().ca};
    p.now = [] { return now; };
    p.await_revision = services.waits.get();
    p.cluster = services.clusters.get();
    p.remove_member = services.removals.get();
    p.transfer_to = services.transfers.get();
    p.renew_certificate = services.renewals.get();
    p.rotate_data_key = services.rotations.get();
    p.node = "n1";
    p.out_of_service = [] { return std::optional<error>(); };
    return p;
  }

  /// The one answer; more or fewer than one fail the test.
  http::response send(const std::string& method, const std::string& path, std::string body = {},
                      const crypto::certificate& peer = {},
                      std::vector<http::header> headers = {}) {
    http::request r;
    r.method = method;
    r.path = path;
    r.body = std::move(body);
    r.peer = peer;
    r.headers = std::move(headers);
    r.remote = "192.0.2.7:40000";
    std::vector<http::response> answers;
    api.handle(std::move(r), [&](http::response a) { answers.push_back(std::move(a)); });
    EXPECT_EQ(answers.size(), 1U) << method << " " << path;
    return answers.empty() ? http::response{} : answers.front();
  }
  http::response as_administrator(const std::string& method, const std::string& path,
                                  std::string body = {}, std::vector<http::header> headers = {}) {
    return send(method, path, std::move(body), made().administrator, std::move(headers));
  }
  static std::string header_of(const http::response& r, const std::string& name) {
    for (const auto& h : r.headers)
      if (h.name == name)
        return h.value;
    return {};
  }
  static bj::object json_of(const http::response& r) {
    auto parsed = json::parse_any(r.body);
    EXPECT_TRUE(parsed.ok() && parsed->is_object()) << r.body;
    return parsed.ok() && parsed->is_object() ? parsed->as_object() : bj::object{};
  }
  static void expect_problem(const http::response& r, unsigned status, const std::string& code,
                             const std::string& field, const std::string& what) {
    EXPECT_EQ(r.status, status) << what << ": " << r.body;
    EXPECT_EQ(r.content_type, "application/problem+json") << what;
    const auto o = json_of(r);
    ASSERT_TRUE(o.contains("code") && o.contains("detail")) << what << ": " << r.body;
    EXPECT_EQ(o.at("code").as_string(), code) << what << ": " << r.body;
    EXPECT_EQ(o.at("status").as_int64(), status) << what;
    EXPECT_FALSE(o.at("detail").as_string().empty()) << what;
    EXPECT_EQ(o.contains("field") ? std::string(o.at("field").as_string()) : "", field)
        << what << ": " << r.body;
  }

  fake_services services;
  node_api api;
};

/// The path of a pattern with every name filled in.
std::string path_of(const route& r) {
  auto out = r.pattern;
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"{provider}", "vault"},
                                 {"{kind}", "base-images"},
                                 {"{host}", "web-1"},
                                 {"{name}", "rack"}})
    if (const auto at = out.find(from); at != std::string::npos)
      out.replace(at, from.size(), to);
  return out;
}

std::string key_request_body() {
  attestation_key_request r;
  r.host = "host-7";
  r.ek_public = bytes(10);
  r.ak_public = bytes(10);
  return encode_attestation_key_request(r);
}

std::string evidence_body() {
  evidence e;
  e.host = "host-7";
  e.ticket = "t";
  e.ak_certificate = e.quote = e.signature = e.event_log = bytes(10);
  e.transport_key = made().client_key.spki_der();
  return encode_evidence(e).value();
}

} // namespace

// ---- who may do what ------------------------------------------------------------------------

TEST_F(node_api_test, opens_only_what_is_judged_further_inside) {
  std::vector<std::string> open;
  for (const auto& r : api.routes().routes())
    if (r.who == access::open)
      open.push_back(r.method + " " + r.pattern);
  EXPECT_THAT(open, ::testing::UnorderedElementsAre(
                        "POST /attestation/v1/challenges", "POST /attestation/v1/attestation-keys",
                        "POST /attestation/v1/tokens", "GET /keys/v1/providers",
                        "POST /keys/v1/providers/{provider}/generate",
                        "POST /keys/v1/providers/{provider}/decrypt",
                        "POST /keys/v1/providers/{provider}/encrypt",
                        "POST /keys/v1/providers/{provider}/rewrap", "GET /keys/v1/encryption-key",
                        "POST /cluster/v1/join", "GET /.well-known/jwks.json",
                        "GET /.well-known/openid-configuration", "GET /openapi.json",
                        "GET /cluster/v1/ca.pem"));
}

TEST_F(node_api_test, lets_auditors_read_and_nothing_else) {
  for (const auto& r : api.routes().routes())
    if (r.who == access::auditor) {
      EXPECT_EQ(r.method, "GET") << r.pattern;
    } else if (r.who == access::administrator) {
      EXPECT_NE(r.method, "GET") << r.pattern;
    }
}

TEST_F(node_api_test, judges_the_caller_of_every_route_before_anything_else) {
  for (const auto& r : api.routes().routes()) {
    const auto what = r.method + " " + r.pattern;
    const auto path = path_of(r);
    if (r.who == access::open) {
      const auto a = send(r.method, path);
      EXPECT_NE(a.status, 401U) << what;
      EXPECT_NE(a.status, 403U) << what;
      continue;
    }
    services.audit.clear();
    expect_problem(send(r.method, path), 401, "unauthenticated", "client certificate", what);
    expect_problem(send(r.method, path, "", made().stranger), 403, "forbidden",
                   "client certificate", what);
    const auto auditor = send(r.method, path, "", made().auditor);
    if (r.who == access::administrator)
      expect_problem(auditor, 403, "forbidden", "", what);
    else
      EXPECT_NE(auditor.status, 403U) << what;
    EXPECT_NE(as_administrator(r.method, path).status, 403U) << what;
    ASSERT_GE(services.audit.size(), 2U) << what << ": refusals are recorded";
    EXPECT_EQ(services.audit[0].actor, "anonymous");
    EXPECT_EQ(services.audit[0].object, path);
    EXPECT_EQ(services.audit[0].outcome, "unauthenticated");
    EXPECT_EQ(services.audit[1].actor, "mallory");
    EXPECT_EQ(services.audit[1].remote, "192.0.2.7:40000");
  }
}

// Administration was open to callers without a certificate of an administrator.
TEST_F(node_api_test, cve_2026_1709_every_route_and_every_kind_of_caller) {
  const auto expired = [] {
    crypto::certificate_request r;
    r.common_name = "alice";
    r.client_auth = true;
    r.not_before = now - 7200;
    r.not_after = now - 1;
    return crypto::issue_certificate(r, made().client_key, made().ca_key, &made().ca).value();
  }();
  const auto other_key = crypto::generate_p256().value();
  const auto other_ca = make_certificate("ca", true, other_key, other_key, nullptr);
  const struct {
    std::string who;
    crypto::certificate peer;
    unsigned status;
  } callers[]{
      {"no certificate", {}, 401},
      {"a host's own certificate",
       make_certificate("host-7", false, made().client_key, made().client_key, nullptr), 403},
      {"a host's of our authority", made().issue("host-7"), 403},
      {"an administrator's, expired", expired, 403},
      {"an administrator's name, another authority",
       make_certificate("alice", false, made().client_key, other_key, &other_ca), 403},
      {"an administrator's name, signed by itself",
       make_certificate("alice", false, made().client_key, made().client_key, nullptr), 403},
      {"the authority itself", made().ca, 403},
  };
  std::size_t closed = 0;
  for (const auto& r : api.routes().routes()) {
    if (r.who == access::open)
      continue;
    ++closed;
    for (const auto& c : callers) {
      services.audit.clear();
      const auto a = send(r.method, path_of(r), "{}", c.peer);
      EXPECT_EQ(a.status, c.status) << r.method << " " << r.pattern << ": " << c.who;
      ASSERT_EQ(services.audit.size(), 1U) << r.method << " " << r.pattern << ": " << c.who;
      EXPECT_EQ(services.audit[0].object, path_of(r));
    }
  }
  EXPECT_GT(closed, 15U);
  EXPECT_TRUE(services.commands.asked.empty() && services.objects.asked.empty() &&
              services.lists.asked.empty() && services.certificates.asked.empty() &&
              services.primary_keys.asked.empty() && services.token_keys.asked.empty() &&
              services.simulations.asked.empty() && services.forgotten.asked.empty() &&
              services.sealed.empty() && services.tokens.empty() && services.csrs.empty() &&
              services.matched.empty() && services.native_keys.empty());
  EXPECT_TRUE(services.clusters.asked.empty() && services.removals.asked.empty() &&
              services.transfers.asked.empty() && services.renewals.asked.empty() &&
              services.rotations.asked.empty());
}

TEST_F(node_api_test, reaches_no_service_for_callers_it_refuses) {
  for (const auto& r : api.routes().routes())
    if (r.who != access::open)
      send(r.method, path_of(r), "{}", made().stranger);
  EXPECT_TRUE(services.commands.asked.empty());
  EXPECT_TRUE(services.objects.asked.empty());
  EXPECT_TRUE(services.lists.asked.empty());
  EXPECT_TRUE(services.certificates.asked.empty());
  EXPECT_TRUE(services.primary_keys.asked.empty());
  EXPECT_TRUE(services.token_keys.asked.empty());
  EXPECT_TRUE(services.sealed.empty());
  EXPECT_TRUE(services.tokens.empty());
  EXPECT_TRUE(services.csrs.empty());
}

TEST_F(node_api_test, lets_nobody_write_data_keys) {
  for (const auto* const method : {"PUT", "DELETE"}) {
    services.audit.clear();
    expect_problem(as_administrator(method, "/config/v1/data-keys/00ff10ab",
                                    R"({"created":1,"wrapped":{"n1":"a.b.c.d.e"}})"),
                   403, "forbidden", "", method);
    ASSERT_EQ(services.audit.size(), 1U) << method;
    EXPECT_EQ(services.audit[0].object, "data-keys/00ff10ab");
    EXPECT_EQ(services.audit[0].outcome, "forbidden");
  }
  EXPECT_TRUE(services.commands.asked.empty());
}

TEST_F(node_api_test, changes_the_data_key_on_record) {
  services.rotations.reply = std::string("00ff10ab");
  const auto a = as_administrator("POST", "/cluster/v1/data-key/rotate");
  EXPECT_EQ(a.status, 201U);
  EXPECT_EQ(json_of(a).at("data_key").as_string(), "00ff10ab");
  ASSERT_EQ(services.audit.size(), 1U);
  EXPECT_EQ(services.audit[0].action, "cluster.rotate_data_key");
  EXPECT_EQ(services.audit[0].object, "00ff10ab");
}

TEST_F(node_api_test, says_what_is_not_there) {
  for (const auto* path : {"/", "/nothing", "/attestation/v1", "/config/v1/hosts/h/x"})
    expect_problem(send("GET", path), 404, "not-found", "", path);
}

TEST_F(node_api_test, says_which_methods_there_are) {
  for (const auto& r : api.routes().routes()) {
    const auto a = send("PATCH", path_of(r));
    expect_problem(a, 405, "method-not-allowed", "", r.pattern);
    EXPECT_NE(header_of(a, "Allow").find(r.method), std::string::npos) << r.pattern;
  }
  EXPECT_EQ(header_of(send("PATCH", "/config/v1/status"), "Allow"), "GET, HEAD");
}

// ---- bodies -----------------------------------------------------------------------------------

TEST_F(node_api_test, refuses_bodies_that_are_no_documents_on_every_route_that_reads_one) {
  const std::vector<std::pair<std::string, std::string>> reading{
      {"POST", "/attestation/v1/attestation-keys"},
      {"POST", "/attestation/v1/tokens"},
      {"POST", "/keys/v1/providers/vault/generate"},
      {"POST", "/keys/v1/providers/vault/decrypt"},
      {"POST", "/attestation/v1/admin/token-keys"},
      {"POST", provider_path + "/client-certificate"},
      {"POST", provider_path + "/seal-private-key"},
      {"POST", provider_path + "/seal-password"},
      {"POST", provider_path + "/match-private-key"},
      {"POST", provider_path + "/primary-key"},
      {"POST", "/cluster/v1/tokens"},
      {"POST", "/cluster/v1/certificates"},
  };
  const std::string huge(9U << 20U, ' ');
  for (const auto& [method, path] : reading) {
    for (const auto* body :
         {"", "null", "[]", "{", "{\"a\":", "{}}", "\x80", "{\"a\":1,\"a\":2}"}) {
      const auto a = as_administrator(method, path, body);
      EXPECT_EQ(a.status, 400U) << path << " " << body;
      EXPECT_EQ(json_of(a).at("code").as_string(), "malformed") << path << " " << body;
    }
    expect_problem(as_administrator(method, path, huge), 413, "too-large", "", path);
  }
  EXPECT_TRUE(services.appraisals.asked.empty());
  EXPECT_TRUE(services.generated.asked.empty());
  EXPECT_TRUE(services.sealed.empty());
}

TEST_F(node_api_test, names_the_field_of_bad_administration) {
  struct bad {
    std::string path, body, field;
  };
  const std::string long_name(129, 'n');
  for (const auto& c : std::vector<bad>{
           {provider_path + "/client-certificate", R"({"csr":"yes"})", "/csr"},
           {provider_path + "/client-certificate", R"({"cn":"x"})", "/cn"},
           {provider_path + "/seal-private-key", "{}", "/private_key"},
           {provider_path + "/seal-private-key", R"({"private_key":7})", "/private_key"},
           {provider_path + "/seal-private-key", R"({"private_key":"k","x":1})", "/x"},
           {provider_path + "/seal-private-key",
            R"({"private_key":")" + std::string(65537, 'k') + "\"}", "/private_key"},
           {provider_path + "/seal-password", "{}", "/password"},
           {provider_path + "/seal-password", R"({"password":7})", "/password"},
           {provider_path + "/seal-password", R"({"password":"p","x":1})", "/x"},
           {provider_path + "/match-private-key", "{}", "/certificate"},
           {provider_path + "/match-private-key", R"({"certificate":"C"})",
            "/sealed_client_private_keys"},
           {provider_path + "/match-private-key",
            R"({"certificate":"C","sealed_client_private_keys":["!"]})",
            "/sealed_client_private_keys/0"},
           {provider_path + "/match-private-key",
            R"({"certificate":"C","sealed_client_private_keys":[],"x":1})", "/x"},
           {provider_path + "/primary-key", "{}", "/name"},
           {provider_path + "/primary-key", R"({"name":")" + long_name + "\"}", "/name"},
           {provider_path + "/primary-key", R"({"name":"a","bits":128})", "/bits"},
           {"/cluster/v1/tokens", R"({"url":"https://n"})", "/life_s"},
           {"/cluster/v1/tokens", R"({"life_s":0,"url":"https://n"})", "/life_s"},
           {"/cluster/v1/tokens", R"({"life_s":86401,"url":"https://n"})", "/life_s"},
           {"/cluster/v1/tokens", R"({"life_s":60})", "/url"},
           {"/cluster/v1/tokens", R"({"life_s":60,"url":"https://n","who":"me"})", "/who"},
           {"/cluster/v1/certificates", R"({"name":"bob"})", "/csr"},
           {"/cluster/v1/certificates", R"({"csr":"PEM"})", "/name"},
           {"/cluster/v1/certificates", R"({"csr":"PEM","name":")" + long_name + "\"}", "/name"},
           {"/cluster/v1/certificates", R"({"csr":"PEM","name":"bob","role":"x"})", "/role"},
       })
    expect_problem(as_administrator("POST", c.path, c.body), 400, "invalid-argument", c.field,
                   c.path + " " + c.body.substr(0, 60));
  EXPECT_TRUE(services.tokens.empty());
  EXPECT_TRUE(services.csrs.empty());
  EXPECT_TRUE(services.sealed.empty());
  EXPECT_TRUE(services.primary_keys.asked.empty());
}

// ---- attestation ------------------------------------------------------------------------------

TEST_F(node_api_test, gives_challenges) {
  services.challenges.reply = challenge{bytes(32, 7), "ticket", 99};
  const auto a = send("POST", "/attestation/v1/challenges", "{}");
  ASSERT_EQ(a.status, 200U);
  EXPECT_EQ(a.content_type, "application/json");
  EXPECT_EQ(decode_challenge(a.body)->nonce, bytes(32, 7));
}

TEST_F(node_api_test, certifies_attestation_keys) {
  services.attestation_keys.reply = attestation_key_issued{{1}, {2}, {3}};
  const auto a = send("POST", "/attestation/v1/attestation-keys", key_request_body());
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(decode_attestation_key_issued(a.body)->encrypted_secret, bytes{2});
  ASSERT_EQ(services.attestation_keys.asked.size(), 1U);
  EXPECT_EQ(services.attestation_keys.asked[0].host, "host-7");
}

// The id of a host was taken over by whoever enrolled under it again: here that is refused by the
// service, and on record.
TEST_F(node_api_test, cve_2025_13609_a_refused_enrolment_is_recorded) {
  auto no = make_error(errc::attestation_failed, "the host id is bound to another endorsement key");
  no.check = "host-binding";
  services.attestation_keys.reply = no;
  const auto a = send("POST", "/attestation/v1/attestation-keys", key_request_body());
  expect_problem(a, 403, "attestation-failed", "", "attestation-keys");
  EXPECT_EQ(json_of(a).at("type").as_string(), "urn:custos:check:host-binding");
  ASSERT_EQ(services.audit.size(), 1U);
  EXPECT_EQ(services.audit[0].action, "attest.key");
  EXPECT_EQ(services.audit[0].actor, "host-7");
  EXPECT_EQ(services.audit[0].remote, "192.0.2.7:40000");
  EXPECT_EQ(services.audit[0].outcome, "attestation-failed");
  EXPECT_NE(services.audit[0].detail.find("host-binding"), std::string::npos);
  services.attestation_keys.reply = attestation_key_issued{{1}, {2}, {3}};
  send("POST", "/attestation/v1/attestation-keys", key_request_body());
  ASSERT_EQ(services.audit.size(), 2U);
  EXPECT_EQ(services.audit[1].outcome, "ok");
}

// A name from outside went into the log as it came. Records keep what was said, and are written as
// one line (audit_chain.cve_2022_23949_*); an answer's headers hold none of it.
TEST_F(node_api_test, cve_2022_23949_a_host_id_with_line_breaks) {
  auto no = make_error(errc::attestation_failed, "the AK certificate is for another host");
  no.check = "ak-certificate";
  services.appraisals.reply = no;
  auto body = json::parse_any(evidence_body()).value().as_object();
  const std::string evil = "host-7\r\n{\"sequence\":2,\"outcome\":\"ok\"}\r\n";
  body["host"] = evil;
  const auto a = send("POST", "/attestation/v1/tokens", bj::serialize(body));
  expect_problem(a, 403, "attestation-failed", "", "tokens");
  EXPECT_EQ(a.body.find("sequence"), std::string::npos);
  for (const auto& h : a.headers)
    EXPECT_EQ(h.value.find_first_of("\r\n"), std::string::npos) << h.name;
  ASSERT_EQ(services.audit.size(), 2U);
  EXPECT_EQ(services.audit[1].outcome, "attestation-failed");
  EXPECT_EQ(services.audit[1].object, evil);
}

TEST_F(node_api_test, appraises_evidence_and_records_the_verdict) {
  services.appraisals.reply = attestation_granted{"a.b.c", 99, "rack", "1"};
  const auto a = send("POST", "/attestation/v1/tokens", evidence_body());
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(decode_attestation_granted(a.body)->token, "a.b.c");
  ASSERT_EQ(services.audit.size(), 2U);
  EXPECT_EQ(services.audit[0].outcome, "asked");
  EXPECT_EQ(services.audit[1].outcome, "ok");
  EXPECT_EQ(services.audit[1].actor, "host-7");
  EXPECT_EQ(services.audit[1].object, "rack");
}

TEST_F(node_api_test, says_which_check_said_no) {
  auto no = make_error(errc::attestation_failed, "PCR 7 has another value");
  no.check = "pcr-digest";
  no.pcr = 7;
  no.event = 3;
  services.appraisals.reply = no;
  const auto a = send("POST", "/attestation/v1/tokens", evidence_body());
  expect_problem(a, 403, "attestation-failed", "", "tokens");
  const auto o = json_of(a);
  EXPECT_EQ(o.at("type").as_string(), "urn:custos:check:pcr-digest");
  EXPECT_EQ(o.at("pcr").as_int64(), 7);
  EXPECT_EQ(o.at("event").as_int64(), 3);
  EXPECT_EQ(services.audit.back().outcome, "attestation-failed");
  EXPECT_EQ(services.audit.back().detail, "pcr-digest: PCR 7 has another value");
}

TEST_F(node_api_test, names_the_field_of_bad_evidence) {
  expect_problem(send("POST", "/attestation/v1/tokens", R"({"host":"h","ticket":7})"), 400,
                 "invalid-argument", "/ticket", "tokens");
  expect_problem(send("POST", "/attestation/v1/attestation-keys",
                      R"({"host":"h","ek_public":"AA=","ak_public":"AA"})"),
                 400, "invalid-argument", "/ek_public", "attestation-keys");
  EXPECT_TRUE(services.appraisals.asked.empty());
  EXPECT_TRUE(services.audit.empty());
}

TEST_F(node_api_test, tells_an_overloaded_caller_when_to_come_back) {
  auto full = make_error(errc::overloaded, "full");
  full.retry_after_s = 7;
  services.challenges.reply = full;
  const auto a = send("POST", "/attestation/v1/challenges");
  expect_problem(a, 503, "overloaded", "", "challenges");
  EXPECT_EQ(header_of(a, "Retry-After"), "7");
}

// ---- keys -------------------------------------------------------------------------------------

TEST_F(node_api_test, hands_token_and_tls_key_of_the_caller_to_the_gate) {
  services.generated.reply = key_released{{1, 2}, "jwe"};
  const auto body = encode_generate(48, to_bytes("ctx"));
  const auto a = send("POST", "/keys/v1/providers/vault/generate", body, made().stranger,
                      {{"Authorization", "Bearer a.b.c"}});
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(decode_released(a.body)->jwe, "jwe");
  ASSERT_EQ(services.generated.asked.size(), 1U);
  const auto& asked = services.generated.asked[0];
  EXPECT_EQ(asked.provider, "vault");
  EXPECT_EQ(asked.key_bytes, 48U);
  EXPECT_EQ(asked.context, to_bytes("ctx"));
  EXPECT_EQ(asked.caller.token, "a.b.c");
  EXPECT_EQ(asked.caller.tls_client_spki, made().client_key.spki_der());
  EXPECT_EQ(asked.caller.remote, "192.0.2.7:40000");

  services.decrypted.reply = key_released{{}, "jwe-2"};
  const auto b = send("POST", "/keys/v1/providers/vault/decrypt", encode_decrypt(bytes(5), {}),
                      made().stranger, {{"authorization", "bearer a.b.c"}});
  ASSERT_EQ(b.status, 200U) << b.body;
  EXPECT_EQ(b.body.find("ciphertext"), std::string::npos);
  EXPECT_EQ(services.decrypted.asked[0].ciphertext, bytes(5));
  EXPECT_EQ(services.decrypted.asked[0].caller.token, "a.b.c")
      << "the scheme is compared without regard to case (RFC 9110, 11.1)";
}

TEST_F(node_api_test, encrypts_and_rewraps_for_hosts) {
  services.encrypted.reply = key_encrypted{bytes{9}};
  const auto a =
      send("POST", "/keys/v1/providers/vault/encrypt", encode_encrypt("a.b.c.d.e", to_bytes("ctx")),
           made().stranger, {{"Authorization", "Bearer a.b.c"}});
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(decode_encrypted(a.body)->ciphertext, bytes{9});
  ASSERT_EQ(services.encrypted.asked.size(), 1U);
  EXPECT_EQ(services.encrypted.asked[0].jwe, "a.b.c.d.e");
  EXPECT_EQ(services.encrypted.asked[0].provider, "vault");
  EXPECT_EQ(services.encrypted.asked[0].context, to_bytes("ctx"));
  EXPECT_EQ(services.encrypted.asked[0].caller.token, "a.b.c");

  services.rewrapped.reply = keys_rewrapped{{{bytes{7}, true, {}}}};
  const auto b = send("POST", "/keys/v1/providers/vault/rewrap", encode_rewrap({{bytes(5), {}}}),
                      made().stranger, {{"Authorization", "Bearer a.b.c"}});
  ASSERT_EQ(b.status, 200U) << b.body;
  EXPECT_EQ(decode_rewrapped(b.body)->keys[0].ciphertext, bytes{7});
  ASSERT_EQ(services.rewrapped.asked.size(), 1U);
  EXPECT_EQ(services.rewrapped.asked[0].provider, "vault");
  EXPECT_EQ(services.rewrapped.asked[0].caller.tls_client_spki, made().client_key.spki_der());
}

TEST_F(node_api_test, too_many_rewraps_are_413) {
  const auto a =
      send("POST", "/keys/v1/providers/vault/rewrap",
           encode_rewrap(std::vector<rewrap_item>(rewrap_items_max + 1, {bytes(3, 1), {}})));
  EXPECT_EQ(a.status, 413U);
  EXPECT_EQ(json_of(a).at("field").as_string(), "/keys");
  EXPECT_TRUE(services.rewrapped.asked.empty());
}

TEST_F(node_api_test, publishes_the_encryption_key) {
  const auto a = send("GET", "/keys/v1/encryption-key");
  EXPECT_EQ(a.status, 200U);
  EXPECT_EQ(a.body, R"({"kty":"EC"})");
  services.encryption_key = make_error(errc::crypto_failure, "no key");
  EXPECT_GE(send("GET", "/keys/v1/encryption-key").status, 400U);
}

TEST_F(node_api_test, tells_auditors_how_often_primary_keys_were_used) {
  const std::string path = "/keys/v1/admin/providers/vault/uses";
  EXPECT_EQ(send("GET", path).status, 401U);
  EXPECT_TRUE(services.uses_asked.empty());
  const auto a = send("GET", path, "", made().auditor);
  EXPECT_EQ(a.status, 200U);
  EXPECT_EQ(a.body, R"({"since":1})");
  EXPECT_EQ(services.uses_asked, std::vector<std::string>{"vault"});
  services.uses = make_error(errc::not_found, "there is no key provider vault");
  EXPECT_EQ(send("GET", path, "", made().auditor).status, 404U);
}

TEST_F(node_api_test, takes_no_token_that_is_no_bearer_token) {
  services.providers.reply = std::vector<provider_status>{};
  for (const auto& value : {std::string("Basic YTpi"), std::string("Bearer"), std::string(""),
                            std::string("Bearera.b.c"), "Bearer " + std::string(16385, 'a')}) {
    services.providers.asked.clear();
    EXPECT_EQ(send("GET", "/keys/v1/providers", "", {}, {{"Authorization", value}}).status, 200U);
    ASSERT_EQ(services.providers.asked.size(), 1U);
    EXPECT_TRUE(services.providers.asked[0].caller.token.empty()) << value.substr(0, 20);
    EXPECT_TRUE(services.providers.asked[0].caller.tls_client_spki.empty());
  }
}

TEST_F(node_api_test, lists_providers) {
  services.providers.reply = std::vector<provider_status>{{"vault", "ok", ""}};
  const auto a = send("GET", "/keys/v1/providers");
  EXPECT_EQ(decode_providers(a.body)->front().name, "vault");
}

TEST_F(node_api_test, passes_the_no_of_the_gate_on) {
  auto no = make_error(errc::token_invalid, "the token has expired");
  no.check = "token-expired";
  services.generated.reply = no;
  expect_problem(send("POST", "/keys/v1/providers/vault/generate", "{}"), 401, "token-invalid", "",
                 "generate");
}

// ---- administration of providers --------------------------------------------------------------

TEST_F(node_api_test, makes_client_certificates_whose_key_is_answered_sealed) {
  services.certificates.reply = client_certificate_made{"PEM", {0xFF, 0xFE}};
  const auto a = as_administrator("POST", provider_path + "/client-certificate", R"({"csr":true})");
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(json_of(a).at("pem").as_string(), "PEM");
  EXPECT_EQ(json_of(a).at("sealed_client_private_key").as_string(), "__4");
  ASSERT_EQ(services.certificates.asked.size(), 1U);
  EXPECT_TRUE(services.certificates.asked[0].csr);
  EXPECT_EQ(services.certificates.asked[0].provider, "vault");
  as_administrator("POST", provider_path + "/client-certificate", "{}");
  EXPECT_FALSE(services.certificates.asked[1].csr);
}

TEST_F(node_api_test, seals_uploaded_keys_and_repeats_none_of_it) {
  const auto a = as_administrator("POST", provider_path + "/seal-private-key",
                                  R"({"private_key":"SECRET\nPEM"})");
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(services.sealed,
            (std::vector<std::pair<std::string, std::string>>{{"vault", "SECRET\nPEM"}}));
  EXPECT_EQ(json_of(a).at("sealed_client_private_key").as_string(), "AQID");
  services.seal_reply = field_error(errc::invalid_argument, "/private_key", "expected PEM");
  const auto bad =
      as_administrator("POST", provider_path + "/seal-private-key", R"({"private_key":"SECRET"})");
  expect_problem(bad, 400, "invalid-argument", "/private_key", "seal");
  EXPECT_EQ(bad.body.find("SECRET"), std::string::npos);
  for (const auto& record : services.audit)
    EXPECT_EQ(record.detail.find("SECRET"), std::string::npos);
}

TEST_F(node_api_test, makes_native_keys_that_are_answered_sealed) {
  const auto a = as_administrator("POST", provider_path + "/native-key", "{}");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(bj::value(json_of(a)), bj::parse(R"({"id":"00ff","sealed_key":"AQID","created":7})"));
  EXPECT_EQ(services.native_keys, std::vector<std::string>{"vault"});
  ASSERT_EQ(services.audit.size(), 1U);
  EXPECT_EQ(services.audit[0].action, "provider.make_native_key");
  EXPECT_EQ(services.audit[0].detail, "primary-key=00ff");
  services.native_reply = make_error(errc::crypto_failure, "cannot be sealed");
  EXPECT_EQ(as_administrator("POST", provider_path + "/native-key", "{}").status, 422U);
  EXPECT_EQ(services.audit.back().outcome, "crypto-failure");
}

TEST_F(node_api_test, tells_which_private_key_a_certificate_is_for) {
  const std::string body = R"({"certificate":"C","sealed_client_private_keys":["AQID","BAUG"]})";
  const auto a = as_administrator("POST", provider_path + "/match-private-key", body);
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(json_of(a).at("index").as_int64(), 1);
  EXPECT_EQ(services.matched, std::vector<std::string>{"vault C 2"});
  services.match_reply = field_error(errc::invalid_argument, "/certificate", "expected another");
  expect_problem(as_administrator("POST", provider_path + "/match-private-key", body), 400,
                 "invalid-argument", "/certificate", "match");
}

TEST_F(node_api_test, seals_passwords_and_repeats_none_of_it) {
  const auto a =
      as_administrator("POST", provider_path + "/seal-password", R"({"password":"SECRET"})");
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(json_of(a).at("sealed_password").as_string(), "AQID");
  EXPECT_EQ(services.sealed,
            (std::vector<std::pair<std::string, std::string>>{{"vault", "SECRET"}}));
  for (const auto& record : services.audit)
    EXPECT_EQ(record.detail.find("SECRET"), std::string::npos);
}

TEST_F(node_api_test, creates_primary_keys_on_record) {
  services.primary_keys.reply = kmip::key_created{"uid-1"};
  const auto a = as_administrator("POST", provider_path + "/primary-key", R"({"name":"k1"})");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(json_of(a).at("primary_key_id").as_string(), "uid-1");
  EXPECT_EQ(services.primary_keys.asked[0].key_name, "k1");
  ASSERT_EQ(services.audit.size(), 1U);
  EXPECT_EQ(services.audit[0].action, "provider.create_primary_key");
  EXPECT_EQ(services.audit[0].actor, "alice");
}

TEST_F(node_api_test, shows_what_key_servers_present_and_how_they_are) {
  services.peers.reply = std::vector<peer_certificate>{{"a:5696", "PEM", ""}, {"b:5696", "", "no"}};
  const auto a = send("GET", provider_path + "/peer-certificates", "", made().auditor);
  ASSERT_EQ(a.status, 200U);
  EXPECT_EQ(json_of(a).at("peer_certificates").at(1).at("error").as_string(), "no");
  provider_status_report report;
  report.provider = "vault";
  report.health = "ok";
  report.primary_key_state = "Active";
  report.servers.emplace_back().server = "a";
  report.servers.back().client_trust_server = true;
  services.statuses.reply = report;
  const auto b = send("GET", provider_path + "/status", "", made().auditor);
  ASSERT_EQ(b.status, 200U);
  EXPECT_EQ(json_of(b).at("primary_key_state").as_string(), "Active");
  EXPECT_TRUE(json_of(b).at("servers").at(0).at("client_trust_server").as_bool());
  EXPECT_FALSE(json_of(b).contains("next_client_certificate") || json_of(b).contains("rotation") ||
               json_of(b).contains("client_certificate"));
  services.statuses.reply->client_certificate = "next";
  services.statuses.reply->next_servers = {{"a", "ok", true, true, "1.4", ""}};
  services.statuses.reply->rotation = "it is due";
  const auto c = json_of(send("GET", provider_path + "/status", "", made().auditor));
  EXPECT_EQ(c.at("client_certificate").as_string(), "next");
  EXPECT_EQ(c.at("next_client_certificate").at("servers").at(0).at("server").as_string(), "a");
  EXPECT_EQ(c.at("rotation").as_string(), "it is due");
}

// ---- configuration ----------------------------------------------------------------------------

TEST_F(node_api_test, writes_objects_and_answers_with_the_revision) {
  services.commands.reply = config_applied{12, "ab", true};
  const auto a = as_administrator("PUT", "/config/v1/base-images/rack", R"({"version":"1"})",
                                  {{"Custos-Operation-Id", "op-1"}, {"If-Match", "\"11\""}});
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(header_of(a, "ETag"), "\"12\"");
  EXPECT_EQ(json_of(a).at("revision").as_int64(), 12);
  ASSERT_EQ(services.commands.asked.size(), 1U);
  const auto& c = services.commands.asked[0];
  EXPECT_EQ(c.action, config_action::put);
  EXPECT_EQ(c.kind, object_kind::base_image);
  EXPECT_EQ(c.name, "rack");
  EXPECT_EQ(c.document, R"({"version":"1"})");
  EXPECT_EQ(c.if_revision, 11U);
  EXPECT_EQ(c.operation_id, "op-1");
  EXPECT_EQ(c.actor, "alice");
  EXPECT_EQ(services.audit.back().action, "config.put");
  EXPECT_EQ(services.audit.back().object, "base-images/rack");
  EXPECT_EQ(services.audit.back().outcome, "ok");
}

TEST_F(node_api_test, creates_only_when_asked_to) {
  services.commands.reply = config_applied{1, "ab", true};
  EXPECT_EQ(as_administrator("PUT", "/config/v1/hosts/h", "{}", {{"If-None-Match", "*"}}).status,
            201U);
  EXPECT_EQ(services.commands.asked[0].action, config_action::create);
  EXPECT_EQ(services.commands.asked[0].if_revision, std::nullopt);
}

TEST_F(node_api_test, removes_objects_without_a_document) {
  services.commands.reply = config_applied{2, "ab", true};
  EXPECT_EQ(as_administrator("DELETE", "/config/v1/hosts/h", "body").status, 200U);
  EXPECT_EQ(services.commands.asked[0].action, config_action::erase);
  EXPECT_TRUE(services.commands.asked[0].document.empty());
  EXPECT_EQ(services.audit.back().action, "config.erase");
}

TEST_F(node_api_test, refuses_revisions_that_are_none) {
  for (const auto* value : {"*", "\"\"", "\"x\"", "\"1", "1\"", "W/\"1\"", "-1", "+1", "1.0", " ",
                            "\"1\", \"2\"", "18446744073709551616"}) {
    expect_problem(as_administrator("PUT", "/config/v1/hosts/h", "{}", {{"If-Match", value}}), 400,
                   "invalid-argument", "If-Match", value);
  }
  EXPECT_TRUE(services.commands.asked.empty());
}

TEST_F(node_api_test, says_when_the_configuration_moved_on) {
  services.commands.reply = make_error(errc::revision_conflict, "the revision is 13");
  expect_problem(as_administrator("PUT", "/config/v1/hosts/h", "{}", {{"If-Match", "\"12\""}}), 412,
                 "revision-conflict", "", "PUT");
  EXPECT_EQ(services.audit.back().outcome, "revision-conflict");
}

TEST_F(node_api_test, names_the_kinds_there_are) {
  for (const auto& [method, path] :
       {std::pair<std::string, std::string>{"GET", "/config/v1/passwords"},
        {"GET", "/config/v1/passwords/x"},
        {"PUT", "/config/v1/passwords/x"},
        {"DELETE", "/config/v1/Hosts/x"}}) {
    const auto a = as_administrator(method, path, "{}");
    expect_problem(a, 404, "not-found", "kind", method + path);
    EXPECT_NE(a.body.find("key-providers"), std::string::npos);
  }
  EXPECT_TRUE(services.commands.asked.empty());
}

TEST_F(node_api_test, reads_objects) {
  services.objects.reply = config_document{"rack", R"({"version":"1"})", 5};
  const auto one = send("GET", "/config/v1/base-images/rack", "", made().auditor);
  ASSERT_EQ(one.status, 200U);
  EXPECT_EQ(header_of(one, "ETag"), "\"5\"");
  EXPECT_EQ(json_of(one).at("object").at("version").as_string(), "1");
  EXPECT_EQ(json_of(one).at("kind").as_string(), "base-images");
  services.lists.reply = config_documents{{{"rack", "{}", 0}, {"tower", "{}", 0}}, 5};
  const auto all = send("GET", "/config/v1/base-images", "", made().auditor);
  EXPECT_EQ(json_of(all).at("objects").as_array().size(), 2U);
  EXPECT_EQ(json_of(all).at("revision").as_int64(), 5);
  services.config_statuses.reply = config_status{5, "ff", "cluster-1", "n1"};
  const auto status = send("GET", "/config/v1/status", "", made().auditor);
  EXPECT_EQ(json_of(status).at("node").as_string(), "n1");
  services.objects.reply = make_error(errc::not_found, "there is none");
  expect_problem(send("GET", "/config/v1/hosts/x", "", made().auditor), 404, "not-found", "", "x");
}

// ---- token keys ---------------------------------------------------------------------------------

TEST_F(node_api_test, makes_token_keys_and_puts_them_on_record) {
  const std::string path = "/attestation/v1/admin/token-keys";
  services.token_keys.reply = config_document{"kid-1", R"({"algorithm":"ES384"})", 0};
  const auto a = as_administrator(
      "POST", path, R"({"algorithm":"ES384","signs_from":5,"signs_for_s":6,"verifies_for_s":7})");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(json_of(a).at("kind").as_string(), "token-keys");
  EXPECT_EQ(json_of(a).at("name").as_string(), "kid-1");
  EXPECT_EQ(json_of(a).at("object").at("algorithm").as_string(), "ES384");
  const auto& wish = services.token_keys.asked.back();
  EXPECT_EQ(wish.algorithm, "ES384");
  EXPECT_EQ(wish.signs_from, std::optional<std::int64_t>(5));
  EXPECT_EQ(wish.signs_for_s, std::optional<std::int64_t>(6));
  EXPECT_EQ(wish.verifies_for_s, std::optional<std::int64_t>(7));
  EXPECT_EQ(services.audit.back().action, "attestation.make_token_key");
  EXPECT_EQ(services.audit.back().object, "kid-1");
  ASSERT_EQ(as_administrator("POST", path, "{}").status, 201U);
  EXPECT_EQ(services.token_keys.asked.back().algorithm, "ES256");
  EXPECT_FALSE(services.token_keys.asked.back().signs_from);
  expect_problem(as_administrator("POST", path, R"({"algorithm":1})"), 400, "invalid-argument",
                 "/algorithm", "a number");
  expect_problem(as_administrator("POST", path, R"({"signs_from":-1})"), 400, "invalid-argument",
                 "/signs_from", "before time");
  expect_problem(as_administrator("POST", path, R"({"private_key":"x"})"), 400, "invalid-argument",
                 "/private_key", "unknown member");
  services.token_keys.reply = field_error(errc::invalid_argument, "/algorithm", "expected ...");
  expect_problem(as_administrator("POST", path, "{}"), 400, "invalid-argument", "/algorithm", "");
  EXPECT_EQ(services.audit.back().outcome, "invalid-argument");
}

// ---- cluster and well-known documents -----------------------------------------------------------

TEST_F(node_api_test, issues_join_tokens_on_record) {
  const auto a =
      as_administrator("POST", "/cluster/v1/tokens", R"({"life_s":86400,"url":"https://n1:443"})");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(json_of(a).at("token").as_string(), "token-1");
  EXPECT_EQ(services.tokens.front(),
            (std::pair<std::uint32_t, std::string>{86400, "https://n1:443"}));
  ASSERT_EQ(services.audit.size(), 1U);
  for (const auto& record : services.audit)
    EXPECT_EQ(record.detail.find("token-1"), std::string::npos) << "a token is a secret";
}

TEST_F(node_api_test, lets_nodes_join_and_records_both_ends) {
  services.joins.reply = std::string("{\"sealed\":1}");
  EXPECT_EQ(send("POST", "/cluster/v1/join", "request").body, "{\"sealed\":1}");
  EXPECT_EQ(services.joins.asked.front(), "request");
  EXPECT_EQ(services.audit.back().outcome, "ok");
  services.joins.reply = make_error(errc::unauthenticated, "the token is used up");
  expect_problem(send("POST", "/cluster/v1/join", "request"), 401, "unauthenticated", "", "join");
  EXPECT_EQ(services.audit.back().outcome, "unauthenticated");
}

TEST_F(node_api_test, hands_out_backups_for_a_key_and_on_record) {
  services.waits.reply = config_status{};
  services.backups.reply = std::string("a line\n\0\xff sealed", 16);
  const auto key = crypto::generate_p256().value();
  const auto body = [](const crypto::key& k) {
    return bj::serialize(bj::object{{"recipient", k.public_pem()}});
  };
  const auto a = as_administrator("POST", "/cluster/v1/backup", body(key));
  EXPECT_EQ(a.status, 200U);
  EXPECT_EQ(a.content_type, "application/octet-stream");
  EXPECT_EQ(header_of(a, "Cache-Control"), "no-store");
  EXPECT_EQ(a.body, *services.backups.reply);
  ASSERT_EQ(services.backups.asked.size(), 1U);
  EXPECT_TRUE(services.backups.asked[0].same_public(key));
  ASSERT_EQ(services.audit.size(), 2U);
  EXPECT_EQ(services.audit[0].action, "cluster.backup");
  EXPECT_EQ(services.audit[0].outcome, "asked");
  EXPECT_EQ(services.audit[1].outcome, "ok");
  EXPECT_EQ(services.audit[1].detail, "for " + jose::thumbprint(key).value());
  ASSERT_EQ(services.waits.asked.size(), 1U);
  EXPECT_TRUE(services.waits.asked[0].linearizable);

  services.backups.reply = make_error(errc::overloaded, "another backup is being made");
  expect_problem(as_administrator("POST", "/cluster/v1/backup", body(key)), 503, "overloaded", "",
                 "busy");
  EXPECT_EQ(services.audit.back().outcome, "overloaded");
  for (const auto& bad :
       {std::string(R"({"recipient":"x"})"), body(crypto::generate_p384().value())})
    expect_problem(as_administrator("POST", "/cluster/v1/backup", bad), 400, "invalid-argument",
                   "/recipient", bad);
  EXPECT_EQ(services.backups.asked.size(), 2U);
}

TEST_F(node_api_test, a_backup_without_a_majority_must_be_asked_for) {
  services.waits.reply = make_error(errc::unavailable, "no majority");
  services.backups.reply = std::string("file");
  const auto body =
      bj::serialize(bj::object{{"recipient", crypto::generate_p256().value().public_pem()}});
  expect_problem(as_administrator("POST", "/cluster/v1/backup", body), 503, "unavailable", "",
                 "no majority");
  EXPECT_TRUE(services.backups.asked.empty());
  const auto local =
      as_administrator("POST", "/cluster/v1/backup", body, {{"Custos-Consistency", "local"}});
  EXPECT_EQ(local.status, 200U);
  EXPECT_EQ(services.waits.asked.size(), 1U);
}

TEST_F(node_api_test, issues_client_certificates) {
  const auto a =
      as_administrator("POST", "/cluster/v1/certificates", R"({"csr":"CSR","name":"bob"})");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(json_of(a).at("certificate").as_string(), "PEM");
  EXPECT_EQ(services.csrs.front(), (std::pair<std::string, std::string>{"CSR", "bob"}));
}

TEST_F(node_api_test, publishes_what_relying_parties_need) {
  const auto jwks = send("GET", "/.well-known/jwks.json");
  EXPECT_EQ(jwks.body, R"({"keys":[]})");
  EXPECT_EQ(header_of(jwks, "Cache-Control"), "public, max-age=120");
  const auto discovery = json_of(send("GET", "/.well-known/openid-configuration"));
  EXPECT_EQ(discovery.at("issuer").as_string(), "https://ta.example");
  EXPECT_EQ(discovery.at("jwks_uri").as_string(), "https://ta.example/.well-known/jwks.json");
  EXPECT_EQ(bj::serialize(discovery.at("id_token_signing_alg_values_supported")),
            R"(["ES256","PS256"])");
  const auto ca = send("GET", "/cluster/v1/ca.pem");
  EXPECT_EQ(ca.body, "CA PEM");
  EXPECT_EQ(ca.content_type, "application/x-pem-file");
  EXPECT_EQ(send("HEAD", "/cluster/v1/ca.pem").status, 200U);
  const auto api_document = json_of(send("GET", "/openapi.json"));
  EXPECT_TRUE(api_document.at("paths").as_object().contains("/attestation/v1/tokens"));
}

} // namespace custos::gateway
