#include "actors/audit/audit_actor.hpp"

#include "tests/actors/deterministic.hpp"

#include <csignal>
#include <filesystem>
#include <sys/resource.h>

namespace custos::audit {
namespace {

constexpr std::int64_t now = 1'800'000'000;

class audit_actor_test : public test::deterministic {
protected:
  audit_actor_test()
      : directory(std::filesystem::temp_directory_path() /
                  ("custos-audit-actor-" + crypto::hex(crypto::random_bytes(8)))),
        gauges(std::make_shared<audit_gauges>()) {
    auto log = audit_log::open(directory, now);
    EXPECT_TRUE(log) << log.failure().message;
    service = own(spawn_audit_scheduled(system, *std::move(log), given()));
  }
  ~audit_actor_test() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  audit_dependencies given() {
    return {[] { return now; }, gauges,
            [this](std::string_view text) { complaints.emplace_back(text); }};
  }
  static audit_append append(std::string action = "key.generate") {
    return {{"host-7", "192.0.2.7:1", std::move(action), "vault", "ok", ""}};
  }
  std::uint64_t lines_on_disk() {
    const auto found = verify_directory(directory);
    EXPECT_TRUE(found) << found.failure().message;
    return found ? found->lines : 0;
  }

  std::filesystem::path directory;
  std::shared_ptr<audit_gauges> gauges;
  std::vector<std::string> complaints;
  audit_api service;
};

TEST_F(audit_actor_test, acknowledges_what_is_on_disk) {
  const auto done = ask<audit_appended>(service, append());
  ASSERT_TRUE(done) << done.failure().message;
  EXPECT_EQ(done->sequence, 1U);
  EXPECT_EQ(lines_on_disk(), 1U);
  EXPECT_EQ(ask<audit_appended>(service, append())->sequence, 2U);
  EXPECT_EQ(gauges->records, 2U);
  EXPECT_TRUE(complaints.empty());
}

TEST_F(audit_actor_test, one_sync_serves_all_who_wait) {
  std::vector<answer<audit_appended>> waiting;
  for (int i = 0; i < 100; ++i)
    waiting.push_back(post<audit_appended>(service, append()));
  run();
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    ASSERT_TRUE(waiting[i]->has_value());
    ASSERT_TRUE((*waiting[i])->ok());
  }
  EXPECT_EQ(lines_on_disk(), 100U);
  EXPECT_EQ(gauges->records, 100U);
  EXPECT_LT(gauges->syncs, 10U);
}

TEST_F(audit_actor_test, records_without_answer_are_written_too) {
  caf::anon_send(service, append().record);
  run();
  EXPECT_EQ(lines_on_disk(), 1U);
  caf::anon_send(service, append().record);
  EXPECT_TRUE(ask<drained>(service, drain{}));
  EXPECT_EQ(lines_on_disk(), 2U);
}

TEST_F(audit_actor_test, what_was_accepted_is_written_before_the_end) {
  for (std::size_t i = 0; i < 5; ++i)
    caf::anon_send(service, append().record);
  caf::anon_send_exit(service, caf::exit_reason::user_shutdown);
  run();
  EXPECT_EQ(lines_on_disk(), 5U);
}

TEST_F(audit_actor_test, a_full_disk_is_told_to_whoever_waits_and_recorded_later) {
  ASSERT_TRUE(ask<audit_appended>(service, append()));
  const auto previous_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit previous{};
  ::getrlimit(RLIMIT_FSIZE, &previous);
  const rlimit full{10, previous.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &full);
  const auto refused = ask<audit_appended>(service, append("lost"));
  caf::anon_send(service, append("lost").record);
  const auto drained_badly = ask<drained>(service, drain{});
  ::setrlimit(RLIMIT_FSIZE, &previous);
  std::signal(SIGXFSZ, previous_handler);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.failure().code, errc::storage_failure);
  EXPECT_FALSE(drained_badly);
  EXPECT_FALSE(gauges->writable);
  EXPECT_EQ(gauges->lost_records, 2U);
  EXPECT_EQ(gauges->write_failures, 2U);
  EXPECT_EQ(complaints.size(), 2U);
  const auto after = ask<audit_appended>(service, append("after"));
  ASSERT_TRUE(after) << after.failure().message;
  EXPECT_EQ(after->sequence, 3U) << "the second record tells of the loss";
  EXPECT_TRUE(gauges->writable);
  EXPECT_EQ(lines_on_disk(), 3U);
}

} // namespace
} // namespace custos::audit
