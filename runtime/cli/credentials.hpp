#pragma once
// Certificates and keys that commands leave in a folder, and the names nodes are given. Errors name
// the file or folder; nothing is overwritten.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/error.hpp"

#include <string>
#include <vector>

namespace custos::cli {

/// Tells DNS names from IP addresses.
void sort_addresses(const std::vector<std::string>& all, std::vector<std::string>& dns_names,
                    std::vector<std::string>& ip_addresses);

/// The folder for credentials, made if needed, with no credentials of that name in it.
result<void> prepare_folder(const std::string& folder, const std::string& name);

/// NAME.crt, and NAME.key with mode 0600.
result<void> write_credentials(const std::string& folder, const std::string& name,
                               const std::string& certificate, const crypto::secret_bytes& key);

} // namespace custos::cli
