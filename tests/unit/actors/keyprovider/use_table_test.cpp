#include "actors/keyprovider/use_table.hpp"

#include "actors/keyprovider/ciphertext.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::keyprovider {
namespace {

TEST(use_table, counts_by_provider_and_key) {
  use_table t(100);
  t.count("vault", "pk-1", counted_use::decrypt, 200);
  t.count("vault", "pk-1", counted_use::decrypt, 210);
  t.count("vault", "pk-1", counted_use::rewrap, 205);
  t.count("vault", "pk-2", counted_use::rewrap, 220);
  t.count("other", "pk-1", counted_use::decrypt, 230);
  const auto uses = t.of("vault");
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(uses[0].primary_key_id, "pk-1");
  EXPECT_EQ(uses[0].decrypts, 2U);
  EXPECT_EQ(uses[0].rewraps, 1U);
  EXPECT_EQ(uses[0].last_decrypt, 210);
  EXPECT_EQ(uses[0].last_rewrap, 205);
  EXPECT_EQ(uses[1].rewraps, 1U);
  EXPECT_EQ(uses[1].last_decrypt, 0);
  EXPECT_TRUE(t.of("none").empty());
  EXPECT_EQ(t.since(), 100);
}

TEST(use_table, a_clock_set_back_makes_no_use_older) {
  use_table t(0);
  t.count("vault", "pk-1", counted_use::decrypt, 200);
  t.count("vault", "pk-1", counted_use::decrypt, 100);
  EXPECT_EQ(t.of("vault")[0].last_decrypt, 200);
}

TEST(use_table, gives_what_changed_once) {
  use_table t(0);
  t.count("vault", "pk-1", counted_use::decrypt, 1);
  t.count("vault", "pk-2", counted_use::decrypt, 1);
  const auto first = t.take_changed();
  EXPECT_EQ(first.size(), 2U);
  EXPECT_TRUE(t.take_changed().empty());
  t.count("vault", "pk-2", counted_use::rewrap, 2);
  ASSERT_EQ(t.take_changed().size(), 1U);
  t.changed_again(first);
  const auto again = t.take_changed();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[1].rewraps, 1U) << "with what was counted since";
}

TEST(use_table, beyond_its_size_it_says_that_it_is_not_complete) {
  use_table t(0);
  for (std::size_t i = 0; i < counted_keys_max; ++i)
    t.count("vault", "pk-" + std::to_string(i), counted_use::decrypt, 1);
  EXPECT_TRUE(t.complete());
  t.count("vault", "pk-0", counted_use::decrypt, 2);
  EXPECT_TRUE(t.complete()) << "one that is known has its place";
  t.count("vault", "one more", counted_use::decrypt, 2);
  EXPECT_FALSE(t.complete());
  EXPECT_EQ(t.of("vault").size(), counted_keys_max);
}

TEST(use_table, stored_uses_come_back) {
  const primary_key_uses uses{"vault", "pk \"1\"", 5, 6, 700, 800};
  const auto read = decode_uses(encode_uses(uses));
  ASSERT_TRUE(read) << read.failure().message;
  use_table t(0);
  t.restore(*read);
  ASSERT_EQ(t.of("vault").size(), 1U);
  const auto held = t.of("vault")[0];
  EXPECT_EQ(held.primary_key_id, uses.primary_key_id);
  EXPECT_EQ(held.decrypts, 5U);
  EXPECT_EQ(held.rewraps, 6U);
  EXPECT_EQ(held.last_decrypt, 700);
  EXPECT_EQ(held.last_rewrap, 800);
  EXPECT_TRUE(t.take_changed().empty()) << "it is on disk already";
}

TEST(use_table, what_does_not_read_is_corrupted) {
  for (const auto* bad : {"", "{}", "[]", R"({"provider":"p","primary_key_id":"k","decrypts":-1})"})
    EXPECT_EQ(decode_uses(bad).failure().code, errc::corrupted) << bad;
}

TEST(use_table, is_shown_with_the_present_key) {
  use_table t(100);
  t.count("vault", "pk-1", counted_use::decrypt, 200);
  const auto shown = boost::json::parse(uses_document(t, "n1", "vault", "pk-2")).as_object();
  EXPECT_EQ(shown.at("node").as_string(), "n1");
  EXPECT_EQ(shown.at("provider").as_string(), "vault");
  EXPECT_EQ(shown.at("primary_key_id").as_string(), "pk-2");
  EXPECT_EQ(shown.at("since").as_int64(), 100);
  EXPECT_TRUE(shown.at("complete").as_bool());
  const auto& one = shown.at("primary_keys").as_array().at(0).as_object();
  EXPECT_EQ(one.at("primary_key_id").as_string(), "pk-1");
  EXPECT_EQ(one.at("primary_key").as_string(), primary_key_name("pk-1").c_str());
  EXPECT_EQ(one.at("last_decrypt").as_int64(), 200);
}

} // namespace
} // namespace custos::keyprovider
