#include "actors/host/host_keys_actor.hpp"

#include "actors/host/ciphertext_file.hpp"
#include "actors/host/key_service_wire.hpp"
#include "adapters/http/http.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"
#include "tests/actors/deterministic.hpp"
#include "tests/unit/actors/host/ciphertexts.hpp"
#include "tests/unit/actors/host/temporary_folder.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>

namespace custos::host {

namespace {

namespace bj = boost::json;
using namespace std::chrono_literals;
using test::make_ciphertext;
using test::temporary_folder;
using test::text_of;
using ::testing::HasSubstr;

/// What the agent's double says to the calls it is given: the key service, as hosts see it.
struct key_service {
  std::map<std::string, std::string> primary_keys{{"disk", "key-1"}};
  crypto::key own = crypto::generate_p256().value();
  std::string kid = "kid-1";
  std::vector<std::string> calls; ///< "METHOD path"
  std::optional<error> refuses;
  bytes received; ///< the last key that was put

  result<std::string> answer(const call_key_service& c) {
    calls.push_back(c.method + " " + c.path);
    if (refuses)
      return *refuses;
    if (c.path == "/keys/v1/encryption-key")
      return bj::serialize(jose::jwk_of(own, kid, "enc", "ECDH-ES+A256KW"));
    if (c.path == "/keys/v1/providers")
      return providers();
    if (c.path.ends_with("/encrypt"))
      return encrypt(c);
    return rewrap(c);
  }

private:
  std::string providers() const {
    bj::array list;
    for (const auto& [name, key] : primary_keys)
      list.push_back(bj::object{{"name", name}, {"primary_key", short_name_of_key(key)}});
    return bj::serialize(bj::object{{"providers", std::move(list)}});
  }
  result<std::string> encrypt(const call_key_service& c) {
    auto o = json::parse_object(c.body).value();
    const auto jwe = o.string("jwe", 16384).value();
    const auto header =
        json::parse_object(as_text(crypto::from_base64url(jwe.substr(0, jwe.find('.'))).value()));
    auto named = *header;
    if (named.string("kid", 100).value() != kid) {
      auto e = field_error(errc::invalid_argument, "/jwe", "expected the present encryption key");
      e.check = "encryption-key";
      return e;
    }
    received = to_bytes(jose::decrypt_ecdh_es_a256kw(own, jwe)->reveal_secret());
    return bj::serialize(bj::object{{"ciphertext", "AQID"}});
  }
  std::string rewrap(const call_key_service& c) const {
    auto o = json::parse_object(c.body).value();
    bj::array out;
    const auto items = o.array("keys", 1000).value();
    for (const auto& item : items) {
      auto key = item.as_object().value();
      const auto context = key.optional_base64url("context", 4096).value().value_or(bytes{});
      out.push_back(bj::object{
          {"ciphertext",
           crypto::base64url(make_ciphertext("disk", primary_keys.at("disk"), as_text(context)))},
          {"changed", true}});
    }
    return bj::serialize(bj::object{{"keys", std::move(out)}});
  }
};

class agent_double : public host_agent_api::base {
public:
  agent_double(caf::actor_config& config, std::shared_ptr<key_service> service)
      : host_agent_api::base(config), service_(std::move(service)) {
    set_default_handler(caf::drop);
  }
  host_agent_api::behavior_type make_behavior() override {
    const auto none = [] { return make_error(errc::internal, "not asked in these tests"); };
    return {
        [none](const host_services&) -> caf::result<services_applied> { return to_caf(none()); },
        [none](const clear_host_services&) -> caf::result<services_applied> {
          return to_caf(none());
        },
        [none](const get_host_status&) -> caf::result<host_status> { return to_caf(none()); },
        [none](const attest_now&) -> caf::result<host_status> { return to_caf(none()); },
        [none](const request_key&) -> caf::result<key_ready> { return to_caf(none()); },
        [this](const call_key_service& c) -> caf::result<key_service_answer> {
          auto answer = service_->answer(c);
          if (!answer)
            return to_caf(answer.failure());
          return key_service_answer{*std::move(answer)};
        },
        [](const tick&) {},
        [](const deferred_call&) {}};
  }

private:
  std::shared_ptr<key_service> service_;
};

class host_keys_test : public custos::test::deterministic {
protected:
  void start(std::vector<std::string> patterns = {}) {
    host_keys_dependencies d;
    d.agent = own(host_agent_api(system.spawn<agent_double>(service)));
    d.store = store;
    d.now = [this] { return now; };
    d.rewrap = std::move(patterns);
    d.report = [this](const rewrap_status& s) { reports.push_back(s); };
    keys = own(spawn_host_keys_scheduled(system, std::move(d)));
    run();
  }
  static put_key wish(std::size_t size = 32, std::string provider = "disk") {
    return {std::move(provider),
            std::make_shared<const crypto::secret_bytes>(crypto::random_bytes(size)),
            {}};
  }
  std::size_t count(const std::string& call) const {
    return static_cast<std::size_t>(std::count(service->calls.begin(), service->calls.end(), call));
  }
  rewrap_status status() { return ask<rewrap_status>(keys, get_rewrap_status{}).value(); }

  temporary_folder folder;
  std::shared_ptr<key_service> service = std::make_shared<key_service>();
  std::shared_ptr<rocksdb::kv_store> store = rocksdb::make_memory_store();
  std::int64_t now = 1'800'000'000;
  std::vector<rewrap_status> reports;
  host_keys_api keys;
};

TEST_F(host_keys_test, has_a_key_of_the_consumer_encrypted) {
  start();
  const auto p = wish();
  const auto put = ask<key_put>(keys, p);
  ASSERT_TRUE(put.ok()) << put.failure().message;
  EXPECT_EQ(put->ciphertext, (bytes{1, 2, 3}));
  EXPECT_EQ(service->received, to_bytes(p.key->reveal_secret()));
  ASSERT_TRUE(ask<key_put>(keys, wish()).ok());
  EXPECT_EQ(count("GET /keys/v1/encryption-key"), 1U) << "it is kept";
  EXPECT_EQ(count("POST /keys/v1/providers/disk/encrypt"), 2U);
}

TEST_F(host_keys_test, fetches_the_encryption_key_anew_when_the_service_has_another) {
  start();
  ASSERT_TRUE(ask<key_put>(keys, wish()).ok());
  service->own = crypto::generate_p256().value();
  service->kid = "kid-2";
  const auto p = wish();
  ASSERT_TRUE(ask<key_put>(keys, p).ok());
  EXPECT_EQ(service->received, to_bytes(p.key->reveal_secret()));
  EXPECT_EQ(count("GET /keys/v1/encryption-key"), 2U);
}

TEST_F(host_keys_test, does_not_ask_without_end_for_an_encryption_key) {
  start();
  auto no = field_error(errc::invalid_argument, "/jwe", "expected the present encryption key");
  no.check = "encryption-key";
  ASSERT_TRUE(ask<key_put>(keys, wish()).ok());
  service->calls.clear();
  service->refuses = no;
  const auto put = ask<key_put>(keys, wish());
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.failure().check, "encryption-key");
  EXPECT_LE(service->calls.size(), 3U);
}

TEST_F(host_keys_test, refuses_what_is_no_key_or_no_provider) {
  start();
  EXPECT_EQ(ask<key_put>(keys, wish(15)).failure().field, "/key");
  EXPECT_EQ(ask<key_put>(keys, wish(65)).failure().field, "/key");
  EXPECT_EQ(ask<key_put>(keys, wish(32, "../x")).failure().field, "/provider");
  EXPECT_TRUE(service->calls.empty());
}

TEST_F(host_keys_test, brings_files_under_a_new_primary_key) {
  const auto path = folder.write("a.ckek", text_of(make_ciphertext("disk", "key-1", "c")));
  static_cast<void>(folder.write("a.ckek.context", "c"));
  start({folder.path().string()});
  advance(5s);
  EXPECT_EQ(count("GET /keys/v1/providers"), 1U);
  EXPECT_EQ(count("POST /keys/v1/providers/disk/rewrap"), 0U) << "it is under the present one";
  service->primary_keys["disk"] = "key-2";
  now += 300;
  advance(300s);
  EXPECT_EQ(count("POST /keys/v1/providers/disk/rewrap"), 1U);
  EXPECT_EQ(read_ciphertext_file(path)->primary_key_id, "key-2");
  const auto s = status();
  EXPECT_EQ(s.rewrapped, 1U);
  EXPECT_EQ(s.last_rewrap, now);
  EXPECT_EQ(s.pending, 0U);
  EXPECT_EQ(s.error, "");
  now += 300;
  advance(300s);
  EXPECT_EQ(count("POST /keys/v1/providers/disk/rewrap"), 1U) << "once is enough";
}

TEST_F(host_keys_test, remembers_what_it_did_over_a_restart) {
  static_cast<void>(folder.write("a.ckek", text_of(make_ciphertext("disk", "key-1"))));
  service->primary_keys["disk"] = "key-2";
  start({folder.path().string()});
  ASSERT_TRUE(ask<rewrap_status>(keys, rewrap_now{}).ok());
  const auto before = status();
  ASSERT_EQ(before.rewrapped, 1U);
  start({folder.path().string()});
  EXPECT_EQ(status().rewrapped, 1U);
  EXPECT_EQ(status().last_rewrap, before.last_rewrap);
}

TEST_F(host_keys_test, tries_again_later_and_later_while_the_service_is_away) {
  static_cast<void>(folder.write("a.ckek", text_of(make_ciphertext("disk", "key-0"))));
  service->refuses = make_error(errc::unavailable, "no node can be reached");
  start({folder.path().string()});
  advance(5s);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].error, "no node can be reached");
  EXPECT_EQ(reports[0].last_check, 0);
  for (int i = 0; i < 120; ++i)
    advance(1s);
  EXPECT_GT(service->calls.size(), 4U);
  EXPECT_LT(service->calls.size(), 20U);
  service->refuses.reset();
  advance(300s);
  EXPECT_EQ(status().error, "");
  EXPECT_EQ(status().rewrapped, 1U);
}

TEST_F(host_keys_test, asks_nobody_when_there_is_nothing_to_ask_for) {
  static_cast<void>(folder.write("a.ckek", "damaged"));
  start({folder.path().string()});
  advance(5s);
  EXPECT_TRUE(service->calls.empty());
  ASSERT_EQ(status().problems.size(), 1U);
  EXPECT_THAT(status().problems[0].message, HasSubstr("a.ckek"));
  EXPECT_EQ(status().failed, 1U);
  start();
  advance(3600s);
  EXPECT_TRUE(service->calls.empty());
  const auto asked = ask<rewrap_status>(keys, rewrap_now{});
  ASSERT_FALSE(asked.ok());
  EXPECT_EQ(asked.failure().field, "--rewrap");
}

TEST_F(host_keys_test, tells_so_many_problems_and_counts_all) {
  for (std::size_t i = 0; i < rewrap_problems_max + 5; ++i)
    static_cast<void>(folder.write("a" + std::to_string(i) + ".ckek", "damaged"));
  start({folder.path().string()});
  const auto s = ask<rewrap_status>(keys, rewrap_now{});
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->problems.size(), rewrap_problems_max);
  EXPECT_EQ(s->failed, rewrap_problems_max + 5);
}

} // namespace

} // namespace custos::host
