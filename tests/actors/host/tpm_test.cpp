#include "actors/host/tpm_actor.hpp"

#include "tests/actors/deterministic.hpp"

#include <filesystem>

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
  /// A TPM that is not there; its actor has a thread of its own, so the asking blocks.
  template <class Answer, class Message>
  result<Answer> ask_absent(Message message) {
    tpm_options options;
    options.tcti = "device:" + (directory / "no-tpm").string();
    options.ak.file = directory / "ak";
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

} // namespace custos::host
