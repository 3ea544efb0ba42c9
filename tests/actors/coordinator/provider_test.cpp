// Trusted key providers through the coordinator, and the trust between them and their key servers.

#include "tests/actors/coordinator/fixture.hpp"

#include <set>

namespace custos::coordinator {

namespace {

namespace bj = boost::json;

const std::string providers =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/ta/kms/providers";
const std::string vault = providers + "/vault";
const std::string primary_key =
    "/custos/v1/trust-authority-clusters/ta/kms/providers/vault/primary-key";
const std::string node_admin = "/keys/v1/admin/providers/vault";

const std::string spec = R"({"provider":"vault","master_key_id":"key-1","key_server":{
  "type":"KMIP","connection_timeout":7,"description":"the one below",
  "kmip_server":{"servers":[{"name":"a","address":{"hostname":"kms.example","port":5697}},
                            {"name":"b","address":{"hostname":"2001:db8::1"}}],
                 "username":"user"}},
  "custos":{"mode":"local","access":{"images":["rack"],"hosts":[]}}})";

class provider_test : public test::coordinator_fixture {
protected:
  void keep(const std::string& document =
                R"({"primary_key_id":"key-1","servers":[{"name":"a","host":"h","port":1}]})") {
    for (const auto& id : nodes())
      at(id).objects["key-providers/vault"] = document;
  }
  bj::object kept(const std::string& id) {
    return bj::parse(at(id).objects["key-providers/vault"]).as_object();
  }
  std::size_t asked(const std::string& what) {
    std::size_t n = 0;
    for (const auto& id : nodes())
      for (const auto& c : at(id).calls)
        n += c.method + " " + c.path == what ? 1U : 0U;
    return n;
  }
  void expect_nothing_written() {
    for (const auto& id : nodes())
      EXPECT_EQ(at(id).count("PUT"), 0U) << id;
  }
};

/// A specification with one place changed.
std::string with(const std::string& pointer, const bj::value& v, const std::string& text = spec) {
  auto document = bj::parse(text);
  auto* place = &document;
  std::size_t from = 1;
  for (;;) {
    const auto to = pointer.find('/', from);
    const auto name = pointer.substr(from, to == std::string::npos ? to : to - from);
    place = place->is_array() ? &place->as_array().at(std::stoul(name)) : &place->as_object()[name];
    if (to == std::string::npos)
      break;
    from = to + 1;
  }
  *place = v;
  return bj::serialize(document);
}

crypto::certificate server_certificate(const std::string& name, const crypto::key& signer,
                                       const crypto::certificate* issuer, std::int64_t now) {
  crypto::certificate_request r;
  r.common_name = name;
  r.dns_names = {name};
  r.is_ca = issuer == nullptr;
  r.server_auth = issuer != nullptr;
  r.not_before = now - 60;
  r.not_after = now + 3600;
  return crypto::issue_certificate(r, issuer == nullptr ? signer : crypto::generate_p256().value(),
                                   signer, issuer)
      .value();
}

} // namespace

TEST_F(provider_test, is_created_on_every_node) {
  const auto a = send("POST", providers, spec);
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(value_of(a).as_string(), "vault");
  for (const auto& id : nodes())
    EXPECT_EQ(bj::value(kept(id)), bj::parse(R"({"primary_key_id":"key-1","timeout_ms":7000,
      "servers":[{"name":"a","host":"kms.example","port":5697},
                 {"name":"b","host":"2001:db8::1","port":5696}],
      "username":"user","mode":"local","access":{"images":["rack"],"hosts":[]}})"));
}

TEST_F(provider_test, is_not_created_from_a_bad_specification) {
  struct bad {
    std::string body, field;
  };
  bj::array many(17, bj::parse(R"({"name":"a","address":{"hostname":"h"}})"));
  for (const auto& c : std::vector<bad>{
           {"", ""},
           {"{", ""},
           {"[]", ""},
           {"{}", "/provider"},
           {with("/provider", 7), "/provider"},
           {with("/provider", ""), "/provider"},
           {with("/provider", "a/b"), "/provider"},
           {with("/provider", "../settings/settings"), "/provider"},
           {with("/master_key_id", nullptr), "/master_key_id"},
           {with("/master_key_id", bj::array{}), "/master_key_id"},
           {with("/key_server", "kms"), "/key_server"},
           {with("/key_server/type", "PKCS11"), "/key_server/type"},
           {with("/key_server/type", nullptr), "/key_server/type"},
           {with("/key_server/connection_timeout", 0), "/key_server/connection_timeout"},
           {with("/key_server/connection_timeout", 61), "/key_server/connection_timeout"},
           {with("/key_server/connection_timeout", "5"), "/key_server/connection_timeout"},
           {with("/key_server/kmip_server", nullptr), "/key_server/kmip_server"},
           {with("/key_server/kmip_server/servers", bj::object{}),
            "/key_server/kmip_server/servers"},
           {with("/key_server/kmip_server/servers", many), "/key_server/kmip_server/servers"},
           {with("/key_server/kmip_server/servers/1/name", 1),
            "/key_server/kmip_server/servers/1/name"},
           {with("/key_server/kmip_server/servers/1/address", "h"),
            "/key_server/kmip_server/servers/1/address"},
           {with("/key_server/kmip_server/servers/1/address/port", 65536),
            "/key_server/kmip_server/servers/1/address/port"},
           {with("/key_server/kmip_server/servers/0/address/zone", 1),
            "/key_server/kmip_server/servers/0/address/zone"},
           {with("/key_server/kmip_server/servers/0/weight", 1),
            "/key_server/kmip_server/servers/0/weight"},
           {with("/key_server/kmip_server/password", "p"), "/key_server/kmip_server/password"},
           {with("/key_server/other", 1), "/key_server/other"},
           {with("/custos/mode", 7), "/custos/mode"},
           {with("/custos/access/images", "rack"), "/custos/access/images"},
           {with("/custos/access/images/0", 7), "/custos/access/images/0"},
           {with("/custos/access/users", bj::array{}), "/custos/access/users"},
           {with("/custos/x", 1), "/custos/x"},
           {with("/x", 1), "/x"},
       }) {
    expect_error(send("POST", providers, c.body), 400, "INVALID_ARGUMENT", c.field,
                 c.body.substr(0, 60) + " ");
  }
  const auto proxied = with("/key_server/proxy_server", bj::object{{"hostname", "p"}});
  expect_error(send("POST", providers, proxied), 400, "UNSUPPORTED", "/key_server/proxy_server");
  expect_nothing_written();
}

TEST_F(provider_test, is_shown_without_any_secret) {
  keep(R"({"primary_key_id":"key-1","servers":[{"name":"a","host":"kms.example","port":5696}],
           "username":"user","timeout_ms":5000,"client_certificate":"PEM",
           "sealed_client_private_key":"SEALEDKEY","sealed_password":"SEALEDPASSWORD"})");
  const auto a = send("GET", vault, "", {}, certificates().auditor);
  ASSERT_EQ(a.status, 200U) << a.body;
  EXPECT_EQ(a.body.find("SEALED"), std::string::npos);
  EXPECT_EQ(value_of(a), bj::parse(R"({"master_key_id":"key-1",
    "key_server":{"type":"KMIP","description":"","connection_timeout":5,
      "kmip_server":{"servers":[{"name":"a","address":{"hostname":"kms.example","port":5696}}],
                     "username":"user"}},
    "status":{"health":"OK","details":[],"servers":[]},"custos":{"type":"kmip"}})"));
  EXPECT_EQ(value_of(send("GET", providers)), bj::parse(R"([{"provider":"vault","health":"OK"}])"));
  expect_error(send("GET", providers + "/nothing"), 404, "NOT_FOUND", "provider");
}

TEST_F(provider_test, says_which_node_differs) {
  keep();
  at("n3").objects["key-providers/vault"] = R"({"primary_key_id":"key-2","servers":[]})";
  const auto o = object_of(send("GET", vault));
  EXPECT_EQ(o.at("status").at("health").as_string(), "WARNING");
  EXPECT_EQ(o.at("status").at("details").at(0).at("default_message").as_string(),
            "n3: has another content");
}

TEST_F(provider_test, is_shown_whatever_a_node_keeps) {
  for (const auto* document :
       {"{}", R"({"servers":7})", R"({"servers":[7,null,{}]})",
        R"({"servers":[{"name":[],"host":{},"port":"x"}],"timeout_ms":"x","username":7})"}) {
    keep(document);
    EXPECT_EQ(send("GET", vault).status, 200U) << document;
    EXPECT_EQ(send("GET", vault + "/client-certificate").status, 404U) << document;
  }
}

TEST_F(provider_test, keeps_what_an_update_does_not_name) {
  keep(R"({"primary_key_id":"key-1","servers":[{"name":"a","host":"h","port":1}],
           "sealed_password":"S","username":"u"})");
  EXPECT_EQ(send("PATCH", vault, R"({"master_key_id":"key-2"})").status, 204U);
  EXPECT_EQ(send("PATCH", vault, R"({"key_server":{"connection_timeout":9}})").status, 204U);
  EXPECT_EQ(send("PATCH", vault, R"({"key_server":{"kmip_server":{"username":"v"}}})").status,
            204U);
  EXPECT_EQ(send("PATCH", vault, "{}").status, 204U);
  for (const auto& id : nodes())
    EXPECT_EQ(bj::value(kept(id)), bj::parse(R"({"primary_key_id":"key-2","timeout_ms":9000,
      "servers":[{"name":"a","host":"h","port":1}],"sealed_password":"S","username":"v"})"));
}

TEST_F(provider_test, is_not_updated_from_a_bad_specification) {
  keep();
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {R"({"master_key_id":7})", "/master_key_id"},
           {R"({"key_server":{"type":"X"}})", "/key_server/type"},
           {R"({"key_server":{"kmip_server":{"servers":[{}]}}})",
            "/key_server/kmip_server/servers/0/name"},
           {R"({"sealed_client_private_key":"x"})", "/sealed_client_private_key"}})
    expect_error(send("PATCH", vault, body), 400, "INVALID_ARGUMENT", field, body);
  expect_error(send("PATCH", providers + "/nothing", R"({"master_key_id":"k"})"), 404, "NOT_FOUND",
               "");
  expect_nothing_written();
}

TEST_F(provider_test, is_written_through_the_next_node_when_the_first_is_away) {
  keep();
  at("n1").away = true;
  EXPECT_EQ(send("PATCH", vault, R"({"master_key_id":"key-2"})").status, 204U);
  EXPECT_EQ(kept("n2").at("primary_key_id").as_string(), "key-2");
  EXPECT_EQ(at("n3").count("PUT"), 0U) << "one node is enough";
}

TEST_F(provider_test, is_not_written_over_from_an_odd_answer) {
  keep();
  for (const auto* body : {"", "7", "{}", R"({"object":7})", R"({"object":[]})"}) {
    at("n1").instead["GET /config/v1/key-providers/vault"] = test::json_answer(body);
    EXPECT_EQ(send("PATCH", vault, R"({"master_key_id":"key-2"})").status, 500U) << body;
  }
  expect_nothing_written();
}

TEST_F(provider_test, is_removed_from_every_node) {
  keep();
  EXPECT_EQ(send("DELETE", vault).status, 204U);
  for (const auto& id : nodes())
    EXPECT_TRUE(at(id).objects.empty());
}

// ---- primary key --------------------------------------------------------------------------------

TEST_F(provider_test, gets_a_primary_key_made_once_and_told_to_all) {
  keep();
  at("n1").instead["POST " + node_admin + "/primary-key"] =
      test::json_answer(R"({"primary_key_id":"uid-9"})", 201);
  const auto a = send("POST", primary_key);
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(value_of(a).as_string(), "uid-9");
  EXPECT_EQ(asked("POST " + node_admin + "/primary-key"), 1U);
  for (const auto& id : nodes())
    EXPECT_EQ(kept(id).at("primary_key_id").as_string(), "uid-9");
  const auto& body = at("n1").calls.at(1).body; // the object comes first
  EXPECT_EQ(body.rfind(R"({"name":"custos-vault-)", 0), 0U) << body;
}

TEST_F(provider_test, has_key_names_that_fit_whatever_its_own_name) {
  const std::string name(128, 'p');
  at("n1").objects["key-providers/" + name] = R"({"primary_key_id":"","servers":[]})";
  at("n1").instead["POST /keys/v1/admin/providers/" + name + "/primary-key"] =
      test::json_answer(R"({"primary_key_id":"uid-9"})", 201);
  send("POST", "/custos/v1/trust-authority-clusters/ta/kms/providers/" + name + "/primary-key");
  ASSERT_GT(at("n1").calls.size(), 1U);
  const auto key_name = bj::parse(at("n1").calls.at(1).body).at("name").as_string();
  EXPECT_LE(key_name.size(), object_name_bytes_max);
}

TEST_F(provider_test, keeps_its_primary_key_when_no_new_one_is_made) {
  keep();
  for (const auto& r : {http::problem(make_error(errc::kmip_failure, "the key server refused")),
                        test::json_answer("{}"), test::json_answer(""),
                        test::json_answer(R"({"primary_key_id":7})")}) {
    for (const auto& id : nodes())
      at(id).instead["POST " + node_admin + "/primary-key"] = r;
    EXPECT_GE(send("POST", primary_key).status, 400U) << r.body;
  }
  expect_nothing_written();
}

// ---- certificates of key servers
// ------------------------------------------------------------------

TEST_F(provider_test, shows_what_key_servers_present_and_whether_it_is_trusted) {
  const auto ca_key = crypto::generate_p256().value();
  const auto ca = server_certificate("kms-ca", ca_key, nullptr, now);
  const auto issued = server_certificate("a.example", ca_key, &ca, now);
  const auto other_key = crypto::generate_p256().value();
  const auto other_ca = server_certificate("kms-ca", other_key, nullptr, now);
  const auto stranger = server_certificate("a.example", other_key, &other_ca, now);
  const auto pinned = server_certificate("c.example", other_key, &other_ca, now);
  keep(bj::serialize(bj::object{
      {"trusted_peer_certificates",
       bj::array{bj::string(ca.pem()), bj::string(pinned.pem()), 7, bj::string("no PEM")}}}));
  bj::array presented;
  for (const auto& [server, pem, why] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"a", issued.pem(), ""},
           {"b", stranger.pem() + other_ca.pem(), ""},
           {"c", pinned.pem(), ""},
           {"d", "", "connection refused"},
           {"e", "no PEM", ""}})
    presented.push_back(bj::object{
        {"server", bj::string(server)}, {"pem", bj::string(pem)}, {"error", bj::string(why)}});
  at("n1").instead["GET " + node_admin + "/peer-certificates"] =
      test::json_answer(bj::serialize(bj::object{{"peer_certificates", presented}}));
  const auto list = value_of(send("GET", vault + "/peer-certs/current"));
  ASSERT_EQ(list.as_array().size(), 5U);
  const std::vector<bool> trusted{true, false, true, false, false};
  for (std::size_t i = 0; i < trusted.size(); ++i)
    EXPECT_EQ(list.at(i).at("trusted").as_bool(), trusted[i]) << i;
  EXPECT_EQ(list.at(0).at("server_name").as_string(), "a");
  EXPECT_EQ(list.at(0).at("certificate").as_string(), issued.pem());
  EXPECT_TRUE(list.at(0).at("error_messages").as_array().empty());
  EXPECT_FALSE(list.at(3).as_object().contains("certificate"));
  EXPECT_EQ(list.at(3).at("error_messages").at(0).at("default_message").as_string(),
            "d: connection refused");
}

TEST_F(provider_test, survives_odd_lists_of_certificates) {
  keep();
  for (const auto* body : {"", "[]", "{}", R"({"peer_certificates":7})",
                           R"({"peer_certificates":[7]})", R"({"peer_certificates":[{}]})"}) {
    at("n1").instead["GET " + node_admin + "/peer-certificates"] = test::json_answer(body);
    EXPECT_GE(send("GET", vault + "/peer-certs/current").status, 400U) << body;
  }
}

TEST_F(provider_test, trusts_the_certificates_given_and_no_others) {
  keep(R"({"trusted_peer_certificates":["OLD"]})");
  EXPECT_EQ(
      send("PATCH", vault + "/peer-certs/trusted", R"({"certificates":["ONE","TWO"]})").status,
      204U);
  EXPECT_EQ(kept("n2").at("trusted_peer_certificates"), bj::parse(R"(["ONE","TWO"])"));
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {R"({"certificates":"ONE"})", "/certificates"},
           {R"({"certificates":["ONE",7]})", "/certificates/1"},
           {R"({"certificates":[],"x":1})", "/x"}})
    expect_error(send("PATCH", vault + "/peer-certs/trusted", body), 400, "INVALID_ARGUMENT", field,
                 body);
  EXPECT_EQ(kept("n2").at("trusted_peer_certificates"), bj::parse(R"(["ONE","TWO"])"));
}

TEST_F(provider_test, has_the_health_that_each_node_sees) {
  at("n1").instead["GET " + node_admin + "/status"] = test::json_answer(R"({"health":"ok"})");
  at("n2").away = true;
  at("n3").instead["GET " + node_admin + "/status"] = test::json_answer("no JSON");
  const auto o =
      object_of(send("GET", "/custos/v1/trust-authority-clusters/ta/kms/providers/vault/status"));
  EXPECT_EQ(o.at("n1").at("health").as_string(), "ok");
  EXPECT_EQ(o.at("n2").at("health").as_string(), "error");
  EXPECT_EQ(o.at("n2").at("detail").as_string(), "cannot be reached");
  EXPECT_EQ(o.at("n3").at("health").as_string(), "error");
}

} // namespace custos::coordinator
