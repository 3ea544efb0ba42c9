// The members that documents have, for people and tools; held to the readers by a test.

#include "cluster/config_codec.hpp"

namespace custos::cluster {

namespace {

using fields = std::vector<field_description>;

const fields& tpm_ca_fields() {
  static const fields list{
      {"/certificates", "array of 1-32 PEM certificates, each a CA certificate", true},
      {"/profile", "\"tcg\" (default) or \"relaxed\": EK certificates without SAN or EKU", false},
      {"/crls", "array of up to 32 PEM X509 CRLs", false},
  };
  return list;
}

const fields& endorsement_key_fields() {
  static const fields list{
      {"/public_key", "PEM public key; exactly one of the three", false},
      {"/certificate", "PEM certificate; exactly one of the three", false},
      {"/spki_sha256", "64 hex digits; exactly one of the three", false},
  };
  return list;
}

const fields& settings_fields() {
  static const fields list{
      {"/require_endorsement_keys", "true or false, default false", false},
      {"/require_certificate_validation", "true or false, default true", false},
      {"/allow_sha1", "true or false, default false", false},
      {"/challenge_life_s", "integer, 5-3600, default 60", false},
      {"/token_life_s", "integer, 60-604800, default 28800", false},
      {"/ak_certificate_life_s", "integer, 3600-31622400, default 2592000", false},
      {"/evidence_bytes_max", "integer, 65536-16777216, default 4194304", false},
      {"/event_log_bytes_max", "integer, 16384 to evidence_bytes_max, default 2097152", false},
      {"/events_max", "integer, 16-65536, default 16384", false},
      {"/ek_certificate_dates", "\"enforced\" (default), \"ek_may_expire\" or \"any_may_expire\"",
       false},
      {"/require_crls", "true or false, default false", false},
      {"/allow_sha1_certificates", "true or false, default false", false},
      {"/require_safe_clock", "true or false, default false", false},
      {"/ima_log_bytes_max", "integer, 16384-16777216, default 4194304", false},
      {"/reporting_token_life_s", "integer, 60-604800, default 3600", false},
      {"/evidence_hosts_max", "integer, 0-262144, default 10000", false},
      {"/ear_claims", "\"dotted\" (default), \"underscored\" or \"both\"", false},
      {"/audit_only", "array of \"clock\", \"secure-boot\", \"ima-log\"", false},
  };
  return list;
}

const fields& base_image_fields() {
  static const fields list{
      {"/version", "string, 1-128 bytes", true},
      {"/bank", "\"sha256\" (default), \"sha384\" or \"sha512\"", false},
      {"/pcrs", "array of 1-24 policies, one a PCR, at least one not ignored", true},
      {"/pcrs/*/pcr", "integer, 0-23, but not 16 or 23", true},
      {"/pcrs/*/form", "\"exact\", \"ordered\", \"set\" or \"ignored\"", true},
      {"/pcrs/*/values", "with form exact: array of 1-1024 hex digests of the bank", false},
      {"/pcrs/*/events", "with form ordered or set: array of up to 16384 events", false},
      {"/pcrs/*/events/*/type", "integer, the TCG event type", true},
      {"/pcrs/*/events/*/digest", "hex digest of the bank", true},
      {"/pcrs/*/events/*/hint", "string, up to 512 bytes", false},
      {"/secure_boot", "object; leaving it out demands nothing", false},
      {"/secure_boot/enabled", "true or false", true},
      {"/secure_boot/authorities", "array of SHA-256 hex digests of accepted authorities", false},
      {"/secure_boot/revoked", "array of SHA-256 image hashes that dbx must hold", false},
      {"/ima", "object; leaving it out demands no IMA log", false},
      {"/ima/files", "array of up to 65536 {path, digests}", false},
      {"/ima/buffers", "array of {path, digests}, the path being the buffer's name", false},
      {"/ima/signers", "array of up to 64 PEM public keys", false},
      {"/ima/ignored", "array of up to 1024 absolute path prefixes", false},
      {"/audit_only", "true or false, default false", false},
  };
  return list;
}

const fields& key_provider_fields() {
  static const fields list{
      {"/type", "\"kmip\" (default) or \"native\"", false},
      {"/primary_key_id", "string, up to 256 bytes; empty until there is a primary key", false},
      {"/mode", "\"auto\" (default), \"local\" or \"remote\"", false},
      {"/servers", "array of 1-16 servers with different names; of a native provider none", true},
      {"/servers/*/name", "1-128 characters of A-Z a-z 0-9 . _ -", true},
      {"/servers/*/host", "host name or IP address", true},
      {"/servers/*/port", "integer, 1-65535, default 5696", false},
      {"/client_certificate", "PEM certificates, the client's own first", false},
      {"/sealed_client_private_key", "base64url, sealed by a node of the cluster", false},
      {"/trusted_peer_certificates", "array of up to 32 PEM certificates", false},
      {"/username", "string, up to 256 bytes", false},
      {"/sealed_password", "base64url, sealed by a node of the cluster; with username", false},
      {"/timeout_ms", "integer, 100-60000, default 5000", false},
      {"/legacy_ciphers", "true or false, default false", false},
      {"/access", "object; leaving it out excludes nobody", false},
      {"/access/images", "array of up to 4096 names of base images", false},
      {"/access/hosts", "array of up to 4096 host ids", false},
      {"/access/host_patterns", "array of up to 64 patterns; * stands for any characters", false},
      {"/access/claims", "object: for claims of the token the values that are accepted", false},
      {"/access/claims/image_version", "array of 1-64 versions", false},
      {"/access/claims/secure_boot", "array of \"true\", \"false\"", false},
      {"/access/claims/ima", "array of \"true\", \"false\"", false},
      {"/access/claims/status", "array of \"affirming\", \"warning\"", false},
      {"/next_client_certificate", "PEM certificates that follow client_certificate", false},
      {"/sealed_next_client_private_key", "base64url, sealed by a node of the cluster", false},
      {"/limits", "object; leaving it out keeps the node's limits", false},
      {"/limits/calls_per_second", "integer, 1-10000, default 50, per host", false},
      {"/limits/burst", "integer, 1-100000, default 500, per host", false},
      {"/cache", "object; leaving it out keeps the node's policy; not of a native provider", false},
      {"/cache/primary_key_age_s", "integer, 0-86400, default 900", false},
      {"/cache/grace_s", "integer, 0-604800, default 14400; 0: never", false},
      {"/rotation", "object; leaving it out rotates nothing", false},
      {"/rotation/interval_days", "integer, 0-3650; 0 (default): never", false},
      {"/rotation/key", "the primary key that the interval is counted for, with since", false},
      {"/rotation/since", "integer, unix seconds; with key", false},
      {"/primary_keys", "of a native provider: array of 1-64 keys made by a node", false},
      {"/primary_keys/*/id", "32 hex digits", true},
      {"/primary_keys/*/sealed_key", "base64url, sealed by a node of the cluster", true},
      {"/primary_keys/*/created", "integer, unix seconds", true},
      {"/primary_keys/*/backed_up", "true or false, default false", false},
  };
  return list;
}

const fields& principal_fields() {
  static const fields list{{"/role", "\"administrator\" or \"auditor\"", true}};
  return list;
}

const fields& host_fields() {
  static const fields list{
      {"/ek_spki_sha256", "64 hex digits", true},
      {"/quarantined", "true or false, default false", false},
      {"/ak_name", "hex, the Name of the attestation key", false},
  };
  return list;
}

const fields& token_key_fields() {
  static const fields list{
      {"/algorithm", "\"ES256\", \"ES384\", \"PS256\" or \"RS256\"", true},
      {"/public_key", "PEM public key", true},
      {"/sealed_private_key", "base64url, sealed by a node of the cluster", true},
      {"/signs_from", "integer, unix seconds", true},
      {"/signs_until", "integer, unix seconds, not before signs_from", true},
      {"/expires", "integer, unix seconds, not before signs_until", true},
  };
  return list;
}

const fields& denial_fields() {
  static const fields list{
      {"/manufacturer", "string, TPMManufacturer, up to 64 bytes; at least one member", false},
      {"/model", "string, TPMModel, up to 64 bytes", false},
      {"/firmware", "string, TPMVersion, up to 64 bytes", false},
      {"/serial", "lower-case hex, serial number of the EK certificate", false},
      {"/ek_spki_sha256", "64 hex digits", false},
      {"/ak_name", "hex, the Name of an attestation key", false},
      {"/reason", "string, up to 512 bytes", false},
  };
  return list;
}

const fields& data_key_fields() {
  static const fields list{
      {"/created", "integer, unix seconds", true},
      {"/wrapped", "object: for each node the key as JWE to the node's TLS key", true},
  };
  return list;
}

} // namespace

const std::vector<field_description>& fields_of(object_kind kind) {
  switch (kind) {
  case object_kind::tpm_ca:
    return tpm_ca_fields();
  case object_kind::endorsement_key:
    return endorsement_key_fields();
  case object_kind::base_image:
    return base_image_fields();
  case object_kind::settings:
    return settings_fields();
  case object_kind::key_provider:
    return key_provider_fields();
  case object_kind::principal:
    return principal_fields();
  case object_kind::host:
    return host_fields();
  case object_kind::token_key:
    return token_key_fields();
  case object_kind::denial:
    return denial_fields();
  case object_kind::data_key:
    return data_key_fields();
  }
  static const fields none;
  return none;
}

} // namespace custos::cluster
