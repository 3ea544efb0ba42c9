// Endorsements, settings and base images of a trust authority cluster: every write goes to every
// node, whatever becomes of it at one of them.

#include "tests/actors/coordinator/fixture.hpp"
#include "tests/unit/adapters/crypto/crl_maker.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"

#include <set>

namespace custos::coordinator {

namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;
using ::testing::ElementsAre;

const std::string cluster = "/vcenter/trusted-infrastructure/trust-authority-clusters/ta";
const std::string cas = cluster + "/attestation/tpm2/ca-certificates";
const std::string keys = cluster + "/attestation/tpm2/endorsement-keys";
const std::string images = cluster + "/attestation/os/linux/base-images";
const std::string settings = cluster + "/attestation/tpm2/settings";
const std::string ours = "/custos/v1/trust-authority-clusters/ta/attestation";
const std::string denials = ours + "/denials";
const std::string crls_of_vendor = ours + "/ca-certificates/vendor/crls";

const std::string ca_spec = R"({"name":"vendor","cert_chain":{"cert_chain":["PEM"]}})";
const std::string ca_document = R"({"certificates":["PEM"]})";

class trust_authority_test : public test::coordinator_fixture {
protected:
  void expect_nothing_written() {
    for (const auto& id : nodes()) {
      EXPECT_EQ(at(id).count("PUT"), 0U) << id;
      EXPECT_EQ(at(id).count("DELETE"), 0U) << id;
    }
  }
};

} // namespace

// ---- callers ------------------------------------------------------------------------------------

TEST_F(trust_authority_test, cve_2026_1709_is_closed_to_strangers) {
  for (const auto& r : api->routes().routes()) {
    auto path = r.pattern.substr(std::string("/api").size());
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"{cluster}", "ta"},
                                   {"{name}", "x"},
                                   {"{provider}", "x"},
                                   {"{key}", "k"},
                                   {"{host}", "h"},
                                   {"{member}", "n1"},
                                   {"{service}", "s"},
                                   {"{task}", "t"}})
      if (const auto found = path.find(from); found != std::string::npos)
        path.replace(found, from.size(), to);
    const auto what = r.method + " " + r.pattern + " ";
    EXPECT_EQ(path.find('{'), std::string::npos) << what;
    expect_error(send(r.method, path, "{}", {}, {}), 401, "UNAUTHENTICATED", "client certificate",
                 what);
    expect_error(send(r.method, path, "{}", {}, certificates().stranger), 403, "UNAUTHORIZED",
                 "client certificate", what);
    const auto auditor = send(r.method, path, "{}", {}, certificates().auditor);
    EXPECT_EQ(auditor.status == 403, r.who == gateway::access::administrator) << what;
    EXPECT_NE(r.who, gateway::access::open) << what;
    if (r.method == "GET")
      EXPECT_EQ(r.who, gateway::access::auditor) << what;
    else
      EXPECT_EQ(r.who, gateway::access::administrator) << what;
  }
  expect_nothing_written();
  ASSERT_FALSE(audit.empty());
  EXPECT_EQ(audit.front().actor, "anonymous");
  EXPECT_EQ(audit.front().outcome, "unauthenticated");
}

TEST_F(trust_authority_test, says_what_is_not_there) {
  expect_error(send("GET", "/vcenter/nothing"), 404, "NOT_FOUND", "");
  expect_error(send("PATCH", cas), 404, "NOT_FOUND", "");
  const std::string other = "/vcenter/trusted-infrastructure/trust-authority-clusters/";
  for (const auto* path :
       {"nowhere/attestation/tpm2/ca-certificates", "prod/attestation/tpm2/ca-certificates"})
    expect_error(send("GET", other + path), 404, "NOT_FOUND", "cluster", path);
  const auto empty = send("POST", other + "empty/attestation/tpm2/ca-certificates", ca_spec);
  expect_error(empty, 503, "SERVICE_UNAVAILABLE", "cluster");
}

// ---- creating -----------------------------------------------------------------------------------

TEST_F(trust_authority_test, writes_to_every_node) {
  const auto a = send("POST", cas, ca_spec);
  EXPECT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(value_of(a).as_string(), "vendor");
  std::set<std::string> operations;
  for (const auto& id : nodes()) {
    EXPECT_EQ(at(id).objects["tpm-cas/vendor"], ca_document);
    for (const auto& c : at(id).calls)
      for (const auto& [name, value] : c.headers)
        if (name == "Custos-Operation-Id")
          operations.insert(value);
  }
  EXPECT_EQ(operations.size(), 1U) << "one operation, so that a repetition is applied once";
  ASSERT_EQ(audit.size(), 1U);
  EXPECT_EQ(audit[0].actor, "alice");
  EXPECT_EQ(audit[0].action, "ti.tac.attestation.tpm2:CaCertificates.create");
  EXPECT_EQ(audit[0].object, "ta");
  EXPECT_EQ(audit[0].outcome, "ok");
}

TEST_F(trust_authority_test, writes_through_the_first_node_that_answers) {
  at("n1").away = true;
  at("n2").instead["PUT /config/v1/tpm-cas/vendor"] =
      http::problem(make_error(errc::unavailable, "no leader"));
  EXPECT_EQ(send("POST", cas, ca_spec).status, 201U);
  EXPECT_EQ(at("n3").objects.count("tpm-cas/vendor"), 1U);
  EXPECT_EQ(audit.back().outcome, "ok");
}

TEST_F(trust_authority_test, says_what_the_last_node_that_answered_said) {
  at("n3").away = true;
  for (const auto* id : {"n1", "n2"})
    at(id).instead["PUT /config/v1/tpm-cas/vendor"] =
        http::problem(make_error(errc::unavailable, "no leader"));
  const auto a = send("POST", cas, ca_spec);
  expect_error(a, 503, "SERVICE_UNAVAILABLE", "");
  EXPECT_EQ(message_of(a), "n2: no leader");
  EXPECT_EQ(audit.back().outcome, "unavailable");
}

TEST_F(trust_authority_test, sends_what_it_has_seen_to_whichever_node_it_asks) {
  ASSERT_EQ(send("POST", cas, ca_spec).status, 201U);
  ASSERT_EQ(send("GET", cas).status, 200U);
  for (const auto& id : nodes()) {
    const auto& headers = at(id).calls.back().headers;
    EXPECT_THAT(headers, testing::Contains(testing::Pair("Custos-Revision", "1"))) << id;
  }
}

TEST_F(trust_authority_test, replaces_nothing_that_is_there) {
  for (const auto& id : nodes())
    at(id).objects["tpm-cas/vendor"] = R"({"certificates":["OLD"]})";
  at("n1").away = true;
  expect_error(send("POST", cas, ca_spec), 400, "ALREADY_EXISTS", "name");
  for (const auto& id : nodes())
    EXPECT_EQ(at(id).objects["tpm-cas/vendor"], R"({"certificates":["OLD"]})");
}

TEST_F(trust_authority_test, writes_nothing_when_no_node_answers) {
  for (const auto& id : nodes())
    at(id).away = true;
  const auto a = send("POST", cas, ca_spec);
  expect_error(a, 503, "SERVICE_UNAVAILABLE", "");
  EXPECT_EQ(message_of(a), "n3: cannot be reached");
  for (const auto& id : nodes())
    EXPECT_TRUE(at(id).objects.empty()) << id;
}

TEST_F(trust_authority_test, waits_for_a_slow_node_until_its_deadline_only) {
  at("n1").silent = true;
  const auto got = start("POST", cas, ca_spec);
  run();
  EXPECT_TRUE(got->empty());
  advance(11'001ms);
  ASSERT_EQ(got->size(), 1U);
  EXPECT_EQ(got->front().status, 201U);
  EXPECT_EQ(at("n2").count("PUT"), 1U);
}

TEST_F(trust_authority_test, passes_the_field_on_that_a_node_refuses) {
  const auto no =
      field_error(errc::invalid_argument, "/certificates/0", "expected a PEM certificate");
  for (const auto& id : nodes())
    at(id).instead["PUT /config/v1/tpm-cas/vendor"] = http::problem(no);
  const auto a = send("POST", cas, ca_spec);
  expect_error(a, 400, "INVALID_ARGUMENT", "/certificates/0");
  EXPECT_NE(message_of(a).find("n1: expected a PEM certificate"), std::string::npos);
}

TEST_F(trust_authority_test, names_the_field_of_a_bad_specification) {
  struct bad {
    std::string path, body, field;
  };
  const std::string long_pem(70000, 'A');
  for (const auto& c : std::vector<bad>{
           {cas, "", ""},
           {cas, "{", ""},
           {cas, "[]", ""},
           {cas, "null", ""},
           {cas, R"({"name":"a","name":"b"})", "/name"},
           {cas, R"({"cert_chain":{"cert_chain":["PEM"]}})", "/name"},
           {cas, R"({"name":7,"cert_chain":{"cert_chain":["PEM"]}})", "/name"},
           {cas, R"({"name":"","cert_chain":{"cert_chain":["PEM"]}})", "/name"},
           {cas, R"({"name":"a/b","cert_chain":{"cert_chain":["PEM"]}})", "/name"},
           {cas, R"({"name":"../principals/eve","cert_chain":{"cert_chain":["PEM"]}})", "/name"},
           {cas, R"({"name":"a?b","cert_chain":{"cert_chain":["PEM"]}})", "/name"},
           {cas, R"({"name":"a\r\nHost: x","cert_chain":{"cert_chain":["PEM"]}})", "/name"},
           {cas, R"({"name":"a"})", "/cert_chain"},
           {cas, R"({"name":"a","cert_chain":["PEM"]})", "/cert_chain"},
           {cas, R"({"name":"a","cert_chain":{}})", "/cert_chain/cert_chain"},
           {cas, R"({"name":"a","cert_chain":{"cert_chain":[7]}})", "/cert_chain/cert_chain/0"},
           {cas, R"({"name":"a","cert_chain":{"cert_chain":[")" + long_pem + "\"]}}",
            "/cert_chain/cert_chain/0"},
           {cas, R"({"name":"a","cert_chain":{"cert_chain":["PEM"]},"x":1})", "/x"},
           {keys, R"({"name":"a"})", "/public_key"},
           {keys, R"({"name":"a","public_key":"P","certificate":"C"})", "/public_key"},
           {keys, R"({"name":"a","public_key":7})", "/public_key"},
           {keys, R"({"name":"a b","public_key":"P"})", "/name"},
           {keys, R"({"name":"a","public_key":"P","x":1})", "/x"},
           {images, "[]", "/name"},
           {images, R"({"version":"1"})", "/name"},
           {images, R"({"name":["a"]})", "/name"},
           {images, R"({"name":".."})", "/name"},
           {cas,
            R"({"name":"a","cert_chain":{"cert_chain":[")" + std::string(6U << 20U, 'A') + "\"]}}",
            ""},
       }) {
    const auto a = send("POST", c.path, c.body);
    expect_error(a, 400, "INVALID_ARGUMENT", c.field, c.body.substr(0, 80) + " ");
  }
  expect_nothing_written();
  EXPECT_TRUE(at("n1").calls.empty());
}

TEST_F(trust_authority_test, makes_the_nodes_documents_of_the_other_families) {
  EXPECT_EQ(send("POST", keys, R"({"name":"k1","public_key":"P"})").status, 201U);
  EXPECT_EQ(at("n1").objects["endorsement-keys/k1"], R"({"public_key":"P"})");
  EXPECT_EQ(send("POST", keys, R"({"name":"k2","certificate":"C"})").status, 201U);
  EXPECT_EQ(at("n3").objects["endorsement-keys/k2"], R"({"certificate":"C"})");
  EXPECT_EQ(send("POST", images, R"({"name":"rack","version":"12","pcrs":[]})").status, 201U);
  EXPECT_EQ(bj::parse(at("n2").objects["base-images/rack"]),
            bj::parse(R"({"version":"12","pcrs":[]})"));
}

// ---- ours beside the contract -------------------------------------------------------------------

TEST_F(trust_authority_test, takes_profile_and_crls_of_a_ca) {
  const auto a = send("POST", cas,
                      R"({"name":"v","cert_chain":{"cert_chain":["PEM"]},)"
                      R"("custos_profile":"relaxed","custos_crls":["A","B"]})");
  EXPECT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(bj::parse(at("n2").objects["tpm-cas/v"]),
            bj::parse(R"({"certificates":["PEM"],"profile":"relaxed","crls":["A","B"]})"));
  const auto one = object_of(send("GET", cas + "/v"));
  EXPECT_EQ(one.at("custos_profile").as_string(), "relaxed");
  EXPECT_EQ(one.at("custos_crls"), bj::parse(R"(["A","B"])"));
  EXPECT_EQ(one.at("cert_chain"), bj::parse(R"({"cert_chain":["PEM"]})"));
  // What is the default is not told.
  EXPECT_EQ(send("POST", cas, ca_spec).status, 201U);
  EXPECT_FALSE(object_of(send("GET", cas + "/vendor")).contains("custos_crls"));
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {R"("custos_profile":7)", "/custos_profile"},
           {R"("custos_crls":"A")", "/custos_crls"},
           {R"("custos_crls":[7])", "/custos_crls/0"}})
    expect_error(
        send("POST", cas, R"({"name":"w","cert_chain":{"cert_chain":["PEM"]},)" + body + "}"), 400,
        "INVALID_ARGUMENT", field, body);
}

TEST_F(trust_authority_test, denies_and_allows) {
  const auto spec = R"({"model":"old","reason":"why"})";
  EXPECT_EQ(send("PUT", denials + "/d1", spec).status, 204U);
  for (const auto& id : nodes())
    EXPECT_EQ(bj::parse(at(id).objects["denials/d1"]), bj::parse(spec)) << id;
  EXPECT_EQ(audit.back().action, "custos.attestation:Denials.put");
  const auto list = value_of(send("GET", denials, "", {}, certificates().auditor));
  ASSERT_EQ(list.as_array().size(), 1U);
  EXPECT_EQ(list.at(0).at("name"), "d1");
  EXPECT_EQ(list.at(0).at("model"), "old");
  EXPECT_EQ(list.at(0).at("health"), "OK");
  at("n2").objects["denials/d1"] = R"({"model":"other"})";
  EXPECT_EQ(object_of(send("GET", denials + "/d1")).at("health"), "WARNING");
  EXPECT_EQ(send("PUT", denials + "/d1", R"({"model":"new"})").status, 204U);
  EXPECT_EQ(object_of(send("GET", denials + "/d1")).at("model"), "new");
  EXPECT_EQ(send("DELETE", denials + "/d1").status, 204U);
  EXPECT_TRUE(at("n1").objects.empty());
  expect_error(send("GET", denials + "/d1"), 404, "NOT_FOUND", "name");
  EXPECT_EQ(send("DELETE", denials + "/d1").status, 404U);
}

TEST_F(trust_authority_test, says_what_is_wrong_with_a_denial) {
  expect_error(send("PUT", denials + "/d", "[]"), 400, "INVALID_ARGUMENT", "");
  expect_error(send("PUT", denials + "/d", "{"), 400, "INVALID_ARGUMENT", "");
  expect_error(send("PUT", denials + "/..", "{}"), 400, "INVALID_ARGUMENT", "name");
  expect_error(send("PUT", denials + "/d", "{\"reason\":\"" + std::string(20000, 'a') + "\"}"), 400,
               "INVALID_ARGUMENT", "");
  expect_nothing_written();
  const auto no = field_error(errc::invalid_argument, "/serial", "expected hex");
  for (const auto& id : nodes())
    at(id).instead["PUT /config/v1/denials/d"] = http::problem(no);
  expect_error(send("PUT", denials + "/d", R"({"serial":"x"})"), 400, "INVALID_ARGUMENT",
               "/serial");
}

TEST_F(trust_authority_test, adds_crls_in_the_place_of_earlier_ones) {
  const tpm::test::vendor maker, other;
  const auto crl = [](const tpm::test::vendor& v, crypto::unix_seconds time,
                      const std::string& scope = {}) {
    crypto::test::crl_of what{.last_update = time};
    if (!scope.empty()) {
      what.extensions = "issuingDistributionPoint=critical,@scope";
      what.sections = "[scope]\n" + scope + "\n";
    }
    return crypto::test::make_crl(v.root, v.root_key, what).pem();
  };
  const auto body = [](const std::vector<std::string>& pems) {
    bj::array list(pems.begin(), pems.end());
    return bj::serialize(bj::object{{"crls", std::move(list)}});
  };
  const auto path = crls_of_vendor;
  expect_error(send("POST", path, body({crl(maker, 1)})), 404, "NOT_FOUND", "");
  for (const auto& id : nodes())
    at(id).objects["tpm-cas/vendor"] = ca_document;
  const auto stored = [&] {
    std::vector<std::string> out;
    const auto object = bj::parse(at("n3").objects["tpm-cas/vendor"]);
    EXPECT_EQ(object.at("certificates"), bj::parse(R"(["PEM"])"));
    for (const auto& one : object.at("crls").as_array())
      out.emplace_back(one.as_string());
    return out;
  };
  const auto first = crl(maker, 100), users = crl(maker, 100, "onlyuser=TRUE");
  EXPECT_EQ(send("POST", path, body({first})).status, 204U);
  EXPECT_THAT(stored(), ElementsAre(first));
  EXPECT_EQ(send("POST", path, body({users})).status, 204U);
  EXPECT_THAT(stored(), ElementsAre(first, users)) << "of another scope";
  const auto second = crl(maker, 200);
  EXPECT_EQ(send("POST", path, body({second})).status, 204U);
  EXPECT_THAT(stored(), ElementsAre(second, users));
  expect_error(send("POST", path, body({users, first})), 400, "INVALID_ARGUMENT", "/crls/1");
  EXPECT_THAT(stored(), ElementsAre(second, users));
  for (const auto& [bad, field] :
       std::vector<std::pair<std::string, std::string>>{{"{}", "/crls"},
                                                        {R"({"crls":[]})", "/crls"},
                                                        {R"({"crls":["PEM"]})", "/crls/0"},
                                                        {R"({"crls":[7]})", "/crls/0"},
                                                        {R"({"crls":[],"x":1})", "/x"}})
    expect_error(send("POST", path, bad), 400, "INVALID_ARGUMENT", field, bad);
}

TEST_F(trust_authority_test, passes_new_settings_through) {
  const auto change = R"({"require_crls":true,"ek_certificate_dates":"ek_may_expire",)"
                      R"("audit_only":["clock"]})";
  EXPECT_EQ(send("PATCH", settings, change).status, 204U);
  EXPECT_EQ(bj::parse(at("n1").objects["settings/settings"]), bj::parse(change));
  EXPECT_EQ(object_of(send("GET", settings)).at("audit_only"), bj::parse(R"(["clock"])"));
  const auto no = field_error(errc::invalid_argument, "/ek_certificate_dates", "expected one of");
  for (const auto& id : nodes())
    at(id).instead["PUT /config/v1/settings/settings"] = http::problem(no);
  expect_error(send("PATCH", settings, R"({"ek_certificate_dates":"never"})"), 400,
               "INVALID_ARGUMENT", "/ek_certificate_dates");
}

// ---- reading ------------------------------------------------------------------------------------

TEST_F(trust_authority_test, lists_with_the_agreement_of_the_nodes_as_health) {
  for (const auto& id : nodes()) {
    at(id).objects["tpm-cas/same"] = R"({"certificates":["A"]})";
    at(id).objects["tpm-cas/other"] = R"({"certificates":[")" + id + "\"]}";
  }
  at("n1").objects["tpm-cas/alone"] = R"({"certificates":["B"]})";
  const auto list = value_of(send("GET", cas, "", {}, certificates().auditor));
  ASSERT_EQ(list.as_array().size(), 3U);
  EXPECT_EQ(list, bj::parse(R"([{"name":"alone","health":"WARNING"},
                                {"name":"other","health":"WARNING"},
                                {"name":"same","health":"OK"}])"));
}

TEST_F(trust_authority_test, agrees_whatever_the_order_of_the_members) {
  at("n1").objects["base-images/rack"] = R"({"version":"1","bank":"sha256"})";
  at("n2").objects["base-images/rack"] = R"({"bank":"sha256","version":"1"})";
  at("n3").objects["base-images/rack"] = R"({ "bank" : "sha256", "version" : "1" })";
  EXPECT_EQ(value_of(send("GET", images)).at(0).at("health").as_string(), "OK");
}

TEST_F(trust_authority_test, says_which_node_differs_and_how) {
  for (const auto& id : nodes())
    at(id).objects["tpm-cas/vendor"] = ca_document;
  auto one = object_of(send("GET", cas + "/vendor"));
  EXPECT_EQ(one.at("health").as_string(), "OK");
  EXPECT_TRUE(one.at("details").as_array().empty());
  EXPECT_EQ(one.at("cert_chain").at("cert_chain").at(0).as_string(), "PEM");
  at("n2").away = true;
  at("n3").objects["tpm-cas/vendor"] = R"({"certificates":["OTHER"]})";
  one = object_of(send("GET", cas + "/vendor"));
  EXPECT_EQ(one.at("health").as_string(), "WARNING");
  ASSERT_EQ(one.at("details").as_array().size(), 2U);
  EXPECT_EQ(one.at("details").at(0).at("default_message").as_string(), "n3: has another content");
  EXPECT_EQ(one.at("details").at(1).at("default_message").as_string(), "n2: cannot be reached");
  at("n3").objects.clear();
  one = object_of(send("GET", cas + "/vendor"));
  EXPECT_EQ(one.at("details").at(0).at("default_message").as_string(), "n3: does not have it");
}

TEST_F(trust_authority_test, fails_to_read_only_when_no_node_answers) {
  at("n1").away = at("n2").away = true;
  EXPECT_EQ(send("GET", cas).status, 200U);
  at("n3").away = true;
  const auto a = send("GET", cas);
  expect_error(a, 503, "SERVICE_UNAVAILABLE", "");
  EXPECT_NE(message_of(a).find("n3"), std::string::npos);
}

TEST_F(trust_authority_test, says_when_an_object_is_not_there) {
  for (const auto& path : {cas, keys, images})
    expect_error(send("GET", path + "/nothing"), 404, "NOT_FOUND", "name", path);
}

TEST_F(trust_authority_test, survives_nodes_that_answer_anything) {
  for (const auto* body :
       {"", "null", "[]", "{", "{}", R"({"objects":7})", R"({"objects":[7]})",
        R"({"objects":[{"name":7,"object":{}}]})", R"({"objects":[{"name":"vendor"}]})",
        R"({"objects":[{"name":"vendor","object":[]}]})",
        R"({"objects":[{"name":"vendor","object":null}]})", "\xFF"}) {
    for (const auto& id : {"n1", "n2"}) {
      at(id).objects["tpm-cas/vendor"] = ca_document;
      at(id).instead.clear();
    }
    at("n3").instead["GET /config/v1/tpm-cas"] = test::json_answer(body);
    const auto list = value_of(send("GET", cas));
    ASSERT_EQ(list.as_array().size(), 1U) << body;
    EXPECT_EQ(list.at(0).at("health").as_string(), "WARNING") << body;
    const auto one = object_of(send("GET", cas + "/vendor"));
    EXPECT_NE(bj::serialize(one).find("n3: "), std::string::npos) << body;
    for (const auto& id : nodes())
      at(id).instead["GET /config/v1/tpm-cas"] = test::json_answer(body);
    EXPECT_EQ(send("GET", cas).status, 500U) << body;
  }
}

TEST_F(trust_authority_test, shows_documents_of_odd_content) {
  for (const auto& id : nodes())
    at(id).objects["tpm-cas/odd"] = R"({"something":"else"})";
  EXPECT_EQ(object_of(send("GET", cas + "/odd")).at("health").as_string(), "OK");
}

// ---- removing -----------------------------------------------------------------------------------

TEST_F(trust_authority_test, removes_from_every_node) {
  for (const auto& id : nodes())
    at(id).objects["tpm-cas/vendor"] = ca_document;
  EXPECT_EQ(send("DELETE", cas + "/vendor").status, 204U);
  for (const auto& id : nodes())
    EXPECT_TRUE(at(id).objects.empty());
  expect_error(send("DELETE", cas + "/vendor"), 404, "NOT_FOUND", "");
}

TEST_F(trust_authority_test, removes_through_the_next_node_when_the_first_is_away) {
  for (const auto& id : nodes())
    at(id).objects["tpm-cas/vendor"] = ca_document;
  at("n1").away = true;
  EXPECT_EQ(send("DELETE", cas + "/vendor").status, 204U);
  EXPECT_TRUE(at("n3").objects.empty());
}

TEST_F(trust_authority_test, takes_names_of_objects_only) {
  for (const auto* name : {"a%b", "a b", "a?b=c", "..", "a\r\nb", ".hidden"}) {
    expect_error(send("DELETE", cas + "/" + name), 400, "INVALID_ARGUMENT", "name", name);
    expect_error(send("GET", cas + "/" + name), 400, "INVALID_ARGUMENT", "name", name);
  }
  EXPECT_TRUE(at("n1").calls.empty());
}

// ---- settings -----------------------------------------------------------------------------------

TEST_F(trust_authority_test, has_default_settings) {
  const auto o = object_of(send("GET", settings));
  EXPECT_FALSE(o.at("require_endorsement_keys").as_bool());
  EXPECT_TRUE(o.at("require_certificate_validation").as_bool());
  EXPECT_EQ(o.at("health").as_string(), "OK");
  at("n2").away = true;
  EXPECT_EQ(object_of(send("GET", settings)).at("health").as_string(), "WARNING");
}

TEST_F(trust_authority_test, changes_the_settings_given_and_keeps_the_others) {
  for (const auto& id : nodes())
    at(id).objects["settings/settings"] =
        R"({"require_endorsement_keys":false,"token_life_s":600})";
  EXPECT_EQ(send("PATCH", settings, R"({"require_endorsement_keys":true})").status, 204U);
  for (const auto& id : nodes())
    EXPECT_EQ(bj::parse(at(id).objects["settings/settings"]),
              bj::parse(R"({"require_endorsement_keys":true,"token_life_s":600})"));
  EXPECT_TRUE(object_of(send("GET", settings)).at("require_endorsement_keys").as_bool());
}

TEST_F(trust_authority_test, takes_no_settings_that_are_none) {
  for (const auto* body : {"", "{", "[]", "true", "7", R"({"a":1,"a":2})"}) {
    const auto a = send("PATCH", settings, body);
    EXPECT_EQ(a.status, 400U) << body;
  }
  expect_nothing_written();
}

TEST_F(trust_authority_test, is_free_for_the_next_change_whatever_a_node_answered) {
  for (const auto& id : nodes())
    at(id).instead["GET /config/v1/settings"] =
        test::json_answer(R"({"objects":[{"name":"settings","object":7}]})");
  EXPECT_EQ(send("PATCH", settings, R"({"require_endorsement_keys":true})").status, 500U);
  for (const auto& id : nodes())
    at(id).instead.clear();
  EXPECT_EQ(send("PATCH", settings, R"({"require_endorsement_keys":true})").status, 204U);
}

} // namespace custos::coordinator
