#include "runtime/local_socket.hpp"

#include "adapters/crypto/crypto.hpp"
#include "runtime/credential_socket.hpp"
#include "tests/unit/actors/host/ciphertexts.hpp"
#include "tests/unit/actors/host/temporary_folder.hpp"

#include <algorithm>
#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace custos::runtime {

namespace {

using host::test::make_ciphertext;
using host::test::temporary_folder;
using host::test::text_of;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

sockaddr_un address_of(std::string_view path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), out.sun_path);
  return out;
}

/// A raw end of a connection; blocking calls give up after ten seconds.
class peer {
public:
  explicit peer(const std::string& path, std::string_view bound = {})
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (!bound.empty()) {
      const auto own = address_of(bound);
      const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bound.size());
      EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&own), size), 0);
    }
    const auto where = address_of(path);
    connected = ::connect(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
  }
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;
  ~peer() { ::close(fd_); }
  void send(std::string_view text) const {
    EXPECT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  /// Waits for the other side to close, and takes nothing of what it sent.
  [[nodiscard]] bool is_hung_up() const {
    pollfd p{fd_, POLLRDHUP, 0};
    return ::poll(&p, 1, 10000) == 1;
  }
  /// Until the other side closes.
  [[nodiscard]] std::string rest() const {
    std::string out;
    std::array<char, 4096> part{};
    ssize_t n = 0;
    while ((n = ::recv(fd_, part.data(), part.size(), 0)) > 0)
      out.append(part.data(), static_cast<std::size_t>(n));
    EXPECT_TRUE(n == 0 || errno == ECONNRESET) << "nobody closed within ten seconds";
    return out;
  }
  bool connected = false;

private:
  int fd_;
};

std::string ask(const std::string& path, std::string_view line) {
  const auto answer = ask_local(path, as_bytes(line), 10);
  return answer ? std::string(as_text(answer->reveal_secret())) : answer.failure().message;
}

class local_socket_test : public ::testing::Test {
protected:
  ~local_socket_test() override {
    if (socket)
      socket->close();
    pool.stop();
  }
  void start() {
    auto made = local_socket::listen(
        pool, options, [](std::string_view line, unsigned uid, const local_responder& respond) {
          const auto text = std::to_string(uid) + ":" + std::string(line);
          respond(crypto::secret_bytes(as_bytes(text)));
        });
    ASSERT_TRUE(made.ok()) << made.failure().message;
    socket = *std::move(made);
  }
  std::string expected(const std::string& line) const {
    return std::to_string(::geteuid()) + ":" + line + "\n";
  }

  temporary_folder folder;
  http::io_pool pool{2};
  local_socket_options options = [this] {
    local_socket_options o;
    o.path = (folder / "agent.sock").string();
    return o;
  }();
  std::unique_ptr<local_socket> socket;
};

TEST_F(local_socket_test, answers_a_line_and_says_who_asked) {
  start();
  EXPECT_EQ(ask(options.path, "hello"), expected("hello"));
  EXPECT_EQ(ask(options.path, ""), expected(""));
  const std::string long_line(local_line_bytes_max - 1, 'x');
  EXPECT_EQ(ask(options.path, long_line), expected(long_line));
}

TEST_F(local_socket_test, takes_a_line_in_pieces) {
  start();
  const peer slow(options.path);
  ASSERT_TRUE(slow.connected);
  for (const char c : std::string("pieces\n"))
    slow.send({&c, 1});
  EXPECT_EQ(slow.rest(), expected("pieces"));
}

TEST_F(local_socket_test, refuses_a_line_without_end) {
  start();
  const peer hostile(options.path);
  hostile.send(std::string(local_line_bytes_max, 'x'));
  EXPECT_THAT(hostile.rest(), HasSubstr("too-large"));
}

TEST_F(local_socket_test, closes_who_says_nothing_and_serves_the_others_meanwhile) {
  options.read_time_max = 200ms;
  start();
  const peer silent(options.path);
  const peer half(options.path);
  half.send("half a line");
  EXPECT_EQ(ask(options.path, "other"), expected("other"));
  EXPECT_EQ(silent.rest(), "");
  EXPECT_EQ(half.rest(), "");
}

TEST_F(local_socket_test, waits_for_nobody_who_does_not_take_the_answer) {
  options.write_time_max = 200ms;
  auto made = local_socket::listen(pool, options,
                                   [](std::string_view, unsigned, const local_responder& respond) {
                                     respond(crypto::secret_bytes(4U << 20U));
                                   });
  ASSERT_TRUE(made.ok());
  socket = *std::move(made);
  const peer idle(options.path);
  idle.send("much\n");
  ASSERT_TRUE(idle.is_hung_up());
  EXPECT_LT(idle.rest().size(), 4U << 20U);
}

TEST_F(local_socket_test, leaves_places_for_others_and_gives_them_back) {
  options.per_user_max = 2;
  start();
  {
    const peer first(options.path), second(options.path);
    ASSERT_TRUE(first.connected && second.connected);
    const peer third(options.path);
    EXPECT_THAT(third.rest(), HasSubstr("overloaded"));
    first.send("still served\n");
    EXPECT_EQ(first.rest(), expected("still served"));
  }
  // The places come back when the sessions saw their ends.
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (ask(options.path, "again") != expected("again"))
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
}

TEST_F(local_socket_test, tells_that_nobody_listens) {
  const auto answer = ask_local(options.path, as_bytes("x"), 1);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.failure().code, errc::unavailable);
  EXPECT_THAT(answer.failure().message, HasSubstr(options.path));
}

TEST_F(local_socket_test, names_the_flag_of_a_path_that_is_too_long) {
  options.path = "/" + std::string(200, 'x');
  auto made = local_socket::listen(pool, options, {});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.failure().field, "--socket");
}

// ---- credentials of units -----------------------------------------------------------------------

class credential_socket_test : public ::testing::Test {
protected:
  credential_socket_test() {
    std::filesystem::create_directories(folder / "db.service");
    static_cast<void>(
        folder.write("db.service/key.ckek", text_of(make_ciphertext("disk", "key-1", "db"))));
    static_cast<void>(folder.write("db.service/key.ckek.context", "db"));
    options.path = (folder / "credential.sock").string();
    options.folder = folder.path().string();
    options.retry = 10ms;
  }
  ~credential_socket_test() override {
    if (socket)
      socket->close();
    pool.stop();
  }
  void start(key_question ask) {
    auto made = credential_socket::listen(pool, options, std::move(ask));
    ASSERT_TRUE(made.ok()) << made.failure().message;
    socket = *std::move(made);
  }
  /// As the service manager asks.
  std::string credential(const std::string& unit, const std::string& name) const {
    const auto bound =
        std::string(1, '\0') + crypto::hex(crypto::random_bytes(8)) + "/unit/" + unit + "/" + name;
    return peer(options.path, bound).rest();
  }
  static key_ready ready(std::string_view key) {
    return {std::make_shared<const crypto::secret_bytes>(as_bytes(key)), {}};
  }

  temporary_folder folder;
  http::io_pool pool{2};
  credential_socket_options options;
  std::unique_ptr<credential_socket> socket;
};

TEST_F(credential_socket_test, gives_a_unit_its_key) {
  std::mutex mutex;
  request_key asked;
  start([&](request_key r, const std::function<void(result<key_ready>)>& done) {
    {
      const std::lock_guard guard(mutex);
      asked = std::move(r);
    }
    done(ready("sixteen octets.."));
  });
  EXPECT_EQ(credential("db.service", "key"), "sixteen octets..");
  const std::lock_guard guard(mutex);
  EXPECT_EQ(asked.provider, "disk");
  EXPECT_EQ(asked.context, to_bytes("db"));
  EXPECT_EQ(text_of(asked.ciphertext).substr(0, 4), "CKEK");
}

TEST_F(credential_socket_test, waits_for_the_host_to_be_attested) {
  std::atomic<int> times = 0;
  start([&times](const request_key&, const std::function<void(result<key_ready>)>& done) {
    if (++times < 4)
      return done(make_error(errc::unavailable, "the host is not attested"));
    done(ready("sixteen octets.."));
  });
  EXPECT_EQ(credential("db.service", "key"), "sixteen octets..");
  EXPECT_EQ(times, 4);
}

TEST_F(credential_socket_test, gives_nothing_when_it_took_too_long_or_was_refused) {
  options.wait_max = 50ms;
  start([](const request_key& r, const std::function<void(result<key_ready>)>& done) {
    done(make_error(r.provider == "disk" ? errc::unavailable : errc::forbidden, "no"));
  });
  EXPECT_EQ(credential("db.service", "key"), "");
  static_cast<void>(
      folder.write("db.service/other.ckek", text_of(make_ciphertext("tape", "key-1"))));
  EXPECT_EQ(credential("db.service", "other"), "");
}

TEST_F(credential_socket_test, asks_for_no_key_of_which_it_has_no_ciphertext) {
  std::atomic<int> times = 0;
  start([&times](const request_key&, const std::function<void(result<key_ready>)>& done) {
    ++times;
    done(ready("sixteen octets.."));
  });
  EXPECT_EQ(credential("db.service", "none"), "");
  EXPECT_EQ(credential("web.service", "key"), "");
  EXPECT_EQ(credential("..", "key"), "");
  EXPECT_EQ(peer(options.path).rest(), "") << "nobody knows which one";
  EXPECT_EQ(times, 0);
}

} // namespace

} // namespace custos::runtime
