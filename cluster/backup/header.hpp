#pragma once
// The readable first line of a backup: what is in it, who made it, for whom it is sealed. Canonical
// JSON (RFC 8785) and a line feed; docs/backup-format.md has the members. No secret is in it.
//
// Pure free functions, thread-safe. A header that does not read is errc::malformed with the member
// as a JSON pointer; another version is errc::unsupported.

#include "adapters/crypto/x509.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace custos::backup {

inline constexpr std::string_view file_format = "custos-backup-1";
/// The line with its line feed.
inline constexpr std::size_t header_bytes_max = 64U << 10U;
inline constexpr std::size_t recipients_max = 8;
inline constexpr std::size_t object_kinds_max = 32;
/// What is sealed, in clear.
inline constexpr std::size_t content_bytes_max = 512U << 20U;
inline constexpr std::size_t chunk_bytes = 64U << 10U;
inline constexpr std::size_t chunk_tag_bytes = 16;
inline constexpr std::size_t sealed_bytes_max =
    content_bytes_max + (content_bytes_max / chunk_bytes + 1) * chunk_tag_bytes;
inline constexpr std::size_t file_bytes_max = header_bytes_max + sealed_bytes_max;

enum class content_kind : std::uint8_t { cluster = 1, coordinator };
std::string_view to_string(content_kind kind);

/// What is in a backup and where it comes from.
struct description {
  content_kind kind = content_kind::cluster;
  std::string id;             ///< 32 hex digits, random: names this backup
  std::string name;           ///< of the cluster or coordinator
  std::string cluster_id;     ///< 32 hex digits; empty for a coordinator
  std::uint64_t revision = 0; ///< of the configuration; 0 for a coordinator
  std::string fingerprint;    ///< SHA-256 in hex, of the configuration or the coordinator's entries
  std::string created;        ///< "2026-01-02T03:04:05Z" (RFC 3339)
  std::string program;        ///< "custos 0.1.0"
  std::map<std::string, std::uint64_t> objects; ///< how many there are of each kind
  crypto::certificate
      signer; ///< its key signs: the cluster's CA, or the coordinator's TLS identity
};

/// "2026-01-02T03:04:05Z".
std::string timestamp(crypto::unix_seconds at);

/// The part behind the header.
struct sealed_part {
  std::uint64_t bytes = 0;
  crypto::sha256_digest sha256{};
};

/// How one recipient gets the content key.
struct recipient {
  enum class way : std::uint8_t { passphrase = 1, public_key };
  way how = way::passphrase;
  bytes salt;             ///< of scrypt
  bytes wrapped_key;      ///< AES-KWP (RFC 5649) under what scrypt gives
  std::string thumbprint; ///< of the public key (RFC 7638)
  std::string jwe;        ///< ECDH-ES+A256KW, A256GCM (RFC 7516)
};

/// What the passphrase is stretched with (RFC 7914): 128 MiB and about a second. Fixed by
/// the format, so that no file can ask for more.
inline constexpr std::uint64_t scrypt_n = 1U << 17U;
inline constexpr std::uint32_t scrypt_r = 8;
inline constexpr std::uint32_t scrypt_p = 1;
inline constexpr std::size_t salt_bytes = 16;

struct header {
  description about;
  sealed_part sealed;
  std::vector<recipient> recipients;
  bytes signature;             ///< over signed_octets(); see signature_algorithm()
  crypto::sha256_digest mac{}; ///< over mac_octets(), under a key that comes from the content key
};

/// "ES256", "ES384" or "PS256", by the signer's key; empty for another kind of key.
std::string_view signature_algorithm(const crypto::key& key);
result<bytes> sign_header(const header& h, const crypto::key& private_key);
/// errc::crypto_failure, field "/signature".
result<void> check_signature(const header& h);

/// What the signature covers: all but the recipients, so that it stays when they change.
std::string signed_octets(const header& h);
/// What the MAC covers: everything but itself.
std::string mac_octets(const header& h);

/// With the line feed.
std::string write_header(const header& h);
/// The line without its line feed. Accepts exactly what write_header() gives.
result<header> parse_header(std::string_view line);

} // namespace custos::backup
