#include "runtime/program.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace custos::runtime {

namespace {

/// A variable of the environment for as long as the test runs.
class environment {
public:
  environment(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~environment() { ::unsetenv(name_); }
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;

private:
  const char* name_;
};

class program_test : public ::testing::Test {
protected:
  program_test()
      : file(std::filesystem::temp_directory_path() /
             ("custos-program-" + std::to_string(::getpid()) + ".toml")) {
    p.add_common(common);
    p.option("--listen", listen, "Where to listen");
  }
  ~program_test() override {
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
  }
  std::optional<int> parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "custos-test");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const auto result = p.parse(static_cast<int>(arguments.size()), arguments.data());
    written = ::testing::internal::GetCapturedStdout();
    complained = ::testing::internal::GetCapturedStderr();
    return result;
  }
  void configure(const std::string& toml) { std::ofstream(file) << toml; }

  std::filesystem::path file;
  program p{"custos-test", "A test", "  custos-test --listen 127.0.0.1:443\n"};
  common_options common;
  std::string listen = "0.0.0.0:443";
  std::string written;
  std::string complained;
};

} // namespace

TEST_F(program_test, has_defaults) {
  EXPECT_EQ(parse({}), std::nullopt);
  EXPECT_EQ(common.log_level, "info");
  EXPECT_EQ(listen, "0.0.0.0:443");
}

TEST_F(program_test, takes_flags_before_environment_before_file_before_defaults) {
  configure("listen = \"file:1\"\nlog-level = \"error\"\ndrain-seconds = 3\n");
  const environment variable("CUSTOS_TEST_LISTEN", "environment:1");
  const environment level("CUSTOS_TEST_LOG_LEVEL", "warning");
  EXPECT_EQ(parse({"--config", file.c_str(), "--listen", "flag:1"}), std::nullopt) << complained;
  EXPECT_EQ(listen, "flag:1");
  EXPECT_EQ(common.log_level, "warning");
  EXPECT_EQ(common.drain_s, 3U);
  EXPECT_EQ(common.io_threads, 2U);
}

TEST_F(program_test, refuses_what_it_does_not_know) {
  EXPECT_EQ(parse({"--colour", "red"}), exit_usage);
  EXPECT_NE(complained.find("--colour"), std::string::npos) << complained;
}

TEST_F(program_test, refuses_a_file_that_says_what_it_does_not_know) {
  configure("colour = \"red\"\n");
  EXPECT_EQ(parse({"--config", file.c_str()}), exit_usage);
  EXPECT_NE(complained.find("colour"), std::string::npos) << complained;
}

TEST_F(program_test, refuses_values_that_are_not_allowed) {
  for (const auto& [flag, value] :
       std::vector<std::pair<const char*, const char*>>{{"--log-level", "loud"},
                                                        {"--log-format", "xml"},
                                                        {"--threads", "257"},
                                                        {"--threads", "many"},
                                                        {"--io-threads", "0"},
                                                        {"--drain-seconds", "0"},
                                                        {"--secure-heap-bytes", "1024"}}) {
    program fresh{"custos-test", "A test", ""};
    common_options options;
    fresh.add_common(options);
    const std::vector<const char*> arguments{"custos-test", flag, value};
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(fresh.parse(3, arguments.data()), exit_usage) << flag << " " << value;
    const auto text = ::testing::internal::GetCapturedStderr();
    EXPECT_NE(text.find(flag), std::string::npos) << text;
  }
}

TEST_F(program_test, says_when_the_file_is_not_there) {
  EXPECT_EQ(parse({"--config", "/nonexistent/custos.toml"}), exit_usage);
  EXPECT_FALSE(complained.empty());
}

TEST_F(program_test, tells_version_help_and_configuration) {
  EXPECT_EQ(parse({"--version"}), 0);
  EXPECT_EQ(written, "custos-test " CUSTOS_VERSION "\n");
}

TEST_F(program_test, shows_examples_and_exit_codes_in_its_help) {
  EXPECT_EQ(parse({"--help"}), 0);
  EXPECT_NE(written.find("custos-test --listen 127.0.0.1:443"), std::string::npos);
  EXPECT_NE(written.find("Exit codes"), std::string::npos);
  EXPECT_NE(written.find("CUSTOS_TEST_LISTEN"), std::string::npos);
}

TEST_F(program_test, prints_a_configuration_that_it_reads_again) {
  EXPECT_EQ(parse({"--listen", "192.0.2.1:8443", "--print-config"}), exit_ok);
  configure(written);
  program again{"custos-test", "A test", ""};
  common_options options;
  std::string where;
  again.add_common(options);
  again.option("--listen", where, "Where to listen");
  const std::vector<const char*> arguments{"custos-test", "--config", file.c_str()};
  EXPECT_EQ(again.parse(3, arguments.data()), std::nullopt) << written;
  EXPECT_EQ(where, "192.0.2.1:8443");
  EXPECT_EQ(options.secure_heap_bytes, common.secure_heap_bytes);
}

TEST(listen_address, reads_names_and_addresses) {
  const auto v4 = parse_listen("192.0.2.1:443");
  ASSERT_TRUE(v4.has_value());
  EXPECT_EQ(v4->host, "192.0.2.1");
  EXPECT_EQ(v4->port, 443);
  const auto v6 = parse_listen("[2001:db8::1]:8443");
  ASSERT_TRUE(v6.has_value());
  EXPECT_EQ(v6->host, "2001:db8::1");
  EXPECT_EQ(v6->port, 8443);
  EXPECT_EQ(parse_listen("localhost:0")->port, 0);
  EXPECT_EQ(parse_listen("a:65535")->port, 65535);
}

TEST(listen_address, refuses_what_could_be_read_in_two_ways) {
  for (const auto* text : {"",
                           ":",
                           ":443",
                           "443",
                           "host",
                           "host:",
                           "host:65536",
                           "host:99999999999999999999",
                           "host:-1",
                           "host:+1",
                           "host: 1",
                           "host:1 ",
                           "host:0x50",
                           "host:http",
                           "::1",
                           "::1:443",
                           "2001:db8::1:443",
                           "[::1]",
                           "[::1",
                           "[::1:443",
                           "[]:443",
                           "[:443",
                           "[::1]443",
                           "a:b:1"})
    EXPECT_FALSE(parse_listen(text).has_value()) << text;
}

TEST(actor_thread_count, is_what_was_configured_or_at_least_two) {
  EXPECT_EQ(actor_threads(1), 1U);
  EXPECT_EQ(actor_threads(64), 64U);
  EXPECT_GE(actor_threads(0), 2U);
}

TEST_F(program_test, what_passes_by_itself_is_started_again) {
  EXPECT_EQ(exit_code_of_start(make_error(errc::storage_failure, "no space left on device")),
            exit_unavailable);
  EXPECT_EQ(exit_code_of_start(make_error(errc::io_failure, "address in use")), exit_unavailable);
  EXPECT_EQ(exit_code_of_start(make_error(errc::corrupted, "a bad block")), exit_configuration);
  EXPECT_EQ(exit_code_of_start(field_error(errc::storage_failure, "--data-dir", "cannot be made")),
            exit_configuration);
}

} // namespace custos::runtime
