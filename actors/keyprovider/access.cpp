#include "actors/keyprovider/access.hpp"

#include <algorithm>

namespace custos::keyprovider {

namespace {

bool has(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_among(const access_rule& rule, const std::string& host) {
  if (rule.hosts.empty() && rule.host_patterns.empty())
    return true;
  return has(rule.hosts, host) ||
         std::any_of(rule.host_patterns.begin(), rule.host_patterns.end(),
                     [&host](const auto& pattern) { return matches_pattern(host, pattern); });
}

/// The value of a claim that rules may name; empty: the token does not have it.
std::string_view value_of(std::string_view claim, const token_facts& facts) {
  const auto text = [](bool value) { return value ? "true" : "false"; };
  if (claim == "image_version")
    return facts.image_version;
  if (claim == "secure_boot")
    return facts.secure_boot ? text(*facts.secure_boot) : std::string_view();
  if (claim == "ima")
    return text(facts.ima);
  if (claim == "status")
    return facts.warning ? "warning" : "affirming";
  return {};
}

} // namespace

bool matches_pattern(std::string_view text, std::string_view pattern) {
  std::size_t t = 0, p = 0;
  // Where the last star stands, and how much of the text it takes at present.
  std::size_t star = std::string_view::npos, taken = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool lets_pass(const access_rule& rule, const token_facts& facts) {
  if (!rule.images.empty() && !has(rule.images, facts.image))
    return false;
  if (!is_among(rule, facts.host))
    return false;
  return std::all_of(rule.claims.begin(), rule.claims.end(), [&facts](const auto& claim) {
    const auto value = value_of(claim.first, facts);
    return !value.empty() && has(claim.second, value);
  });
}

} // namespace custos::keyprovider
