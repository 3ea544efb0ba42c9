// Inventory, registries of services, trusted clusters and tasks.

#include "tests/actors/coordinator/fixture.hpp"
#include "tests/unit/test_data.hpp"

#include <set>

namespace custos::coordinator {

namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;

const std::string ti = "/vcenter/trusted-infrastructure";
const std::string attestation_services = ti + "/attestation/services";
const std::string kms_services = ti + "/kms/services";
const std::string prod = ti + "/trusted-clusters/prod";
const std::string clusters = "/custos/v1/clusters";
const std::map<std::string, std::string, std::less<>> query{{"action", "query"}};

class trusted_cluster_test : public test::coordinator_fixture {
protected:
  static std::string ca() { return certificates().ca.pem(); }
  static std::string service_spec(const std::string& host, const bj::value& chain) {
    return bj::serialize(
        bj::object{{"address", bj::object{{"hostname", bj::string(host)}, {"port", 8443}}},
                   {"trusted_CA", bj::object{{"cert_chain", chain}}},
                   {"group", "g"},
                   {"trust_authority_cluster", "ta"}});
  }
  static std::string service_spec(const std::string& host) {
    return service_spec(host, bj::array{bj::string(ca())});
  }
  std::string register_service(const std::string& path, const std::string& host) {
    const auto a = send("POST", path, service_spec(host));
    EXPECT_EQ(a.status, 201U) << a.body;
    return std::string(value_of(a).as_string());
  }
  static std::string use(const std::string& id) {
    return bj::serialize(bj::object{{"type", "SERVICE"}, {"service", bj::string(id)}});
  }
  static std::vector<std::string> hosts() { return {"h1", "h2", "h3"}; }
  /// What a host was told last.
  bj::value applied_at(const std::string& host) {
    for (auto c = at(host).calls.rbegin(); c != at(host).calls.rend(); ++c)
      if (c->method == "PUT" && c->path == "/host/v1/services")
        return bj::parse(c->body);
    return {};
  }
};

} // namespace

// ---- inventory ----------------------------------------------------------------------------------

TEST_F(trusted_cluster_test, keeps_an_inventory_of_clusters) {
  EXPECT_EQ(send("POST", clusters, R"({"id":"new","type":"trusted"})").status, 201U);
  expect_error(send("POST", clusters, R"({"id":"new","type":"trusted"})"), 400, "ALREADY_EXISTS",
               "cluster");
  const auto list = value_of(send("GET", clusters, "", {}, certificates().auditor));
  EXPECT_EQ(list, bj::parse(R"([{"id":"empty","type":"trust-authority"},
    {"id":"new","type":"trusted"},{"id":"prod","type":"trusted"},
    {"id":"ta","type":"trust-authority"}])"));
  auto reopened = inventory::open(store);
  ASSERT_TRUE(reopened.ok());
  EXPECT_TRUE((*reopened)->cluster("new", cluster_type::trusted).ok()) << "also after a restart";
}

TEST_F(trusted_cluster_test, names_the_field_of_a_bad_cluster_or_member) {
  struct bad {
    std::string path, body, field;
  };
  const auto members = clusters + "/ta/members";
  const auto member = [](const char* name, const bj::value& v) {
    bj::object o{{"id", "n9"}, {"url", "https://n9:443"}, {"certificate", bj::string(ca())}};
    o[name] = v;
    return bj::serialize(o);
  };
  auto cut = ca();
  cut.resize(cut.size() / 2);
  for (const auto& c : std::vector<bad>{
           {clusters, "", ""},
           {clusters, "{}", "/id"},
           {clusters, R"({"id":"","type":"trusted"})", "/id"},
           {clusters, R"({"id":"a/b","type":"trusted"})", "/id"},
           {clusters, R"({"id":".a","type":"trusted"})", "/id"},
           {clusters, R"({"id":")" + std::string(129, 'a') + R"(","type":"trusted"})", "/id"},
           {clusters, R"({"id":"a"})", "/type"},
           {clusters, R"({"id":"a","type":"TRUSTED"})", "/type"},
           {clusters, R"({"id":"a","type":"trusted","x":1})", "/x"},
           {members, "[]", ""},
           {members, member("id", "a b"), "/id"},
           {members, member("url", "n9"), "/url"},
           {members, member("url", "http://n9"), "/url"},
           {members, member("url", "https://n9/path"), "/url"},
           {members, member("url", "https://"), "/url"},
           {members, member("url", "https://n9:99999"), "/url"},
           {members, member("url", "https://a\r\nb"), "/url"},
           {members, member("url", 7), "/url"},
           {members, member("certificate", ""), "/certificate"},
           {members, member("certificate", "PEM"), "/certificate"},
           {members, member("certificate", bj::string(cut)), "/certificate"},
           {members, member("certificate", bj::string(std::string(70000, 'A'))), "/certificate"},
           {members, member("role", "admin"), "/role"},
       })
    expect_error(send("POST", c.path, c.body), 400, "INVALID_ARGUMENT", c.field,
                 c.body.substr(0, 60) + " ");
  EXPECT_EQ(known->members("ta").size(), 3U);
  const auto nowhere = send("POST", clusters + "/nowhere/members", member("id", "n9"));
  expect_error(nowhere, 404, "NOT_FOUND", "cluster");
  expect_error(send("GET", clusters + "/nowhere/members"), 404, "NOT_FOUND", "cluster");
  expect_error(send("GET", clusters + "/nowhere/status"), 404, "NOT_FOUND", "cluster");
}

TEST_F(trusted_cluster_test, gives_a_new_host_what_the_cluster_uses) {
  const auto id = register_service(attestation_services, "n1.example");
  ASSERT_EQ(send("POST", prod + "/attestation/services", use(id)).status, 201U);
  const auto spec = bj::serialize(
      bj::object{{"id", "h4"}, {"url", "https://h4:443"}, {"certificate", bj::string(ca())}});
  EXPECT_EQ(send("POST", clusters + "/prod/members", spec).status, 201U);
  EXPECT_EQ(applied_at("h4").at("attestation").at(0).as_string(), "https://n1.example:8443");
  EXPECT_EQ(value_of(send("GET", clusters + "/prod/members")).as_array().size(), 4U);
}

TEST_F(trusted_cluster_test, takes_a_host_that_is_away_as_a_member) {
  at("h4").away = true;
  const auto id = register_service(attestation_services, "n1.example");
  ASSERT_EQ(send("POST", prod + "/attestation/services", use(id)).status, 201U);
  const auto spec = bj::serialize(
      bj::object{{"id", "h4"}, {"url", "https://h4:443"}, {"certificate", bj::string(ca())}});
  const auto begun = send_task("POST", clusters + "/prod/members", spec);
  const auto t = task(begun);
  EXPECT_EQ(t.at("status").as_string(), "SUCCEEDED");
  const auto& targets = t.at("custos_targets").as_array();
  ASSERT_EQ(targets.size(), 4U);
  EXPECT_EQ(targets[3].at("target").as_string(), "h4");
  EXPECT_FALSE(targets[3].at("ok").as_bool()) << "and the task says that it was not reached";
}

TEST_F(trusted_cluster_test, strips_a_host_before_it_forgets_it) {
  EXPECT_EQ(send("DELETE", clusters + "/prod/members/h2").status, 204U);
  ASSERT_EQ(at("h2").calls.size(), 1U);
  EXPECT_EQ(at("h2").calls[0].method + " " + at("h2").calls[0].path, "DELETE /host/v1/services");
  EXPECT_TRUE(at("h1").calls.empty());
  EXPECT_EQ(known->members("prod").size(), 2U);
  expect_error(send("DELETE", clusters + "/prod/members/h2"), 404, "NOT_FOUND", "member");
  EXPECT_EQ(send("DELETE", clusters + "/ta/members/n1").status, 204U);
  EXPECT_TRUE(at("n1").calls.empty()) << "a node has nothing to be stripped of";
}

TEST_F(trusted_cluster_test, shows_what_each_member_says_of_itself) {
  at("h1").instead["GET /host/v1/status"] = test::json_answer(R"({"state":"attested"})");
  at("h2").away = true;
  at("h3").instead["GET /host/v1/status"] = test::json_answer("{");
  const auto o = object_of(send("GET", clusters + "/prod/status"));
  EXPECT_EQ(o.at("h1").at("status").at("state").as_string(), "attested");
  EXPECT_FALSE(o.at("h2").at("reachable").as_bool());
  EXPECT_EQ(o.at("h2").at("message").as_string(), "cannot be reached");
  EXPECT_TRUE(o.at("h3").at("reachable").as_bool());
  at("n1").instead["GET /config/v1/status"] = test::json_answer(R"({"revision":7})");
  EXPECT_EQ(object_of(send("GET", clusters + "/ta/status")).at("n1").at("status").at("revision"),
            7);
}

TEST_F(trusted_cluster_test, lets_one_host_attest) {
  EXPECT_EQ(send("POST", clusters + "/prod/members/h2/attest").status, 204U);
  ASSERT_EQ(at("h2").calls.size(), 1U);
  EXPECT_EQ(at("h2").calls[0].path, "/host/v1/attest");
  EXPECT_TRUE(at("h1").calls.empty());
  expect_error(send("POST", clusters + "/prod/members/h9/attest"), 404, "NOT_FOUND", "member");
}

// ---- registries of services
// -----------------------------------------------------------------------

TEST_F(trusted_cluster_test, registers_services) {
  for (const auto& path : {attestation_services, kms_services}) {
    const auto id = register_service(path, "2001:db8::1");
    const auto whole = object_of(send("GET", path + "/" + id));
    EXPECT_EQ(whole.at("address"), bj::parse(R"({"hostname":"2001:db8::1","port":8443})"));
    EXPECT_EQ(whole.at("trusted_CA").at("cert_chain").at(0).as_string(), ca());
    const auto list = value_of(send("POST", path, "", query));
    ASSERT_EQ(list.as_array().size(), 1U);
    EXPECT_EQ(list.at(0).at("service").as_string(), id);
    EXPECT_FALSE(list.at(0).as_object().contains("trusted_CA")) << "a summary";
    expect_error(send("POST", path, service_spec("2001:db8::1")), 400, "ALREADY_EXISTS", "address");
    EXPECT_EQ(send("DELETE", path + "/" + id).status, 204U);
    expect_error(send("DELETE", path + "/" + id), 404, "NOT_FOUND", "service");
    expect_error(send("GET", path + "/" + id), 404, "NOT_FOUND", "service");
  }
}

TEST_F(trusted_cluster_test, names_the_field_of_a_bad_service) {
  const auto changed = [](const char* name, const bj::value& v) {
    auto o = bj::parse(service_spec("h")).as_object();
    o[name] = v;
    return bj::serialize(o);
  };
  auto cut = ca();
  cut.resize(cut.size() / 2);
  bj::array many(17, bj::string(ca()));
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"[]", ""},
           {changed("address", nullptr), "/address"},
           {changed("address", bj::object{}), "/address/hostname"},
           {changed("address", bj::parse(R"({"hostname":"h","port":0})")), "/address/port"},
           {changed("address", bj::parse(R"({"hostname":"h","x":0})")), "/address/x"},
           {service_spec(""), "/address/hostname"},
           {service_spec("a b"), "/address/hostname"},
           {service_spec("h/evil"), "/address/hostname"},
           {service_spec("user@h"), "/address/hostname"},
           {service_spec("h\r\nx"), "/address/hostname"},
           {service_spec(std::string(254, 'h')), "/address/hostname"},
           {changed("trusted_CA", bj::array{}), "/trusted_CA"},
           {service_spec("h", bj::array{}), "/trusted_CA/cert_chain"},
           {service_spec("h", "PEM"), "/trusted_CA/cert_chain"},
           {service_spec("h", many), "/trusted_CA/cert_chain"},
           {service_spec("h", bj::array{bj::string(ca()), 7}), "/trusted_CA/cert_chain/1"},
           {service_spec("h", bj::array{bj::string(ca()), "PEM"}), "/trusted_CA/cert_chain/1"},
           {service_spec("h", bj::array{bj::string(cut)}), "/trusted_CA/cert_chain/0"},
           {changed("group", 7), "/group"},
           {changed("trust_authority_cluster", nullptr), "/trust_authority_cluster"},
           {changed("x", 7), "/x"}})
    expect_error(send("POST", kms_services, body), 400, "INVALID_ARGUMENT", field,
                 body.substr(0, 60) + " ");
  EXPECT_TRUE(known->services(service_type::kms).empty());
}

// ---- what hosts use
// -------------------------------------------------------------------------------

TEST_F(trusted_cluster_test, tells_every_host_what_to_use) {
  const auto a = register_service(attestation_services, "n1.example");
  const auto k = register_service(kms_services, "2001:db8::1");
  const auto used = send("POST", prod + "/attestation/services", use(a));
  ASSERT_EQ(used.status, 201U) << used.body;
  EXPECT_EQ(value_of(used).as_string(), a);
  ASSERT_EQ(send("POST", prod + "/kms/services", use(k)).status, 201U);
  for (const auto& host : hosts()) {
    const auto document = applied_at(host);
    EXPECT_EQ(document.at("attestation"), bj::parse(R"(["https://n1.example:8443"])"));
    EXPECT_EQ(document.at("keys"), bj::parse(R"(["https://[2001:db8::1]:8443"])"));
    EXPECT_EQ(document.at("revision"), 2);
    EXPECT_EQ(document.at("trusted_ca").as_string(), ca()) << "the same anchor once";
  }
  const auto list = value_of(send("POST", prod + "/kms/services", "", query));
  EXPECT_EQ(list.at(0).at("service").as_string(), k);
}

TEST_F(trusted_cluster_test, puts_anchors_behind_one_another_that_lack_a_line_end) {
  auto first = ca();
  first.pop_back();
  const auto other = certificates().make("other", true, certificates().ca_key, nullptr).pem();
  const auto made = send("POST", attestation_services,
                         service_spec("n1", bj::array{bj::string(first), bj::string(other)}));
  ASSERT_EQ(made.status, 201U) << made.body;
  send("POST", prod + "/attestation/services", use(std::string(value_of(made).as_string())));
  const std::string pem(applied_at("h1").at("trusted_ca").as_string());
  const auto read = crypto::certificates_from_pem(as_bytes(pem));
  ASSERT_TRUE(read.ok()) << pem;
  EXPECT_EQ(read->size(), 2U);
}

TEST_F(trusted_cluster_test, takes_all_services_of_a_trust_authority_cluster) {
  register_service(attestation_services, "n1.example");
  register_service(attestation_services, "n2.example");
  const auto a = send("POST", prod + "/attestation/services",
                      R"({"type":"CLUSTER","trust_authority_cluster":"ta"})");
  ASSERT_EQ(a.status, 201U) << a.body;
  EXPECT_EQ(applied_at("h3").at("attestation").as_array().size(), 2U);
  expect_error(send("POST", prod + "/attestation/services",
                    R"({"type":"CLUSTER","trust_authority_cluster":"other"})"),
               404, "NOT_FOUND", "/trust_authority_cluster");
}

TEST_F(trusted_cluster_test, names_the_field_of_a_bad_wish) {
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"{}", "/type"},
           {R"({"type":"ALL"})", "/type"},
           {R"({"type":"SERVICE"})", "/type"},
           {R"({"type":"CLUSTER","service":"s"})", "/type"},
           {R"({"type":"SERVICE","service":7})", "/service"},
           {R"({"type":"SERVICE","service":"s","x":1})", "/x"}})
    expect_error(send("POST", prod + "/kms/services", body), 400, "INVALID_ARGUMENT", field, body);
  expect_error(send("POST", prod + "/kms/services", use("nothing")), 404, "NOT_FOUND", "service");
  expect_error(send("POST", ti + "/trusted-clusters/ta/kms/services", use("x")), 404, "NOT_FOUND",
               "cluster");
  EXPECT_EQ(known->desired("prod").revision, 0U);
  EXPECT_TRUE(at("h1").calls.empty());
}

TEST_F(trusted_cluster_test, applies_to_those_it_reaches_and_names_those_it_does_not) {
  const auto id = register_service(attestation_services, "n1.example");
  at("h2").away = true;
  at("h3").instead["PUT /host/v1/services"] =
      http::problem(field_error(errc::storage_failure, "", "the disk is full"));
  const auto a = send("POST", prod + "/attestation/services", use(id));
  EXPECT_EQ(a.status, 500U);
  EXPECT_EQ(message_of(a), "h2: cannot be reached; h3: the disk is full");
  EXPECT_TRUE(applied_at("h1").is_object());
  EXPECT_EQ(known->desired("prod").attestation.size(), 1U) << "what is wanted is known";

  at("h2").away = false;
  at("h3").instead.clear();
  EXPECT_EQ(send("PATCH", prod + "/services-applied-config").status, 204U);
  EXPECT_EQ(applied_at("h2"), applied_at("h1"));
  EXPECT_EQ(applied_at("h3"), applied_at("h1"));
}

TEST_F(trusted_cluster_test, is_not_held_up_by_a_slow_host) {
  const auto id = register_service(attestation_services, "n1.example");
  at("h2").silent = true;
  const auto got = start("POST", prod + "/attestation/services", use(id));
  run();
  EXPECT_TRUE(applied_at("h1").is_object()) << "the others have it at once";
  EXPECT_TRUE(applied_at("h3").is_object());
  EXPECT_TRUE(got->empty());
  advance(11'001ms);
  ASSERT_EQ(got->size(), 1U);
  EXPECT_EQ(message_of(got->front()).rfind("h2: ", 0), 0U) << message_of(got->front());
}

TEST_F(trusted_cluster_test, cleans_the_hosts_of_a_cluster_that_uses_nothing) {
  EXPECT_EQ(send("PATCH", prod + "/services-applied-config").status, 204U);
  for (const auto& host : hosts()) {
    ASSERT_EQ(at(host).calls.size(), 1U);
    EXPECT_EQ(at(host).calls[0].method, "DELETE");
  }
}

TEST_F(trusted_cluster_test, keeps_a_service_that_hosts_use) {
  const auto id = register_service(attestation_services, "n1.example");
  ASSERT_EQ(send("POST", prod + "/attestation/services", use(id)).status, 201U);
  expect_error(send("DELETE", attestation_services + "/" + id), 500, "RESOURCE_BUSY", "service");
}

// ---- tasks
// ----------------------------------------------------------------------------------------

TEST_F(trusted_cluster_test, works_as_a_task_when_asked_to) {
  const auto id = register_service(attestation_services, "n1.example");
  at("h2").silent = true;
  const auto begun = send_task("POST", prod + "/attestation/services", use(id));
  auto t = task(begun);
  EXPECT_EQ(t.at("status").as_string(), "RUNNING");
  EXPECT_EQ(t.at("description").at("id").as_string(), "ti.tc.attestation:Services.create");
  EXPECT_EQ(t.at("user").as_string(), "alice");
  EXPECT_FALSE(t.contains("end_time"));
  advance(11'001ms);
  t = task(begun);
  EXPECT_EQ(t.at("status").as_string(), "FAILED");
  EXPECT_EQ(t.at("error").at("error_type").as_string(), "SERVICE_UNAVAILABLE");
  ASSERT_EQ(t.at("custos_targets").as_array().size(), 3U);
  EXPECT_TRUE(t.at("custos_targets").at(0).at("ok").as_bool());
  EXPECT_EQ(t.at("custos_targets").at(1).at("target").as_string(), "h2");
  EXPECT_FALSE(t.at("custos_targets").at(1).at("ok").as_bool());
  EXPECT_TRUE(t.contains("end_time"));
  EXPECT_TRUE(object_of(send("GET", "/cis/tasks")).contains(begun));
  expect_error(send("GET", "/cis/tasks/nothing"), 404, "NOT_FOUND", "task");
}

TEST_F(trusted_cluster_test, changes_one_cluster_once_at_a_time) {
  at("h2").silent = true;
  const auto first = start("PATCH", prod + "/services-applied-config");
  run();
  const auto second = send("PATCH", prod + "/services-applied-config");
  expect_error(second, 500, "RESOURCE_BUSY", "cluster");
  EXPECT_EQ(send("POST", ti + "/trust-authority-clusters/ta/attestation/tpm2/ca-certificates",
                 R"({"name":"v","cert_chain":{"cert_chain":["P"]}})")
                .status,
            201U)
      << "another cluster is another matter";
  EXPECT_EQ(send("POST", prod + "/kms/services", "", query).status, 200U) << "reading goes on";
  advance(11'001ms);
  ASSERT_EQ(first->size(), 1U);
  at("h2").silent = false;
  EXPECT_EQ(send("PATCH", prod + "/services-applied-config").status, 204U);
}

TEST_F(trusted_cluster_test, reads_as_a_task_when_asked_to) {
  for (const auto& id : {"n1", "n2", "n3"})
    at(id).objects["tpm-cas/vendor"] = R"({"certificates":["P"]})";
  const auto ta = ti + "/trust-authority-clusters/ta/attestation/tpm2/ca-certificates";
  auto t = task(send_task("GET", ta));
  EXPECT_EQ(t.at("status").as_string(), "SUCCEEDED");
  EXPECT_EQ(t.at("result"), bj::parse(R"([{"name":"vendor","health":"OK"}])"));
  t = task(send_task("GET", ta + "/nothing"));
  EXPECT_EQ(t.at("status").as_string(), "FAILED");
  EXPECT_EQ(t.at("error").at("error_type").as_string(), "NOT_FOUND");
  EXPECT_TRUE(audit.empty()) << "reading is not recorded";
  at("n1").silent = true;
  const auto slow = send_task("GET", ta);
  EXPECT_EQ(
      send("POST", ta, R"({"name":"v","cert_chain":{"cert_chain":["P"]}})", {{"vmw-task", "true"}})
          .status,
      202U)
      << "a reading task keeps nobody from changing";
  advance(11'001ms);
  advance(11'001ms);
  EXPECT_EQ(task(slow).at("status").as_string(), "SUCCEEDED");
}

TEST_F(trusted_cluster_test, keeps_running_tasks_however_many_end) {
  at("h2").silent = true;
  const auto running = send_task("PATCH", prod + "/services-applied-config");
  const auto first = send_task("POST", clusters + "/prod/members/h1/attest");
  for (int i = 0; i < 1001; ++i)
    send_task("POST", clusters + "/prod/members/h1/attest");
  EXPECT_EQ(task(running).at("status").as_string(), "RUNNING");
  expect_error(send("GET", "/cis/tasks/" + first), 404, "NOT_FOUND", "task");
  EXPECT_LE(object_of(send("GET", "/cis/tasks")).size(), 1001U);
  advance(11'001ms);
  EXPECT_EQ(task(running).at("status").as_string(), "FAILED");
}

TEST_F(trusted_cluster_test, serves_operations_of_the_contract_under_their_own_names) {
  std::map<std::string, std::set<std::string>> contract;
  const auto document = json::parse_any(test::read_text("api/vcenter-trusted-infrastructure.json"));
  ASSERT_TRUE(document.ok());
  for (const auto& o : document->at("operations").as_array())
    contract[std::string(o.at("method").as_string()) + " /api" +
             std::string(o.at("path").as_string())]
        .insert(std::string(o.at("operation").as_string()));
  std::size_t served = 0;
  for (const auto& r : api->routes().routes()) {
    if (r.pattern.rfind("/api/vcenter/", 0) != 0 || r.pattern.find("/linux/") != std::string::npos)
      continue;
    EXPECT_EQ(contract.count(r.method + " " + r.pattern), 1U) << r.method << " " << r.pattern;
    ++served;
  }
  EXPECT_GT(served, 20U);
  // Each task under way names the operation of its method and path.
  const auto operation_of = [&](const std::string& method, const std::string& path,
                                const std::string& body) {
    const auto t = task(send_task(method, path, body));
    return std::string(t.at("description").at("id").as_string());
  };
  const auto ta = ti + "/trust-authority-clusters/ta";
  const auto id = register_service(kms_services, "k.example");
  const auto expect = [&](const std::string& method, const std::string& pattern,
                          const std::string& path, const std::string& body = {}) {
    EXPECT_EQ(contract[method + " /api" + ti + pattern].count(operation_of(method, path, body)), 1U)
        << method << " " << pattern;
  };
  const std::string tac = "/trust-authority-clusters/{cluster}";
  const std::string ca_spec = R"({"name":"v","cert_chain":{"cert_chain":["P"]}})";
  const std::string provider_spec = R"({"provider":"p","master_key_id":"k","key_server":{
    "type":"KMIP","kmip_server":{"servers":[]}}})";
  const std::string p = "/kms/providers/{provider}";
  for (const auto& family : {std::string("ca-certificates"), std::string("endorsement-keys")}) {
    const auto path = "/attestation/tpm2/" + family;
    expect("POST", tac + path, ta + path,
           family == "ca-certificates" ? ca_spec : R"({"name":"v","public_key":"P"})");
    expect("GET", tac + path, ta + path);
    expect("GET", tac + path + "/{name}", ta + path + "/v");
    expect("DELETE", tac + path + "/{name}", ta + path + "/v");
  }
  expect("GET", tac + "/attestation/tpm2/settings", ta + "/attestation/tpm2/settings");
  expect("PATCH", tac + "/attestation/tpm2/settings", ta + "/attestation/tpm2/settings", "{}");
  expect("POST", tac + "/kms/providers", ta + "/kms/providers", provider_spec);
  expect("GET", tac + "/kms/providers", ta + "/kms/providers");
  expect("GET", tac + p, ta + "/kms/providers/p");
  expect("PATCH", tac + p, ta + "/kms/providers/p", "{}");
  expect("POST", tac + p + "/client-certificate", ta + "/kms/providers/p/client-certificate");
  expect("GET", tac + p + "/client-certificate", ta + "/kms/providers/p/client-certificate");
  expect("PATCH", tac + p + "/client-certificate", ta + "/kms/providers/p/client-certificate",
         R"({"certificate":"C"})");
  expect("POST", tac + p + "/client-certificate/csr",
         ta + "/kms/providers/p/client-certificate/csr");
  expect("GET", tac + p + "/peer-certs/current", ta + "/kms/providers/p/peer-certs/current");
  expect("GET", tac + p + "/peer-certs/trusted", ta + "/kms/providers/p/peer-certs/trusted");
  expect("PUT", tac + p + "/credential", ta + "/kms/providers/p/credential", "\"secret\"");
  expect("PATCH", tac + p + "/peer-certs/trusted", ta + "/kms/providers/p/peer-certs/trusted",
         R"({"certificates":[]})");
  expect("DELETE", tac + p, ta + "/kms/providers/p");
  expect("POST", "/trusted-clusters/{cluster}/kms/services", prod + "/kms/services", use(id));
  expect("PATCH", "/trusted-clusters/{cluster}/services-applied-config",
         prod + "/services-applied-config");
}

} // namespace custos::coordinator
