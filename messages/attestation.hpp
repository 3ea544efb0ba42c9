#pragma once
// What hosts and the Attestation Service say to each other, decoded (RFC 9334: Attester, Verifier).

#include "messages/bytes.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace custos {

/// Names a host: 1-128 characters of [A-Za-z0-9._-].
using host_id = std::string;

/// POST /attestation/v1/attestation-keys, decoded.
struct attestation_key_request {
  host_id host;
  bytes ek_certificate;                ///< DER as read from NV, padding allowed; may be empty
  std::vector<bytes> ek_intermediates; ///< DER; may be empty
  bytes ek_public;                     ///< TPMT_PUBLIC
  bytes ak_public;                     ///< TPMT_PUBLIC
};

/// The answer: what TPM2_ActivateCredential takes, and the AK certificate encrypted under the
/// protected secret (AES-256-GCM, key = HKDF-like SHA-256("custos-ak-certificate-v1" || secret)).
struct attestation_key_issued {
  bytes credential_blob;       ///< TPM2B_ID_OBJECT, marshalled
  bytes encrypted_secret;      ///< TPM2B_ENCRYPTED_SECRET, marshalled
  bytes encrypted_certificate; ///< nonce(12) || ciphertext || tag(16) of the DER AK certificate
};

/// A challenge: fresh nonce and the ticket that proves, to any node, that it is ours.
struct challenge {
  bytes nonce;              ///< 32 bytes
  std::string ticket;       ///< opaque, base64url
  std::int64_t expires = 0; ///< unix seconds
};

/// The value of one PCR as the host read it.
struct pcr_value {
  std::uint16_t bank = 0; ///< TPM_ALG_ID
  std::uint32_t pcr = 0;
  bytes value;
};

/// POST /attestation/v1/tokens, decoded.
struct evidence {
  host_id host;
  std::string ticket;
  bytes ak_certificate; ///< DER, ours
  bytes quote;          ///< TPMS_ATTEST as signed
  bytes signature;      ///< TPMT_SIGNATURE
  std::vector<pcr_value> pcrs;
  bytes event_log;     ///< TCG binary log
  bytes transport_key; ///< SubjectPublicKeyInfo DER, P-256
  bytes ima_log = {};  ///< IMA log, ASCII or binary, from entry `ima_first` on; may be empty
  std::uint64_t ima_first = 0; ///< entries left out because they were judged before in this boot
  bool reporting = false;      ///< a token for reporting to others is asked for, too
};

struct attestation_granted {
  std::string token;        ///< JWS compact
  std::int64_t expires = 0; ///< unix seconds
  std::string image;        ///< name of the base image that matched
  std::string image_version;
  std::string reporting_token = {}; ///< JWS compact; empty unless asked for
  std::uint64_t ima_entries = 0;    ///< entries of the IMA log judged so far in this boot
};

} // namespace custos
