#include "actors/keyprovider/access.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace custos::keyprovider {

namespace {

token_facts facts_of(const std::string& host) {
  token_facts out;
  out.host = host;
  out.image = "debian";
  out.image_version = "12.7";
  out.secure_boot = true;
  return out;
}

bool passes(const std::function<void(access_rule&)>& change,
            const token_facts& facts = facts_of("web-1")) {
  access_rule rule;
  change(rule);
  return lets_pass(rule, facts);
}

} // namespace

TEST(host_pattern, stands_for_names) {
  struct row {
    const char* text;
    const char* pattern;
    bool matches;
  };
  for (const auto& r : std::vector<row>{{"web-1", "web-*", true},
                                        {"web-", "web-*", true},
                                        {"web", "web-*", false},
                                        {"xweb-1", "web-*", false},
                                        {"web-1", "*", true},
                                        {"", "*", true},
                                        {"", "**", true},
                                        {"a", "", false},
                                        {"", "", true},
                                        {"web-1", "web-1", true},
                                        {"web-1.example", "*.example", true},
                                        {"web-1.example.org", "*.example", false},
                                        {"a-b-c", "a*b*c", true},
                                        {"a-c-b", "a*b*c", false},
                                        {"aab", "*ab", true},
                                        {"abcabd", "*ab?", false},
                                        {"WEB-1", "web-*", false}})
    EXPECT_EQ(matches_pattern(r.text, r.pattern), r.matches) << r.text << " " << r.pattern;
}

TEST(host_pattern, costs_no_more_than_text_times_pattern) {
  const std::string text(128, 'a');
  std::string pattern;
  for (int i = 0; i < 63; ++i)
    pattern += "a*";
  EXPECT_FALSE(matches_pattern(text, pattern + "b"));
}

TEST(access_rule, lets_everybody_pass_that_no_part_excludes) {
  EXPECT_TRUE(passes([](auto&) {}));
  EXPECT_TRUE(passes([](auto& r) { r.images = {"other", "debian"}; }));
  EXPECT_FALSE(passes([](auto& r) { r.images = {"other"}; }));
  EXPECT_TRUE(passes([](auto& r) { r.hosts = {"web-1"}; }));
  EXPECT_FALSE(passes([](auto& r) { r.hosts = {"web-2"}; }));
  EXPECT_FALSE(passes([](auto& r) {
    r.hosts = {"web-1"};
    r.images = {"other"};
  }));
}

TEST(access_rule, takes_a_host_by_id_or_by_pattern) {
  EXPECT_TRUE(passes([](auto& r) { r.host_patterns = {"db-*", "web-*"}; }));
  EXPECT_FALSE(passes([](auto& r) { r.host_patterns = {"db-*"}; }));
  EXPECT_TRUE(passes([](auto& r) {
    r.hosts = {"web-1"};
    r.host_patterns = {"db-*"};
  }));
  EXPECT_TRUE(passes([](auto& r) {
    r.hosts = {"mail"};
    r.host_patterns = {"web-*"};
  }));
}

TEST(access_rule, holds_the_token_to_its_claims) {
  const auto claim = [](const std::string& name, std::vector<std::string> values) {
    return [name, values](access_rule& r) { r.claims[name] = values; };
  };
  EXPECT_TRUE(passes(claim("image_version", {"12.8", "12.7"})));
  EXPECT_FALSE(passes(claim("image_version", {"12.8"})));
  EXPECT_TRUE(passes(claim("secure_boot", {"true"})));
  EXPECT_FALSE(passes(claim("secure_boot", {"false"})));
  EXPECT_FALSE(passes(claim("ima", {"true"})));
  EXPECT_TRUE(passes(claim("ima", {"false"})));
  EXPECT_TRUE(passes(claim("status", {"affirming"})));
  EXPECT_FALSE(passes(claim("status", {"warning"})));
  EXPECT_FALSE(passes(claim("colour", {"", "red"}))) << "a claim that nobody knows passes nobody";
  auto other = facts_of("web-1");
  other.secure_boot.reset();
  other.ima = true;
  other.warning = true;
  EXPECT_FALSE(passes(claim("secure_boot", {"true", "false"}), other)) << "it was not judged";
  EXPECT_TRUE(passes(claim("ima", {"true"}), other));
  EXPECT_FALSE(passes(claim("status", {"affirming"}), other));
  EXPECT_FALSE(passes([](auto& r) {
    r.claims["secure_boot"] = {"true"};
    r.claims["status"] = {"warning"};
  })) << "every claim counts";
}

} // namespace custos::keyprovider
