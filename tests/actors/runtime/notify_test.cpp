#include "runtime/notify.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace custos::runtime {

namespace {

/// A service manager's end.
class manager {
public:
  explicit manager(const std::string& name) : fd_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    name.copy(where.sun_path, sizeof where.sun_path - 1);
    if (name.front() == '@')
      where.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    bound_ = ::bind(fd_, reinterpret_cast<const sockaddr*>(&where), size) == 0;
  }
  manager(const manager&) = delete;
  manager& operator=(const manager&) = delete;
  ~manager() { ::close(fd_); }
  [[nodiscard]] bool bound() const { return bound_; }
  [[nodiscard]] std::string heard() const {
    std::array<char, 64> text{};
    const auto n = ::recv(fd_, text.data(), text.size(), MSG_DONTWAIT);
    return n < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(n));
  }

private:
  int fd_;
  bool bound_ = false;
};

class notify : public ::testing::Test {
protected:
  void TearDown() override { ::unsetenv("NOTIFY_SOCKET"); }
  static bool say(const std::string& socket, const char* state) {
    ::setenv("NOTIFY_SOCKET", socket.c_str(), 1);
    return notify_service_manager(state);
  }
};

} // namespace

TEST_F(notify, tells_the_service_manager) {
  const auto name =
      (std::filesystem::temp_directory_path() / ("custos-notify-" + std::to_string(::getpid())))
          .string();
  {
    const manager m(name);
    ASSERT_TRUE(m.bound());
    EXPECT_TRUE(say(name, "READY=1"));
    EXPECT_EQ(m.heard(), "READY=1");
    EXPECT_TRUE(say(name, "STOPPING=1"));
    EXPECT_EQ(m.heard(), "STOPPING=1");
  }
  std::filesystem::remove(name);
  EXPECT_FALSE(say(name, "READY=1")) << "nobody listens";
}

TEST_F(notify, knows_abstract_names) {
  const auto name = "@custos-notify-" + std::to_string(::getpid());
  const manager m(name);
  ASSERT_TRUE(m.bound());
  EXPECT_TRUE(say(name, "READY=1"));
  EXPECT_EQ(m.heard(), "READY=1");
}

TEST_F(notify, says_nothing_without_a_service_manager) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(notify_service_manager("READY=1"));
  EXPECT_FALSE(say("", "READY=1"));
  EXPECT_FALSE(say("relative", "READY=1"));
  EXPECT_FALSE(say("/" + std::string(200, 'x'), "READY=1"));
}

} // namespace custos::runtime
