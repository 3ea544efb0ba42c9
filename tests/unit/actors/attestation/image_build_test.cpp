#include "actors/attestation/image_build.hpp"
#include "actors/attestation/image_index.hpp"
#include "tests/unit/actors/attestation/booted.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
using testing::HasSubstr;

/// Boots of two hosts that differ in a kernel and in their disks.
class building : public testing::Test {
protected:
  booted a{{{4, "shim"}, {4, "kernel"}, {5, "disk a"}, {5, "boot"}, {9, "initrd"}}};
  booted b{{{4, "shim"}, {4, "kernel"}, {5, "disk b"}, {5, "boot"}, {9, "initrd"}}};
  build_options options;

  building() {
    options.name = "web";
    options.version = "7";
  }
  result<built_image> build(std::vector<golden_boot> boots) { return build_image(boots, options); }
  result<built_image> both() { return build({{"a", &a.log(), {}}, {"b", &b.log(), {}}}); }
  static const pcr_policy* policy(const built_image& image, std::uint32_t pcr) {
    for (const auto& p : image.image.pcrs)
      if (p.pcr == pcr)
        return &p;
    return nullptr;
  }
};

TEST_F(building, of_one_boot_is_what_a_log_makes) {
  const auto built = must(build({{"a", &a.log(), {}}}));
  const auto plain = must(image_from_log(a.log(), hash_alg::sha256, default_pcrs, "web", "7"));
  EXPECT_TRUE(built.varying.empty());
  ASSERT_EQ(built.image.pcrs.size(), plain.pcrs.size());
  for (std::size_t i = 0; i < plain.pcrs.size(); ++i) {
    EXPECT_EQ(built.image.pcrs[i].pcr, plain.pcrs[i].pcr);
    EXPECT_EQ(built.image.pcrs[i].form, pcr_form::ordered);
    ASSERT_EQ(built.image.pcrs[i].events.size(), plain.pcrs[i].events.size());
    for (std::size_t e = 0; e < plain.pcrs[i].events.size(); ++e)
      EXPECT_EQ(built.image.pcrs[i].events[e].digest, plain.pcrs[i].events[e].digest);
  }
}

TEST_F(building, an_event_that_comes_twice_is_expected_twice) {
  const booted twice({{4, "x"}, {4, "x"}});
  const auto built = must(build({{"t", &twice.log(), {}}, {"t", &twice.log(), {}}}));
  EXPECT_EQ(policy(built, 4)->events.size(), 3U); // and the separator
  EXPECT_EQ(policy(built, 4)->form, pcr_form::ordered);
}

TEST_F(building, of_several_keeps_what_they_share_and_unites_what_varies) {
  const auto built = must(both());
  EXPECT_EQ(policy(built, 4)->form, pcr_form::ordered);
  EXPECT_EQ(policy(built, 9)->form, pcr_form::ordered);
  ASSERT_EQ(policy(built, 5)->form, pcr_form::set);
  EXPECT_EQ(policy(built, 5)->events.size(), 4U);
  ASSERT_EQ(built.varying.size(), 1U);
  EXPECT_EQ(built.varying[0].pcr, 5U);
  EXPECT_EQ(built.varying[0].shared, 2U); // "boot" and the separator
  EXPECT_EQ(built.varying[0].all, 4U);
  object_index<base_image> images;
  images.set("web", std::make_shared<base_image>(built.image));
  const image_index index(images);
  EXPECT_FALSE(index.find(a.evidence()).why);
  EXPECT_FALSE(index.find(b.evidence()).why);
  const booted other({{4, "shim"}, {4, "kernel"}, {5, "disk c"}, {5, "boot"}, {9, "initrd"}});
  EXPECT_EQ(index.find(other.evidence()).why.value().pcr, 5U);
}

TEST_F(building, what_varies_may_be_ignored_or_refused) {
  options.varying = varying_pcrs::ignore;
  const auto built = must(both());
  EXPECT_EQ(policy(built, 5)->form, pcr_form::ignored);
  EXPECT_TRUE(policy(built, 5)->events.empty());
  options.varying = varying_pcrs::refuse;
  const auto no = both();
  ASSERT_FALSE(no.ok());
  EXPECT_EQ(no.failure().pcr, 5U);
  EXPECT_EQ(no.failure().field, "b");
  EXPECT_THAT(no.failure().message, HasSubstr("a"));
}

TEST_F(building, a_pcr_that_only_some_hosts_extend_varies) {
  const booted c({{4, "shim"}, {4, "kernel"}, {5, "boot"}});
  options.pcrs = 1U << 9;
  const auto built = must(build({{"a", &a.log(), {}}, {"c", &c.log(), {}}}));
  EXPECT_EQ(policy(built, 9)->form, pcr_form::set);
}

TEST_F(building, by_value_and_ignored_where_asked_for) {
  options.exact = 1U << 4 | 1U << 5;
  options.ignored = 1U << 1;
  const auto built = must(both());
  EXPECT_EQ(policy(built, 1)->form, pcr_form::ignored);
  EXPECT_EQ(policy(built, 4)->values, std::vector<bytes>{a.value(4)});
  EXPECT_EQ(policy(built, 5)->values, (std::vector<bytes>{a.value(5), b.value(5)}));
  ASSERT_EQ(built.varying.size(), 1U);
  EXPECT_EQ(built.varying[0].form, pcr_form::exact);
}

TEST_F(building, pcrs_without_events_from_values_that_were_read) {
  const std::vector<pcr_value> read{
      {static_cast<std::uint16_t>(hash_alg::sha256), 8, bytes(32, 7)}};
  const auto built = must(build({{"a", &a.log(), read}}));
  EXPECT_EQ(policy(built, 8)->form, pcr_form::exact);
  EXPECT_EQ(policy(built, 8)->values, std::vector<bytes>{bytes(32, 7)});
  // Of one host only: what the other has is not known.
  const auto half = build({{"a", &a.log(), read}, {"b", &b.log(), {}}});
  ASSERT_FALSE(half.ok());
  EXPECT_EQ(half.failure().field, "b");
  options.exact = 1U << 11;
  EXPECT_EQ(build({{"a", &a.log(), {}}}).failure().pcr, 11U);
}

TEST_F(building, a_log_that_does_not_lead_to_the_values_is_refused) {
  const std::vector<pcr_value> read{
      {static_cast<std::uint16_t>(hash_alg::sha256), 4, bytes(32, 7)}};
  const auto no = build({{"a", &a.log(), read}});
  ASSERT_FALSE(no.ok());
  EXPECT_EQ(no.failure().check, "event-log-replay");
  EXPECT_EQ(no.failure().field, "a");
}

TEST_F(building, refuses_what_would_judge_nothing) {
  options.pcrs = 1U << 15;
  EXPECT_FALSE(build({{"a", &a.log(), {}}}).ok());
  options.pcrs = 0;
  options.ignored = 0xFF;
  EXPECT_FALSE(build({{"a", &a.log(), {}}}).ok());
  EXPECT_FALSE(build({}).ok());
  options = {"web", "7", hash_alg::sha512};
  EXPECT_EQ(build({{"a", &a.log(), {}}}).failure().field, "a");
}

} // namespace
} // namespace custos::attestation
