#include "cluster/command_codec.hpp"

#include "adapters/crypto/crypto.hpp"

#include <gtest/gtest.h>

namespace custos::cluster {

namespace {

replicated_command some_command() {
  replicated_command out;
  out.command.operation_id = "op-1";
  out.command.action = config_action::create;
  out.command.kind = object_kind::host;
  out.command.name = "h";
  out.command.document = "{}";
  out.command.if_revision = 258;
  out.command.actor = "admin";
  out.valid_until = 65536;
  return out;
}

void expect_same(const replicated_command& a, const replicated_command& b) {
  EXPECT_EQ(a.valid_until, b.valid_until);
  EXPECT_EQ(a.command.operation_id, b.command.operation_id);
  EXPECT_EQ(a.command.action, b.command.action);
  EXPECT_EQ(a.command.kind, b.command.kind);
  EXPECT_EQ(a.command.name, b.command.name);
  EXPECT_EQ(a.command.document, b.command.document);
  EXPECT_EQ(a.command.if_revision, b.command.if_revision);
  EXPECT_EQ(a.command.actor, b.command.actor);
}

errc failure_of(const bytes& octets) {
  const auto read = decode_replicated_command(octets);
  EXPECT_FALSE(read.ok());
  return read.ok() ? errc::internal : read.failure().code;
}

} // namespace

TEST(command_codec, has_these_bytes) {
  EXPECT_EQ(crypto::hex(encode(some_command())), "01"
                                                 "0000000000010000"
                                                 "02"
                                                 "07"
                                                 "010000000000000102"
                                                 "046f702d31"
                                                 "0168"
                                                 "000561646d696e"
                                                 "000000027b7d");
}

TEST(command_codec, reads_what_it_wrote) {
  auto c = some_command();
  expect_same(*decode_replicated_command(encode(c)), c);
  c.command.if_revision.reset();
  c.command.name.clear(); // the state machine judges names
  c.command.actor.clear();
  c.command.document.clear();
  c.valid_until = 0;
  expect_same(*decode_replicated_command(encode(c)), c);
  c.command.operation_id = std::string(operation_id_bytes_max, '~');
  c.command.name = std::string(object_name_bytes_max, '/');
  c.command.actor = std::string(actor_bytes_max, '\0');
  c.command.document = std::string(config_document_bytes_max, '\xFF');
  c.command.if_revision = ~std::uint64_t{0};
  const auto largest = encode(c);
  EXPECT_EQ(largest.size(), command_bytes_max);
  expect_same(*decode_replicated_command(largest), c);
}

TEST(command_codec, stops_at_what_later_versions_may_have) {
  auto octets = encode(some_command());
  octets[0] = 2;
  EXPECT_EQ(failure_of(octets), errc::unsupported);
  octets = encode(some_command());
  octets[9] = 4; // action
  EXPECT_EQ(failure_of(octets), errc::unsupported);
  octets[9] = 0;
  EXPECT_EQ(failure_of(octets), errc::unsupported);
  octets = encode(some_command());
  octets[10] = static_cast<std::uint8_t>(last_object_kind) + 1;
  EXPECT_EQ(failure_of(octets), errc::unsupported);
  octets[10] = 0;
  EXPECT_EQ(failure_of(octets), errc::unsupported);
}

TEST(command_codec, refuses_whatever_ends_early_or_late) {
  const auto whole = encode(some_command());
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(failure_of(bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))),
              errc::malformed)
        << n;
  auto longer = whole;
  longer.push_back(0);
  EXPECT_EQ(failure_of(longer), errc::malformed);
}

TEST(command_codec, refuses_a_second_form_of_the_same) {
  auto c = some_command();
  auto octets = encode(c);
  octets[11] = 2; // has if_revision
  EXPECT_EQ(failure_of(octets), errc::malformed);
  octets[11] = 0; // and yet there is one
  EXPECT_EQ(failure_of(octets), errc::malformed);
  c.command.operation_id = "x";
  octets = encode(c);
  octets[21] = ' '; // the operation id
  EXPECT_EQ(failure_of(octets), errc::malformed);
  octets[20] = 0; // an empty one
  EXPECT_EQ(failure_of(octets), errc::malformed);
}

TEST(command_codec, refuses_lengths_beyond_the_limits) {
  auto c = some_command();
  c.command.document = std::string(config_document_bytes_max, ' ');
  auto octets = encode(c);
  octets.push_back(' ');
  octets[octets.size() - config_document_bytes_max - 2] = 1; // one octet more
  EXPECT_EQ(failure_of(octets), errc::malformed);
}

TEST(command_codec, says_what_may_enter_the_log) {
  const auto refused = [](auto change) {
    auto c = some_command().command;
    change(c);
    const auto checked = check_replicable(c);
    return checked ? std::string("nothing") : checked.failure().field;
  };
  EXPECT_EQ(refused([](config_command&) {}), "nothing");
  EXPECT_EQ(refused([](config_command& c) { c.kind = static_cast<object_kind>(0); }), "kind");
  EXPECT_EQ(refused([](config_command& c) { c.action = static_cast<config_action>(9); }), "action");
  EXPECT_EQ(refused([](config_command& c) { c.operation_id.clear(); }), "operation_id");
  EXPECT_EQ(refused([](config_command& c) { c.operation_id = "a b"; }), "operation_id");
  EXPECT_EQ(refused([](config_command& c) { c.operation_id = std::string(129, 'a'); }),
            "operation_id");
  EXPECT_EQ(refused([](config_command& c) { c.name = std::string(129, 'a'); }), "name");
  EXPECT_EQ(refused([](config_command& c) { c.actor = std::string(513, 'a'); }), "actor");
  EXPECT_EQ(refused([](config_command& c) {
              c.document = std::string(config_document_bytes_max + 1, 'a');
            }),
            "");
}

} // namespace custos::cluster
