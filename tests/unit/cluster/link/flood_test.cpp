// A node in a process of its own: under a limit of 256 files and a flood; stopped; with a copy.

#include "test_nodes.hpp"

#include <arpa/inet.h>
#include <csignal>
#include <deque>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace custos::cluster::link {
namespace {

constexpr rlim_t files_max = 256;

/// Node "a" in a child process: it sends every frame back. A frame "counters" is answered with the
/// counters. The child is made while this process has one thread.
class child_node {
public:
  child_node(const link_identity& identity, const link_options& options,
             const std::vector<link_member>& members) {
    int to_parent[2];
    int to_child[2];
    EXPECT_EQ(::pipe2(to_parent, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(to_child, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(to_parent[0]);
      ::close(to_child[1]);
      run(identity, options, members, to_parent[1], to_child[0]);
    }
    ::close(to_parent[1]);
    ::close(to_child[0]);
    control_ = to_child[1];
    EXPECT_EQ(::read(to_parent[0], &port_, sizeof port_), static_cast<ssize_t>(sizeof port_));
    ::close(to_parent[0]);
  }
  ~child_node() {
    if (pid_ > 0)
      stop();
  }
  child_node(const child_node&) = delete;
  child_node& operator=(const child_node&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void freeze() const {
    ::kill(pid_, SIGSTOP);
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, WUNTRACED), pid_); // all its threads stand still
    EXPECT_TRUE(WIFSTOPPED(status));
  }
  void thaw() const { ::kill(pid_, SIGCONT); }
  /// Ends the child; its exit status, 0 if it lived to the end.
  int stop() {
    ::close(control_);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return status;
  }

private:
  [[noreturn]] static void run(const link_identity& identity, const link_options& options,
                               const std::vector<link_member>& members, int report, int control) {
    const rlimit limit{files_max, files_max};
    bool good = ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
    {
      http::io_pool pool(2);
      std::unique_ptr<node_link> link;
      link_events events;
      events.received = [&link](const std::string& peer, bytes frame, const receipt&) {
        if (as_text(frame) != "counters")
          return static_cast<void>(link->send(peer, frame));
        const auto c = link->counters();
        const auto text = std::to_string(c.accepted) + " " + std::to_string(c.shed) + " " +
                          std::to_string(c.accept_failures) + " " + std::to_string(c.half_open);
        static_cast<void>(link->send(peer, as_bytes(text)));
      };
      auto made = node_link::listen(pool, identity, options, events, wall_clock);
      good = good && made.ok();
      if (good) {
        link = *std::move(made);
        good = link->set_members(members).ok();
        link->start();
        const auto port = link->port();
        good = good && ::write(report, &port, sizeof port) == sizeof port;
        char end = 0;
        good = good && ::read(control, &end, 1) == 0; // the parent closes it
        link->stop();
      }
      pool.stop();
    }
    ::_exit(good ? 0 : 1);
  }

  pid_t pid_ = -1;
  int control_ = -1;
  std::uint16_t port_ = 0;
};

/// As many descriptors as the system lets us have, while it lives.
class many_files {
public:
  many_files() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit wanted{before_.rlim_max, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &wanted);
  }
  ~many_files() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  many_files(const many_files&) = delete;
  many_files& operator=(const many_files&) = delete;
  /// How many connections may be open beside what the test needs.
  [[nodiscard]] std::size_t usable() const {
    return before_.rlim_max == RLIM_INFINITY ? 100000 : before_.rlim_max - 100;
  }

private:
  rlimit before_{};
};

/// Connections from some addresses of the loopback network, half of them silent, half with garbage.
class flood {
public:
  flood(std::uint16_t port, std::size_t open_max) : port_(port), open_max_(open_max) {}
  ~flood() {
    for (const int fd : open_)
      ::close(fd);
  }
  flood(const flood&) = delete;
  flood& operator=(const flood&) = delete;

  /// Opens some at once.
  void open_some(std::size_t n) {
    std::vector<pollfd> fresh;
    for (std::size_t i = 0; i < n; ++i)
      fresh.push_back({connect(), POLLOUT, 0});
    for (auto& one : fresh) {
      ::poll(&one, 1, 100); // the backlog may be full: then it is half-open in the kernel
      if (opened_++ % 2 == 1) {
        const auto garbage = as_bytes("\x16\x03\x01\x7f\xff garbage garbage garbage garbage");
        ::send(one.fd, garbage.data(), garbage.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      }
      open_.push_back(one.fd);
    }
    while (open_.size() > open_max_) {
      ::close(open_.front());
      open_.pop_front();
    }
  }

private:
  int connect() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT_GE(fd, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + ++last_address_ % 50);
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int done = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    EXPECT_TRUE(done == 0 || errno == EINPROGRESS);
    return fd;
  }

  std::uint16_t port_;
  std::size_t open_max_;
  std::size_t opened_ = 0;
  std::uint32_t last_address_ = 0;
  std::deque<int> open_;
};

std::vector<std::uint64_t> counters_of(test_node& b, std::size_t frames_before) {
  EXPECT_TRUE(b.link->send("a", as_bytes("counters")).ok());
  EXPECT_TRUE(b.record.wait_frames("a", frames_before + 1));
  const auto text = b.record.look([&] { return to_bytes(b.record.frames["a"].back()); });
  std::istringstream in{std::string(as_text(text))};
  std::vector<std::uint64_t> out;
  for (std::uint64_t n = 0; in >> n;)
    out.push_back(n);
  out.resize(4);
  return out;
}

/// The node lives, lets members in that come in the middle of the flood, and echoes. It cannot dial
/// them, and does not know the address they come from: the flood has to be got through.
std::vector<std::uint64_t> survive(const link_options& options, std::size_t connections) {
  const test_cluster cluster;
  std::vector<std::uint64_t> counted;
  child_node a(cluster.node("a"), options,
               {{"b", "192.0.2.1", 1}, {"c", "192.0.2.1", 1}}); // addresses of documentation
  {
    const many_files files;
    http::io_pool pool(2);
    test_node b(pool, cluster.node("b"));
    test_node c(pool, cluster.node("c"));
    for (auto* const n : {&b, &c})
      EXPECT_TRUE(n->link->set_members({{"a", "127.0.0.1", a.port()}}).ok());
    flood strangers(a.port(), std::min(files.usable(), connections));
    std::size_t echoes = 0;
    constexpr std::size_t at_once = 50;
    for (std::size_t i = at_once; i <= connections; i += at_once) {
      strangers.open_some(at_once);
      if (i == connections / 4) {
        b.link->start();
        EXPECT_TRUE(b.record.wait_up("a"));
      }
      if (i == connections / 2)
        c.link->start();
      if (i > connections / 4 && i % 500 == 0) {
        EXPECT_TRUE(b.link->send("a", as_bytes("still there?")).ok());
        EXPECT_TRUE(b.record.wait_frames("a", ++echoes));
      }
    }
    EXPECT_TRUE(c.record.wait_up("a"));
    EXPECT_TRUE(c.link->send("a", as_bytes("and me?")).ok());
    EXPECT_TRUE(c.record.wait_frames("a", 1));
    EXPECT_TRUE(b.record.look([&] { return b.record.downs.empty(); }));
    counted = counters_of(b, echoes);
  }
  EXPECT_EQ(a.stop(), 0);
  return counted;
}

TEST(LinkFlood, HalfOpenConnectionsGoForNewOnes) {
  const auto options = test_options();
  const auto counted = survive(options, 10000);
  EXPECT_GE(counted[0], 5000U); // some may wait in the kernel still
  EXPECT_GT(counted[1], 0U);
  EXPECT_EQ(counted[2], 0U); // the limit is below that of files
  EXPECT_LE(counted[3], options.half_open_max);
}

TEST(LinkFlood, OutOfDescriptorsTheListenerLives) {
  auto options = test_options();
  options.half_open_max = 100000;
  options.half_open_per_address_max = 100000;
  const auto counted = survive(options, 3000);
  EXPECT_GT(counted[1], 0U);
  EXPECT_GT(counted[2], 0U); // it ran out of them
}

/// A node whose process hangs takes nothing and says nothing; the others notice, and each other
/// they have still.
TEST(LinkFlood, AStoppedProcessStallsNobody) {
  const test_cluster cluster;
  const auto identity = cluster.node("a");
  child_node a(identity, test_options(), {{"b", "192.0.2.1", 1}});
  http::io_pool pool(2);
  auto options = test_options();
  options.silence_max = 1000ms;
  options.probe_timeout = 200ms;
  test_node b(pool, cluster.node("b"), options);
  test_node c(pool, cluster.node("c"), options);
  ASSERT_TRUE(b.link->set_members({{"a", "127.0.0.1", a.port()}, c.member()}).ok());
  ASSERT_TRUE(c.link->set_members({b.member()}).ok());
  b.link->start();
  c.link->start();
  ASSERT_TRUE(b.record.wait_up("a"));
  ASSERT_TRUE(b.record.wait_up("c"));
  ASSERT_TRUE(c.record.wait_up("b"));
  a.freeze();
  std::size_t n = 0;
  const auto end = std::chrono::steady_clock::now() + patience;
  while (b.record.look([&] { return b.record.downs["a"].empty(); })) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    for (int i = 0; i < 20; ++i)
      static_cast<void>(b.link->send("a", bytes(100000)));
    ASSERT_TRUE(b.link->send("c", bytes(10)).ok());
    ASSERT_TRUE(c.record.wait_frames("b", ++n));
  }
  EXPECT_NE(b.record.look([&] { return b.record.downs["a"][0].message; }).find("said nothing"),
            std::string::npos);
  a.thaw();
  EXPECT_TRUE(b.record.wait_up("a", 2)); // the same process: no clash
  EXPECT_TRUE(b.record.look([&] { return b.record.clashes.empty(); }));
}

/// A node that lost its host without a word, and started elsewhere, does not wait for the old link
/// to be missed.
TEST(LinkFlood, ARestartedNodeTakesThePlaceOfADeadOne) {
  const test_cluster cluster;
  const auto identity = cluster.node("a");
  child_node dead(identity, test_options(), {{"b", "192.0.2.1", 1}});
  http::io_pool pool(2);
  auto options = test_options();
  options.silence_max = 10min;
  options.probe_timeout = 200ms;
  test_node b(pool, cluster.node("b"), options);
  ASSERT_TRUE(b.link->set_members({{"a", "127.0.0.1", dead.port()}}).ok());
  b.link->start();
  ASSERT_TRUE(b.record.wait_up("a"));
  dead.freeze();
  test_node again(pool, identity, options);
  ASSERT_TRUE(again.link->set_members({b.member()}).ok());
  again.link->start();
  ASSERT_TRUE(b.record.wait_up("a", 2));
  EXPECT_EQ(b.status_of("a").peer.incarnation, again.link->incarnation());
  EXPECT_NE(b.record.look([&] { return b.record.downs["a"][0].message; }).find("probe"),
            std::string::npos);
  EXPECT_TRUE(b.record.look([&] { return b.record.clashes.empty(); }));
  // The dead one wakes, and b meets it where it always was.
  dead.thaw();
  again.link->stop();
  EXPECT_TRUE(b.record.wait_up("a", 3));
  EXPECT_NE(b.status_of("a").peer.incarnation, again.link->incarnation());
}

} // namespace
} // namespace custos::cluster::link
