#include "actors/audit/audit_log.hpp"

#include "actors/audit/files.hpp"

#include <csignal>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <sys/resource.h>

namespace custos::audit {
namespace {

constexpr std::int64_t now = 1'800'000'000;

audit_record record(const std::string& action = "key.generate") {
  return {"host-7", "192.0.2.7:1", action, "vault", "ok", ""};
}

class audit_log_test : public ::testing::Test {
protected:
  audit_log_test()
      : directory(std::filesystem::temp_directory_path() /
                  ("custos-audit-" + crypto::hex(crypto::random_bytes(8)))),
        active(directory / active_file_name) {}
  ~audit_log_test() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  audit_log must_open(log_limits limits = {}) {
    auto log = audit_log::open(directory, now, limits);
    EXPECT_TRUE(log) << log.failure().message;
    return *std::move(log);
  }
  std::string text() {
    std::ifstream in(active, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  chain_summary must_verify() {
    const auto found = verify_directory(directory);
    EXPECT_TRUE(found) << found.failure().message;
    return found ? *found : chain_summary{};
  }
  std::filesystem::path directory, active;
};

TEST_F(audit_log_test, nothing_counts_before_it_is_synced) {
  auto log = must_open();
  EXPECT_EQ(log.append(record(), now), 1U);
  EXPECT_EQ(log.append(record(), now), 2U);
  EXPECT_GT(log.buffered_bytes(), 0U);
  EXPECT_EQ(text(), "");
  ASSERT_TRUE(log.sync());
  EXPECT_EQ(log.buffered_bytes(), 0U);
  EXPECT_EQ(must_verify().lines, 2U);
}

TEST_F(audit_log_test, the_chain_goes_on_after_a_restart) {
  {
    auto log = must_open();
    log.append(record(), now);
    ASSERT_TRUE(log.sync());
  }
  chain_head head;
  {
    auto log = must_open();
    EXPECT_EQ(log.head().sequence, 1U);
    EXPECT_EQ(log.append(record(), now), 2U);
    ASSERT_TRUE(log.sync());
    head = log.head();
  }
  EXPECT_EQ(must_verify().last, head);
}

TEST_F(audit_log_test, a_second_process_is_kept_out) {
  const auto log = must_open();
  const auto second = audit_log::open(directory, now);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.failure().code, errc::already_exists);
}

TEST_F(audit_log_test, full_files_are_kept_and_the_chain_runs_through_them) {
  log_limits limits;
  limits.file_bytes_max = 1000;
  {
    auto log = must_open(limits);
    for (int i = 0; i < 20; ++i) {
      log.append(record(), now);
      ASSERT_TRUE(log.sync());
      EXPECT_FALSE(log.rotation_failure().has_value());
    }
  }
  const auto files = log_files(directory);
  ASSERT_TRUE(files);
  EXPECT_GT(files->size(), 3U);
  EXPECT_EQ(files->back(), active);
  EXPECT_EQ(must_verify().lines, 20U);
  {
    auto log = must_open(limits);
    EXPECT_EQ(log.head().sequence, 20U);
    EXPECT_EQ(log.append(record(), now), 21U);
    ASSERT_TRUE(log.sync());
  }
  EXPECT_EQ(must_verify().lines, 21U);
  std::filesystem::remove(files->at(1));
  EXPECT_FALSE(verify_directory(directory)) << "a missing file in the middle";
}

TEST_F(audit_log_test, the_chain_goes_on_when_the_process_ended_between_two_files) {
  {
    auto log = must_open();
    log.append(record(), now);
    ASSERT_TRUE(log.sync());
  }
  std::filesystem::rename(active, directory / full_file_name(1));
  auto log = must_open();
  EXPECT_EQ(log.append(record(), now), 2U);
  ASSERT_TRUE(log.sync());
  EXPECT_EQ(must_verify().lines, 2U);
}

TEST_F(audit_log_test, the_oldest_files_may_be_taken_away) {
  log_limits limits;
  limits.file_bytes_max = 1;
  {
    auto log = must_open(limits);
    for (int i = 0; i < 3; ++i) {
      log.append(record(), now);
      ASSERT_TRUE(log.sync());
    }
  }
  std::filesystem::remove(directory / full_file_name(1));
  const auto found = must_verify();
  EXPECT_EQ(found.lines, 2U);
  EXPECT_EQ(found.before.sequence, 1U);
}

TEST_F(audit_log_test, an_unfinished_last_line_is_cut_off_and_told) {
  {
    auto log = must_open();
    log.append(record(), now);
    log.append(record(), now);
    ASSERT_TRUE(log.sync());
  }
  const auto whole = text();
  for (const std::string& rest : {whole.substr(0, 100), std::string(5000, '\0')}) {
    std::ofstream(active, std::ios::binary) << whole << rest;
    const auto log = must_open();
    EXPECT_EQ(log.head().sequence, 3U);
    EXPECT_TRUE(text().starts_with(whole));
    EXPECT_NE(text().find("audit.recover"), std::string::npos);
    EXPECT_NE(text().find(std::to_string(rest.size()) + " octets"), std::string::npos);
    EXPECT_EQ(must_verify().lines, 3U);
  }
}

TEST_F(audit_log_test, a_file_with_nothing_but_an_unfinished_line_begins_anew) {
  std::filesystem::create_directories(directory);
  std::ofstream(active, std::ios::binary) << "{\"sequ";
  const auto log = must_open();
  EXPECT_EQ(log.head().sequence, 1U);
  EXPECT_EQ(must_verify().lines, 1U);
}

TEST_F(audit_log_test, a_damaged_last_record_is_not_continued) {
  {
    auto log = must_open();
    log.append(record(), now);
    ASSERT_TRUE(log.sync());
  }
  auto changed = text();
  changed[20] = static_cast<char>(changed[20] ^ 1);
  std::ofstream(active, std::ios::binary) << changed;
  const auto log = audit_log::open(directory, now);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.failure().code, errc::corrupted);
  EXPECT_EQ(text(), changed) << "evidence is not touched";
}

/// A file-size limit of the process stands for a full disk: write() fails in the middle of a group.
class size_limit {
public:
  explicit size_limit(rlim_t bytes_max) {
    previous_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit wanted{bytes_max, previous_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &wanted);
  }
  ~size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }

private:
  rlimit previous_{};
  void (*previous_handler_)(int) = SIG_DFL;
};

TEST_F(audit_log_test, after_a_failed_write_the_chain_goes_on_from_its_last_durable_record) {
  auto log = must_open();
  log.append(record("first"), now);
  ASSERT_TRUE(log.sync());
  const auto durable = log.head();
  const auto before = text();
  {
    const size_limit full(before.size() + 100);
    log.append(record("lost"), now);
    log.append(record("lost"), now);
    const auto failed = log.sync();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.failure().code, errc::storage_failure);
    EXPECT_EQ(log.head(), durable);
    log.append(record("lost"), now);
    EXPECT_FALSE(log.sync());
  }
  EXPECT_EQ(log.append(record("after"), now), 2U);
  ASSERT_TRUE(log.sync());
  EXPECT_EQ(text().find("lost"), std::string::npos);
  EXPECT_EQ(must_verify().lines, 2U);
}

} // namespace
} // namespace custos::audit
