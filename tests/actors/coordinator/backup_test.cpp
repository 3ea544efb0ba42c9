#include "tests/actors/coordinator/fixture.hpp"

namespace custos::coordinator {

namespace {

class coordinator_backup : public custos::test::coordinator_fixture {
protected:
  coordinator_backup() {
    auto given = ports();
    given.make_backup = [this](const crypto::key& recipient,
                               const std::function<void(result<std::string>)>& done) {
      asked.push_back(recipient);
      done(reply);
    };
    api = std::make_unique<coordinator_api>(std::move(given));
  }
  static std::string wish(const crypto::key& key) {
    return custos::test::bj::serialize(custos::test::bj::object{{"recipient", key.public_pem()}});
  }

  std::vector<crypto::key> asked;
  result<std::string> reply = std::string("file");
};

} // namespace

TEST_F(coordinator_backup, is_handed_out_for_a_key_and_on_record) {
  const auto key = crypto::generate_p256().value();
  const auto a = send("POST", "/custos/v1/backup", wish(key));
  EXPECT_EQ(a.status, 200U);
  EXPECT_EQ(a.content_type, "application/octet-stream");
  EXPECT_EQ(a.body, "file");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_TRUE(asked[0].same_public(key));
  ASSERT_EQ(audit.size(), 2U);
  EXPECT_EQ(audit[0].action, "coordinator.backup");
  EXPECT_EQ(audit[0].actor, "alice");
  EXPECT_EQ(audit[1].outcome, "ok");
}

TEST_F(coordinator_backup, is_for_administrators) {
  const auto key = crypto::generate_p256().value();
  EXPECT_EQ(send("POST", "/custos/v1/backup", wish(key), {}, certificates().auditor).status, 403U);
  EXPECT_EQ(send("POST", "/custos/v1/backup", R"({"recipient":""})").status, 400U);
  EXPECT_TRUE(asked.empty());
}

TEST_F(coordinator_backup, holds_every_entry_of_the_store) {
  const auto entries = known->entries();
  ASSERT_TRUE(entries.ok());
  EXPECT_EQ(entries->size(), 3U + 6U); // clusters and members
  const auto stored = store->scan("").value();
  for (std::size_t i = 0; i < entries->size(); ++i)
    EXPECT_EQ(entries->at(i).key, stored.at(i).key);
}

} // namespace custos::coordinator
