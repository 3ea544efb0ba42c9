#pragma once
// A software TPM of a test's own: started, rebooted, asked by other tools.

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace custos::test {

inline const std::string scripts = CUSTOS_SOURCE_DIR "/tests/system/";

inline std::string run_script(const std::string& command) {
  FILE* const out = ::popen((command + " 2>&1").c_str(), "r");
  if (out == nullptr)
    return "popen failed";
  std::string text;
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), out) != nullptr)
    text += buffer.data();
  return ::pclose(out) == 0 ? text : "failed: " + text;
}

inline std::uint16_t bind_free(int fd, std::uint16_t port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  where.sin_port = htons(port);
  socklen_t size = sizeof where;
  auto* const address = reinterpret_cast<sockaddr*>(&where);
  if (::bind(fd, address, size) != 0 || ::getsockname(fd, address, &size) != 0)
    return 0;
  return ntohs(where.sin_port);
}

/// A port that is free with its neighbour: swtpm needs two.
inline std::uint16_t free_ports() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int one = ::socket(AF_INET, SOCK_STREAM, 0);
    const int two = ::socket(AF_INET, SOCK_STREAM, 0);
    const auto port = bind_free(one, 0);
    const bool both = port != 0 && port != 0xFFFF && bind_free(two, port + 1) != 0;
    ::close(one);
    ::close(two);
    if (both)
      return port;
  }
  return 0;
}

/// One TPM, in a folder and at a port of its own. Stopped and removed at the end.
class software_tpm {
public:
  /// Starts it; EXPECTs that this works.
  software_tpm() {
    std::string name = (std::filesystem::temp_directory_path() / "custos-tpm-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    port_ = free_ports();
    EXPECT_NE(port_, 0);
    power_on();
  }
  software_tpm(const software_tpm&) = delete;
  software_tpm& operator=(const software_tpm&) = delete;
  ~software_tpm() {
    power_off();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  void power_on() {
    const auto out = run_script(scripts + "start_swtpm.sh " + (dir_ / "tpm").string() + " " +
                                std::to_string(port_));
    pid_ = std::atoi(out.c_str());
    ASSERT_GT(pid_, 0) << out;
  }
  void power_off() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGTERM);
    // It is not our child; its port is free when it has gone.
    run_script("timeout 20 tail -s 0.05 --pid=" + std::to_string(std::exchange(pid_, 0)) +
               " -f /dev/null");
  }
  [[nodiscard]] std::string tcti() const {
    return "swtpm:host=127.0.0.1,port=" + std::to_string(port_);
  }
  /// One of tpm2-tools. One client at a time.
  [[nodiscard]] std::string tool(const std::string& command) const {
    return run_script("TPM2TOOLS_TCTI=" + tcti() + " " + command);
  }
  [[nodiscard]] const std::filesystem::path& dir() const { return dir_; }

private:
  std::filesystem::path dir_;
  std::uint16_t port_ = 0;
  int pid_ = 0;
};

} // namespace custos::test
