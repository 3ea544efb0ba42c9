#include "adapters/kmip/ttlv.hpp"

#include "tests/unit/adapters/kmip/vectors.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <set>
#include <vector>

namespace custos::kmip {
namespace {

using testing::unhex;

void expect_same_again(byte_view message, const std::string& where) {
  const auto item = parse_ttlv(message);
  ASSERT_TRUE(item.ok()) << where << ": " << item.failure().message;
  ttlv_writer w;
  write_item(w, *item);
  const auto again = w.take();
  EXPECT_TRUE(std::equal(again.begin(), again.end(), message.begin(), message.end())) << where;
}

TEST(Ttlv, ExamplesOfTheSpecification) {
  const auto rows = testing::table("ttlv-spec-examples.tsv");
  ASSERT_EQ(rows.size(), 10U);
  std::vector<bytes> examples;
  for (const auto& row : rows) {
    examples.push_back(unhex(row.at(1)));
    expect_same_again(examples.back(), row.at(0));
  }
  const auto item = [&](std::size_t i) { return parse_ttlv(examples[i]).value(); };
  EXPECT_EQ(item(0).as_integer().value(), 8);
  EXPECT_EQ(item(1).as_long_integer().value(), 123456789000000000);
  EXPECT_EQ(to_bytes(item(2).as_big_integer().value()), unhex("0000000003fd35eb6bc2df4618080000"));
  EXPECT_EQ(item(3).as_enumeration().value(), 255U);
  EXPECT_TRUE(item(4).as_boolean().value());
  EXPECT_EQ(item(5).as_text().value(), "Hello World");
  EXPECT_EQ(to_bytes(item(6).as_octets().value()), unhex("010203"));
  EXPECT_EQ(item(7).as_date_time().value(), 1205495800);
  EXPECT_EQ(item(8).as_interval().value(), 864000U);
  EXPECT_EQ(item(9).child(static_cast<tag>(0x420005))->as_integer().value(), 255);
  EXPECT_FALSE(item(9).child(tag::operation).has_value());
  EXPECT_FALSE(item(0).as_enumeration().ok());
}

TEST(Ttlv, OasisCasesAndCapturesReadAndWriteTheSame) {
  std::size_t count = 0;
  for (const char* folder : {"oasis-ttlv", "pykmip-0.10.0-capture", "vsphere-7.0.3-client"})
    for (const auto& file : testing::message_files(folder))
      for (const auto& m : testing::messages(file)) {
        expect_same_again(m.message, file.filename().string() + " " + m.label);
        ++count;
      }
  EXPECT_GT(count, 1000U);
}

/// Vectors that are wrong: on purpose (primitives), or by lengths that do not add up, which their
/// own tests never look at.
bool is_wrong_vector(const std::string& file, const std::string& line) {
  static const std::set<std::pair<std::string, std::string>> wrong = {
      {"test_create.py", "1178"},
      {"test_get.py", "805"},
      {"test_get_attribute_list.py", "475"},
      {"test_get_attributes.py", "97"},
      {"test_register.py", "130"},
      {"test_register.py", "161"},
      {"test_register.py", "188"},
      {"test_register.py", "210"},
      {"test_kmip_client.py", "1604"},
      {"test_big_integer.py", "67"},
      {"test_boolean.py", "107"},
      {"test_byte_string.py", "139"},
      {"test_enumeration.py", "42"},
      {"test_enumeration.py", "45"},
      {"test_integer.py", "143"},
      {"test_integer.py", "156"},
      {"test_interval.py", "37"},
      {"test_interval.py", "40"},
      {"test_long_integer.py", "166"},
      {"test_text_string.py", "136"}};
  return wrong.contains({std::filesystem::path(file).filename().string(), line});
}

TEST(Ttlv, PykmipUnitVectorsReadAndWriteTheSame) {
  std::size_t good = 0;
  std::size_t wrong = 0;
  for (const auto& row : testing::table("pykmip-unit-vectors.tsv")) {
    const std::string where = row.at(0) + ":" + row.at(1) + " " + row.at(2);
    const bytes message = unhex(row.at(4));
    if (is_wrong_vector(row.at(0), row.at(1))) {
      EXPECT_FALSE(parse_ttlv(message).ok()) << where;
      ++wrong;
    } else {
      expect_same_again(message, where);
      ++good;
    }
  }
  EXPECT_EQ(good, 274U);
  EXPECT_EQ(wrong, 20U);
}

TEST(Ttlv, TagNamesAreThoseOfTheSpecification) {
  std::size_t named = 0;
  for (const auto& row : testing::table("tags.tsv")) {
    const auto t = static_cast<tag>(std::stoul(row.at(0), nullptr, 16));
    if (to_string(t).starts_with("0x"))
      continue;
    EXPECT_EQ(to_string(t), row.at(1));
    ++named;
  }
  EXPECT_GE(named, 120U);
  EXPECT_EQ(to_string(static_cast<tag>(0x540001)), "0x00540001");
}

TEST(Ttlv, EnumerationNamesAreThoseOfTheSpecification) {
  const auto lower = [](std::string text) {
    for (char& c : text)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  std::size_t named = 0;
  for (const auto& row : testing::table("enums.tsv")) {
    const auto number = static_cast<std::uint32_t>(std::stoul(row.at(1), nullptr, 16));
    std::string ours;
    if (row.at(0) == "Operation")
      ours = to_string(static_cast<operation>(number));
    else if (row.at(0) == "Result Reason")
      ours = to_string(static_cast<result_reason>(number));
    else if (row.at(0) == "State")
      ours = to_string(static_cast<state>(number));
    if (ours.empty() || ours.starts_with("0x"))
      continue;
    EXPECT_EQ(lower(ours), lower(row.at(2)));
    ++named;
  }
  EXPECT_GE(named, 60U);
}

struct bad_item {
  const char* hex;
  const char* why;
};

TEST(Ttlv, RefusesWhatTheSpecificationDoesNotAllow) {
  const bad_item cases[] = {
      {"42", "no header"},
      {"43002002000000040000000800000000", "tag neither 42 nor 54"},
      {"42002000000000040000000800000000", "type 00"},
      {"4200200c000000040000000800000000", "type 0c"},
      {"42002002000000080000000800000000", "Integer of 8"},
      {"42002002000000040000000800000001", "padding"},
      {"420020030000000400000008", "Long Integer of 4"},
      {"4200200400000000", "empty Big Integer"},
      {"42002004000000040000000100000000", "Big Integer of 4"},
      {"42002006000000080000000000000002", "Boolean 2"},
      {"42002007000000014100000000000001", "padding of a text"},
      {"42002007000000020041000000000000", "NUL in a text"},
      {"4200200700000002c08000000000000", "odd number of digits cuts the message"},
      {"4200200700000002c080000000000000", "overlong"},
      {"4200200700000003eda0800000000000", "surrogate"},
      {"4200200700000004f490808000000000", "past Unicode"},
      {"4200200700000001c300000000000000", "sequence cut off"},
      {"4200200700000001ff00000000000000", "no first octet"},
      {"42002008000000030102030000000001", "padding of octets"},
      {"4200200800000003010203", "padding is missing"},
      {"420020080000000301020300000000004200200200000004", "octets after the item"},
      {"42002001000000044200200200000004", "structure of 4"},
      {"420020010000000842002002000000040000000800000000", "structure ends inside its child"},
      {"42002001000000104200200200000004", "structure longer than the message"},
      {"42002001000000084200200800000008", "child past its parent"},
  };
  for (const auto& c : cases) {
    const bytes message = unhex(c.hex);
    EXPECT_FALSE(parse_ttlv(message).ok()) << c.why;
  }
  EXPECT_TRUE(parse_ttlv(unhex("4200200100000000")).ok()) << "an empty structure is one";
  EXPECT_TRUE(parse_ttlv(unhex("4200200700000003e282ac0000000000")).ok()) << "the euro sign";
}

bytes nested(std::size_t depth) {
  ttlv_writer w;
  std::vector<std::unique_ptr<ttlv_scope>> scopes;
  for (std::size_t i = 0; i < depth; ++i)
    scopes.push_back(std::make_unique<ttlv_scope>(w, tag::attribute));
  while (!scopes.empty())
    scopes.pop_back();
  const auto message = w.take();
  return {message.begin(), message.end()};
}

TEST(Ttlv, DepthIsLimited) {
  EXPECT_TRUE(parse_ttlv(nested(depth_max)).ok());
  ttlv_limits limits;
  limits.depth = 3;
  EXPECT_TRUE(parse_ttlv(nested(3), limits).ok());
  EXPECT_FALSE(parse_ttlv(nested(4), limits).ok());
  // One deeper than depth_max, which the writer cannot make: a structure around 16.
  const bytes inner = nested(depth_max);
  bytes outer = unhex("4200200100000080");
  ASSERT_EQ(inner.size(), 0x80U);
  outer.insert(outer.end(), inner.begin(), inner.end());
  EXPECT_FALSE(parse_ttlv(outer).ok());
}

TEST(Ttlv, SizeAndNumberOfItemsAreLimited) {
  ttlv_writer w;
  w.open(tag::response_payload);
  for (int i = 0; i < 9; ++i)
    w.integer(tag::batch_count, i);
  w.close();
  const auto message = w.take();
  ttlv_limits limits;
  limits.items = 10;
  EXPECT_TRUE(parse_ttlv(message, limits).ok());
  limits.items = 9;
  EXPECT_EQ(parse_ttlv(message, limits).failure().code, errc::too_large);
  limits = {};
  limits.message_bytes = message.size();
  EXPECT_TRUE(parse_ttlv(message, limits).ok());
  limits.message_bytes = message.size() - 1;
  EXPECT_EQ(parse_ttlv(message, limits).failure().code, errc::too_large);
}

TEST(Ttlv, TheHeaderAloneDecidesOnTheSize) {
  EXPECT_EQ(ttlv_total_bytes(unhex("42007b0100000110")).value(), 0x118U);
  EXPECT_EQ(ttlv_total_bytes(unhex("4200200800000001")).value(), 16U);
  EXPECT_EQ(ttlv_total_bytes(unhex("42002008ffffffff")).failure().code, errc::too_large);
  EXPECT_EQ(ttlv_total_bytes(unhex("42007b01fffffff8")).failure().code, errc::too_large);
  EXPECT_EQ(ttlv_total_bytes(unhex("42007b0100000004")).failure().code, errc::malformed);
}

TEST(Ttlv, BigIntegersAreSignExtended) {
  ttlv_writer w;
  w.big_integer(tag::data, unhex("ff"));
  const auto negative = w.take();
  EXPECT_EQ(to_bytes(parse_ttlv(negative)->as_big_integer().value()), unhex("ffffffffffffffff"));
  ttlv_writer w2;
  w2.big_integer(tag::data, unhex("7f"));
  const auto positive = w2.take();
  EXPECT_EQ(to_bytes(parse_ttlv(positive)->as_big_integer().value()), unhex("000000000000007f"));
}

} // namespace
} // namespace custos::kmip
