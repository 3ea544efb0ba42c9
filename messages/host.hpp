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
struct get_tpm_identity {
  bool ak_only = false; ///< without the endorsement key, which some TPMs take seconds to make
};
struct tpm_identity {
  bytes ek_certificate;                ///< as in NV; may be empty
  bytes ek_public;                     ///< TPMT_PUBLIC
  bytes ak_public;                     ///< TPMT_PUBLIC
  std::vector<bytes> ek_intermediates; ///< DER, from the EK's issuer upwards; may be empty
  bytes ak_name;                       ///< Name of the attestation key (TPM 2.0 Part 1, 16)
};
struct activate_credential {
  bytes credential_blob;
  bytes encrypted_secret;
};
struct credential_activated {
  crypto::secret_ptr secret;
};
/// TPMS_CLOCK_INFO's counts as this attestation key shows them: they tell boots apart, no more.
struct boot_mark {
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
};
struct make_quote {
  bytes qualifying_data;
  std::uint64_t ima_first = 0;  ///< entries of the IMA log to leave out ...
  std::uint32_t ima_resets = 0; ///< ... if the quote has this resetCount
};
struct quote_made {
  bytes quote;
  bytes signature;
  std::vector<pcr_value> pcrs;
  bytes event_log;
  bytes ima_log = {};          ///< read after the quote: it covers at least what was quoted
  std::uint64_t ima_first = 0; ///< entries that were left out
  boot_mark boot = {};
  bytes ak_name = {}; ///< of the key that signed
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
  bool retryable = false;        ///< a new quote may cure the failure
  std::string ak_name;           ///< hex; empty until the TPM has told
  std::optional<boot_mark> boot; ///< of the last quote
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

/// A key of the consumer's own, to become a ciphertext.
struct put_key {
  std::string provider;
  crypto::secret_ptr key; ///< kek_bytes_min to kek_bytes_max
  bytes context;
};
struct key_put {
  bytes ciphertext;
};

/// One call to the key service, with the host's token and its connection.
struct call_key_service {
  std::string method; ///< "GET" or "POST"
  std::string path;   ///< "/keys/v1/..."
  std::string body;
};
/// Of an answer with status 200; any other one is an error.
struct key_service_answer {
  std::string body;
};

/// The background rewrap of ciphertexts on this host. Times in unix seconds, 0: never.
struct rewrap_now {};
struct get_rewrap_status {};
struct rewrap_problem {
  std::string file;
  std::string message;
};
inline constexpr std::size_t rewrap_problems_max = 20; ///< that are told; all are counted
struct rewrap_status {
  bool configured = false;
  std::int64_t last_check = 0;  ///< that could ask the key service
  std::int64_t last_rewrap = 0; ///< of at least one file
  std::int64_t next_check = 0;
  std::uint64_t files = 0;     ///< seen by the last check
  std::uint64_t pending = 0;   ///< of them under an older primary key, and not damaged
  std::uint64_t rewrapped = 0; ///< since this host was set up
  std::uint64_t failed = 0;    ///< files that could not be read, opened or replaced
  std::vector<rewrap_problem> problems;
  std::string error; ///< why the last check could not be made; empty if it could
};

} // namespace custos
