#pragma once
// The node key (32 octets) wraps what a node keeps of the cluster's keys: whoever has the disk and
// not the node key has nothing. Where it comes from is the administrator's choice:
//
//   file             DIR/node/node.key, mode 0600: whoever has the disk has it, too
//   credential:NAME  HKDF-SHA256 (RFC 5869) of a systemd credential
//   passphrase       scrypt (RFC 7914) of a passphrase that is given at each start
//   tpm              sealed by the node's TPM: DIR/node/node-key.tpm, useless elsewhere
//
// DIR/node/node-key.json says which, and with which salts and costs; no secret is in it. The store
// names the node key that wraps its contents (a random id, as in node-key.json). A new node key is
// made complete in DIR/node/node-key.next/; it counts from the moment the store names it. So there
// is no moment at which a crash leaves neither.
//
// Thread rule: free functions; one process at a time, which the lock of the store sees to.
// Errors name the field "node_key" and what to do.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace custos::cluster {

inline constexpr std::size_t node_key_bytes = 32;
/// A credential is a secret of at least this many octets: it is not stretched.
inline constexpr std::size_t credential_bytes_min = 32;
inline constexpr std::size_t credential_bytes_max = 64U << 10U;
/// Of a new node key; a last line break does not count.
inline constexpr std::size_t passphrase_bytes_min = 12;
inline constexpr std::size_t passphrase_bytes_max = 1024;

enum class node_key_source : std::uint8_t { file = 1, credential, passphrase, tpm };
/// "file", "credential", "passphrase", "tpm".
std::string_view to_string(node_key_source source);

/// What an administrator chose.
struct node_key_choice {
  node_key_source source = node_key_source::file;
  std::string credential; ///< its name
  /// tpm: bit i for PCR i of the SHA-256 bank, whose present values the TPM demands ever after; 0:
  /// none.
  std::uint32_t pcrs = 0;
};
/// "file", "credential:NAME", "passphrase" or "tpm", and PCRs as in "0,7" (empty: none).
result<node_key_choice> parse_node_key_choice(std::string_view source, std::string_view pcrs = {});
/// For people: "credential:custos-node-key", "tpm (PCRs 0,7)".
std::string text_of(const node_key_choice& choice);

/// Where a node finds what its choice needs. What is not needed is not looked at.
struct node_key_access {
  std::string tcti = "device:/dev/tpmrm0"; ///< as tss2-tctildr takes it
  std::filesystem::path passphrase_file;   ///< or a pipe, as /dev/fd/3
  std::filesystem::path credentials_dir;   ///< $CREDENTIALS_DIRECTORY
};

struct node_key_request {
  node_key_choice choice;
  node_key_access access;
};

struct node_key {
  /// As the store names it; empty: of a directory without node-key.json.
  std::string id;
  node_key_choice choice;
  crypto::secret_ptr key; ///< node_key_bytes
};

/// Makes a new node key: node-key.json and what belongs to it, synced, in a folder that has none.
result<node_key> make_node_key(const std::filesystem::path& folder,
                               const node_key_request& request);
/// Reads or derives it. Errors: errc::not_found (something is missing), errc::forbidden (others can
/// read it; the TPM's PCRs are others), errc::corrupted (wrong length, another TPM's),
/// errc::tpm_failure. A wrong passphrase or credential shows only when nothing opens.
result<node_key> read_node_key(const std::filesystem::path& folder, const node_key_access& access);

/// Where a new node key lies until the store names it.
std::filesystem::path next_node_key_folder(const std::filesystem::path& folder);
/// Ends what a crash left half done: the key in node-key.next/ takes its place if `committed`, the
/// id that the store names, is its own; else it goes.
result<void> settle_node_key(const std::filesystem::path& folder, std::string_view committed);

/// Why nothing opens, by source: errc::crypto_failure, field "node_key".
error wrong_node_key(const node_key_choice& choice);

/// AES-KWP (RFC 5649) under the node key.
result<bytes> wrap_secret(const crypto::secret_bytes& node_key, const crypto::secret_bytes& secret);
/// errc::crypto_failure: wrapped under another key, or changed.
result<crypto::secret_bytes> unwrap_secret(const crypto::secret_bytes& node_key, byte_view wrapped);

/// Makes a node key file: 32 random bytes, mode 0600, never over an existing file, synced.
/// errc::already_exists, errc::storage_failure.
result<crypto::secret_bytes> create_node_key_file(const std::filesystem::path& file);
/// Reads it. errc::not_found; errc::forbidden if anybody but the owner may read or write it, or it
/// is no regular file; errc::corrupted if it has another length.
result<crypto::secret_bytes> read_node_key_file(const std::filesystem::path& file);

} // namespace custos::cluster
