#pragma once
// A coordinator whose members are doubles: nodes that keep objects and hosts that keep services.
// They can be away, silent, refuse, or lie.

#include "actors/coordinator/coordinator_api.hpp"
#include "actors/coordinator/proxy_actor.hpp"
#include "adapters/json/json.hpp"
#include "tests/actors/deterministic.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace custos::test {

namespace bj = boost::json;

inline http::response json_answer(const std::string& body, unsigned status = 200) {
  http::response r;
  r.status = status;
  r.body = body;
  return r;
}

/// What is behind a proxy.
struct member_double {
  bool away = false;                             ///< cannot be reached
  bool silent = false;                           ///< never answers
  std::map<std::string, std::string> objects;    ///< "key-providers/vault" to its document
  std::map<std::string, http::response> instead; ///< by "GET /path", before anything else
  std::vector<proxied_call> calls;
  /// Nodes of one cluster, itself among them: what one takes all have.
  std::vector<member_double*> cluster;

  [[nodiscard]] std::size_t count(const std::string& method) const {
    return static_cast<std::size_t>(std::count_if(
        calls.begin(), calls.end(), [&method](const auto& c) { return c.method == method; }));
  }

  http::response answer(const proxied_call& c) {
    const auto given = instead.find(c.method + " " + c.path);
    if (given != instead.end())
      return given->second;
    const std::string config = "/config/v1/";
    if (c.path.rfind(config, 0) != 0)
      return json_answer("{}");
    const auto name = c.path.substr(config.size());
    if (name.find('/') == std::string::npos)
      return json_answer(list(name));
    const auto found = objects.find(name);
    if (c.method == "PUT") {
      const auto create = std::pair<std::string, std::string>("If-None-Match", "*");
      if (found != objects.end() &&
          std::find(c.headers.begin(), c.headers.end(), create) != c.headers.end())
        return http::problem(make_error(errc::already_exists, "there is one of that name"));
      for (auto* const node : cluster)
        node->objects[name] = c.body;
      return json_answer(R"({"revision":1})");
    }
    if (found == objects.end())
      return http::problem(make_error(errc::not_found, "there is none of that name"));
    if (c.method == "DELETE") {
      for (auto* const node : cluster)
        node->objects.erase(name);
      return json_answer(R"({"revision":2})");
    }
    return json_answer("{\"object\":" + found->second + ",\"revision\":1}");
  }

private:
  [[nodiscard]] std::string list(const std::string& kind) const {
    bj::array out;
    for (const auto& [name, document] : objects)
      if (name.rfind(kind + "/", 0) == 0)
        out.push_back(bj::object{{"name", bj::string(name.substr(kind.size() + 1))},
                                 {"object", bj::parse(document)}});
    return bj::serialize(bj::object{{"objects", std::move(out)}});
  }
};

class proxy_double : public host_proxy_api::base {
public:
  proxy_double(caf::actor_config& config, std::shared_ptr<member_double> member)
      : host_proxy_api::base(config), member_(std::move(member)) {
    set_default_handler(caf::drop);
  }
  host_proxy_api::behavior_type make_behavior() override {
    return {
        [this](const proxied_call& c) -> caf::result<proxied_answer> {
          member_->calls.push_back(c);
          if (member_->silent)
            return make_response_promise<proxied_answer>();
          if (member_->away)
            return to_caf(make_error(errc::unavailable, "cannot be reached"));
          const auto r = member_->answer(c);
          proxied_answer a;
          a.status = r.status;
          a.body = r.body;
          return a;
        },
        [](const proxied_answer&) {},
    };
  }

private:
  std::shared_ptr<member_double> member_;
};

class coordinator_fixture : public deterministic {
protected:
  static constexpr std::int64_t now = 1'750'000'000;

  coordinator_fixture() {
    EXPECT_TRUE(known->add_cluster({"ta", coordinator::cluster_type::trust_authority}).ok());
    EXPECT_TRUE(known->add_cluster({"prod", coordinator::cluster_type::trusted}).ok());
    EXPECT_TRUE(known->add_cluster({"empty", coordinator::cluster_type::trust_authority}).ok());
    for (const auto* node : {"n1", "n2", "n3"}) {
      add("ta", node);
      for (const auto* peer : {"n1", "n2", "n3"})
        at(node).cluster.push_back(&at(peer));
    }
    for (const auto* host : {"h1", "h2", "h3"})
      add("prod", host);
    api = std::make_unique<coordinator::coordinator_api>(ports());
  }
  void add(const std::string& cluster, const std::string& id) {
    EXPECT_TRUE(known->add_member({id, cluster, "https://" + id + ":443", "PEM"}).ok());
  }
  member_double& at(const std::string& id) { return *state_of(id); }
  std::vector<std::string> nodes() const { return {"n1", "n2", "n3"}; }

  /// Answers that came, in order; the one expected is there after run() or advance().
  using answers = std::shared_ptr<std::vector<http::response>>;
  answers start(const std::string& method, const std::string& path, std::string body = {},
                std::map<std::string, std::string, std::less<>> query = {},
                const crypto::certificate& peer = certificates().administrator) {
    http::request r;
    r.method = method;
    r.path = "/api" + path;
    r.body = std::move(body);
    r.query = std::move(query);
    r.peer = peer;
    r.remote = "192.0.2.7:40000";
    auto out = std::make_shared<std::vector<http::response>>();
    api->handle(std::move(r), [out](http::response a) { out->push_back(std::move(a)); });
    return out;
  }
  http::response send(const std::string& method, const std::string& path, std::string body = {},
                      std::map<std::string, std::string, std::less<>> query = {},
                      const crypto::certificate& peer = certificates().administrator) {
    const auto out = start(method, path, std::move(body), std::move(query), peer);
    run();
    EXPECT_EQ(out->size(), 1U) << method << " " << path;
    return out->empty() ? http::response{} : out->front();
  }
  /// The id of the task that was begun.
  std::string send_task(const std::string& method, const std::string& path, std::string body = {}) {
    const auto a = send(method, path, std::move(body), {{"vmw-task", "true"}});
    EXPECT_EQ(a.status, 202U) << a.body;
    const auto id = bj::parse(a.body);
    return id.is_string() ? std::string(id.as_string()) : std::string();
  }
  bj::object task(const std::string& id) { return object_of(send("GET", "/cis/tasks/" + id)); }

  static bj::value value_of(const http::response& r) {
    auto parsed = json::parse_any(r.body);
    EXPECT_TRUE(parsed.ok()) << r.status << " " << r.body;
    return parsed.ok() ? *parsed : bj::value();
  }
  static bj::object object_of(const http::response& r) {
    const auto v = value_of(r);
    EXPECT_TRUE(v.is_object()) << r.body;
    return v.is_object() ? v.as_object() : bj::object{};
  }
  static void expect_error(const http::response& r, unsigned status, const std::string& type,
                           const std::string& field, const std::string& what = {}) {
    EXPECT_EQ(r.status, status) << what << r.body;
    const auto o = object_of(r);
    ASSERT_TRUE(o.contains("error_type") && o.contains("messages")) << what << r.body;
    EXPECT_EQ(o.at("error_type").as_string(), type) << what << r.body;
    const auto& message = o.at("messages").at(0).as_object();
    const auto& args = message.at("args").as_array();
    EXPECT_EQ(args.empty() ? std::string() : std::string(args.at(0).as_string()), field)
        << what << r.body;
    EXPECT_FALSE(message.at("default_message").as_string().empty()) << what;
  }
  static std::string message_of(const http::response& r) {
    const auto o = object_of(r);
    return o.contains("messages")
               ? std::string(o.at("messages").at(0).at("default_message").as_string())
               : std::string();
  }

  struct made_certificates {
    crypto::key ca_key = crypto::generate_p256().value();
    crypto::certificate ca = make("ca", true, ca_key, nullptr);
    crypto::certificate administrator = make("alice", false, crypto::generate_p256().value(), &ca);
    crypto::certificate auditor = make("audrey", false, crypto::generate_p256().value(), &ca);
    crypto::certificate stranger = make("mallory", false, crypto::generate_p256().value(), &ca);

    [[nodiscard]] crypto::certificate make(const std::string& name, bool is_ca,
                                           const crypto::key& key,
                                           const crypto::certificate* issuer) const {
      crypto::certificate_request r;
      r.common_name = name;
      r.is_ca = is_ca;
      r.client_auth = !is_ca;
      r.not_before = now - 60;
      r.not_after = now + 3600;
      return crypto::issue_certificate(r, key, ca_key, issuer).value();
    }
  };
  static const made_certificates& certificates() {
    static const made_certificates instance;
    return instance;
  }

  /// What the API of this fixture is made of.
  coordinator::coordinator_ports ports() {
    coordinator::coordinator_ports p;
    p.known = known;
    p.fan_out = [this](std::vector<coordinator::member_call> calls,
                       std::function<void(coordinator::target_outcomes)> done) {
      coordinator::fan_out_call f;
      for (auto& c : calls) {
        auto& proxy = proxies_[c.to.id];
        if (!proxy)
          proxy = own(host_proxy_api(system.spawn<proxy_double>(state_of(c.to.id))));
        f.targets.push_back({c.to.id, proxy, std::move(c.call)});
      }
      coordinator::spawn_fan_out(system, std::move(f), std::move(done));
    };
    p.audit = [this](audit_record r) { audit.push_back(std::move(r)); };
    auto principals = std::make_shared<config_snapshot>();
    principals->principals["alice"] = {"alice", role::administrator};
    principals->principals["audrey"] = {"audrey", role::auditor};
    p.principals = [principals = config_ptr(principals)] { return principals; };
    p.anchors = {certificates().ca};
    p.now = [] { return now; };
    return p;
  }

  std::shared_ptr<member_double> state_of(const std::string& id) {
    auto& slot = members_[id];
    if (!slot)
      slot = std::make_shared<member_double>();
    return slot;
  }

  std::shared_ptr<rocksdb::kv_store> store = rocksdb::make_memory_store();
  std::shared_ptr<coordinator::inventory> known = coordinator::inventory::open(store).value();
  std::vector<audit_record> audit;
  std::unique_ptr<coordinator::coordinator_api> api;

private:
  std::map<std::string, std::shared_ptr<member_double>> members_;
  std::map<std::string, host_proxy_api> proxies_;
};

} // namespace custos::test
