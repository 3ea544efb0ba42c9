#include "adapters/json/quoted.hpp"

#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace custos::json {

namespace {

std::string in_quotes(std::string_view text, std::size_t bytes_max = 64) {
  std::string out;
  append_quoted(out, text, bytes_max);
  return out;
}

} // namespace

TEST(quoted, escapes_what_ends_a_string_or_moves_a_terminal) {
  EXPECT_EQ(in_quotes(""), "\"\"");
  EXPECT_EQ(in_quotes("plain text"), "\"plain text\"");
  EXPECT_EQ(in_quotes("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(in_quotes("a\nb\r\tc"), R"("a\u000ab\u000d\u0009c")");
  EXPECT_EQ(in_quotes(std::string_view("a\0b", 3)), R"("a\u0000b")");
  EXPECT_EQ(in_quotes("\x1B[31m\x7F"), R"("\u001b[31m\u007f")");
  EXPECT_EQ(in_quotes("\xC2\x9B"
                      "31m"),
            R"("\u009b31m")")
      << "a C1 control";
}

TEST(quoted, keeps_utf8_and_replaces_what_is_none) {
  EXPECT_EQ(in_quotes("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x94\x91"),
            "\"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x94\x91\"");
  EXPECT_EQ(in_quotes("\xC3("), "\"\\ufffd(\"");
  EXPECT_EQ(in_quotes("\xFF\xFE"), "\"\\ufffd\\ufffd\"");
  EXPECT_EQ(in_quotes("\xC0\xAF"), "\"\\ufffd\\ufffd\"") << "overlong";
  EXPECT_EQ(in_quotes("\xED\xA0\x80"), "\"\\ufffd\\ufffd\\ufffd\"") << "a surrogate";
  EXPECT_EQ(in_quotes("\xE2\x82"), "\"\\ufffd\\ufffd\"") << "cut short";
}

TEST(quoted, cuts_what_is_too_long) {
  EXPECT_EQ(in_quotes("abcdef", 6), "\"abcdef\"");
  EXPECT_EQ(in_quotes("abcdefg", 6), "\"abc...\"");
  EXPECT_EQ(in_quotes("ab\xC3\xA4xyz", 6), "\"ab\\ufffd...\"") << "through the middle of a letter";
}

TEST(quoted, is_always_json) {
  for (unsigned a = 0; a < 256; ++a)
    for (unsigned b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b), 'x'};
      const auto parsed = parse_any("[" + in_quotes(text) + "]");
      ASSERT_TRUE(parsed.ok()) << a << " " << b << ": " << parsed.failure().message;
      if (a < 0x80 && b < 0x80) {
        ASSERT_EQ(parsed->at(0).as_string(), text);
      }
    }
}

} // namespace custos::json
