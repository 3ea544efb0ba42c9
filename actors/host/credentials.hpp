#pragma once
// Keys as credentials of systemd units (systemd.exec(5), LoadCredential= with a socket): which key
// is meant is in the address that the service manager binds before it connects. Pure.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace custos::host {

struct credential_name {
  std::string unit;       ///< "db.service"
  std::string credential; ///< "volume-key"
};

/// Longest name of a unit or a credential, in octets (systemd: UNIT_NAME_MAX, NAME_MAX).
inline constexpr std::size_t credential_name_bytes_max = 255;

/// Of a peer bound to the abstract address "\0RANDOM/unit/UNIT/CREDENTIAL". Names that could leave
/// a folder, or that systemd does not take, give nothing.
std::optional<credential_name> credential_of_peer(std::string_view address);

/// FOLDER/UNIT/CREDENTIAL.ckek
std::filesystem::path credential_file(const std::filesystem::path& folder,
                                      const credential_name& name);

/// Letters, digits and ":-_.\@", not beginning with a dot: what both may be called.
bool is_credential_name(std::string_view text);

} // namespace custos::host
