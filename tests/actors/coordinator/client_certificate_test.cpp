// The client certificate of a key provider through the coordinator: three routes to it, and the
// change of one for another without an outage.

#include "tests/actors/coordinator/fixture.hpp"

namespace custos::coordinator {

namespace {

namespace bj = boost::json;

const std::string vault =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/ta/kms/providers/vault";
const std::string providers =
    "/vcenter/trusted-infrastructure/trust-authority-clusters/ta/kms/providers";
const std::string promotion =
    "/custos/v1/trust-authority-clusters/ta/kms/providers/vault/client-certificate";
const std::string node_admin = "/keys/v1/admin/providers/vault";

class client_certificate_test : public test::coordinator_fixture {
protected:
  void keep(const std::string& document = R"({"primary_key_id":"key-1","servers":[]})") {
    for (const auto& id : nodes())
      at(id).objects["key-providers/vault"] = document;
  }
  /// A provider that has a certificate.
  void keep_certified() {
    keep(R"({"primary_key_id":"key-1","servers":[],"client_certificate":"OLD",
             "sealed_client_private_key":"OLDKEY"})");
  }
  bj::object kept(const std::string& id) {
    return bj::parse(at(id).objects["key-providers/vault"]).as_object();
  }
  std::string text(const std::string& member) {
    const auto o = kept("n2");
    return o.contains(member) ? std::string(o.at(member).as_string()) : "-";
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
  void make(const std::string& pem, const std::string& sealed) {
    at("n1").instead["POST " + node_admin + "/client-certificate"] = test::json_answer(
        R"({"pem":")" + pem + R"(","sealed_client_private_key":")" + sealed + "\"}");
  }
  void matches(int index) {
    at("n1").instead["POST " + node_admin + "/match-private-key"] =
        test::json_answer("{\"index\":" + std::to_string(index) + "}");
  }
  void uses(const std::string& node, const std::string& which) {
    at(node).instead["GET " + node_admin + "/status"] =
        test::json_answer(R"({"health":"ok","client_certificate":")" + which + "\"}");
  }
};

} // namespace

TEST_F(client_certificate_test, gets_a_client_certificate_whose_key_only_a_node_has_seen) {
  keep();
  at("n1").instead["POST " + node_admin + "/client-certificate"] =
      test::json_answer(R"({"pem":"CERT","sealed_client_private_key":"SEALED"})");
  const auto a = send("POST", vault + "/client-certificate");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(value_of(a).as_string(), "CERT");
  EXPECT_EQ(asked("POST " + node_admin + "/client-certificate"), 1U);
  EXPECT_EQ(at("n1").calls.front().body, R"({"csr":false})");
  for (const auto& id : nodes()) {
    EXPECT_EQ(kept(id).at("client_certificate").as_string(), "CERT");
    EXPECT_EQ(kept(id).at("sealed_client_private_key").as_string(), "SEALED") << "sealed once";
  }
  const auto shown = send("GET", vault + "/client-certificate");
  EXPECT_EQ(value_of(shown), bj::parse(R"({"certificate":"CERT"})"));
}

TEST_F(client_certificate_test, gets_a_signing_request) {
  keep();
  at("n1").instead["POST " + node_admin + "/client-certificate"] =
      test::json_answer(R"({"pem":"CSR","sealed_client_private_key":"SEALED"})");
  const auto a = send("POST", vault + "/client-certificate/csr");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(value_of(a).as_string(), "CSR");
  EXPECT_EQ(at("n1").calls.front().body, R"({"csr":true})");
  EXPECT_EQ(kept("n3").at("client_certificate").as_string(), "");
  expect_error(send("GET", vault + "/client-certificate"), 404, "NOT_FOUND", "client_certificate");
}

TEST_F(client_certificate_test, has_no_client_certificate_at_first) {
  keep();
  expect_error(send("GET", vault + "/client-certificate"), 404, "NOT_FOUND", "client_certificate");
  expect_error(send("GET", providers + "/nothing/client-certificate"), 404, "NOT_FOUND",
               "provider");
}

TEST_F(client_certificate_test, takes_a_client_certificate_and_has_its_key_sealed_first) {
  keep();
  at("n1").instead["POST " + node_admin + "/seal-private-key"] =
      test::json_answer(R"({"sealed_client_private_key":"SEALED"})");
  matches(0);
  const auto a = send("PATCH", vault + "/client-certificate",
                      R"({"certificate":"CERT","private_key":"PRIVATE\nKEY"})");
  ASSERT_EQ(a.status, 204U) << a.body;
  for (const auto& id : nodes()) {
    EXPECT_EQ(kept(id).at("client_certificate").as_string(), "CERT");
    EXPECT_EQ(kept(id).at("sealed_client_private_key").as_string(), "SEALED");
    for (const auto& c : at(id).calls)
      EXPECT_EQ(c.body.find("PRIVATE") != std::string::npos,
                c.path == node_admin + "/seal-private-key")
          << "the key goes to one node to be sealed, and nowhere else";
  }
  EXPECT_EQ(asked("POST " + node_admin + "/seal-private-key"), 1U);
  for (const auto& record : audit)
    EXPECT_EQ(record.detail.find("PRIVATE"), std::string::npos);
}

TEST_F(client_certificate_test, takes_the_certificate_of_a_request_of_its_own) {
  keep(R"({"primary_key_id":"k","servers":[],"sealed_client_private_key":"SEALED"})");
  matches(0);
  EXPECT_EQ(send("PATCH", vault + "/client-certificate", R"({"certificate":"CERT"})").status, 204U);
  EXPECT_EQ(at("n1").calls.at(1).body,
            R"({"certificate":"CERT","sealed_client_private_keys":["SEALED"]})");
  EXPECT_EQ(kept("n2").at("sealed_client_private_key").as_string(), "SEALED");
  EXPECT_EQ(kept("n2").at("client_certificate").as_string(), "CERT");
}

TEST_F(client_certificate_test, changes_nothing_when_its_key_is_not_sealed) {
  keep();
  const auto no = field_error(errc::invalid_argument, "/private_key", "expected PEM");
  for (const auto& id : nodes())
    at(id).instead["POST " + node_admin + "/seal-private-key"] = http::problem(no);
  const auto a = send("PATCH", vault + "/client-certificate",
                      R"({"certificate":"CERT","private_key":"PRIVATE"})");
  expect_error(a, 400, "INVALID_ARGUMENT", "/private_key");
  EXPECT_EQ(a.body.find("PRIVATE"), std::string::npos);
  for (const auto& id : nodes())
    at(id).instead["POST " + node_admin + "/seal-private-key"] = test::json_answer("{}");
  EXPECT_GE(send("PATCH", vault + "/client-certificate",
                 R"({"certificate":"CERT","private_key":"PRIVATE"})")
                .status,
            400U);
  expect_nothing_written();
}

TEST_F(client_certificate_test, names_the_field_of_a_bad_client_certificate) {
  keep();
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"{}", "/certificate"},
           {R"({"certificate":7})", "/certificate"},
           {R"({"certificate":"C","private_key":7})", "/private_key"},
           {R"({"certificate":"C","private_key":")" + std::string(70000, 'k') + "\"}",
            "/private_key"},
           {R"({"certificate":"C","passphrase":"p"})", "/passphrase"}})
    expect_error(send("PATCH", vault + "/client-certificate", body), 400, "INVALID_ARGUMENT", field,
                 body.substr(0, 60));
  expect_nothing_written();
}

// ---- one after another --------------------------------------------------------------------------

TEST_F(client_certificate_test, that_is_new_stands_beside_the_one_in_use) {
  keep_certified();
  make("NEW", "NEWKEY");
  EXPECT_EQ(send("POST", vault + "/client-certificate").status, 201U);
  EXPECT_EQ(text("client_certificate"), "OLD");
  EXPECT_EQ(text("sealed_client_private_key"), "OLDKEY");
  EXPECT_EQ(text("next_client_certificate"), "NEW");
  EXPECT_EQ(text("sealed_next_client_private_key"), "NEWKEY");
  EXPECT_EQ(value_of(send("GET", vault + "/client-certificate")),
            bj::parse(R"({"certificate":"OLD","custos":{"next_certificate":"NEW"}})"));
  EXPECT_EQ(object_of(send("GET", vault)).at("custos").at("next_client_certificate").as_string(),
            "set");
}

TEST_F(client_certificate_test, that_is_requested_leaves_the_one_in_use) {
  keep_certified();
  make("CSR", "NEWKEY");
  EXPECT_EQ(send("POST", vault + "/client-certificate/csr").status, 201U);
  EXPECT_EQ(text("client_certificate"), "OLD");
  EXPECT_EQ(text("next_client_certificate"), "-");
  EXPECT_EQ(text("sealed_next_client_private_key"), "NEWKEY");
  EXPECT_EQ(object_of(send("GET", vault)).at("custos").at("next_client_certificate").as_string(),
            "requested");
  at("n1").calls.clear();
  matches(0);
  EXPECT_EQ(send("PATCH", vault + "/client-certificate", R"({"certificate":"NEW"})").status, 204U);
  EXPECT_EQ(at("n1").calls.at(1).body,
            R"({"certificate":"NEW","sealed_client_private_keys":["NEWKEY","OLDKEY"]})");
  EXPECT_EQ(text("next_client_certificate"), "NEW");
  EXPECT_EQ(text("client_certificate"), "OLD");
}

TEST_F(client_certificate_test, of_the_same_key_takes_the_place_of_the_one_in_use) {
  keep_certified();
  matches(0);
  EXPECT_EQ(send("PATCH", vault + "/client-certificate", R"({"certificate":"RENEWED"})").status,
            204U);
  EXPECT_EQ(text("client_certificate"), "RENEWED");
  EXPECT_EQ(text("next_client_certificate"), "-");
}

TEST_F(client_certificate_test, that_is_uploaded_stands_beside_the_one_in_use) {
  keep_certified();
  at("n1").instead["POST " + node_admin + "/seal-private-key"] =
      test::json_answer(R"({"sealed_client_private_key":"NEWKEY"})");
  matches(0);
  EXPECT_EQ(send("PATCH", vault + "/client-certificate",
                 R"({"certificate":"NEW","private_key":"PRIVATE"})")
                .status,
            204U);
  EXPECT_EQ(text("client_certificate"), "OLD");
  EXPECT_EQ(text("next_client_certificate"), "NEW");
  EXPECT_EQ(text("sealed_next_client_private_key"), "NEWKEY");
}

TEST_F(client_certificate_test, of_another_key_is_refused) {
  keep_certified();
  const auto no = http::problem(field_error(errc::invalid_argument, "/certificate", "expected it"));
  at("n1").instead["POST " + node_admin + "/match-private-key"] = no;
  at("n1").instead["POST " + node_admin + "/seal-private-key"] =
      test::json_answer(R"({"sealed_client_private_key":"NEWKEY"})");
  expect_error(send("PATCH", vault + "/client-certificate", R"({"certificate":"X"})"), 400,
               "INVALID_ARGUMENT", "/certificate");
  expect_error(send("PATCH", vault + "/client-certificate",
                    R"({"certificate":"X","private_key":"PRIVATE"})"),
               400, "INVALID_ARGUMENT", "/certificate");
  for (const auto* odd : {"{}", R"({"index":2})", R"({"index":-1})", "[]"}) {
    at("n1").instead["POST " + node_admin + "/match-private-key"] = test::json_answer(odd);
    EXPECT_GE(send("PATCH", vault + "/client-certificate", R"({"certificate":"X"})").status, 400U)
        << odd;
  }
  keep();
  expect_error(send("PATCH", vault + "/client-certificate", R"({"certificate":"X"})"), 400,
               "INVALID_ARGUMENT", "/private_key");
  expect_nothing_written();
}

TEST_F(client_certificate_test, is_promoted_once_every_node_uses_it) {
  keep_certified();
  make("NEW", "NEWKEY");
  send("POST", vault + "/client-certificate");
  uses("n1", "next");
  uses("n2", "current");
  uses("n3", "next");
  const auto early = send("POST", promotion + "/promote");
  expect_error(early, 503, "SERVICE_UNAVAILABLE", "");
  EXPECT_NE(message_of(early).find("n2"), std::string::npos);
  EXPECT_EQ(message_of(early).find("n1"), std::string::npos);
  EXPECT_EQ(text("client_certificate"), "OLD");
  uses("n2", "next");
  EXPECT_LT(send("POST", promotion + "/promote", "{}").status, 300U);
  EXPECT_EQ(text("client_certificate"), "NEW");
  EXPECT_EQ(text("sealed_client_private_key"), "NEWKEY");
  EXPECT_EQ(text("next_client_certificate"), "-");
  EXPECT_EQ(text("sealed_next_client_private_key"), "-");
}

TEST_F(client_certificate_test, is_promoted_by_force_whatever_nodes_say) {
  keep_certified();
  make("NEW", "NEWKEY");
  send("POST", vault + "/client-certificate");
  at("n3").away = true;
  expect_error(send("POST", promotion + "/promote"), 503, "SERVICE_UNAVAILABLE", "");
  expect_error(send("POST", promotion + "/promote", R"({"force":1})"), 400, "INVALID_ARGUMENT",
               "/force");
  EXPECT_LT(send("POST", promotion + "/promote", R"({"force":true})").status, 300U);
  EXPECT_EQ(text("client_certificate"), "NEW");
}

TEST_F(client_certificate_test, is_dropped) {
  keep_certified();
  make("NEW", "NEWKEY");
  send("POST", vault + "/client-certificate");
  EXPECT_LT(send("DELETE", promotion + "/next").status, 300U);
  EXPECT_EQ(text("client_certificate"), "OLD");
  EXPECT_EQ(text("next_client_certificate"), "-");
  expect_error(send("DELETE", promotion + "/next"), 404, "NOT_FOUND", "next_client_certificate");
  for (const auto* node : {"n1", "n2", "n3"})
    uses(node, "next");
  expect_error(send("POST", promotion + "/promote"), 404, "NOT_FOUND", "next_client_certificate");
}

// ---- the password -------------------------------------------------------------------------------

TEST_F(client_certificate_test, a_password_is_sealed_by_a_node_and_seen_by_nobody_else) {
  keep(R"({"primary_key_id":"k","servers":[],"username":"u"})");
  at("n1").instead["POST " + node_admin + "/seal-password"] =
      test::json_answer(R"({"sealed_password":"SEALED"})");
  EXPECT_LT(send("PUT", vault + "/credential", "\"SECRET\"").status, 300U);
  EXPECT_EQ(text("sealed_password"), "SEALED");
  for (const auto& id : nodes())
    for (const auto& c : at(id).calls)
      if (c.path == node_admin + "/seal-password")
        EXPECT_EQ(c.body, R"({"password":"SECRET"})");
      else
        EXPECT_EQ(c.body.find("SECRET"), std::string::npos) << c.path;
  at("n1").instead["POST " + node_admin + "/seal-password"] =
      http::problem(field_error(errc::invalid_argument, "/password", "expected a string"));
  expect_error(send("PUT", vault + "/credential", "7"), 400, "INVALID_ARGUMENT", "/password");
}

} // namespace custos::coordinator
