#include "messages/object_index.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace custos {
namespace {

template <class Index>
std::vector<std::string> names_of(const Index& index) {
  std::vector<std::string> out;
  for (const auto& [name, value] : index)
    out.push_back(name);
  return out;
}

TEST(ObjectIndex, ByNameInOrder) {
  object_index<int> index;
  EXPECT_TRUE(index.empty());
  EXPECT_EQ(index.begin(), index.end());
  for (const auto* name : {"c", "a", "b"})
    index.set(name, std::make_shared<int>(name[0]));
  EXPECT_EQ(names_of(index), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(index.size(), 3U);
  EXPECT_EQ(index.find("b")->second, 'b');
  EXPECT_EQ(index.find("x"), index.end());
  index.set("b", std::make_shared<int>(7));
  EXPECT_EQ(index.size(), 3U);
  EXPECT_EQ(std::as_const(index).at("b"), 7);
  EXPECT_EQ(index.erase("b"), 1U);
  EXPECT_EQ(index.erase("b"), 0U);
  EXPECT_EQ(index.size(), 2U);
}

TEST(ObjectIndex, CopiesShareUntilOneChanges) {
  object_index<int, 4> one;
  for (int i = 0; i < 100; ++i)
    one.set("n" + std::to_string(i), std::make_shared<int>(i));
  const auto two = one;
  EXPECT_TRUE(one.same_as(two));
  const auto* const before = &two.at("n7");
  EXPECT_EQ(before, &std::as_const(one).at("n7"));
  one["n7"] = 8;
  EXPECT_FALSE(one.same_as(two));
  EXPECT_EQ(two.at("n7"), 7);
  EXPECT_EQ(&two.at("n7"), before);
  EXPECT_EQ(std::as_const(one).at("n7"), 8);
  one.erase("n8");
  EXPECT_TRUE(two.contains("n8"));
  EXPECT_EQ(names_of(two).size(), 100U);
  EXPECT_EQ(names_of(one).size(), 99U);
}

TEST(ObjectIndex, AReferenceToChangeStaysGood) {
  object_index<int> index;
  auto& a = index["a"];
  index["b"] = 2;
  a = 1;
  index["a"] += 10;
  EXPECT_EQ(std::as_const(index).at("a"), 11);
}

TEST(ObjectIndex, ClearedIsAsNew) {
  object_index<int, 8> index;
  index["a"] = 1;
  index.clear();
  EXPECT_TRUE(index.empty());
  EXPECT_TRUE(index.same_as({}));
}

} // namespace
} // namespace custos
