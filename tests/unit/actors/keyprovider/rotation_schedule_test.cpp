#include "actors/keyprovider/rotation_schedule.hpp"

#include <gtest/gtest.h>
#include <limits>

namespace custos::keyprovider {

namespace {

constexpr std::int64_t now = 1'800'000'000;
constexpr std::int64_t day = 24 * 3600;

key_provider on_servers(std::uint32_t days) {
  key_provider p;
  p.name = "disk";
  p.primary_key_id = "k1";
  p.rotation.interval_days = days;
  return p;
}

key_provider native(std::uint32_t days) {
  auto p = on_servers(days);
  p.type = provider_type::native;
  p.primary_key_id = "a";
  p.primary_keys = {{"a", {}, now, true}};
  return p;
}

} // namespace

TEST(rotation_schedule, of_none_never_comes) {
  EXPECT_EQ(next_step(on_servers(0), now), rotation_step::none);
  EXPECT_EQ(next_step(native(0), now + 100000 * day), rotation_step::none);
  auto p = on_servers(1);
  p.primary_key_id.clear();
  EXPECT_EQ(next_step(p, now), rotation_step::none) << "the first key is made by hand";
}

TEST(rotation_schedule, counts_from_when_a_primary_key_is_first_seen) {
  auto p = on_servers(90);
  EXPECT_EQ(next_step(p, now), rotation_step::count);
  p = counting(p, now);
  EXPECT_EQ(p.rotation.key, "k1");
  EXPECT_EQ(p.rotation.since, now);
  EXPECT_EQ(next_step(p, now), rotation_step::none);
  EXPECT_EQ(next_step(p, now + 90 * day - 1), rotation_step::none);
  EXPECT_EQ(next_step(p, now + 90 * day), rotation_step::make);
  EXPECT_EQ(next_step(p, now - 1), rotation_step::none) << "a clock set back";
  p.primary_key_id = "k2"; // by hand
  EXPECT_EQ(next_step(p, now + 90 * day), rotation_step::count);
}

TEST(rotation_schedule, begins_anew_with_the_key_it_made) {
  auto p = counting(on_servers(90), now);
  p = with_primary_key(p, "k2", now + 91 * day);
  EXPECT_EQ(p.primary_key_id, "k2");
  EXPECT_EQ(next_step(p, now + 91 * day), rotation_step::none);
  EXPECT_EQ(next_step(p, now + 181 * day), rotation_step::make);
}

TEST(rotation_schedule, of_a_native_provider_waits_for_the_backup) {
  auto p = native(30);
  EXPECT_EQ(next_step(p, now + 30 * day - 1), rotation_step::none);
  EXPECT_EQ(next_step(p, now + 30 * day), rotation_step::make);
  EXPECT_EQ(waits_for(p), "");
  p = with_native_key(p, {"b", {}, now + 30 * day});
  EXPECT_EQ(p.primary_key_id, "a") << "it is not used yet";
  EXPECT_NE(waits_for(p).find("primary key b"), std::string::npos);
  EXPECT_EQ(next_step(p, now + 300 * day), rotation_step::none) << "no key after key";
  p.primary_keys.back().backed_up = true;
  EXPECT_EQ(waits_for(p), "");
  EXPECT_EQ(next_step(p, now + 59 * day), rotation_step::none);
  EXPECT_EQ(next_step(p, now + 60 * day), rotation_step::make);
  p.primary_keys.front().backed_up = false; // an older one
  EXPECT_EQ(waits_for(p), "");
}

TEST(rotation_schedule, makes_newer_keys_than_there_are_even_where_clocks_differ) {
  const auto p = with_native_key(native(30), {"b", {}, now - 5});
  EXPECT_EQ(p.primary_keys.back().created, now + 1);
}

TEST(rotation_schedule, does_not_overflow) {
  auto p = counting(on_servers(3650), 0);
  EXPECT_EQ(p.rotation.since, 1);
  EXPECT_EQ(next_step(p, std::numeric_limits<std::int64_t>::max()), rotation_step::make);
  auto q = native(3650);
  q.primary_keys.front().created = std::numeric_limits<std::int64_t>::max() / 2;
  EXPECT_EQ(next_step(q, now), rotation_step::none);
  EXPECT_EQ(next_step(q, std::numeric_limits<std::int64_t>::max()), rotation_step::make);
}

} // namespace custos::keyprovider
