#include "adapters/kmip/session.hpp"

#include "tests/unit/adapters/kmip/fake_server.hpp"

#include <gtest/gtest.h>

namespace custos::kmip {
namespace {

using testing::fake_server;

/// A ready session that batches, and its server.
class KmipBatch : public ::testing::Test {
protected:
  void start(std::size_t batch_max, std::size_t message_bytes = message_bytes_default) {
    session_options options;
    options.batch_max = batch_max;
    options.limits.message_bytes = message_bytes;
    options.new_id = [n = std::uint8_t{0}]() mutable { return batch_item_id{++n}; };
    options.assumed = protocol_version{1, 4};
    client.emplace(std::move(options));
    run(client->start());
    server.batches.clear();
  }

  void run(session_effects effects) {
    take(effects);
    while (!to_server.empty()) {
      const auto message = std::move(to_server.front());
      to_server.erase(to_server.begin());
      if (client->closed())
        return;
      auto next = client->feed(server.answer(message));
      take(next);
    }
  }
  void take(session_effects& effects) {
    for (auto& message : effects.output)
      to_server.push_back(std::move(message));
    for (auto& c : effects.completed)
      completed.push_back(std::move(c));
    refused = refused || effects.batch_refused;
    if (effects.close)
      closed = effects.close;
  }
  /// All at once: the first goes, the others wait for its answer.
  void submit(std::vector<request> requests) {
    session_effects all;
    std::uint64_t ticket = 0;
    for (auto& r : requests) {
      auto step = client->submit(++ticket, std::move(r));
      for (auto& m : step.output)
        all.output.push_back(std::move(m));
      for (auto& c : step.completed)
        all.completed.push_back(std::move(c));
    }
    run(std::move(all));
  }

  std::optional<session> client;
  fake_server server;
  std::vector<crypto::wiped_bytes> to_server;
  std::vector<session_effects::completion> completed;
  bool refused = false;
  std::optional<error> closed;
};

TEST_F(KmipBatch, WhatWaitsSharesAMessageUpToTheLimit) {
  start(3);
  submit(std::vector<request>(8, get_key{"a"}));
  EXPECT_EQ(server.batches, (std::vector<std::size_t>{1, 3, 3, 1}));
  ASSERT_EQ(completed.size(), 8U);
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(completed[i].ticket, i + 1);
    EXPECT_TRUE(completed[i].outcome.ok());
  }
  EXPECT_TRUE(client->idle());
}

TEST_F(KmipBatch, WithoutTheOptionEachGoesByItself) {
  start(1);
  submit(std::vector<request>(3, get_key{"a"}));
  EXPECT_EQ(server.batches, (std::vector<std::size_t>{1, 1, 1}));
}

TEST_F(KmipBatch, WhatMustNotBeRepeatedGoesByItself) {
  start(8);
  submit({get_key{"a"}, get_key{"a"}, get_state{"a"}, activate{"a"}, get_key{"a"}, get_key{"b"}});
  EXPECT_EQ(server.batches, (std::vector<std::size_t>{1, 2, 1, 2}));
  EXPECT_EQ(completed.size(), 6U);
}

TEST_F(KmipBatch, AnswersAreFoundByTheirIdWhateverTheOrder) {
  start(8);
  server.backwards = true;
  submit({get_key{"a"}, get_key{"b"}, get_state{"c"}, get_key{"d"}});
  ASSERT_EQ(completed.size(), 4U);
  EXPECT_TRUE(std::holds_alternative<key_state>(*completed[2].outcome));
  EXPECT_FALSE(closed);
}

TEST_F(KmipBatch, OneThatFailsLeavesTheOthersAlone) {
  start(8);
  server.failing[operation::get_attributes] = result_reason::item_not_found;
  submit({get_key{"a"}, get_key{"b"}, get_state{"c"}, get_key{"d"}});
  ASSERT_EQ(completed.size(), 4U);
  EXPECT_EQ(completed[2].outcome.failure().code, errc::not_found);
  EXPECT_TRUE(completed[3].outcome.ok());
  EXPECT_FALSE(closed);
}

TEST_F(KmipBatch, OneThatCannotBeSentIsToldAndTheOthersAreSent) {
  start(8);
  submit({get_key{"a"}, get_key{"b"}, get_key{""}, get_key{"d"}});
  ASSERT_EQ(completed.size(), 4U);
  std::size_t wrong = 0;
  for (const auto& c : completed)
    if (!c.outcome.ok()) {
      EXPECT_EQ(c.ticket, 3U);
      EXPECT_EQ(c.outcome.failure().code, errc::invalid_argument);
      ++wrong;
    }
  EXPECT_EQ(wrong, 1U);
}

TEST_F(KmipBatch, TooLongTogetherGoOneByOne) {
  start(8, 512);
  submit(std::vector<request>(4, get_key{std::string(200, 'x')}));
  EXPECT_EQ(completed.size(), 4U);
  for (const auto& c : completed)
    EXPECT_TRUE(c.outcome.ok());
  EXPECT_EQ(server.batches.front(), 1U);
}

TEST_F(KmipBatch, AServerThatTakesNoBatchesIsToldApart) {
  start(8);
  server.no_batches = true;
  submit({get_key{"a"}, get_key{"b"}, get_key{"c"}});
  EXPECT_TRUE(closed.has_value());
  EXPECT_TRUE(refused);
  ASSERT_EQ(completed.size(), 1U) << "the first, by itself";
  const auto rest = client->take_unfinished();
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].ticket, 2U);
  EXPECT_EQ(rest[1].ticket, 3U);
  EXPECT_TRUE(rest[0].sent);
}

TEST_F(KmipBatch, AnAnswerOfAnotherIdFailsTheWholeBatch) {
  start(8);
  server.tamper = [](crypto::wiped_bytes& answer) {
    const bytes id_header = {0x42, 0x00, 0x93, 0x08};
    const auto first =
        std::search(answer.begin(), answer.end(), id_header.begin(), id_header.end());
    const auto last =
        std::find_end(answer.begin(), answer.end(), id_header.begin(), id_header.end());
    if (first != last)
      *(last + 8) = 0xEE;
  };
  submit({get_key{"a"}, get_key{"b"}, get_key{"c"}});
  ASSERT_TRUE(closed.has_value());
  EXPECT_EQ(closed->code, errc::malformed);
  EXPECT_EQ(completed.size(), 1U);
  EXPECT_EQ(client->take_unfinished().size(), 2U);
}

} // namespace
} // namespace custos::kmip
