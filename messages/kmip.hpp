#pragma once
// What the Key Provider Service asks of the KMIP actors, in our own words. In-process only: some of
// these carry secrets (crypto::secret_ptr), which have no serialised form.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/bytes.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace custos::kmip {

/// Fetch a symmetric key's material (KMIP Get, Raw).
struct get_key {
  std::string unique_identifier;
};
struct key_material {
  crypto::secret_ptr key;
};

/// KMIP Encrypt under a key of the server (1.2+). With 1.4: AES-GCM with `aad`; below: AES-CBC with
/// PKCS5 padding, `aad` not sent.
struct encrypt_data {
  std::string unique_identifier;
  crypto::secret_ptr plaintext;
  bytes aad;
};
struct encrypted_data {
  bool gcm = false;
  bytes iv;
  bytes ciphertext;
  bytes tag; ///< 16 bytes with GCM, else empty
};
struct decrypt_data {
  std::string unique_identifier;
  encrypted_data data;
  bytes aad;
};
struct decrypted_data {
  crypto::secret_ptr plaintext;
};

/// What the server is and can, learned at connection (Discover Versions, Query).
struct get_capabilities {};
struct capabilities {
  std::uint32_t version_major = 0;
  std::uint32_t version_minor = 0;
  std::vector<std::uint32_t> operations;
  std::string server_information;
  [[nodiscard]] bool at_least(std::uint32_t major, std::uint32_t minor) const {
    return version_major > major || (version_major == major && version_minor >= minor);
  }
};

/// State attribute of a key: "Pre-Active", "Active", "Deactivated", "Compromised", "Destroyed", ...
struct get_key_state {
  std::string unique_identifier;
};
struct key_state {
  std::string state;
};

/// The symmetric keys that have this Name (KMIP Locate). Several: the name is not unique there.
struct find_keys {
  std::string name;
};
struct keys_found {
  std::vector<std::string> unique_identifiers;
};

/// What the server tells of a key (KMIP Get Attributes). What it leaves out is empty, or 0.
struct get_key_attributes {
  std::string unique_identifier;
};
struct key_attributes {
  std::string state;       ///< as key_state
  std::string object_type; ///< "Symmetric Key", ...
  std::string algorithm;   ///< "AES", ...
  std::uint32_t length_bits = 0;
  std::uint32_t usage_mask = 0; ///< Encrypt 4, Decrypt 8, ... (KMIP 1.4, 9.1.3.3.1)
};

/// Create an AES-256 key (Encrypt | Decrypt) of this Name, then Activate it. Never resent blindly.
struct create_key {
  std::string name;
};
struct key_created {
  std::string unique_identifier;
};

/// Asks every server (the connection: its own) how the mutual trust stands, connecting if need be.
/// Always answered, one key_server_status (messages/keys.hpp) a server, in configured order.
struct get_server_status {};

} // namespace custos::kmip
