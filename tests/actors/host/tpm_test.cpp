#include "actors/host/tpm_actor.hpp"

#include "tests/actors/deterministic.hpp"

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace custos::host {

namespace {

class tpm_test : public test::deterministic {
protected:
  tpm_test()
      : directory(std::filesystem::temp_directory_path() /
                  ("custos-tpm-" + crypto::hex(crypto::random_bytes(8)))) {
    std::filesystem::create_directories(directory);
  }
  ~tpm_test() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }
  std::filesystem::path write(const std::string& name, const std::string& content) {
    auto file = directory / name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }
  /// A TPM that is not there; its actor has a thread of its own, so the asking blocks.
  template <class Answer, class Message>
  result<Answer> ask_absent(Message message) {
    tpm_options options;
    options.tcti = "device:" + (directory / "no-tpm").string();
    options.ak_file = directory / "ak";
    options.event_log = directory / "log";
    const auto tpm = own(spawn_tpm(system, options));
    caf::scoped_actor self(system);
    std::optional<result<Answer>> out;
    self->request(tpm, std::chrono::minutes(1), std::move(message))
        .receive([&](Answer& a) { out.emplace(std::move(a)); },
                 [&](const caf::error& e) { out.emplace(from_caf(e)); });
    return std::move(*out);
  }

  std::filesystem::path directory;
};

} // namespace

TEST_F(tpm_test, says_that_there_is_no_tpm) {
  const auto identity = ask_absent<tpm_identity>(get_tpm_identity{});
  ASSERT_FALSE(identity.ok());
  EXPECT_EQ(identity.failure().code, errc::tpm_failure);
  EXPECT_FALSE(identity.failure().message.empty());
  EXPECT_EQ(ask_absent<quote_made>(make_quote{bytes(32)}).failure().code, errc::tpm_failure);
  EXPECT_EQ(ask_absent<credential_activated>(activate_credential{{1}, {2}}).failure().code,
            errc::tpm_failure);
  EXPECT_FALSE(std::filesystem::exists(directory / "ak")) << "no key is kept that was never made";
}

TEST_F(tpm_test, reads_the_event_log_whole) {
  std::string content(event_log_bytes_max, '\0');
  for (std::size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>(i * 31);
  const auto log = read_event_log(write("log", content));
  ASSERT_TRUE(log.ok()) << log.failure().message;
  EXPECT_EQ(as_text(*log), content);
  EXPECT_TRUE(read_event_log(write("empty", "")).value().empty());
}

TEST_F(tpm_test, says_what_is_wrong_with_the_event_log) {
  const auto missing = read_event_log(directory / "nothing");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.failure().code, errc::not_found);
  EXPECT_NE(missing.failure().message.find("nothing"), std::string::npos);
  const auto huge = read_event_log(write("huge", std::string(event_log_bytes_max + 1, 'x')));
  ASSERT_FALSE(huge.ok());
  EXPECT_EQ(huge.failure().code, errc::too_large);
  EXPECT_FALSE(read_event_log(directory).ok()) << "a directory is no log";
}

} // namespace custos::host
