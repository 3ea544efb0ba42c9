#include "actors/kmip/connection_actor.hpp"

#include "tests/actors/deterministic.hpp"
#include "tests/unit/adapters/kmip/fake_server.hpp"

#include <gtest/gtest.h>

namespace custos::kmip {
namespace {

using namespace std::chrono_literals;

/// A stream whose far end is the test.
class fake_stream : public tls::stream {
public:
  explicit fake_stream(tls::stream_events e) : events(std::move(e)) {}
  void write(crypto::wiped_bytes data) override { written.push_back(std::move(data)); }
  void read_more() override { ++permits; }
  void close() override { closed = true; }

  tls::stream_events events;
  std::vector<crypto::wiped_bytes> written;
  int permits = 1;
  bool closed = false;
};

class KmipConnection : public test::deterministic {
protected:
  kmip_api connect() {
    connection_options o;
    o.server = "kms-1";
    o.request_timeout = 2s;
    o.random = [n = std::uint64_t{0}]() mutable { return ++n; };
    return own(spawn_kmip_connection(system, std::move(o), [this](tls::stream_events events) {
      streams_.push_back(std::make_shared<fake_stream>(std::move(events)));
      return streams_.back();
    }));
  }

  void up() {
    run();
    ASSERT_FALSE(streams_.empty());
    streams_.back()->events.connected("PEM");
    run();
  }

  /// The server answers, in pieces, as long as it is asked.
  void serve(std::size_t piece = 100) {
    run();
    while (!streams_.back()->written.empty()) {
      auto& stream = *streams_.back();
      const auto message = std::move(stream.written.front());
      stream.written.erase(stream.written.begin());
      const auto reply = server_.answer(message);
      for (std::size_t at = 0; at < reply.size(); at += piece) {
        ASSERT_GT(stream.permits, 0) << "reading is by permit";
        --stream.permits;
        const auto end = std::min(at + piece, reply.size());
        stream.events.received({reply.begin() + static_cast<std::ptrdiff_t>(at),
                                reply.begin() + static_cast<std::ptrdiff_t>(end)});
        run();
      }
    }
  }

  testing::fake_server server_;
  std::vector<std::shared_ptr<fake_stream>> streams_;
};

TEST_F(KmipConnection, AnswersEveryQuestion) {
  const auto c = connect();
  const auto capable = post<capabilities>(c, get_capabilities{});
  const auto key = post<key_material>(c, get_key{"k"});
  const auto state = post<key_state>(c, get_key_state{"k"});
  const auto plaintext =
      std::make_shared<const crypto::secret_bytes>(as_bytes("a key to be wrapped"));
  const auto wrapped = post<encrypted_data>(c, encrypt_data{"k", plaintext, {}});
  const auto unwrapped = post<decrypted_data>(
      c, decrypt_data{"k", {true, bytes(12), to_bytes("wrapped"), bytes(16)}, {}});
  const auto made = post<key_created>(c, create_key{"new"});
  up();
  serve();
  ASSERT_TRUE(capable->has_value() && (*capable)->ok());
  EXPECT_TRUE((**capable)->at_least(1, 4));
  ASSERT_TRUE(key->has_value() && (*key)->ok());
  EXPECT_EQ((**key)->key->size(), 32U);
  ASSERT_TRUE(state->has_value() && (*state)->ok());
  EXPECT_EQ((**state)->state, "Active");
  ASSERT_TRUE(wrapped->has_value() && (*wrapped)->ok());
  EXPECT_EQ((**wrapped)->tag.size(), 16U);
  ASSERT_TRUE(unwrapped->has_value() && (*unwrapped)->ok());
  EXPECT_EQ(as_text((**unwrapped)->plaintext->reveal_secret()), "wrapped");
  ASSERT_TRUE(made->has_value() && (*made)->ok());
  EXPECT_EQ((**made)->unique_identifier, "created-1");
  EXPECT_EQ(streams_.size(), 1U);
  ASSERT_GE(server_.seen.size(), 2U);
  EXPECT_EQ(server_.seen.back(), operation::activate) << "created keys are activated";
}

TEST_F(KmipConnection, ACreatedKeyThatIsNotActivatedIsNamed) {
  server_.failing[operation::activate] = result_reason::permission_denied;
  const auto c = connect();
  const auto made = post<key_created>(c, create_key{"new"});
  up();
  serve();
  ASSERT_TRUE(made->has_value() && !(*made)->ok());
  EXPECT_NE((*made)->failure().message.find("created-1"), std::string::npos);
  EXPECT_EQ(std::count(server_.seen.begin(), server_.seen.end(), operation::create), 1);
}

TEST_F(KmipConnection, ASilentServerIsATimeoutAndTheConnectionIsDropped) {
  const auto c = connect();
  const auto first = post<key_material>(c, get_key{"k"});
  up();
  serve();
  EXPECT_TRUE(first->has_value());
  const auto second = post<key_material>(c, get_key{"k"});
  advance(1999ms);
  EXPECT_FALSE(second->has_value());
  advance(1ms);
  ASSERT_TRUE(second->has_value() && !(*second)->ok());
  EXPECT_EQ((*second)->failure().code, errc::timeout);
  EXPECT_TRUE(streams_.front()->closed);
}

TEST_F(KmipConnection, IdleConnectionsAreClosedAndOpenedAgain) {
  const auto c = connect();
  auto key = post<key_material>(c, get_key{"k"});
  up();
  serve();
  advance(connection_idle_max);
  EXPECT_TRUE(streams_.at(0)->closed);
  key = post<key_material>(c, get_key{"k"});
  up();
  serve();
  EXPECT_EQ(streams_.size(), 2U);
  ASSERT_TRUE(key->has_value() && (*key)->ok());
}

TEST_F(KmipConnection, AKeptConnectionThatDiedIsReplaced) {
  const auto c = connect();
  auto key = post<key_material>(c, get_key{"k"});
  up();
  serve();
  key = post<key_material>(c, get_key{"k"});
  run();
  streams_.at(0)->events.closed(make_error(errc::io_failure, "gone"), "");
  run();
  EXPECT_FALSE(key->has_value());
  ASSERT_EQ(streams_.size(), 2U);
  up();
  serve();
  ASSERT_TRUE(key->has_value() && (*key)->ok());
}

TEST_F(KmipConnection, StatusIsAnsweredWhateverHappens) {
  const auto c = connect();
  const auto status = post<std::vector<key_server_status>>(c, get_server_status{});
  run();
  error why = make_error(errc::unavailable, "unknown authority");
  why.check = tls::server_not_trusted_check;
  streams_.at(0)->events.closed(why, "PEM");
  run();
  ASSERT_TRUE(status->has_value() && (*status)->ok());
  const auto& one = (**status)->at(0);
  EXPECT_EQ(one.server, "kms-1");
  EXPECT_EQ(one.health, "error");
  EXPECT_FALSE(one.client_trust_server);
  advance(back_off_max);
  const auto later = post<std::vector<key_server_status>>(c, get_server_status{});
  up();
  serve();
  ASSERT_TRUE(later->has_value() && (*later)->ok());
  EXPECT_EQ((**later)->at(0).health, "ok");
  EXPECT_EQ((**later)->at(0).protocol_version, "1.4");
}

TEST_F(KmipConnection, AtItsEndEveryoneIsAnsweredAndTheStreamClosed) {
  const auto c = connect();
  const auto key = post<key_material>(c, get_key{"k"});
  const auto capable = post<capabilities>(c, get_capabilities{});
  run();
  caf::anon_send_exit(c, caf::exit_reason::user_shutdown);
  run();
  ASSERT_TRUE(key->has_value() && !(*key)->ok());
  EXPECT_EQ((*key)->failure().code, errc::cancelled);
  ASSERT_TRUE(capable->has_value() && !(*capable)->ok());
  EXPECT_TRUE(streams_.at(0)->closed);
  // Events after the end find nobody.
  streams_.at(0)->events.connected("PEM");
  run();
}

} // namespace
} // namespace custos::kmip
