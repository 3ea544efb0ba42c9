// Peers that do not behave: with plain sockets, and with OpenSSL where they speak TLS.

#include "cluster/link/hello.hpp"
#include "cluster/link/record.hpp"
#include "test_nodes.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace custos::cluster::link {
namespace {

/// A TCP connection to a node.
class raw_peer {
public:
  explicit raw_peer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    const timeval limit{20, 0};
    EXPECT_EQ(::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  }
  ~raw_peer() {
    SSL_free(ssl_);
    ::close(fd_);
  }
  raw_peer(const raw_peer&) = delete;
  raw_peer& operator=(const raw_peer&) = delete;

  bool write(byte_view octets) const {
    return ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(octets.size());
  }
  /// Octets until the node closes; false if it does not.
  bool read_to_end(std::size_t* n = nullptr) const {
    std::array<char, 4096> buffer{};
    for (;;) {
      const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (got > 0 && n != nullptr)
        *n += static_cast<std::size_t>(got);
      if (got == 0 || (got < 0 && errno == ECONNRESET))
        return true;
      if (got < 0)
        return false;
    }
  }

  /// TLS as a client; what the highest version is may be chosen. `identity` may be empty.
  bool shake_hands(const link_identity* identity, int version = TLS1_3_VERSION) {
    const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()),
                                                               SSL_CTX_free);
    SSL_CTX_set_max_proto_version(context.get(), version);
    if (identity != nullptr) {
      SSL_CTX_use_certificate(context.get(), identity->certificate.handle());
      SSL_CTX_use_PrivateKey(context.get(), identity->key.handle());
    }
    ssl_ = SSL_new(context.get());
    SSL_set_fd(ssl_, fd_);
    return SSL_connect(ssl_) == 1;
  }
  bool tls_write(byte_view octets) const {
    std::size_t n = 0;
    return SSL_write_ex(ssl_, octets.data(), octets.size(), &n) == 1;
  }
  /// The next record, or nothing when the node ended the connection.
  std::optional<record> tls_read() {
    for (;;) {
      std::size_t taken = 0;
      auto got = reader_.feed(in_, taken);
      in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(taken));
      if (!got)
        return std::nullopt;
      if (*got)
        return *got;
      std::array<std::uint8_t, 4096> buffer{};
      std::size_t n = 0;
      if (SSL_read_ex(ssl_, buffer.data(), buffer.size(), &n) != 1)
        return std::nullopt;
      in_.insert(in_.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n));
    }
  }
  [[nodiscard]] SSL* ssl() const { return ssl_; }

private:
  int fd_;
  SSL* ssl_ = nullptr;
  record_reader reader_;
  bytes in_;
};

class LinkHostile : public ::testing::Test {
protected:
  /// A node "a" of which "b" is a member.
  test_node& node(const link_options& options) {
    node_ = std::make_unique<test_node>(pool_, cluster_.node("a"), options);
    EXPECT_TRUE(node_->link->set_members({{"b", "127.0.0.1", 1}}).ok());
    node_->link->start();
    return *node_;
  }
  static link_options quick() {
    auto out = test_options();
    out.handshake_timeout = 300ms;
    out.hello_timeout = 300ms;
    out.probe_timeout = 300ms;
    return out;
  }
  template <class Condition>
  static bool soon(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end)
        return false;
      std::this_thread::yield();
    }
    return true;
  }
  [[nodiscard]] bytes hello_of_b() const {
    hello h;
    const auto id = crypto::from_hex(cluster_.keys.cluster_id).value();
    std::copy(id.begin(), id.end(), h.cluster.begin());
    h.process.fill(0xb0);
    h.node = "b";
    h.program_version = "0";
    return write_record(record_kind::hello, write_hello(h));
  }
  /// A peer that is the link of "b" with "a"; a is the arbiter.
  static void become_link(raw_peer& peer, const bytes& hello_record) {
    ASSERT_TRUE(peer.tls_write(hello_record));
    const std::uint8_t not_linked[] = {0};
    ASSERT_TRUE(peer.tls_write(write_record(record_kind::ready, not_linked)));
    auto first = peer.tls_read();
    ASSERT_TRUE(first && first->kind == record_kind::hello);
    auto second = peer.tls_read();
    ASSERT_TRUE(second && second->kind == record_kind::accept);
  }

  test_cluster cluster_;
  http::io_pool pool_{2};
  std::unique_ptr<test_node> node_;
};

TEST_F(LinkHostile, SilenceBeforeTlsEndsAtTheDeadline) {
  auto& a = node(quick());
  const auto begin = std::chrono::steady_clock::now();
  const raw_peer silent(a.link->port());
  std::size_t got = 0;
  EXPECT_TRUE(silent.read_to_end(&got));
  EXPECT_EQ(got, 0U);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 290ms);
  EXPECT_TRUE(soon([&] { return a.link->counters().handshake_failures == 1; }));
  EXPECT_NE(a.link->counters().last_refusal.find("no TLS handshake within 300 ms"),
            std::string::npos);
}

TEST_F(LinkHostile, SlownessWithinTlsEndsAtTheSameDeadline) {
  auto& a = node(quick());
  const raw_peer slow(a.link->port());
  // The start of a ClientHello that says it has 512 octets.
  ASSERT_TRUE(slow.write(bytes{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc}));
  EXPECT_TRUE(slow.read_to_end());
  EXPECT_TRUE(soon([&] { return a.link->counters().handshake_failures == 1; }));
}

TEST_F(LinkHostile, GarbageEndsAtOnce) {
  auto options = test_options();
  options.handshake_timeout = 10min;
  auto& a = node(options);
  const raw_peer garbage(a.link->port());
  ASSERT_TRUE(garbage.write(as_bytes("GET / HTTP/1.1\r\n\r\n")));
  EXPECT_TRUE(garbage.read_to_end());
  EXPECT_TRUE(soon([&] { return a.link->counters().connections == 0; }));
  EXPECT_EQ(a.link->counters().handshake_failures, 1U);
}

TEST_F(LinkHostile, OlderTlsIsRefused) {
  auto& a = node(test_options());
  const auto b = cluster_.node("b");
  raw_peer old(a.link->port());
  EXPECT_FALSE(old.shake_hands(&b, TLS1_2_VERSION));
}

TEST_F(LinkHostile, WithoutACertificateNothingIsSaid) {
  auto& a = node(test_options());
  raw_peer nobody(a.link->port());
  nobody.shake_hands(nullptr); // a client of TLS 1.3 learns it with its first read
  nobody.tls_write(hello_of_b());
  EXPECT_FALSE(nobody.tls_read());
  EXPECT_TRUE(soon([&] { return a.link->counters().handshake_failures == 1; }));
}

TEST_F(LinkHostile, APrincipalOfTheCaIsNoNode) {
  auto& a = node(test_options());
  const auto alice = cluster_.odd("alice", wall_clock() - 10, wall_clock() + 3600);
  raw_peer peer(a.link->port());
  peer.shake_hands(&alice);
  EXPECT_FALSE(peer.tls_read());
  EXPECT_TRUE(soon([&] { return a.link->counters().handshake_failures == 1; }));
  EXPECT_NE(a.link->counters().last_refusal.find("not that of a node"), std::string::npos);
}

TEST_F(LinkHostile, NoSessionCanBeResumed) {
  auto& a = node(test_options());
  const auto b = cluster_.node("b");
  raw_peer peer(a.link->port());
  ASSERT_TRUE(peer.shake_hands(&b));
  ASSERT_TRUE(peer.tls_read()); // a ticket would have come before the hello
  EXPECT_EQ(SSL_SESSION_is_resumable(SSL_get0_session(peer.ssl())), 0);
  EXPECT_EQ(SSL_version(peer.ssl()), TLS1_3_VERSION);
}

TEST_F(LinkHostile, AMemberThatSaysNothingEndsAtTheDeadline) {
  auto& a = node(quick());
  const auto b = cluster_.node("b");
  raw_peer peer(a.link->port());
  ASSERT_TRUE(peer.shake_hands(&b));
  const auto first = peer.tls_read();
  ASSERT_TRUE(first && first->kind == record_kind::hello);
  EXPECT_FALSE(peer.tls_read());
  EXPECT_TRUE(soon([&] {
    const auto e = a.status_of("b").last_error;
    return e && e->message.find("no hello within 300 ms") != std::string::npos;
  }));
}

TEST_F(LinkHostile, AHelloInDribletsEndsAtTheDeadline) {
  auto& a = node(quick());
  const auto b = cluster_.node("b");
  raw_peer peer(a.link->port());
  ASSERT_TRUE(peer.shake_hands(&b));
  const auto octets = hello_of_b();
  for (std::size_t i = 0; i < octets.size(); ++i) {
    pollfd closing{SSL_get_fd(peer.ssl()), POLLRDHUP, 0};
    if (::poll(&closing, 1, 50) == 1)
      break;
    if (!peer.tls_write(byte_view(octets).subspan(i, 1)))
      break;
  }
  EXPECT_TRUE(soon([&] {
    const auto e = a.status_of("b").last_error;
    return e && e->code == errc::timeout;
  }));
  EXPECT_TRUE(a.record.look([&] { return a.record.ups.empty(); }));
}

TEST_F(LinkHostile, AReadyThatNeverComesEndsAtTheDeadline) {
  auto& a = node(quick());
  const auto b = cluster_.node("b");
  raw_peer peer(a.link->port());
  ASSERT_TRUE(peer.shake_hands(&b));
  ASSERT_TRUE(peer.tls_write(hello_of_b()));
  ASSERT_TRUE(peer.tls_read());
  EXPECT_FALSE(peer.tls_read());
  EXPECT_TRUE(soon([&] {
    const auto e = a.status_of("b").last_error;
    return e && e->message.find("no decision") != std::string::npos;
  }));
}

TEST_F(LinkHostile, WhatIsNoProtocolIsNamedSo) {
  auto& a = node(test_options());
  const auto b = cluster_.node("b");
  const auto ready = write_record(record_kind::ready, bytes{0});
  const auto after_hello = [&](const bytes& octets) {
    auto out = hello_of_b();
    out.insert(out.end(), octets.begin(), octets.end());
    return out;
  };
  const std::vector<bytes> wrong = {
      to_bytes("what is this?"),
      write_record(record_kind::hello, to_bytes("CUSTOSLN and no more")),
      write_record(record_kind::alive, {}),        // before hello
      ready,                                       // before hello
      write_record(record_kind::frame, bytes(10)), // before it is a link
      {0xff, 0xff, 0xff, 0xff, 1},
      after_hello(write_record(record_kind::frame, bytes(10))),
      after_hello(write_record(record_kind::accept, write_number(1))), // we are the arbiter
      after_hello(hello_of_b()),
  };
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    raw_peer peer(a.link->port());
    ASSERT_TRUE(peer.shake_hands(&b));
    ASSERT_TRUE(peer.tls_write(wrong[i]));
    std::optional<record> last;
    while (auto r = peer.tls_read())
      last = std::move(r);
    ASSERT_TRUE(last) << i;
    EXPECT_EQ(last->kind, record_kind::refusal) << i;
    EXPECT_EQ(last->content[0], static_cast<std::uint8_t>(refusal_reason::protocol)) << i;
  }
  EXPECT_TRUE(a.record.look([&] { return a.record.ups.empty(); }));
}

TEST_F(LinkHostile, AMemberMayNotCollectConnections) {
  auto& a = node(test_options());
  const auto b = cluster_.node("b");
  std::vector<std::unique_ptr<raw_peer>> peers;
  for (std::size_t i = 0; i < 12; ++i) {
    peers.push_back(std::make_unique<raw_peer>(a.link->port()));
    ASSERT_TRUE(peers.back()->shake_hands(&b));
    ASSERT_TRUE(peers.back()->tls_read()); // its hello: it knows us
    EXPECT_LE(a.link->counters().connections, candidates_per_member_max + 1);
  }
  EXPECT_FALSE(peers.front()->tls_read());
}

TEST_F(LinkHostile, TheLinkOfASilentPeerEnds) {
  auto options = test_options();
  options.alive_interval = 50ms;
  options.silence_max = 300ms;
  auto& a = node(options);
  const auto b = cluster_.node("b");
  raw_peer peer(a.link->port());
  ASSERT_TRUE(peer.shake_hands(&b));
  become_link(peer, hello_of_b());
  ASSERT_TRUE(a.record.wait_down("b"));
  EXPECT_NE(a.record.look([&] { return a.record.downs["b"][0].message; }).find("said nothing"),
            std::string::npos);
  // It had sent heartbeats itself all the time.
  const auto beat = peer.tls_read();
  ASSERT_TRUE(beat);
  EXPECT_EQ(beat->kind, record_kind::alive);
}

TEST_F(LinkHostile, TheLinkOfAPeerThatTakesNothingEnds) {
  auto options = test_options();
  options.alive_interval = 50ms;
  options.write_stall_max = 400ms;
  auto& a = node(options);
  const auto b = cluster_.node("b");
  raw_peer peer(a.link->port());
  ASSERT_TRUE(peer.shake_hands(&b));
  become_link(peer, hello_of_b());
  ASSERT_TRUE(a.record.wait_up("b"));
  // It goes on talking, and never reads.
  ASSERT_TRUE(soon([&] {
    peer.tls_write(write_record(record_kind::alive, {}));
    while (a.link->send("b", bytes(frame_bytes_max)).ok()) {
    }
    return a.record.look([&] { return !a.record.downs["b"].empty(); });
  }));
  EXPECT_NE(a.record.look([&] { return a.record.downs["b"][0].message; }).find("took nothing"),
            std::string::npos);
  EXPECT_TRUE(soon([&] { return a.link->counters().connections == 0; }));
}

TEST_F(LinkHostile, HalfAConnectionIsNone) {
  auto& a = node(test_options());
  const auto b = cluster_.node("b");
  raw_peer peer(a.link->port());
  ASSERT_TRUE(peer.shake_hands(&b));
  become_link(peer, hello_of_b());
  ASSERT_TRUE(a.record.wait_up("b"));
  SSL_shutdown(peer.ssl()); // we say no more, but would listen
  EXPECT_TRUE(a.record.wait_down("b"));
  EXPECT_TRUE(peer.read_to_end());
  EXPECT_TRUE(soon([&] { return a.link->counters().connections == 0; }));
}

} // namespace
} // namespace custos::cluster::link
