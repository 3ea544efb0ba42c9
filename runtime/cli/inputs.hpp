#pragma once
// Input files and lists that several commands take. Errors name the file or the flag:
// errc::not_found, too_large, malformed, invalid_argument.

#include "adapters/crypto/crypto.hpp"
#include "adapters/eventlog/eventlog.hpp"
#include "messages/attestation.hpp"

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace custos::cli {

inline constexpr std::size_t log_bytes_max = std::size_t{2} << 20;
inline constexpr std::size_t small_file_bytes_max = std::size_t{64} << 10;

/// A whole file of octets.
result<bytes> read_octets(const std::string& file, std::size_t bytes_max);

/// "0-9,14" as a mask; the empty text is none.
result<std::uint32_t> pcr_mask(const std::string& flag, std::string_view text);
/// A mask as such a text.
std::string pcr_text(std::uint32_t mask);

/// {"sha256": {"0": "<hex>"}}, by itself or as member "pcrs" or "banks".
result<std::vector<pcr_value>> read_pcr_values(const std::string& file);

/// A boot log with its octets, which `parsed` looks into.
struct boot_log {
  bytes raw;
  eventlog::parsed_log parsed;

  boot_log() = default;
  boot_log(boot_log&&) = default;
  boot_log& operator=(boot_log&&) = default;
  boot_log(const boot_log&) = delete;
  boot_log& operator=(const boot_log&) = delete;
  ~boot_log() = default;
};
result<boot_log> parse_boot_log(const std::string& file, bytes raw);
result<boot_log> read_boot_log(const std::string& file);

/// PEM: a public key, or the certificate of one.
result<crypto::key> read_public_key(const std::string& file);
/// PEM, unencrypted.
result<crypto::key> read_private_key(const std::string& file);

/// What does not read is said to be wrong in that file.
error in_file(const std::string& file, error e);

} // namespace custos::cli
