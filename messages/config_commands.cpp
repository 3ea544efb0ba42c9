#include "messages/config_commands.hpp"

#include "messages/config.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace custos {

namespace {

constexpr std::array<std::pair<object_kind, std::string_view>, 10> kind_names{{
    {object_kind::tpm_ca, "tpm-cas"},
    {object_kind::endorsement_key, "endorsement-keys"},
    {object_kind::base_image, "base-images"},
    {object_kind::settings, "settings"},
    {object_kind::key_provider, "key-providers"},
    {object_kind::principal, "principals"},
    {object_kind::host, "hosts"},
    {object_kind::token_key, "token-keys"},
    {object_kind::denial, "denials"},
    {object_kind::data_key, "data-keys"},
}};

} // namespace

std::string_view to_string(object_kind kind) {
  for (const auto& [k, name] : kind_names)
    if (k == kind)
      return name;
  return "unknown";
}

std::optional<object_kind> object_kind_of(std::string_view text) {
  for (const auto& [k, name] : kind_names)
    if (name == text)
      return k;
  return std::nullopt;
}

namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool only_name_characters(std::string_view text) {
  return !text.empty() && text.size() <= object_name_bytes_max &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; });
}

} // namespace

bool is_object_name(std::string_view text) {
  return only_name_characters(text) && is_plain(text.front());
}

bool is_host_name(std::string_view text) {
  return only_name_characters(text) && text.front() != '.';
}

} // namespace custos
