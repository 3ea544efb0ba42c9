#include "actors/attestation/image_diff.hpp"
#include "tests/unit/actors/attestation/booted.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;
using testing::ElementsAre;

base_image image(const measured& events) {
  return booted(events).image("web", 1U << 4 | 1U << 9);
}

std::vector<std::string> members(const image_difference& d) {
  std::vector<std::string> out;
  for (const auto& m : d.members)
    out.push_back(m.member + ": " + m.a + ", " + m.b);
  return out;
}

TEST(image_diff, of_the_same) {
  auto a = image({{4, "shim"}, {9, "initrd"}});
  auto b = a;
  b.name = "other";
  b.pcrs[0].events[0].hint = "another hint";
  EXPECT_TRUE(diff(a, b).none());
  EXPECT_EQ(boost::json::serialize(json_of(diff(a, b))), R"({"same":true})");
}

TEST(image_diff, events_that_one_has) {
  const auto d = diff(image({{4, "shim"}, {4, "old"}, {9, "initrd"}}),
                      image({{4, "shim"}, {4, "new"}, {9, "initrd"}}));
  ASSERT_EQ(d.pcrs.size(), 1U);
  EXPECT_EQ(d.pcrs[0].pcr, 4U);
  ASSERT_EQ(d.pcrs[0].events.size(), 2U);
  for (const auto& e : d.pcrs[0].events)
    EXPECT_EQ(e.event.hint, e.in_a ? "old" : "new");
  const auto json = json_of(d);
  EXPECT_EQ(json.at("same"), false);
  EXPECT_EQ(json.at("pcrs").at(0).at("events").as_array().size(), 2U);
}

TEST(image_diff, order_counts_unless_one_is_a_set) {
  const auto a = image({{4, "x"}, {4, "y"}});
  auto b = image({{4, "y"}, {4, "x"}});
  EXPECT_FALSE(diff(a, b).none());
  auto c = a;
  for (auto* const i : {&b, &c})
    i->pcrs[0].form = pcr_form::set;
  EXPECT_TRUE(diff(b, c).none());
  const auto d = diff(a, b);
  ASSERT_EQ(d.pcrs.size(), 1U);
  EXPECT_EQ(d.pcrs[0].a, pcr_form::ordered);
  EXPECT_EQ(d.pcrs[0].b, pcr_form::set);
  EXPECT_TRUE(d.pcrs[0].events.empty());
}

TEST(image_diff, pcrs_and_values_that_one_has) {
  auto a = image({{4, "x"}});
  auto b = a;
  b.pcrs.push_back({11, pcr_form::exact, {bytes(32, 1), bytes(32, 2)}, {}});
  a.pcrs.push_back({12, pcr_form::ignored, {}, {}});
  const auto d = diff(a, b);
  ASSERT_EQ(d.pcrs.size(), 2U);
  EXPECT_FALSE(d.pcrs[0].a);
  EXPECT_EQ(d.pcrs[0].values_only_b.size(), 2U);
  EXPECT_EQ(d.pcrs[1].a, pcr_form::ignored);
  EXPECT_FALSE(d.pcrs[1].b);
  const auto json = json_of(d);
  EXPECT_EQ(json.at("pcrs").at(0).at("a"), "not judged");
  EXPECT_EQ(json.at("pcrs").at(0).at("values_only_in_b").as_array().size(), 2U);
}

TEST(image_diff, demands) {
  const auto a = image({{4, "x"}});
  auto b = a;
  b.version = "2";
  b.audit_only = true;
  b.secure_boot = secure_boot_demand{true, {bytes(32, 1)}, {bytes(32, 2)}};
  b.ima = ima_policy{{{"/usr/bin/x", {bytes(32, 3)}}}, {bytes(91, 4)}, {}, {"/var"}};
  const auto d = diff(a, b);
  EXPECT_THAT(members(d),
              ElementsAre("version: 1, 2", "audit_only: false, true",
                          "secure_boot: not demanded, on", "ima: not demanded, demanded"));
  std::vector<std::string> lists;
  for (const auto& l : d.lists) {
    lists.push_back(l.member);
    EXPECT_TRUE(l.only_a.empty());
    EXPECT_EQ(l.only_b.size(), 1U);
  }
  EXPECT_THAT(lists, ElementsAre("secure_boot/authorities", "secure_boot/revoked", "ima/files",
                                 "ima/signers", "ima/ignored"));
  EXPECT_EQ(json_of(d).at("lists").as_array().size(), 5U);
}

TEST(image_diff, json_is_bounded) {
  auto a = image({{4, "x"}});
  auto b = a;
  a.ima = b.ima = ima_policy{};
  for (int i = 0; i < 1000; ++i) {
    b.ima->ignored.push_back("/" + std::to_string(i));
    b.pcrs[0].events.push_back(
        {1, crypto::digest(crypto::hash_alg::sha256, {as_bytes(std::to_string(i))}), ""});
  }
  const auto json = json_of(diff(a, b));
  const auto& ignored = json.at("lists").at(0).at("only_in_b").as_array();
  EXPECT_EQ(ignored.size(), shown_differences_max + 1);
  EXPECT_EQ(ignored.back(), "and 744 more");
  EXPECT_EQ(json.at("pcrs").at(0).at("events").as_array().size(), shown_differences_max);
  EXPECT_EQ(json.at("pcrs").at(0).at("events_left_out"), 744);
}

} // namespace
} // namespace custos::attestation
