#include "runtime/cli/provider_policy.hpp"

#include <boost/json.hpp>
#include <charconv>
#include <optional>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::string_view cleared = "none";
constexpr std::string_view unset = "default";

bj::object part_of(const bj::object& present, std::string_view name) {
  const auto* const part = present.if_contains(name);
  return part == nullptr || !part->is_object() ? bj::object() : part->get_object();
}

bool is_cleared(const std::vector<std::string>& list) {
  return list.size() == 1 && list.front() == cleared;
}

void put_list(bj::object& out, const char* name, const std::vector<std::string>& list) {
  if (is_cleared(list))
    out[name] = bj::array();
  else if (!list.empty())
    out[name] = bj::array(list.begin(), list.end());
}

result<void> put_claims(bj::object& out, const std::vector<std::string>& claims) {
  if (claims.empty())
    return {};
  bj::object values;
  for (const auto& text : is_cleared(claims) ? std::vector<std::string>() : claims) {
    const auto split = text.find('=');
    if (split == 0 || split == std::string::npos || split + 1 == text.size())
      return field_error(errc::invalid_argument, "--claim", "expected NAME=VALUE, got " + text);
    auto& list = values[text.substr(0, split)];
    if (!list.is_array())
      list = bj::array();
    list.get_array().emplace_back(text.substr(split + 1));
  }
  out["claims"] = std::move(values);
  return {};
}

result<void> put_number(bj::object& out, const char* name, const char* flag,
                        const std::string& text) {
  if (text.empty())
    return {};
  if (text == unset) {
    out.erase(name);
    return {};
  }
  std::uint32_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size())
    return field_error(errc::invalid_argument, flag, "expected a number, got " + text);
  out[name] = number;
  return {};
}

} // namespace

void provider_policy::add_to(CLI::App* command) {
  command->add_option("--mode", mode, "How the primary key is used; default: automatic")
      ->check(CLI::IsMember({"automatic", "local", "remote"}));
  command->add_option("--images", images, "Only hosts that matched these base images; none: any")
      ->delimiter(',');
  command->add_option("--hosts", hosts, "Only these hosts; none: any")->delimiter(',');
  command
      ->add_option("--host-pattern", host_patterns,
                   "Also hosts with such names: web-*; none: no pattern")
      ->delimiter(',');
  command->add_option("--claim", claims,
                      "Only tokens with this claim: secure_boot=true, ima=true, "
                      "status=affirming, image_version=12.8. Of one claim several values may be "
                      "accepted; none: any token");
  command->add_option("--calls-per-second", calls_per_second,
                      "Calls of one host, sustained; default: 50");
  command->add_option("--burst", burst, "Calls of one host at once after a pause; default: 500");
  command->add_option("--cache-seconds", cache_s,
                      "A primary key fetched is used so long without asking; default: 900");
  command->add_option("--grace-seconds", grace_s,
                      "... and so long while no key server answers, 0: not at all; default: 14400");
  command->add_option("--rotation-days", rotation_days,
                      "The primary key is changed this long after the last one; 0: never");
}

bool provider_policy::given() const {
  return !mode.empty() || !images.empty() || !hosts.empty() || !host_patterns.empty() ||
         !claims.empty() || !calls_per_second.empty() || !burst.empty() || !cache_s.empty() ||
         !grace_s.empty() || !rotation_days.empty();
}

result<bj::object> provider_policy::extension(const bj::object& present) const {
  bj::object out;
  if (!mode.empty())
    out["mode"] = mode == "automatic" ? "auto" : mode;
  if (!images.empty() || !hosts.empty() || !host_patterns.empty() || !claims.empty()) {
    auto access = part_of(present, "access");
    put_list(access, "images", images);
    put_list(access, "hosts", hosts);
    put_list(access, "host_patterns", host_patterns);
    CUSTOS_CHECK(put_claims(access, claims));
    out["access"] = std::move(access);
  }
  if (!calls_per_second.empty() || !burst.empty()) {
    auto limits = part_of(present, "limits");
    CUSTOS_CHECK(put_number(limits, "calls_per_second", "--calls-per-second", calls_per_second));
    CUSTOS_CHECK(put_number(limits, "burst", "--burst", burst));
    out["limits"] = std::move(limits);
  }
  if (!cache_s.empty() || !grace_s.empty()) {
    auto cache = part_of(present, "cache");
    CUSTOS_CHECK(put_number(cache, "primary_key_age_s", "--cache-seconds", cache_s));
    CUSTOS_CHECK(put_number(cache, "grace_s", "--grace-seconds", grace_s));
    out["cache"] = std::move(cache);
  }
  if (!rotation_days.empty()) {
    bj::object rotation;
    CUSTOS_CHECK(put_number(rotation, "interval_days", "--rotation-days", rotation_days));
    out["rotation"] = std::move(rotation);
  }
  return out;
}

} // namespace custos::cli
