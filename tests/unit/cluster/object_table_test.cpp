#include "cluster/object_table.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace custos::cluster {

namespace {

object_ptr object(const std::string& name, role may = role::auditor) {
  return make_object(name, principal{name, may});
}

} // namespace

TEST(object_table, an_object_knows_its_document) {
  const auto o = object("a");
  EXPECT_EQ(o->name, "a");
  EXPECT_EQ(o->document, R"({"role":"auditor"})");
  EXPECT_EQ(o->hash, crypto::sha256(as_bytes(o->document)));
}

TEST(object_table, finds_what_was_put) {
  object_table table;
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.find("a"), nullptr);
  const auto one = table.with(object("a"));
  ASSERT_NE(one.find("a"), nullptr);
  EXPECT_EQ(one.find("a")->name, "a");
  EXPECT_EQ(one.find("b"), nullptr);
  EXPECT_EQ(one.size(), 1U);
  EXPECT_TRUE(table.empty()) << "the old table stays as it is";
  const auto other = one.with(object("a", role::administrator));
  EXPECT_EQ(other.size(), 1U);
  EXPECT_NE(other.hash(), one.hash());
  EXPECT_EQ(other.without("a").hash(), table.hash());
  EXPECT_EQ(other.without("b").hash(), other.hash());
}

TEST(object_table, tells_names_and_contents_apart) {
  const auto a = object_table().with(object("a"));
  EXPECT_NE(a.hash(), object_table().with(object("b")).hash());
  EXPECT_NE(a.hash(), object_table().with(object("a", role::administrator)).hash());
  EXPECT_NE(a.hash(), a.with(object("b")).hash());
  // Two objects with exchanged contents.
  const auto ab = object_table().with(object("a")).with(object("b", role::administrator));
  const auto ba = object_table().with(object("a", role::administrator)).with(object("b"));
  EXPECT_NE(ab.hash(), ba.hash());
}

TEST(object_table, is_the_same_whatever_its_history) {
  std::mt19937 random(7); // NOLINT: a test that can be repeated
  std::map<std::string, object_ptr> expected;
  object_table grown;
  for (int step = 0; step < 6000; ++step) {
    const auto name = "n" + std::to_string(random() % 2500);
    if (random() % 3 == 0) {
      expected.erase(name);
      grown = grown.without(name);
    } else {
      const auto o = object(name, random() % 2 == 0 ? role::auditor : role::administrator);
      expected[name] = o;
      grown = grown.with(o);
    }
  }
  std::vector<object_ptr> all;
  for (const auto& [name, o] : expected) {
    all.push_back(object(name, role::auditor)); // of several with one name, the last counts
    all.push_back(o);
  }
  const object_table built(all);
  EXPECT_EQ(built.size(), expected.size());
  EXPECT_EQ(grown.size(), expected.size());
  EXPECT_EQ(built.hash(), grown.hash());
  std::size_t seen = 0;
  grown.for_each([&](const object_ptr& o) { seen += expected.at(o->name) == o ? 1U : 0U; });
  EXPECT_EQ(seen, expected.size());
  const auto sorted = grown.sorted();
  ASSERT_EQ(sorted.size(), expected.size());
  auto at = sorted.begin();
  for (const auto& [name, o] : expected)
    EXPECT_EQ((*at++)->name, name);
}

TEST(object_table, of_nothing_is_the_empty_one) {
  EXPECT_EQ(object_table(std::vector<object_ptr>()).hash(), object_table().hash());
}

} // namespace custos::cluster
