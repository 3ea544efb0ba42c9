// Against a real KMIP server in a process of its own (PyKMIP): negotiation, the life of a primary
// key, both kinds of trust, a server that goes away and comes back.

#include "actors/kmip/group_actor.hpp"
#include "adapters/kmip/session.hpp"
#include "adapters/tls/stream.hpp"
#include "messages/caf_error.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <gtest/gtest.h>
#include <sstream>

namespace custos::kmip {
namespace {

using namespace std::chrono_literals;

const std::string scripts = CUSTOS_SOURCE_DIR "/tests/system/";

std::string run_script(const std::string& command) {
  FILE* const out = ::popen(command.c_str(), "r");
  if (out == nullptr)
    return {};
  std::string text;
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), out) != nullptr)
    text += buffer.data();
  return ::pclose(out) == 0 ? text : std::string();
}

std::string file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// One server and its certificates for all tests of this file.
class KmipServer : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    std::string name = (std::filesystem::temp_directory_path() / "custos-kmip-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    start("0");
    run_script(scripts + "make_client_cert.sh " + dir_.string() + " kps-1 && echo done");
  }
  static void TearDownTestSuite() {
    stop();
    std::filesystem::remove_all(dir_);
  }

  static void start(const std::string& port) {
    const std::string pid =
        run_script(scripts + "start_kmip_server.sh " + dir_.string() + " " + port);
    ASSERT_FALSE(pid.empty()) << "the KMIP server does not start";
    pid_ = static_cast<pid_t>(std::stol(pid));
    port_ = static_cast<std::uint16_t>(std::stoul(file(dir_ / "port")));
  }
  /// Ends as a machine that loses power: nothing is said to clients beforehand.
  static void stop() {
    if (pid_ > 0)
      ::kill(-std::exchange(pid_, 0), SIGKILL); // the group: it has helper processes
  }

  KmipServer() : config_(configuration()), system_(*config_), self_(system_) {}
  ~KmipServer() override {
    for (const auto& group : groups_)
      caf::anon_send_exit(group, caf::exit_reason::user_shutdown);
  }

  static std::unique_ptr<caf::actor_system_config> configuration() {
    auto c = std::make_unique<caf::actor_system_config>();
    c->set("scheduler.policy", caf::atom("sharing"));
    c->set("scheduler.max-threads", 2);
    c->add_message_types<caf::id_block::custos>();
    return c;
  }

  static kmip_group_options options() {
    kmip_group_options o;
    o.provider = "test";
    o.servers = {{"kms-1", "localhost", port_}};
    o.trusted_pem = {file(dir_ / "ca.crt")};
    o.client_certificate_pem = file(dir_ / "kps-1.crt");
    o.client_private_key = crypto::private_key_from_pem(as_bytes(file(dir_ / "kps-1.key"))).value();
    o.username = "kps";
    o.password = std::make_shared<const crypto::secret_bytes>(as_bytes("ignored by PyKMIP"));
    o.timeout = 20s;
    return o;
  }

  kmip_api group_of(kmip_group_options o) {
    groups_.push_back(spawn_kmip_group(system_, pool_, std::move(o)));
    return groups_.back();
  }

  template <class Out, class Message>
  result<Out> ask(const kmip_api& to, Message message) {
    result<Out> out = make_error(errc::internal, "no answer");
    self_->request(to, 60s, std::move(message))
        .receive([&](Out& value) { out = std::move(value); },
                 [&](const caf::error& e) { out = from_caf(e); });
    return out;
  }

  key_server_status status_of(const kmip_api& group) {
    auto all = ask<std::vector<key_server_status>>(group, get_server_status{});
    EXPECT_TRUE(all.ok());
    return all->at(0);
  }

  static inline std::filesystem::path dir_;
  static inline pid_t pid_ = 0;
  static inline std::uint16_t port_ = 0;

  http::io_pool pool_{1};
  std::unique_ptr<caf::actor_system_config> config_;
  caf::actor_system system_;
  caf::scoped_actor self_;
  std::vector<kmip_api> groups_;
};

crypto::secret_ptr secret(std::string_view text) {
  return std::make_shared<const crypto::secret_bytes>(as_bytes(text));
}

TEST_F(KmipServer, TheLifeOfAPrimaryKey) {
  const auto group = group_of(options());
  const auto server = ask<capabilities>(group, get_capabilities{});
  ASSERT_TRUE(server.ok()) << server.failure().message;
  EXPECT_EQ(server->version_major, 2U);
  EXPECT_EQ(server->version_minor, 0U);
  EXPECT_NE(server->server_information.find("PyKMIP"), std::string::npos);

  const auto made = ask<key_created>(group, create_key{"custos-primary-1"});
  ASSERT_TRUE(made.ok()) << made.failure().message;
  const std::string& id = made->unique_identifier;
  EXPECT_EQ(ask<key_state>(group, get_key_state{id})->state, "Active");

  const auto wrapped = ask<encrypted_data>(
      group, encrypt_data{id, secret("thirty-two bytes of a key to go!"), to_bytes("host-1")});
  ASSERT_TRUE(wrapped.ok()) << wrapped.failure().message;
  EXPECT_TRUE(wrapped->gcm);
  EXPECT_EQ(wrapped->tag.size(), 16U);

  const auto unwrapped = ask<decrypted_data>(group, decrypt_data{id, *wrapped, to_bytes("host-1")});
  ASSERT_TRUE(unwrapped.ok()) << unwrapped.failure().message;
  EXPECT_EQ(as_text(unwrapped->plaintext->reveal_secret()), "thirty-two bytes of a key to go!");
  EXPECT_FALSE(ask<decrypted_data>(group, decrypt_data{id, *wrapped, to_bytes("host-2")}).ok())
      << "other authenticated data";

  const auto key = ask<key_material>(group, get_key{id});
  ASSERT_TRUE(key.ok()) << key.failure().message;
  EXPECT_EQ(key->key->size(), 32U);

  const auto missing = ask<key_material>(group, get_key{"no-such-key"});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.failure().code, errc::not_found) << missing.failure().message;

  const auto status = status_of(group);
  EXPECT_EQ(status.server, "kms-1");
  EXPECT_EQ(status.health, "ok");
  EXPECT_TRUE(status.client_trust_server);
  EXPECT_TRUE(status.server_trust_client);
  EXPECT_EQ(status.protocol_version, "2.0");
}

TEST_F(KmipServer, ManyRequestsAtOnce) {
  auto o = options();
  o.in_flight_max = 4;
  const auto group = group_of(o);
  const auto made = ask<key_created>(group, create_key{"custos-primary-2"});
  ASSERT_TRUE(made.ok()) << made.failure().message;
  constexpr int requests = 60;
  std::promise<int> finished;
  auto good = std::make_shared<int>(0);
  auto left = std::make_shared<int>(requests);
  const auto ask_all = [&, group, good, left](caf::event_based_actor* a, const std::string& id) {
    for (int i = 0; i < requests; ++i)
      a->request(group, 60s, get_key{id})
          .then(
              [&, good, left](const key_material& m) {
                *good += m.key->size() == 32 ? 1 : 0;
                if (--*left == 0)
                  finished.set_value(*good);
              },
              [&, good, left](const caf::error&) {
                if (--*left == 0)
                  finished.set_value(*good);
              });
  };
  system_.spawn(ask_all, made->unique_identifier);
  EXPECT_EQ(finished.get_future().get(), requests);
}

TEST_F(KmipServer, TrustIsReportedHalfByHalf) {
  auto stranger = options();
  stranger.client_certificate_pem.clear();
  auto status = status_of(group_of(stranger));
  EXPECT_EQ(status.health, "error");
  EXPECT_TRUE(status.client_trust_server) << status.detail;
  EXPECT_FALSE(status.server_trust_client);

  auto suspicious = options();
  suspicious.trusted_pem = {file(dir_ / "kps-1.crt")};
  status = status_of(group_of(suspicious));
  EXPECT_EQ(status.health, "error");
  EXPECT_FALSE(status.client_trust_server);
  EXPECT_FALSE(status.server_trust_client);
  EXPECT_NE(status.detail.find("not trusted"), std::string::npos) << status.detail;
}

TEST_F(KmipServer, WhatItPresentsCanBePinned) {
  std::promise<result<std::string>> told;
  tls::fetch_peer_certificates(pool_, "127.0.0.1", port_, 20s,
                               [&](result<std::string> r) { told.set_value(std::move(r)); });
  const auto chain = told.get_future().get();
  ASSERT_TRUE(chain.ok()) << chain.failure().message;
  auto o = options();
  o.trusted_pem = {*chain};
  EXPECT_EQ(status_of(group_of(o)).health, "ok");
}

TEST_F(KmipServer, AServerThatCameBackIsUsedAgain) {
  auto o = options();
  o.timeout = 5s;
  const auto group = group_of(o);
  const auto made = ask<key_created>(group, create_key{"custos-primary-3"});
  ASSERT_TRUE(made.ok()) << made.failure().message;
  stop();
  const auto away = ask<key_material>(group, get_key{made->unique_identifier});
  ASSERT_FALSE(away.ok());
  EXPECT_EQ(away.failure().code, errc::unavailable) << away.failure().message;
  EXPECT_TRUE(away.failure().retry_after_s.has_value());
  start(std::to_string(port_));
  // The connection waits out its back-off, so the first request may still be refused.
  auto back = ask<key_material>(group, get_key{made->unique_identifier});
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (!back.ok() && std::chrono::steady_clock::now() < until)
    back = ask<key_material>(group, get_key{made->unique_identifier});
  EXPECT_TRUE(back.ok()) << back.failure().message;
}

/// Joins a session to a stream; answers come as futures.
class direct : public std::enable_shared_from_this<direct> {
public:
  explicit direct(session_options options) : session_(std::move(options)) {}

  std::future<result<answer>> ask(http::io_pool& pool, tls::stream_options options, request r) {
    perform(session_.submit(1, std::move(r)));
    tls::stream_events events;
    events.connected = [self = shared_from_this()](const std::string&) {
      self->perform(self->session_.start());
    };
    events.received = [self = shared_from_this()](const crypto::wiped_bytes& data) {
      self->perform(self->session_.feed(data));
      self->stream_->read_more();
    };
    events.closed = [self = shared_from_this()](error why, const std::string&) {
      self->finish(std::move(why));
      self->stream_.reset(); // the events hold the session: this ends the circle
    };
    // On the pool's only thread, so that no event comes before the stream is known.
    pool.post(
        [self = shared_from_this(), &pool, options = std::move(options),
         events = std::move(events)] { self->stream_ = tls::connect(pool, options, events); });
    return answer_.get_future();
  }
  void end(http::io_pool& pool) {
    pool.post([self = shared_from_this()] {
      if (self->stream_)
        self->stream_->close();
    });
  }

private:
  void perform(session_effects effects) {
    for (auto& message : effects.output)
      stream_->write(std::move(message));
    for (auto& c : effects.completed)
      finish(std::move(c.outcome));
    if (effects.close)
      finish(*effects.close);
  }
  void finish(result<answer> r) {
    if (!std::exchange(done_, true))
      answer_.set_value(std::move(r));
  }

  session session_;
  std::shared_ptr<tls::stream> stream_;
  std::promise<result<answer>> answer_;
  bool done_ = false;
};

TEST_F(KmipServer, OldVersionsFetchTheSameKey) {
  const auto group = group_of(options());
  const auto made = ask<key_created>(group, create_key{"custos-primary-4"});
  ASSERT_TRUE(made.ok()) << made.failure().message;
  const auto key = ask<key_material>(group, get_key{made->unique_identifier});
  ASSERT_TRUE(key.ok());
  for (const std::uint32_t minor : {0U, 1U, 2U, 3U}) {
    session_options so;
    so.assumed = protocol_version{1, minor};
    so.new_id = [] {
      batch_item_id id{};
      const bytes random = crypto::random_bytes(id.size());
      std::copy(random.begin(), random.end(), id.begin());
      return id;
    };
    tls::stream_options to;
    to.host = "localhost";
    to.port = port_;
    to.trusted_pem = options().trusted_pem;
    to.identity =
        http::tls_identity{options().client_certificate_pem, options().client_private_key};
    to.connect_timeout = 20s;
    auto old = std::make_shared<direct>(std::move(so));
    auto answered = old->ask(pool_, to, get_key{made->unique_identifier});
    ASSERT_EQ(answered.wait_for(60s), std::future_status::ready);
    const auto r = answered.get();
    ASSERT_TRUE(r.ok()) << minor << ": " << r.failure().message;
    EXPECT_TRUE(
        crypto::equal(std::get<key_material>(*r).key->reveal_secret(), key->key->reveal_secret()));
    old->end(pool_);
  }
}

} // namespace
} // namespace custos::kmip
