#include "runtime/log.hpp"

#include "adapters/crypto/secret_bytes.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <type_traits>

namespace custos::runtime {

namespace {

std::string text_line(std::initializer_list<log_field> fields) {
  return format_log_line(log_format::text, log_level::info, "node.listening", fields);
}

/// A line in JSON is the inside of an object: start_log's pattern puts time and braces around it.
boost::json::object json_line(std::initializer_list<log_field> fields) {
  const auto line = format_log_line(log_format::json, log_level::warning, "host.refused", fields);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto parsed = json::parse_any("{" + line + "}");
  EXPECT_TRUE(parsed.ok()) << line;
  return parsed.ok() ? parsed->as_object() : boost::json::object{};
}

} // namespace

TEST(log_line, names_level_event_and_fields) {
  EXPECT_EQ(text_line({}), "info node.listening");
  EXPECT_EQ(text_line({{"port", "443"}, {"address", "[::1]"}}),
            "info node.listening port=443 address=[::1]");
  const auto o = json_line({{"remote", "192.0.2.7:1"}});
  EXPECT_EQ(o.at("level").as_string(), "warning");
  EXPECT_EQ(o.at("event").as_string(), "host.refused");
  EXPECT_EQ(o.at("remote").as_string(), "192.0.2.7:1");
}

TEST(log_line, has_a_name_for_every_level) {
  for (const auto& [level, name] :
       std::vector<std::pair<log_level, std::string>>{{log_level::debug, "debug"},
                                                      {log_level::info, "info"},
                                                      {log_level::warning, "warning"},
                                                      {log_level::error, "error"}})
    EXPECT_EQ(format_log_line(log_format::text, level, "e", {}), name + " e");
}

TEST(log_line, lets_no_field_pass_for_another) {
  EXPECT_EQ(text_line({{"detail", "a b"}}), "info node.listening detail=\"a b\"");
  EXPECT_EQ(text_line({{"detail", ""}}), "info node.listening detail=\"\"");
  EXPECT_EQ(text_line({{"detail", "x user=root"}}), "info node.listening detail=\"x user=root\"");
  EXPECT_EQ(text_line({{"detail", "a=b"}}), "info node.listening detail=\"a=b\"");
  EXPECT_EQ(text_line({{"detail", "a\"b"}}), "info node.listening detail=\"a\\\"b\"");
  EXPECT_EQ(json_line({{"detail", "\",\"level\":\"error"}}).at("level").as_string(), "warning");
}

TEST(log_line, cve_2022_23949_is_one_line_whatever_a_peer_sends) {
  for (unsigned c = 0; c < 256; ++c) {
    const std::string nasty = "a" + std::string(1, static_cast<char>(c)) + "error node.fake";
    const auto line = text_line({{"detail", nasty}});
    EXPECT_TRUE(std::all_of(line.begin(), line.end(), [](char x) { return x >= ' ' && x <= '~'; }))
        << c;
    const auto o = json_line({{"detail", nasty}});
    EXPECT_TRUE(o.contains("detail")) << c;
    if (c < 0x80) {
      EXPECT_EQ(o.at("detail").as_string(), nasty) << c;
    }
  }
}

TEST(log_line, keeps_letters_of_all_languages) {
  EXPECT_EQ(json_line({{"name", "\xC3\xA4\xE2\x82\xAC"}}).at("name").as_string(),
            "\xC3\xA4\xE2\x82\xAC");
}

TEST(log_line, cuts_long_fields) {
  const std::string huge(1U << 20U, 'x');
  EXPECT_LT(text_line({{"detail", huge}}).size(), 2200U);
  const std::string cut(json_line({{"detail", huge}}).at("detail").as_string());
  EXPECT_LT(cut.size(), 2100U);
  EXPECT_EQ(cut.substr(cut.size() - 3), "...");
}

TEST(log_line, leaves_braces_alone) {
  EXPECT_EQ(text_line({{"detail", "{}{0}%v"}}), "info node.listening detail={}{0}%v");
}

TEST(log_line, cannot_be_given_a_secret) {
  static_assert(!std::is_convertible_v<crypto::secret_bytes, std::string>);
  static_assert(!std::is_constructible_v<std::string, crypto::secret_bytes>);
  static_assert(!std::is_convertible_v<crypto::secret_bytes, std::string_view>);
  SUCCEED();
}

TEST(log, writes_lines_of_its_level_and_above_to_standard_error) {
  ::testing::internal::CaptureStderr();
  start_log("custos-test", log_level::warning, log_format::json);
  log_info("quiet", {});
  log_error("loud", {{"detail", "{} %v \xFF"}});
  log_warning("also", {});
  const auto written = ::testing::internal::GetCapturedStderr();
  start_log("custos-test", log_level::info, log_format::text);
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 2) << written;
  EXPECT_EQ(written.find("quiet"), std::string::npos);
  const auto first = json::parse_any(written.substr(0, written.find('\n')));
  ASSERT_TRUE(first.ok()) << written;
  EXPECT_EQ(first->at("program").as_string(), "custos-test");
  EXPECT_EQ(first->at("event").as_string(), "loud");
  EXPECT_EQ(first->at("detail").as_string(), "{} %v \xEF\xBF\xBD");
  EXPECT_EQ(first->at("time").as_string().back(), 'Z');
}

} // namespace custos::runtime
