#include "messages/errc.hpp"

namespace custos {

namespace {

struct description {
  std::string_view name;
  std::string_view title;
  unsigned status;
};

description describe(errc code) {
  switch (code) {
  case errc::invalid_argument:
    return {"invalid-argument", "A field has a value that is not allowed", 400};
  case errc::malformed:
    return {"malformed", "The input does not have the expected form", 400};
  case errc::too_large:
    return {"too-large", "The input is larger than the limit", 413};
  case errc::unsupported:
    return {"unsupported", "The version, algorithm or operation is not supported", 422};
  case errc::unauthenticated:
    return {"unauthenticated", "The caller is not authenticated", 401};
  case errc::forbidden:
    return {"forbidden", "The caller may not do this", 403};
  case errc::not_found:
    return {"not-found", "There is no such object", 404};
  case errc::already_exists:
    return {"already-exists", "An object of that name exists", 409};
  case errc::revision_conflict:
    return {"revision-conflict", "The configuration has another revision", 412};
  case errc::method_not_allowed:
    return {"method-not-allowed", "The resource does not have this method", 405};
  case errc::unsupported_media_type:
    return {"unsupported-media-type", "The body has a type the resource does not take", 415};
  case errc::rate_limited:
    return {"rate-limited", "Too many requests of one caller", 429};
  case errc::overloaded:
    return {"overloaded", "The service is at its limit", 503};
  case errc::unavailable:
    return {"unavailable", "Something the service depends on is away", 503};
  case errc::timeout:
    return {"timeout", "The deadline of the request passed", 504};
  case errc::cancelled:
    return {"cancelled", "The request was cancelled", 503};
  case errc::attestation_failed:
    return {"attestation-failed", "The evidence was not accepted", 403};
  case errc::token_invalid:
    return {"token-invalid", "The token was not accepted", 401};
  case errc::crypto_failure:
    return {"crypto-failure", "A cryptographic check or operation failed", 422};
  case errc::storage_failure:
    return {"storage-failure", "The storage failed", 500};
  case errc::corrupted:
    return {"corrupted", "Stored data is damaged", 500};
  case errc::io_failure:
    return {"io-failure", "An input or output operation failed", 502};
  case errc::tpm_failure:
    return {"tpm-failure", "The TPM is away or refused", 503};
  case errc::kmip_failure:
    return {"kmip-failure", "The key server refused", 502};
  case errc::internal:
    return {"internal", "A defect of the service", 500};
  }
  return {"internal", "A defect of the service", 500};
}

} // namespace

std::string_view to_string(errc code) {
  return describe(code).name;
}
std::string_view title_of(errc code) {
  return describe(code).title;
}
unsigned http_status_of(errc code) {
  return describe(code).status;
}

} // namespace custos
