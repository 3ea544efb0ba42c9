#include "actors/host/credentials.hpp"

#include "actors/host/ciphertext_file.hpp"

#include <algorithm>

namespace custos::host {

bool is_credential_name(std::string_view text) {
  const auto is_taken = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(":-_.\\@").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= credential_name_bytes_max && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), is_taken);
}

std::optional<credential_name> credential_of_peer(std::string_view address) {
  constexpr std::string_view middle = "/unit/";
  if (address.empty() || address.front() != '\0')
    return std::nullopt;
  const auto at = address.find(middle);
  if (at == std::string_view::npos)
    return std::nullopt;
  const auto names = address.substr(at + middle.size());
  const auto slash = names.find('/');
  if (slash == std::string_view::npos)
    return std::nullopt;
  credential_name out{std::string(names.substr(0, slash)), std::string(names.substr(slash + 1))};
  if (!is_credential_name(out.unit) || !is_credential_name(out.credential))
    return std::nullopt;
  return out;
}

std::filesystem::path credential_file(const std::filesystem::path& folder,
                                      const credential_name& name) {
  return folder / name.unit / (name.credential + std::string(ciphertext_suffix));
}

} // namespace custos::host
