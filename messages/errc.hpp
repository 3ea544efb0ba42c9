#pragma once
// The one enumeration of what can go wrong, and its mapping to HTTP (RFC 9110) and to problem
// documents (RFC 9457). Values are append-only: they appear in audit records.

#include <cstdint>
#include <string_view>

namespace custos {

enum class errc : std::uint8_t {
  invalid_argument = 1,   ///< a field has a value that is not allowed
  malformed,              ///< bytes that do not parse as what they should be
  too_large,              ///< a named limit is exceeded
  unsupported,            ///< well-formed, but a version, algorithm or operation we do not have
  unauthenticated,        ///< nobody known is asking
  forbidden,              ///< known, but not allowed
  not_found,              ///< no such object
  already_exists,         ///< an object of that name is there
  revision_conflict,      ///< If-Match names another revision than the present one
  method_not_allowed,     ///< the resource exists, the method does not
  unsupported_media_type, ///< the body is not what the resource takes
  rate_limited,           ///< too many calls of one caller
  overloaded,             ///< a queue of ours is full
  unavailable,            ///< something we depend on is away
  timeout,                ///< the deadline of the request passed
  cancelled,              ///< the caller went away or the process is stopping
  attestation_failed,     ///< an appraisal check said no
  token_invalid,          ///< the token's signature, claims or binding do not hold
  crypto_failure,         ///< a cryptographic operation failed or did not verify
  storage_failure,        ///< reading or writing the disk failed
  corrupted,              ///< stored data does not match its checksum or form
  io_failure,             ///< a socket or file operation failed
  tpm_failure,            ///< the TPM answered with an error or is away
  kmip_failure,           ///< the key server refused
  internal,               ///< a defect of ours
};

/// The stable name, as in the problem type URI: "invalid-argument".
std::string_view to_string(errc code);

/// A short human title for the problem document.
std::string_view title_of(errc code);

/// HTTP status code of a problem document for this error.
unsigned http_status_of(errc code);

} // namespace custos
