#include "adapters/http/http.hpp"

#include "adapters/http/request_parser.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

namespace custos::http {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t year_2020 = 1577836800;
constexpr std::int64_t year_2100 = 4102444800;

struct pki {
  crypto::key ca_key = *crypto::generate_p256();
  crypto::certificate ca;
  pki() {
    crypto::certificate_request r;
    r.common_name = "test ca";
    r.is_ca = true;
    r.not_before = year_2020;
    r.not_after = year_2100;
    ca = *crypto::issue_certificate(r, ca_key, ca_key, nullptr);
  }
  tls_identity issue(const std::string& name, bool server) const {
    const auto k = *crypto::generate_p256();
    crypto::certificate_request r;
    r.common_name = name;
    r.server_auth = server;
    r.client_auth = !server;
    r.not_before = year_2020;
    r.not_after = year_2100;
    if (server)
      r.ip_addresses = {"127.0.0.1"};
    return {crypto::issue_certificate(r, k, ca_key, &ca)->pem(), k};
  }
};

response echo(const request& r) {
  response out;
  out.content_type = "text/plain";
  out.body =
      r.method + " " + r.path + " " + r.body + " " + (r.peer ? r.peer.common_name() : "nobody");
  return out;
}

class HttpTest : public testing::Test {
protected:
  std::unique_ptr<server> serve(handler h, std::function<void(server_options&)> change = {}) {
    server_options o;
    o.tls = pki_.issue("server", true);
    if (change)
      change(o);
    auto s = server::listen(pool_, std::move(o), std::move(h));
    EXPECT_TRUE(s.ok()) << s.failure().message;
    (*s)->start();
    return *std::move(s);
  }
  std::shared_ptr<client> connect(std::function<void(client_options&)> change = {}) {
    client_options o;
    o.trusted_pem = pki_.ca.pem();
    if (change)
      change(o);
    return *client::create(pool_, std::move(o));
  }
  static std::string url_of(const server& s, const std::string& path = "/x") {
    return "https://127.0.0.1:" + std::to_string(s.port()) + path;
  }
  static call get(const std::string& url) {
    call c;
    c.url = url;
    return c;
  }

  pki pki_;
  io_pool pool_{2};
};

const handler echo_handler = [](request&& r, const responder& respond) { respond(echo(r)); };

TEST_F(HttpTest, KeepsOneConnectionForManyRequests) {
  auto s = serve(echo_handler);
  auto c = connect();
  for (int i = 0; i < 5; ++i) {
    const auto r = c->send_wait(get(url_of(*s, "/a%20b?q=1")));
    ASSERT_TRUE(r.ok()) << r.failure().message;
    EXPECT_EQ(r->body, "GET /a b  nobody");
  }
  EXPECT_EQ(s->counters().accepted, 1U);
  EXPECT_EQ(s->counters().requests, 5U);
}

TEST_F(HttpTest, HandsOverTheClientCertificate) {
  auto s = serve(echo_handler);
  auto c = connect([&](client_options& o) { o.identity = pki_.issue("alice", false); });
  const auto r = c->send_wait(get(url_of(*s)));
  ASSERT_TRUE(r.ok()) << r.failure().message;
  EXPECT_EQ(r->body, "GET /x  alice");
}

TEST_F(HttpTest, RefusesAServerOfAnotherAuthorityOrName) {
  auto s = serve(echo_handler);
  const pki other;
  auto c = connect([&](client_options& o) { o.trusted_pem = other.ca.pem(); });
  const auto r = c->send_wait(get(url_of(*s)));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.failure().field, "server certificate");
  auto named = connect();
  const auto wrong = named->send_wait(get("https://localhost:" + std::to_string(s->port()) + "/"));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.failure().field, "server certificate");
}

TEST_F(HttpTest, AcceptsExactlyThePinnedCertificate) {
  const auto identity = pki_.issue("pinned", true);
  auto s = serve(echo_handler, [&](server_options& o) { o.tls = identity; });
  const auto print =
      crypto::certificate_from_pem(as_bytes(identity.certificate_chain_pem))->fingerprint();
  auto good = connect([&](client_options& o) {
    o.trusted_pem.clear();
    o.pinned = {print};
  });
  EXPECT_TRUE(good->send_wait(get(url_of(*s))).ok());
  auto bad = connect([&](client_options& o) {
    o.trusted_pem.clear();
    o.pinned = {crypto::sha256_digest{}};
  });
  const auto r = bad->send_wait(get(url_of(*s)));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.failure().field, "server certificate");
}

TEST_F(HttpTest, BodyOverTheLimitIs413) {
  auto s = serve(echo_handler, [](server_options& o) { o.body_bytes_max = 1000; });
  auto c = connect();
  call big;
  big.method = "POST";
  big.url = url_of(*s);
  big.body.assign(5000, 'x');
  const auto r = c->send_wait(big);
  ASSERT_TRUE(r.ok()) << r.failure().message;
  EXPECT_EQ(r->status, 413U);
  EXPECT_EQ(error_of(*r).code, errc::too_large);
}

TEST_F(HttpTest, ADroppedResponderIs500) {
  auto s = serve([](request&&, const responder&) {});
  const auto r = connect()->send_wait(get(url_of(*s)));
  ASSERT_TRUE(r.ok()) << r.failure().message;
  EXPECT_EQ(r->status, 500U);
}

TEST_F(HttpTest, ALateHandlerIs503AndItsAnswerIsIgnored) {
  std::vector<responder> kept;
  std::mutex mutex;
  auto s = serve(
      [&](request&&, const responder& respond) {
        const std::lock_guard guard(mutex);
        kept.push_back(respond);
      },
      [](server_options& o) { o.request_timeout = 50ms; });
  const auto r = connect()->send_wait(get(url_of(*s)));
  ASSERT_TRUE(r.ok()) << r.failure().message;
  EXPECT_EQ(r->status, 503U);
  const std::lock_guard guard(mutex);
  ASSERT_EQ(kept.size(), 1U);
  kept.front()(response{});
}

TEST_F(HttpTest, TheClientGivesUpAtItsDeadline) {
  std::vector<responder> kept;
  std::mutex mutex;
  auto s = serve([&](request&&, const responder& respond) {
    const std::lock_guard guard(mutex);
    kept.push_back(respond);
  });
  auto c = get(url_of(*s));
  c.timeout = 100ms;
  const auto r = connect()->send_wait(c);
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.failure().code, errc::timeout);
}

TEST_F(HttpTest, NobodyListeningIsUnavailable) {
  std::uint16_t port = 0;
  { port = serve(echo_handler)->port(); }
  const auto r = connect()->send_wait(get("https://127.0.0.1:" + std::to_string(port) + "/"));
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.failure().code, errc::unavailable);
}

TEST_F(HttpTest, AStaleKeptConnectionIsRetriedOnlyWhereSafe) {
  auto s = serve(echo_handler, [](server_options& o) { o.idle_timeout = 30ms; });
  auto c = connect();
  ASSERT_TRUE(c->send_wait(get(url_of(*s))).ok());
  while (s->counters().connections != 0) // the server closes the idle connection
    std::this_thread::yield();
  const auto r = c->send_wait(get(url_of(*s)));
  ASSERT_TRUE(r.ok()) << r.failure().message;
  EXPECT_EQ(s->counters().accepted, 2U);
}

TEST_F(HttpTest, DrainLetsTheRequestInHandEnd) {
  std::promise<responder> arrived;
  auto s = serve([&](request&&, const responder& respond) { arrived.set_value(respond); });
  auto c = connect();
  std::promise<result<response>> answered;
  c->send(get(url_of(*s)), [&](result<response> r) { answered.set_value(std::move(r)); });
  auto respond = arrived.get_future().get();
  std::thread drainer([&] { s->drain(5s); });
  response late;
  late.body = "done";
  respond(late);
  respond = nullptr;
  drainer.join();
  const auto r = answered.get_future().get();
  ASSERT_TRUE(r.ok()) << r.failure().message;
  EXPECT_EQ(r->body, "done");
  EXPECT_EQ(s->counters().connections, 0U);
}

TEST_F(HttpTest, ConnectionsOverTheCapAreClosed) {
  auto s = serve(echo_handler, [](server_options& o) { o.connections_max = 1; });
  auto first = connect();
  ASSERT_TRUE(first->send_wait(get(url_of(*s))).ok());
  EXPECT_FALSE(connect()->send_wait(get(url_of(*s))).ok());
  EXPECT_EQ(s->counters().refused, 1U);
}

/// A plain socket for what no decent client sends.
class raw_connection {
public:
  explicit raw_connection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&a), sizeof a), 0);
  }
  ~raw_connection() { ::close(fd_); }
  raw_connection(const raw_connection&) = delete;
  raw_connection& operator=(const raw_connection&) = delete;
  std::string say(const std::string& text) {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
    return rest();
  }
  /// Sends one octet, of `text` and then of no end; false: the other end has closed.
  bool drip(std::string_view text, std::size_t n) const {
    const char octet = n < text.size() ? text[n] : 'a';
    char answer = 0;
    return ::send(fd_, &octet, 1, MSG_NOSIGNAL) == 1 &&
           ::recv(fd_, &answer, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }
  std::string rest() {
    std::string out;
    std::array<char, 4096> part{};
    for (ssize_t n = 0; (n = ::recv(fd_, part.data(), part.size(), 0)) > 0;)
      out.append(part.data(), static_cast<std::size_t>(n));
    return out;
  }

private:
  int fd_;
};

TEST_F(HttpTest, MalformedRequestsGetAProblemAndAreCounted) {
  auto s = serve(echo_handler, [](server_options& o) { o.tls.reset(); });
  EXPECT_NE(raw_connection(s->port()).say("NONSENSE\r\n\r\n").find("400"), std::string::npos);
  EXPECT_NE(raw_connection(s->port())
                .say("GET / HTTP/1.1\r\nA: " + std::string(40000, 'a') + "\r\n\r\n")
                .find("431"),
            std::string::npos);
  EXPECT_NE(raw_connection(s->port())
                .say("GET /a/../b HTTP/1.1\r\nConnection: close\r\n\r\n")
                .find("/problem+json"),
            std::string::npos);
  EXPECT_NE(raw_connection(s->port())
                .say("GET /%2fetc HTTP/1.1\r\nConnection: close\r\n\r\n")
                .find("400"),
            std::string::npos);
  EXPECT_EQ(s->counters().bad_requests, 4U);
}

TEST_F(HttpTest, PipelinedRequestsAreAnsweredInOrder) {
  auto s = serve(echo_handler, [](server_options& o) { o.tls.reset(); });
  const auto text = raw_connection(s->port()).say(
      "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_LT(text.find("GET /1"), text.find("GET /2"));
  EXPECT_NE(text.find("GET /2"), std::string::npos);
}

TEST_F(HttpTest, ASlowRequestIsCutOff) {
  auto s = serve(echo_handler, [](server_options& o) {
    o.tls.reset();
    o.read_timeout = 50ms;
  });
  EXPECT_EQ(raw_connection(s->port()).say("GET / HT"), "");
}

TEST_F(HttpTest, ASilentHandshakeIsCutOff) {
  auto s = serve(echo_handler, [](server_options& o) { o.handshake_timeout = 50ms; });
  EXPECT_EQ(raw_connection(s->port()).rest(), "");
  while (s->counters().connections != 0) // the socket is closed before it is counted
    std::this_thread::yield();
  EXPECT_EQ(s->counters().handshake_failures, 1U);
}

/// Connections that the other end has not closed.
std::size_t count_open(const std::vector<int>& sockets) {
  std::size_t open = 0;
  for (const int fd : sockets) {
    char octet = 0;
    open += ::recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN ? 1U : 0U;
  }
  return open;
}

// Handshakes that were begun and not gone on with kept a server from everybody else.
TEST_F(HttpTest, cve_2023_38200_ten_thousand_half_open_connections) {
  constexpr std::size_t many = 10'000;
  constexpr std::size_t at_once_max = 1'000;
  auto s = serve(echo_handler, [](server_options& o) {
    o.connections_max = at_once_max;
    o.handshake_timeout = 300ms;
  });
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  ASSERT_GE(files.rlim_max, many + 2 * at_once_max) << "raise the hard limit of open files";
  const rlimit before = files;
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(s->port());
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::vector<int> sockets;
  for (std::size_t i = 0; i < many; ++i) {
    sockets.push_back(::socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_GE(sockets.back(), 0) << i;
    ASSERT_EQ(::connect(sockets.back(), reinterpret_cast<const sockaddr*>(&a), sizeof a), 0) << i;
    const char hello[] = {0x16, 0x03, 0x01}; // the first octets of a ClientHello
    static_cast<void>(::send(sockets.back(), hello, sizeof hello, MSG_NOSIGNAL));
    if (i % 512 == 0) {
      EXPECT_LE(s->counters().connections, at_once_max);
    }
  }
  // All still held by the attacker; whoever comes now is served as soon as their time is over.
  auto c = connect();
  result<response> answer = make_error(errc::unavailable, "not asked yet");
  const auto until = std::chrono::steady_clock::now() + 20s;
  while (!answer && std::chrono::steady_clock::now() < until)
    answer = c->send_wait(get(url_of(*s)));
  EXPECT_TRUE(answer.ok()) << answer.failure().message;
  while (count_open(sockets) != 0 && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_EQ(count_open(sockets), 0U) << "none of them outlives its time";
  auto counted = s->counters();
  while (counted.refused + counted.handshake_failures < many &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::yield(); // sockets are closed before they are counted
    counted = s->counters();
  }
  EXPECT_GE(counted.accepted, many);
  EXPECT_GE(counted.refused + counted.handshake_failures, many);
  for (const int fd : sockets)
    ::close(fd);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// A request that arrives an octet at a time is cut off, however busy it looks.
TEST_F(HttpTest, cve_2023_38200_a_request_that_drips) {
  auto s = serve(echo_handler, [](server_options& o) {
    o.tls.reset();
    o.read_timeout = 200ms;
  });
  const raw_connection dripping(s->port());
  const auto began = std::chrono::steady_clock::now();
  std::size_t sent = 0;
  while (dripping.drip("GET / HTTP/1.1\r\nA: ", sent++) &&
         std::chrono::steady_clock::now() - began < 10s)
    std::this_thread::yield();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
  EXPECT_EQ(s->counters().requests, 0U);
}

// What was small on its way was large when it had been unpacked. Nothing is unpacked here: a body
// counts as it came, whatever it says of itself.
TEST_F(HttpTest, cve_2022_23951_nothing_is_unpacked) {
  std::promise<std::string> body;
  auto s = serve(
      [&](request&& r, const responder& respond) {
        body.set_value(r.body);
        respond(response{});
      },
      [](server_options& o) {
        o.tls.reset();
        o.body_bytes_max = 64;
      });
  const std::string packed("\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0", 20);
  raw_connection(s->port()).say("POST /p HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 20"
                                "\r\nConnection: close\r\n\r\n" +
                                packed);
  EXPECT_EQ(body.get_future().get(), packed);
  // Nor may a body grow beyond the limit in pieces.
  std::string chunked = "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 5; ++i)
    chunked += "10\r\n0123456789abcdef\r\n";
  EXPECT_NE(raw_connection(s->port()).say(chunked + "0\r\n\r\n").find("413"), std::string::npos);
}

TEST_F(HttpTest, ExpectContinueIsAnswered) {
  auto s = serve(echo_handler, [](server_options& o) { o.tls.reset(); });
  const auto text =
      raw_connection(s->port()).say("POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: "
                                    "2\r\nConnection: close\r\n\r\nhi");
  EXPECT_EQ(text.rfind("HTTP/1.1 100", 0), 0U);
  EXPECT_NE(text.find("POST /p hi"), std::string::npos);
}

TEST_F(HttpTest, HeadHasNoBody) {
  auto s = serve(echo_handler, [](server_options& o) { o.tls.reset(); });
  const auto text = raw_connection(s->port()).say("HEAD /p HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(text.find("200 OK"), std::string::npos);
  EXPECT_NE(text.find("Content-Length: 15"), std::string::npos);
  EXPECT_EQ(text.substr(text.size() - 4), "\r\n\r\n");
}

TEST(Problem, ReadsBackAsTheSameError) {
  error e = field_error(errc::attestation_failed, "/quote", "the quote is for another challenge");
  e.check = "quote-binding";
  e.pcr = 7;
  e.event = 12;
  e.retryable = true;
  e.retry_after_s = 9;
  const auto back = error_of(problem(e));
  EXPECT_EQ(back.code, e.code);
  EXPECT_EQ(back.field, e.field);
  EXPECT_EQ(back.message, e.message);
  EXPECT_EQ(back.check, e.check);
  EXPECT_EQ(back.pcr, e.pcr);
  EXPECT_EQ(back.event, e.event);
  EXPECT_TRUE(back.retryable);
  EXPECT_EQ(back.retry_after_s, e.retry_after_s);
}

TEST(ParseUrl, TakesWhatIsRightAndNamesWhatIsWrong) {
  const auto u = parse_url("https://[::1]:8443/a?b");
  ASSERT_TRUE(u.ok());
  EXPECT_EQ(u->host, "::1");
  EXPECT_EQ(u->port, 8443);
  EXPECT_EQ(u->path, "/a?b");
  EXPECT_EQ(parse_url("https://node")->port, 443);
  for (const auto* bad :
       {"", "node", "ftp://x", "https://", "https://a:0", "https://a:65536", "https://a:b",
        "http://example.org/", "https://[::1", "https://a b/", "https://u@h/", "https://h/\n"})
    EXPECT_FALSE(parse_url(bad).ok()) << bad;
}

// Dots and slashes in a name led to files of others. Here no path leads to a file, and what would
// climb is no path.
TEST(ParseRequest, trustee_74d74ed0_paths_that_climb) {
  const server_options limits;
  const auto path_of = [&](const std::string& target) {
    const auto r = parse_request(as_bytes("GET " + target + " HTTP/1.1\r\n\r\n"), limits);
    return r.ok() ? r->path : "refused: " + r.failure().field;
  };
  for (const std::string name : {"..",
                                 "../..",
                                 "..%2f",
                                 "..%2F..%2fetc%2fpasswd",
                                 "%2e%2e",
                                 "%2e%2e%2f",
                                 ".%2e",
                                 "%2E.",
                                 "vault/../../x",
                                 "vault%2f..%2f..",
                                 ".",
                                 "%2e",
                                 "",
                                 "%2f",
                                 "vault%2f%2fx",
                                 "a%00b",
                                 "a%0d%0ab",
                                 "%",
                                 "%2",
                                 "%zz"})
    EXPECT_EQ(path_of("/keys/v1/providers/" + name + "/generate"), "refused: path") << name;
  EXPECT_EQ(path_of("/keys/v1/providers/vault%2eold/generate"),
            "/keys/v1/providers/vault.old/generate");
  // Decoded once: what is left of it is a name like any other.
  EXPECT_EQ(path_of("/keys/v1/providers/..%252f/generate"), "/keys/v1/providers/..%2f/generate");
}

TEST(ParseRequest, LimitsAndFormsWithoutASocket) {
  server_options limits;
  limits.body_bytes_max = 10;
  const auto parse = [&](const std::string& text) { return parse_request(as_bytes(text), limits); };
  const auto good = parse("POST /a?b=c%20d HTTP/1.1\r\nContent-Length: 2\r\nX: y\r\n\r\nhi");
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(good->query.at("b"), "c d");
  EXPECT_EQ(good->body, "hi");
  EXPECT_EQ(good->header_value("x"), "y");
  for (const auto* bad :
       {"GET", "GET / HTTP/1.1\r\n", "GET /? HTTP/9.9\r\n\r\n", "GET /a%00 HTTP/1.1\r\n\r\n",
        "GET /a%2 HTTP/1.1\r\n\r\n", "GET /?a=1&a=2 HTTP/1.1\r\n\r\n", "GET //a HTTP/1.1\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello world"})
    EXPECT_FALSE(parse(bad).ok()) << bad;
}

} // namespace
} // namespace custos::http
