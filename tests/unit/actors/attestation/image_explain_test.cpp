#include "actors/attestation/image_explain.hpp"
#include "tests/unit/actors/attestation/booted.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;
namespace et = eventlog::event_type;

const booted& golden() {
  static const booted b({{4, "shim"}, {4, "kernel"}, {9, "initrd"}});
  return b;
}

/// "=shim -old +new": matched, missing, unexpected.
std::string shown(const explained_pcr& p) {
  std::string out;
  for (const auto& e : p.events) {
    out += out.empty() ? "" : " ";
    out += e.outcome == event_outcome::matched   ? "="
           : e.outcome == event_outcome::missing ? "-"
                                                 : "+";
    out += e.type == et::separator ? "|" : e.hint;
    EXPECT_EQ(e.event.has_value(), e.outcome != event_outcome::missing);
  }
  return out;
}

TEST(explaining, a_match_has_nothing_to_change) {
  const auto x = explain(golden().image("web", default_pcrs), golden().evidence());
  EXPECT_FALSE(x.why);
  for (const auto& p : x.pcrs) {
    EXPECT_EQ(p.outcome, pcr_outcome::matches) << p.pcr;
    EXPECT_EQ(p.change, "") << p.pcr;
  }
  EXPECT_EQ(json_of(x).at("matches"), true);
}

TEST(explaining, names_events_that_are_new_and_events_that_are_gone) {
  const booted updated({{4, "shim"}, {4, "new kernel"}, {9, "initrd"}});
  const auto x = explain(golden().image("web", 1U << 4 | 1U << 9), updated.evidence());
  ASSERT_TRUE(x.why);
  EXPECT_EQ(x.why->check, "base-image");
  ASSERT_EQ(x.pcrs.size(), 2U);
  EXPECT_EQ(x.pcrs[0].outcome, pcr_outcome::differs);
  EXPECT_THAT(shown(x.pcrs[0]),
              testing::AnyOf("=shim +new kernel -kernel =|", "=shim -kernel +new kernel =|"));
  EXPECT_THAT(x.pcrs[0].change, HasSubstr("expect event 2 EV_EFI_ACTION 'new kernel'"));
  EXPECT_THAT(x.pcrs[0].change, HasSubstr("do without EV_EFI_ACTION 'kernel'"));
  EXPECT_EQ(x.pcrs[1].outcome, pcr_outcome::matches);
  const auto json = json_of(x);
  EXPECT_EQ(json.at("matches"), false);
  EXPECT_EQ(json.at("why").at("pcr"), 4);
  EXPECT_EQ(json.at("why").at("event"), 2);
  const auto& first = json.at("pcrs").at(0);
  EXPECT_EQ(first.at("verdict"), "differs");
  EXPECT_EQ(first.at("events").as_array().size(), 4U);
  EXPECT_EQ(first.at("events").at(0).at("outcome"), "matched");
  EXPECT_EQ(first.at("events").at(0).at("event"), 1);
  EXPECT_EQ(first.at("events").at(0).at("digest").as_string(),
            crypto::hex(crypto::sha256(as_bytes("shim"))));
}

TEST(explaining, sees_that_events_were_only_moved) {
  const booted moved({{4, "kernel"}, {4, "shim"}});
  const auto x = explain(golden().image("web"), moved.evidence());
  ASSERT_TRUE(x.why);
  EXPECT_THAT(x.pcrs.at(0).change, HasSubstr("another order"));
}

TEST(explaining, sets) {
  auto image = golden().image("web");
  image.pcrs[0].form = pcr_form::set;
  EXPECT_EQ(shown(explain(image, booted({{4, "kernel"}, {4, "shim"}}).evidence()).pcrs[0]),
            "=kernel =shim =|");
  const auto x = explain(image, booted({{4, "x"}, {4, "shim"}}).evidence());
  EXPECT_EQ(shown(x.pcrs[0]), "+x =shim =|");
  EXPECT_THAT(x.pcrs[0].change, HasSubstr("set would have to hold event 1"));
}

TEST(explaining, exact_values) {
  auto image = golden().image("web");
  image.pcrs[0] = {4, pcr_form::exact, {bytes(32, 1)}, {}};
  auto x = explain(image, golden().evidence());
  EXPECT_EQ(x.pcrs[0].outcome, pcr_outcome::differs);
  EXPECT_THAT(x.pcrs[0].change, HasSubstr(crypto::hex(golden().value(4))));
  EXPECT_FALSE(json_of(x).at("pcrs").at(0).as_object().contains("events"));
  image.pcrs[0].values.push_back(golden().value(4));
  x = explain(image, golden().evidence());
  EXPECT_FALSE(x.why);
  EXPECT_EQ(x.pcrs[0].outcome, pcr_outcome::matches);
}

TEST(explaining, an_ignored_pcr_and_a_log_that_lies) {
  booted lied({{4, "shim"}, {4, "kernel"}});
  auto image = lied.image("web");
  image.pcrs[0].form = pcr_form::ignored;
  EXPECT_EQ(explain(image, lied.evidence()).pcrs[0].outcome, pcr_outcome::ignored);
  const bytes other(32, 9);
  lied.quoted.front().values.at(4) = other;
  const auto x = explain(image, lied.evidence());
  EXPECT_EQ(x.pcrs[0].outcome, pcr_outcome::log_differs);
  EXPECT_EQ(x.why.value().check, "event-log-replay");
  EXPECT_THAT(x.pcrs[0].change, HasSubstr("without logging it"));
  // No event at all: only the value can be judged.
  lied.quoted.front().values.at(11) = other;
  image.pcrs[0] = {11, pcr_form::ordered, {}, {}};
  EXPECT_THAT(explain(image, lied.evidence()).pcrs[0].change, HasSubstr(crypto::hex(other)));
}

TEST(explaining, what_was_not_quoted) {
  booted boot({{4, "shim"}});
  const auto image = boot.image("web");
  boot.quoted.front().mask = 1U << 7;
  auto x = explain(image, boot.evidence());
  EXPECT_EQ(x.why.value().check, "pcr-selection");
  EXPECT_EQ(x.why->pcr, 4U);
  EXPECT_EQ(x.pcrs.at(0).outcome, pcr_outcome::not_quoted);
  boot.quoted.erase(boot.quoted.begin());
  EXPECT_EQ(explain(image, boot.evidence()).pcrs.at(0).outcome, pcr_outcome::not_quoted);
  auto odd = image;
  odd.bank = "md5";
  EXPECT_EQ(explain(odd, boot.evidence()).pcrs.at(0).outcome, pcr_outcome::not_quoted);
}

TEST(explaining, hints_cannot_steer_a_terminal) {
  auto image = golden().image("web");
  image.pcrs[0].events[0] = {et::efi_action, bytes(32, 1), "\x1B[2J\nforged\xC3\xA4"};
  const auto x = explain(image, golden().evidence());
  for (const auto& e : x.pcrs[0].events)
    for (const char c : e.hint)
      EXPECT_TRUE(c >= 0x20 && c < 0x7F) << e.hint;
}

TEST(explaining, json_of_much_keeps_the_differences) {
  measured many;
  for (int i = 0; i < 600; ++i)
    many.emplace_back(8, "command " + std::to_string(i));
  const booted boot(many);
  auto image = boot.image("web", 1U << 8);
  image.pcrs[0].events[300].digest.back() ^= 1;
  const auto json = json_of(explain(image, boot.evidence()));
  const auto& pcr = json.at("pcrs").at(0);
  EXPECT_EQ(pcr.at("events").as_array().size(), 2U);
  EXPECT_EQ(pcr.at("events_left_out"), 599);
  image.pcrs[0].events.clear();
  const auto all = json_of(explain(image, boot.evidence()));
  EXPECT_EQ(all.at("pcrs").at(0).at("events").as_array().size(), shown_events_max);
  EXPECT_THAT(std::string(all.at("pcrs").at(0).at("change").as_string()), HasSubstr("597 more"));
}

} // namespace
} // namespace custos::attestation
