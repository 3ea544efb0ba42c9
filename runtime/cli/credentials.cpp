#include "runtime/cli/credentials.hpp"

#include "runtime/files.hpp"

#include <arpa/inet.h>
#include <array>
#include <filesystem>

namespace custos::cli {

namespace fs = std::filesystem;
using runtime::write_file;

namespace {

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> out{};
  return ::inet_pton(AF_INET, text.c_str(), out.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

} // namespace

void sort_addresses(const std::vector<std::string>& all, std::vector<std::string>& dns_names,
                    std::vector<std::string>& ip_addresses) {
  for (const auto& one : all)
    (is_address(one) ? ip_addresses : dns_names).push_back(one);
}

result<void> prepare_folder(const std::string& folder, const std::string& name) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed)
    return field_error(errc::storage_failure, folder, "the folder cannot be made");
  for (const auto* suffix : {".crt", ".key"})
    if (fs::exists(fs::path(folder) / (name + suffix), failed))
      return field_error(errc::already_exists, folder + "/" + name + suffix,
                         "expected no file: credentials are never overwritten");
  // Found out before anything is issued whose key would be lost.
  const auto probe = folder + "/." + name + ".probe";
  CUSTOS_CHECK(write_file(probe, {}, 0600));
  fs::remove(probe, failed);
  return {};
}

result<void> write_credentials(const std::string& folder, const std::string& name,
                               const std::string& certificate, const crypto::secret_bytes& key) {
  CUSTOS_CHECK(write_file(folder + "/" + name + ".key", key.reveal_secret(), 0600));
  return write_file(folder + "/" + name + ".crt", as_bytes(certificate), 0644);
}

} // namespace custos::cli
