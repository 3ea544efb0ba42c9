#include "adapters/kmip/names.hpp"

#include "tests/unit/adapters/kmip/vectors.hpp"

#include <gtest/gtest.h>
#include <map>

namespace custos::kmip {
namespace {

/// The spelling that is kept where versions differ.
std::string first_of(const std::string& name) {
  const auto text = name.substr(0, name.find(';'));
  return text.find("eserved") == std::string::npos ? text : "";
}

std::uint32_t hexadecimal(const std::string& text) {
  return static_cast<std::uint32_t>(std::stoul(text, nullptr, 16));
}

TEST(KmipNames, OfEveryTag) {
  std::size_t count = 0;
  for (const auto& row : testing::table("tags.tsv")) {
    const auto number = hexadecimal(row.at(0));
    EXPECT_EQ(tag_name(number), row.at(1));
    EXPECT_EQ(tag_of(row.at(1)), number) << row.at(1);
    ++count;
  }
  EXPECT_EQ(count, 359U);
  EXPECT_EQ(tag_name(0x420000), "");
  EXPECT_EQ(tag_name(0x42016A), "") << "past the last";
  EXPECT_EQ(tag_name(0x540001), "");
  EXPECT_FALSE(tag_of("").has_value());
  EXPECT_FALSE(tag_of("x-Vendor").has_value());
  EXPECT_FALSE(tag_of("Batch Count|Batch Item").has_value());
}

TEST(KmipNames, OfEveryValue) {
  std::size_t values = 0;
  std::size_t bits = 0;
  for (const auto& row : testing::table("enums.tsv")) {
    // Two enumerations have no tag of their own in the tables.
    const auto tag = tag_of(row.at(0));
    if (!tag)
      continue;
    const auto number = hexadecimal(row.at(1));
    if (is_mask(*tag)) {
      const auto bit = static_cast<unsigned>(__builtin_ctz(number));
      EXPECT_EQ(mask_bit_name(*tag, bit), first_of(row.at(2)));
      ++bits;
    } else {
      EXPECT_EQ(enumeration_name(*tag, number), first_of(row.at(2))) << row.at(0);
      ++values;
    }
  }
  EXPECT_GT(values, 770U);
  EXPECT_EQ(bits, 37U);
  EXPECT_EQ(enumeration_name(0x42005C, 0), "");
  EXPECT_EQ(enumeration_name(0x42005C, 0x3C), "");
  EXPECT_EQ(enumeration_name(0x42000D, 1), "") << "Batch Count is no enumeration";
  EXPECT_EQ(mask_bit_name(0x42002C, 31), "");
  EXPECT_FALSE(is_mask(0x42000D));
}

TEST(KmipNames, ANumberIsShownWhole) {
  EXPECT_EQ(number_text(0x0042000D), "0x0042000D");
  EXPECT_EQ(number_text(0xFFFFFFFF), "0xFFFFFFFF");
}

} // namespace
} // namespace custos::kmip
