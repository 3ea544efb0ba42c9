#include "actors/kmip/connection_core.hpp"

#include "adapters/tls/stream.hpp"
#include "tests/unit/adapters/kmip/fake_server.hpp"

#include <gtest/gtest.h>

namespace custos::kmip {
namespace {

using namespace std::chrono_literals;
using testing::fake_server;

/// A connection_core, a server, and the test between them as the network.
class ConnectionCore : public ::testing::Test {
protected:
  ConnectionCore() : core_(options()) {}

  static connection_options options() {
    connection_options o;
    o.server = "kms-1";
    o.request_timeout = 2s;
    o.setup_timeout = 3s;
    o.random = [n = std::uint64_t{0}]() mutable { return ++n; };
    return o;
  }

  void take(connection_effects effects) {
    if (effects.close || effects.open)
      outbox_.clear();
    closed_ += effects.close ? 1 : 0;
    if (effects.open)
      opened_.push_back(*effects.open);
    for (auto& m : effects.write)
      outbox_.push_back(std::move(m));
    for (auto& c : effects.completed)
      completed_.insert_or_assign(c.ticket, std::move(c.outcome));
    for (auto& r : effects.ready)
      ready_.insert_or_assign(r.ticket, std::move(r.outcome));
  }

  void submit(std::uint64_t ticket, request r) { take(core_.submit(ticket, std::move(r), now_)); }
  void connected() { take(core_.on_connected(opened_.back(), now_)); }
  void lost(errc code = errc::io_failure, std::string_view check = {}) {
    error why = make_error(code, "the test cut it");
    why.check = check;
    take(core_.on_closed(opened_.back(), std::move(why), now_));
  }
  /// The server answers all it was sent.
  void serve() {
    while (!outbox_.empty()) {
      const auto message = std::move(outbox_.front());
      outbox_.erase(outbox_.begin());
      take(core_.on_received(opened_.back(), server_.answer(message), now_));
    }
  }
  void pass(std::chrono::milliseconds by) {
    now_ += by;
    while (core_.wake_at() && *core_.wake_at() <= now_)
      take(core_.on_tick(now_));
  }
  bool done(std::uint64_t ticket) { return completed_.count(ticket) > 0; }
  result<answer>& outcome(std::uint64_t ticket) { return completed_.at(ticket); }

  fake_server server_;
  connection_core core_;
  time_point now_{1h};
  std::vector<crypto::wiped_bytes> outbox_;
  std::vector<std::uint64_t> opened_;
  std::map<std::uint64_t, result<answer>> completed_;
  std::map<std::uint64_t, result<capabilities>> ready_;
  int closed_ = 0;
};

TEST_F(ConnectionCore, ConnectsOnDemandAndAnswers) {
  EXPECT_TRUE(opened_.empty());
  submit(1, get_key{"k"});
  ASSERT_EQ(opened_.size(), 1U);
  connected();
  serve();
  ASSERT_TRUE(done(1));
  EXPECT_TRUE(outcome(1).ok());
  EXPECT_EQ(core_.status().health, "ok");
  EXPECT_EQ(core_.status().protocol_version, "1.4");
  EXPECT_TRUE(core_.status().client_trust_server);
  EXPECT_TRUE(core_.status().server_trust_client);
}

TEST_F(ConnectionCore, ClosesWhenIdleAndComesBack) {
  submit(1, get_key{"k"});
  connected();
  serve();
  pass(connection_idle_max - 1ms);
  EXPECT_EQ(closed_, 0);
  pass(1ms);
  EXPECT_EQ(closed_, 1);
  EXPECT_FALSE(core_.wake_at().has_value());
  submit(2, get_key{"k"});
  ASSERT_EQ(opened_.size(), 2U);
  // The old connection's end comes late and means nothing.
  take(core_.on_closed(opened_.front(), make_error(errc::cancelled, "late"), now_));
  connected();
  serve();
  EXPECT_TRUE(outcome(2).ok());
}

TEST_F(ConnectionCore, AKeptConnectionThatDiedIsReplacedOnceForWhatMayBeRepeated) {
  submit(1, get_key{"k"});
  connected();
  serve();
  submit(2, get_key{"k"});
  lost();
  EXPECT_FALSE(done(2));
  ASSERT_EQ(opened_.size(), 2U);
  connected();
  serve();
  EXPECT_TRUE(outcome(2).ok());

  submit(3, get_key{"k"});
  lost();
  connected();
  // Discover Versions and Query are answered, the request is lost again.
  for (int i = 0; i < 2; ++i) {
    const auto message = outbox_.front();
    outbox_.erase(outbox_.begin());
    take(core_.on_received(opened_.back(), server_.answer(message), now_));
  }
  lost();
  ASSERT_TRUE(done(3));
  EXPECT_EQ(outcome(3).failure().code, errc::io_failure);
}

TEST_F(ConnectionCore, CreateAndActivateAreNeverRepeated) {
  submit(1, get_key{"k"});
  connected();
  serve();
  submit(2, create_symmetric_key{"n"});
  lost();
  ASSERT_TRUE(done(2));
  EXPECT_EQ(outcome(2).failure().code, errc::io_failure);
  EXPECT_FALSE(outcome(2).failure().retryable);
  EXPECT_EQ(std::count(server_.seen.begin(), server_.seen.end(), operation::create), 0);
}

TEST_F(ConnectionCore, ARequestOnItsFirstConnectionIsNotRepeated) {
  submit(1, get_key{"k"});
  connected();
  take(core_.on_received(opened_.back(), server_.answer(outbox_.at(0)), now_));
  take(core_.on_received(opened_.back(), server_.answer(outbox_.at(1)), now_));
  lost();
  ASSERT_TRUE(done(1));
  EXPECT_EQ(outcome(1).failure().code, errc::io_failure);
}

TEST_F(ConnectionCore, AnAnswerCutInTwoIsNotRepeated) {
  submit(1, get_key{"k"});
  connected();
  serve();
  submit(2, get_key{"k"});
  const auto answer = server_.answer(outbox_.at(0));
  take(core_.on_received(opened_.back(), byte_view(answer).first(20), now_));
  lost();
  ASSERT_TRUE(done(2));
  EXPECT_EQ(outcome(2).failure().code, errc::io_failure);
}

TEST_F(ConnectionCore, WaitingRequestsSurviveTheConnection) {
  submit(1, get_key{"k"});
  connected();
  serve();
  submit(2, create_symmetric_key{"n"});
  submit(3, activate{"k"}); // waits: one in flight
  lost();
  EXPECT_TRUE(done(2));
  EXPECT_FALSE(done(3));
  connected();
  serve();
  EXPECT_TRUE(outcome(3).ok()) << "it was never sent before";
}

TEST_F(ConnectionCore, AFailedAttemptFailsFastAndBacksOff) {
  submit(1, get_key{"k"});
  lost(errc::unavailable);
  EXPECT_EQ(outcome(1).failure().code, errc::unavailable);
  submit(2, get_key{"k"});
  ASSERT_TRUE(done(2)) << "no attempt during back-off";
  EXPECT_EQ(outcome(2).failure().code, errc::unavailable);
  EXPECT_EQ(outcome(2).failure().retry_after_s, 1U);
  EXPECT_EQ(opened_.size(), 1U);
  pass(back_off_first);
  submit(3, get_key{"k"});
  EXPECT_EQ(opened_.size(), 2U);
  // The delay grows, up to a limit.
  for (int i = 0; i < 10; ++i) {
    lost(errc::unavailable);
    pass(back_off_max);
    submit(static_cast<std::uint64_t>(10 + i), get_key{"k"});
    EXPECT_EQ(opened_.size(), static_cast<std::size_t>(3 + i));
  }
  lost(errc::unavailable);
  pass(back_off_max / 2 - 1ms);
  submit(99, get_key{"k"});
  EXPECT_EQ(opened_.size(), 12U);
}

TEST_F(ConnectionCore, AReadyConnectionThatFailsToComeBackBacksOff) {
  submit(1, get_key{"k"});
  connected();
  serve();
  submit(2, get_key{"k"});
  lost();
  EXPECT_EQ(opened_.size(), 2U);
  lost(errc::unavailable);
  ASSERT_TRUE(done(2));
  EXPECT_EQ(outcome(2).failure().code, errc::unavailable);
  EXPECT_EQ(opened_.size(), 2U);
  EXPECT_EQ(core_.status().health, "error");
}

TEST_F(ConnectionCore, ALateAnswerClosesTheConnection) {
  submit(1, get_key{"k"});
  connected();
  serve();
  submit(2, get_key{"slow"});
  submit(3, get_key{"k"});
  pass(2s);
  ASSERT_TRUE(done(2));
  EXPECT_EQ(outcome(2).failure().code, errc::timeout);
  ASSERT_TRUE(done(3));
  EXPECT_EQ(outcome(3).failure().code, errc::unavailable) << "it was not sent";
  EXPECT_EQ(closed_, 1);
}

TEST_F(ConnectionCore, AServerSilentAfterConnectingIsGivenUp) {
  take(core_.when_ready(1, now_));
  connected();
  pass(2s);
  EXPECT_EQ(ready_.at(1).failure().code, errc::timeout);
  pass(1s);
  EXPECT_EQ(closed_, 1);
  EXPECT_EQ(core_.status().health, "error");
  EXPECT_TRUE(core_.status().client_trust_server);
  EXPECT_FALSE(core_.status().server_trust_client);
}

TEST_F(ConnectionCore, StatusTellsWhichHalfOfTheTrustIsMissing) {
  take(core_.when_ready(1, now_));
  lost(errc::unavailable, tls::server_not_trusted_check);
  EXPECT_FALSE(core_.status().client_trust_server);
  EXPECT_FALSE(core_.status().server_trust_client);
  EXPECT_NE(core_.status().detail.find("the test cut it"), std::string::npos);
  pass(back_off_max);
  take(core_.when_ready(2, now_));
  lost(errc::unavailable, tls::client_not_trusted_check);
  EXPECT_TRUE(core_.status().client_trust_server);
  EXPECT_FALSE(core_.status().server_trust_client);
  pass(back_off_max);
  // TLS 1.3: the refusal comes after the handshake.
  take(core_.when_ready(3, now_));
  connected();
  lost(errc::io_failure, tls::client_not_trusted_check);
  EXPECT_EQ(ready_.at(3).failure().code, errc::unavailable);
  EXPECT_TRUE(core_.status().client_trust_server);
  EXPECT_FALSE(core_.status().server_trust_client);
}

TEST_F(ConnectionCore, AForeignAnswerClosesAndTheNextRequestStartsAfresh) {
  submit(1, get_key{"k"});
  connected();
  serve();
  submit(2, get_key{"k"});
  take(core_.on_received(opened_.back(), server_.answer(outbox_.at(0)), now_));
  EXPECT_TRUE(outcome(2).ok());
  // Octets nobody asked for.
  take(core_.on_received(opened_.back(), bytes{1, 2, 3}, now_));
  EXPECT_EQ(closed_, 1);
  submit(3, get_key{"k"});
  EXPECT_EQ(opened_.size(), 2U);
  connected();
  serve();
  EXPECT_TRUE(outcome(3).ok());
}

TEST_F(ConnectionCore, ShutDownAnswersEveryone) {
  submit(1, get_key{"k"});
  take(core_.when_ready(2, now_));
  take(core_.shut_down());
  EXPECT_EQ(outcome(1).failure().code, errc::cancelled);
  EXPECT_EQ(ready_.at(2).failure().code, errc::cancelled);
  EXPECT_EQ(closed_, 1);
}

} // namespace
} // namespace custos::kmip
