#include "adapters/tls/stream.hpp"

#include <arpa/inet.h>
#include <ctime>
#include <future>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace custos::tls {
namespace {

using namespace std::chrono_literals;

struct issued {
  crypto::certificate certificate;
  crypto::key key;
};

issued issue(const std::string& name, bool is_ca, const issued* issuer,
             std::vector<std::string> dns = {}, std::vector<std::string> ip = {}) {
  crypto::certificate_request request;
  request.common_name = name;
  request.dns_names = std::move(dns);
  request.ip_addresses = std::move(ip);
  request.is_ca = is_ca;
  request.server_auth = !is_ca;
  request.client_auth = !is_ca;
  request.not_before = std::time(nullptr) - 3600;
  request.not_after = std::time(nullptr) + 3600;
  issued out;
  out.key = crypto::generate_p256().value();
  out.certificate =
      crypto::issue_certificate(request, out.key, issuer == nullptr ? out.key : issuer->key,
                                issuer == nullptr ? nullptr : &issuer->certificate)
          .value();
  return out;
}

/// An HTTPS server of ours as the peer: it speaks TLS 1.3 and shows what certificate came.
class TlsStream : public ::testing::Test {
protected:
  TlsStream() : ca_(issue("test-ca", true, nullptr)) {}

  std::uint16_t serve(const issued& identity) {
    http::server_options options;
    options.tls =
        http::tls_identity{identity.certificate.pem() + ca_.certificate.pem(), identity.key};
    auto made = http::server::listen(pool_, options, [](http::request&& r, http::responder answer) {
      http::response out;
      out.body = r.peer ? "client " + r.peer.common_name() : "client unknown";
      answer(std::move(out));
    });
    EXPECT_TRUE(made.ok());
    server_ = *std::move(made);
    server_->start();
    return server_->port();
  }

  stream_options to(std::uint16_t port, const std::string& host = "localhost") {
    stream_options options;
    options.host = host;
    options.port = port;
    options.connect_timeout = 5s;
    return options;
  }

  struct outcome {
    bool connected = false;
    std::string chain;
    std::string received;
    error why;
  };

  /// Connects, asks for "/", reads to the end of the connection.
  outcome talk(stream_options options) {
    auto state = std::make_shared<outcome>();
    auto done = std::make_shared<std::promise<void>>();
    auto self = std::make_shared<std::shared_ptr<stream>>();
    auto ready = std::make_shared<std::promise<void>>();
    std::shared_future<void> known = ready->get_future().share();
    stream_events events;
    events.connected = [=](const std::string& chain) {
      known.wait();
      state->connected = true;
      state->chain = chain;
      const bytes text = to_bytes("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      (*self)->write({text.begin(), text.end()});
    };
    events.received = [=](const crypto::wiped_bytes& data) {
      state->received.append(data.begin(), data.end());
      (*self)->read_more();
    };
    events.closed = [=](error why, const std::string& chain) {
      state->why = std::move(why);
      state->chain = chain;
      done->set_value();
    };
    *self = connect(pool_, std::move(options), std::move(events));
    ready->set_value();
    EXPECT_EQ(done->get_future().wait_for(20s), std::future_status::ready);
    self->reset();
    return *state;
  }

  http::io_pool pool_{2};
  issued ca_;
  std::unique_ptr<http::server> server_;
};

TEST_F(TlsStream, ATrustedServerIsTalkedTo) {
  auto options = to(serve(issue("kms", false, &ca_, {"localhost"})));
  options.trusted_pem = {ca_.certificate.pem()};
  const auto end = talk(options);
  EXPECT_TRUE(end.connected) << end.why.message;
  EXPECT_NE(end.received.find("client unknown"), std::string::npos);
  EXPECT_EQ(end.why.code, errc::io_failure);
}

TEST_F(TlsStream, TheAddressMustBeInTheCertificate) {
  const auto port = serve(issue("kms", false, &ca_, {}, {"127.0.0.1"}));
  auto options = to(port, "127.0.0.1");
  options.trusted_pem = {ca_.certificate.pem()};
  EXPECT_TRUE(talk(options).connected);
  options.host = "localhost";
  const auto end = talk(options);
  EXPECT_FALSE(end.connected);
  EXPECT_EQ(end.why.code, errc::unavailable);
  EXPECT_EQ(end.why.check, server_not_trusted_check);
  EXPECT_NE(end.why.message.find("not trusted"), std::string::npos) << end.why.message;
}

TEST_F(TlsStream, AnotherAuthorityIsNotTrustedButItsChainIsTold) {
  const auto server = issue("kms", false, &ca_, {"localhost"});
  auto options = to(serve(server));
  options.trusted_pem = {issue("other-ca", true, nullptr).certificate.pem()};
  const auto end = talk(options);
  EXPECT_FALSE(end.connected);
  EXPECT_EQ(end.why.check, server_not_trusted_check);
  const auto chain = crypto::certificates_from_pem(as_bytes(end.chain));
  ASSERT_TRUE(chain.ok());
  ASSERT_EQ(chain->size(), 2U);
  EXPECT_EQ(chain->front().fingerprint(), server.certificate.fingerprint());
}

TEST_F(TlsStream, NothingIsTrustedByDefault) {
  const auto end = talk(to(serve(issue("kms", false, &ca_, {"localhost"}))));
  EXPECT_FALSE(end.connected);
  EXPECT_EQ(end.why.check, server_not_trusted_check);
}

TEST_F(TlsStream, APinnedLeafIsAcceptedUnderAnyName) {
  const auto server = issue("kms", false, &ca_, {"elsewhere.example"});
  auto options = to(serve(server));
  options.trusted_pem = {ca_.certificate.pem()};
  EXPECT_FALSE(talk(options).connected);
  options.trusted_pem = {server.certificate.pem()};
  EXPECT_TRUE(talk(options).connected);
  options.trusted_pem.clear();
  options.pinned = {server.certificate.fingerprint()};
  EXPECT_TRUE(talk(options).connected);
  options.pinned[0][0] = static_cast<std::uint8_t>(options.pinned[0][0] ^ 1U);
  EXPECT_FALSE(talk(options).connected);
}

TEST_F(TlsStream, TheClientCertificateIsPresented) {
  auto options = to(serve(issue("kms", false, &ca_, {"localhost"})));
  options.trusted_pem = {ca_.certificate.pem()};
  const auto client = issue("kps-1", false, &ca_);
  options.identity = http::tls_identity{client.certificate.pem(), client.key};
  EXPECT_NE(talk(options).received.find("client kps-1"), std::string::npos);
  options.identity->private_key = ca_.key;
  EXPECT_EQ(talk(options).why.code, errc::invalid_argument);
}

/// A listening socket nobody accepts from: TCP connects, TLS never answers.
TEST_F(TlsStream, ASilentServerEndsByDeadline) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(listener, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  socklen_t size = sizeof address;
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto options = to(ntohs(address.sin_port), "127.0.0.1");
  options.connect_timeout = 200ms;
  const auto end = talk(options);
  EXPECT_EQ(end.why.code, errc::unavailable);
  EXPECT_NE(end.why.message.find("200 ms"), std::string::npos) << end.why.message;
  ::close(listener);
}

TEST_F(TlsStream, WhatCannotWorkIsSaid) {
  auto nobody = to(1, "127.0.0.1");
  EXPECT_EQ(talk(nobody).why.code, errc::unavailable);
  nobody.trusted_pem = {"no certificate"};
  EXPECT_FALSE(talk(nobody).why.message.empty());
  nobody.trusted_pem.clear();
  nobody.host = "name.invalid";
  EXPECT_EQ(talk(nobody).why.code, errc::unavailable);
}

TEST_F(TlsStream, CloseIsTheLastEvent) {
  auto options = to(serve(issue("kms", false, &ca_, {"localhost"})));
  options.trusted_pem = {ca_.certificate.pem()};
  std::promise<void> up;
  std::promise<error> down;
  stream_events events;
  events.connected = [&](const std::string&) { up.set_value(); };
  events.closed = [&](error why, const std::string&) { down.set_value(std::move(why)); };
  const auto s = connect(pool_, options, events);
  ASSERT_EQ(up.get_future().wait_for(20s), std::future_status::ready);
  s->close();
  s->close();
  s->write({1, 2, 3});
  auto end = down.get_future();
  ASSERT_EQ(end.wait_for(20s), std::future_status::ready);
  EXPECT_EQ(end.get().code, errc::cancelled);
}

TEST_F(TlsStream, PeerCertificatesAreReadWithoutTrust) {
  const auto server = issue("kms", false, &ca_, {"elsewhere.example"});
  const auto port = serve(server);
  std::promise<result<std::string>> told;
  fetch_peer_certificates(pool_, "localhost", port, 5s,
                          [&](result<std::string> r) { told.set_value(std::move(r)); });
  const auto chain = told.get_future().get();
  ASSERT_TRUE(chain.ok()) << chain.failure().message;
  EXPECT_EQ(crypto::certificates_from_pem(as_bytes(*chain))->front().fingerprint(),
            server.certificate.fingerprint());
  std::promise<result<std::string>> none;
  fetch_peer_certificates(pool_, "127.0.0.1", 1, 5s,
                          [&](result<std::string> r) { none.set_value(std::move(r)); });
  EXPECT_EQ(none.get_future().get().failure().code, errc::unavailable);
}

} // namespace
} // namespace custos::tls
