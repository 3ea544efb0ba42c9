#include "adapters/json/writer.hpp"

#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::json {
namespace {

TEST(json_writer, writes_every_kind_of_value_with_its_commas) {
  std::string out;
  writer w(out);
  w.begin_object();
  w.name("text").string("a\"b\\c\n\xC3\xA9");
  w.name("least").number(INT64_MIN);
  w.name("list").begin_array();
  w.number(1).number(-2).boolean(true).string("x").begin_object().end_object().begin_array();
  w.end_array().end_array();
  w.name("hex").hex(bytes{0x00, 0xAB});
  w.name("octets").base64url(bytes{0xFF, 0xFE});
  w.name("inner").begin_object().name("no").boolean(false).end_object();
  EXPECT_FALSE(w.complete());
  w.end_object();
  EXPECT_TRUE(w.complete());
  EXPECT_EQ(out, "{\"text\":\"a\\\"b\\\\c\\u000a\xC3\xA9\",\"least\":-9223372036854775808,"
                 "\"list\":[1,-2,true,\"x\",{},[]],\"hex\":\"00ab\",\"octets\":\"__4\","
                 "\"inner\":{\"no\":false}}");
  EXPECT_TRUE(parse_object(out));
}

TEST(json_writer, appends_to_what_is_there) {
  std::string out = "before ";
  writer(out).begin_array().end_array();
  EXPECT_EQ(out, "before []");
}

TEST(json_writer, any_octets_come_back_as_text) {
  for (unsigned octet = 0; octet < 256; ++octet) {
    const std::string text{'a', static_cast<char>(octet), 'b'};
    std::string out;
    writer(out).begin_object().name("t").string(text).end_object();
    auto read = parse_object(out);
    ASSERT_TRUE(read) << octet << ": " << read.failure().message;
    const auto back = read->string("t", 16);
    ASSERT_TRUE(back) << octet;
    EXPECT_EQ(*back, octet < 0x80 ? text : "a\xEF\xBF\xBD" "b") << octet;
  }
}

TEST(json_writer, cuts_text_where_it_is_told_to) {
  std::string out;
  writer w(out);
  w.begin_array().string("123456", 6).string("1234567", 6).end_array();
  EXPECT_EQ(out, R"(["123456","123..."])");
}

} // namespace
} // namespace custos::json
