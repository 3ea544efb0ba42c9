#include "adapters/kmip/session.hpp"

#include "tests/unit/adapters/kmip/fake_server.hpp"

#include <gtest/gtest.h>

namespace custos::kmip {
namespace {

using testing::fake_server;

session_options options_with(std::size_t in_flight_max = 1) {
  session_options options;
  options.in_flight_max = in_flight_max;
  options.new_id = [n = std::uint8_t{0}]() mutable { return batch_item_id{++n}; };
  return options;
}

/// A session and its server, joined by octets in pieces of a given size.
struct joined {
  explicit joined(session_options options, std::size_t piece = 4096)
      : client(std::move(options)), piece_bytes(piece) {}

  void run(session_effects effects) {
    take(effects);
    while (!to_server.empty()) {
      const auto message = std::move(to_server.front());
      to_server.erase(to_server.begin());
      const auto answer = server.answer(message);
      for (std::size_t at = 0; at < answer.size(); at += piece_bytes) {
        const auto part = byte_view(answer).subspan(at);
        auto next = client.feed(part.first(std::min(piece_bytes, part.size())));
        take(next);
      }
    }
  }

  void take(session_effects& effects) {
    for (auto& message : effects.output)
      to_server.push_back(std::move(message));
    for (auto& c : effects.completed)
      completed.push_back(std::move(c));
    became_ready = became_ready || effects.became_ready;
    if (effects.close)
      closed = effects.close;
    if (effects.fall_back)
      fall_back = effects.fall_back;
  }

  session client;
  std::size_t piece_bytes;
  fake_server server;
  std::vector<crypto::wiped_bytes> to_server;
  std::vector<session_effects::completion> completed;
  bool became_ready = false;
  std::optional<error> closed;
  std::optional<protocol_version> fall_back;
};

TEST(KmipSession, NegotiatesTheHighestOfOursWhateverTheServersOrder) {
  for (const std::size_t piece : {1U, 7U, 8U, 9U, 4096U}) {
    joined j(options_with(), piece);
    j.run(j.client.start());
    ASSERT_TRUE(j.became_ready) << piece;
    EXPECT_EQ(j.client.server().version_minor, 4U);
    EXPECT_EQ(j.client.server().server_information, "fake");
    EXPECT_EQ(j.client.server().operations, std::vector<std::uint32_t>{0x0A});
    EXPECT_EQ(j.server.seen, (std::vector{operation::discover_versions, operation::query}));
  }
}

TEST(KmipSession, TheDiscoverIsIn11AndTheRestInWhatWasFound) {
  joined j(options_with());
  j.server.versions = {{1, 2}, {1, 1}};
  auto first = j.client.start();
  ASSERT_EQ(first.output.size(), 1U);
  const auto version = [](byte_view message) {
    return fake_server::version_of(
        parse_ttlv(message)->child(tag::request_header)->child(tag::protocol_version).value());
  };
  EXPECT_EQ(version(first.output[0]), (protocol_version{1, 1}));
  const auto second = j.client.feed(j.server.answer(first.output[0]));
  ASSERT_EQ(second.output.size(), 1U);
  EXPECT_EQ(version(second.output[0]), (protocol_version{1, 2}));
}

TEST(KmipSession, TheNewestOfBothMayBeOf2) {
  joined j(options_with());
  j.server.versions = {{3, 0}, {1, 4}, {2, 0}};
  j.run(j.client.start());
  ASSERT_TRUE(j.became_ready);
  EXPECT_EQ(j.client.server().version_major, 2U);
  EXPECT_EQ(j.client.server().version_minor, 0U);
  j.run(j.client.submit(1, get_state{"a"}));
  ASSERT_TRUE(j.completed.at(0).outcome.ok());
  EXPECT_EQ(std::get<key_state>(*j.completed[0].outcome).state, "Active");
}

TEST(KmipSession, AServerOf2OnlyIsAskedAgainInItsVersion) {
  joined j(options_with());
  j.server.versions = {{2, 1}, {2, 0}};
  j.server.failing[operation::discover_versions] = result_reason::unsupported_protocol_version;
  auto first = j.client.start();
  auto second = j.client.feed(j.server.answer(first.output.at(0)));
  ASSERT_EQ(second.output.size(), 1U);
  EXPECT_EQ(fake_server::version_of(parse_ttlv(second.output[0])
                                        ->child(tag::request_header)
                                        ->child(tag::protocol_version)
                                        .value()),
            (protocol_version{2, 0}));
  j.server.failing.clear();
  j.run(std::move(second));
  ASSERT_TRUE(j.became_ready);
  EXPECT_EQ(j.client.server().version_major, 2U);
  EXPECT_EQ(j.client.server().version_minor, 1U);

  joined refused(options_with());
  refused.server.failing[operation::discover_versions] =
      result_reason::unsupported_protocol_version;
  refused.run(refused.client.start());
  EXPECT_TRUE(refused.closed.has_value()) << "not for ever";
  EXPECT_EQ(refused.server.seen.size(), 2U);
}

TEST(KmipSession, AServerWithoutDiscoverVersionsSpeaks10) {
  joined j(options_with());
  j.server.failing[operation::discover_versions] = result_reason::operation_not_supported;
  j.run(j.client.start());
  ASSERT_TRUE(j.became_ready);
  EXPECT_EQ(j.client.server().version_minor, 0U);
}

TEST(KmipSession, AServerThatCannotReadTheDiscoverIsTriedAgainWith10) {
  session_options options = options_with();
  joined j(std::move(options));
  auto first = j.client.start();
  // An answer without Operation, as to a message that could not be read.
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::response_message);
    w.open(tag::response_header);
    w.open(tag::protocol_version);
    w.integer(tag::protocol_version_major, 1);
    w.integer(tag::protocol_version_minor, 0);
    w.close();
    w.integer(tag::batch_count, 1);
    w.close();
    const ttlv_scope item(w, tag::batch_item);
    w.enumeration(tag::result_status, result_status::operation_failed);
    w.enumeration(tag::result_reason, result_reason::invalid_message);
  }
  const auto end = j.client.feed(w.take());
  EXPECT_TRUE(end.close.has_value());
  EXPECT_EQ(end.fall_back, (protocol_version{1, 0}));
  session_options again = options_with();
  again.assumed = end.fall_back;
  joined k(std::move(again));
  k.run(k.client.start());
  EXPECT_TRUE(k.became_ready);
  EXPECT_EQ(k.server.seen, std::vector{operation::query});
}

TEST(KmipSession, NoCommonVersionIsSaid) {
  joined j(options_with());
  j.server.versions = {{3, 0}, {2, 2}};
  j.run(j.client.start());
  ASSERT_TRUE(j.closed.has_value());
  EXPECT_EQ(j.closed->code, errc::unsupported);
}

TEST(KmipSession, ARefusedQueryDoesNotHinder) {
  joined j(options_with());
  j.server.failing[operation::query] = result_reason::permission_denied;
  j.run(j.client.start());
  EXPECT_TRUE(j.became_ready);
  EXPECT_TRUE(j.client.server().operations.empty());
}

TEST(KmipSession, RequestsWaitUntilReadyAndAreAnsweredInOrder) {
  for (const std::size_t in_flight : {1U, 3U}) {
    joined j(options_with(in_flight), 5);
    auto early = j.client.submit(1, get_key{"a"});
    EXPECT_TRUE(early.output.empty());
    j.run(j.client.start());
    ASSERT_EQ(j.completed.size(), 1U);
    auto first = j.client.submit(2, get_key{"b"});
    auto second = j.client.submit(3, get_state{"b"});
    auto third = j.client.submit(4, activate{"b"});
    EXPECT_EQ(first.output.size(), 1U);
    EXPECT_EQ(second.output.size(), in_flight > 1 ? 1U : 0U);
    EXPECT_EQ(third.output.size(), in_flight > 1 ? 1U : 0U);
    j.take(second);
    j.take(third);
    j.to_server.insert(j.to_server.begin(), std::move(first.output[0]));
    j.run({});
    ASSERT_EQ(j.completed.size(), 4U);
    for (std::uint64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(j.completed[i].ticket, i + 1);
      EXPECT_TRUE(j.completed[i].outcome.ok());
    }
    EXPECT_TRUE(j.client.idle());
  }
}

TEST(KmipSession, AnswersOfARefusalDoNotClose) {
  joined j(options_with());
  j.run(j.client.start());
  j.server.failing[operation::get] = result_reason::item_not_found;
  j.run(j.client.submit(1, get_key{"a"}));
  EXPECT_EQ(j.completed.at(0).outcome.failure().code, errc::not_found);
  EXPECT_FALSE(j.closed);
  j.server.failing.clear();
  j.run(j.client.submit(2, get_key{"a"}));
  EXPECT_TRUE(j.completed.at(1).outcome.ok());
}

TEST(KmipSession, WhatTheVersionCannotDoIsRefusedWithoutSending) {
  joined j(options_with());
  j.server.versions = {{1, 1}};
  j.run(j.client.start());
  const auto seen = j.server.seen.size();
  j.run(j.client.submit(1, encrypt_data{"a", nullptr, {}}));
  EXPECT_EQ(j.completed.at(0).outcome.failure().code, errc::unsupported);
  EXPECT_EQ(j.server.seen.size(), seen);
  EXPECT_FALSE(j.closed);
}

TEST(KmipSession, OctetsNobodyAskedForClose) {
  joined j(options_with());
  j.run(j.client.start());
  const auto end = j.client.feed(bytes{0x42, 0, 0x7B});
  EXPECT_TRUE(end.close.has_value());
  EXPECT_TRUE(j.client.closed());
  EXPECT_EQ(j.client.submit(9, query{}).completed.at(0).outcome.failure().code, errc::unavailable);
}

TEST(KmipSession, ALongMessageIsRefusedByItsHeader) {
  joined j(options_with());
  auto sent = j.client.start();
  const bytes header = {0x42, 0x00, 0x7B, 0x01, 0xFF, 0xFF, 0xFF, 0xF8};
  const auto end = j.client.feed(header);
  ASSERT_TRUE(end.close.has_value());
  EXPECT_EQ(end.close->code, errc::too_large);
}

TEST(KmipSession, AForeignAnswerClosesAndLeavesTheRestUnfinished) {
  joined j(options_with(2));
  j.run(j.client.start());
  j.server.tamper = [](crypto::wiped_bytes& answer) {
    // The Unique Batch Item ID follows the Operation; its first octet counts up.
    const bytes id_header = {0x42, 0x00, 0x93, 0x08};
    const auto at = std::search(answer.begin(), answer.end(), id_header.begin(), id_header.end());
    ASSERT_NE(at, answer.end());
    *(at + 8) = 0xEE;
  };
  auto a = j.client.submit(1, get_key{"a"});
  auto b = j.client.submit(2, activate{"b"});
  auto c = j.client.submit(3, get_key{"c"});
  j.take(a);
  j.take(b);
  j.take(c);
  ASSERT_EQ(j.to_server.size(), 2U);
  auto end = j.client.feed(j.server.answer(j.to_server.front()));
  ASSERT_TRUE(end.close.has_value());
  ASSERT_EQ(end.completed.size(), 1U);
  EXPECT_EQ(end.completed[0].outcome.failure().code, errc::malformed);
  const auto rest = j.client.take_unfinished();
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].ticket, 2U);
  EXPECT_TRUE(rest[0].sent);
  EXPECT_EQ(rest[1].ticket, 3U);
  EXPECT_FALSE(rest[1].sent);
}

TEST(KmipSession, WaitingRequestsAreLimited) {
  session client(options_with());
  for (std::uint64_t i = 1; i <= session_requests_max; ++i)
    EXPECT_TRUE(client.submit(i, query{}).completed.empty());
  EXPECT_EQ(client.submit(0xFFFF, query{}).completed.at(0).outcome.failure().code,
            errc::overloaded);
}

} // namespace
} // namespace custos::kmip
