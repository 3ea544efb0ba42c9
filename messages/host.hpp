#pragma once
// Messages of the host agent: between its actors, its management API and its local consumers.
// In-process only.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/attestation.hpp"
#include "messages/bytes.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace custos {

/// Asks the TPM actor who it is: makes or loads the attestation key.
struct get_tpm_identity {};
struct tpm_identity {
  bytes ek_certificate; ///< as in NV; may be empty
  bytes ek_public;      ///< TPMT_PUBLIC
  bytes ak_public;      ///< TPMT_PUBLIC
};
struct activate_credential {
  bytes credential_blob;
  bytes encrypted_secret;
};
struct credential_activated {
  crypto::secret_ptr secret;
};
struct make_quote {
  bytes qualifying_data;
};
struct quote_made {
  bytes quote;
  bytes signature;
  std::vector<pcr_value> pcrs;
  bytes event_log;
};

/// The services a host uses, as the coordinator applies them: whole, or not at all.
struct host_services {
  std::vector<std::string> attestation; ///< URLs
  std::vector<std::string> keys;        ///< URLs
  std::string trusted_ca;               ///< PEM
  std::uint64_t revision = 0;
};
struct clear_host_services {};
struct services_applied {
  std::uint64_t revision = 0;
  std::string fingerprint; ///< SHA-256 of the canonical document, hex
};

struct attest_now {};
struct get_host_status {};
struct host_status {
  std::string host;
  std::string state; ///< "unconfigured", "attesting", "attested", "failed"
  std::string image;
  std::string image_version;
  std::int64_t token_expires = 0; ///< unix seconds
  std::int64_t last_attested = 0;
  std::int64_t next_attempt = 0;
  std::uint64_t services_revision = 0;
  std::string services_fingerprint;
  std::string error; ///< why the last attempt failed; empty if it did not
  std::string check;
  std::optional<std::uint32_t> pcr;
  std::optional<std::uint32_t> event;
};

/// For local consumers.
struct request_key {
  std::string provider;
  std::uint32_t key_bytes = 32;
  bytes ciphertext; ///< empty: generate a key
  bytes context;
};
struct key_ready {
  crypto::secret_ptr key;
  bytes ciphertext; ///< of a generated key
};

} // namespace custos
