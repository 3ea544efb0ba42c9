#pragma once
// The configuration of a trust authority: plain objects, and the immutable snapshot that services
// read. Written only through the config_store actor; validated by cluster/config_codec.

#include "messages/bytes.hpp"
#include "messages/object_index.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace custos {

/// Names of objects: 1-128 characters of [A-Za-z0-9._-], starting with a letter or digit.
inline constexpr std::size_t object_name_bytes_max = 128;

/// How strictly EK certificates under a CA are held to the TCG EK Credential Profile 2.6.
enum class ek_profile : std::uint8_t {
  tcg = 1, ///< SAN with manufacturer, model, version; EKU, if present, is tcg-kp-EKCertificate
  relaxed, ///< SAN and EKU may be missing or of another kind, as some clouds issue them
};

/// A TPM vendor's certificate chain, managed as one unit; DER, from the root to the issuer.
struct tpm_ca {
  std::string name;
  std::vector<bytes> certificates;
  ek_profile profile = ek_profile::tcg;
  std::vector<bytes> crls = {}; ///< DER CertificateList (RFC 5280, 5), of CAs of this chain
};

/// One trusted endorsement key, by the SHA-256 of its SubjectPublicKeyInfo (DER).
struct endorsement_key {
  std::string name;
  bytes spki_sha256;                    ///< 32 bytes
  std::optional<bytes> certificate;     ///< DER, as imported, for display
  std::optional<bytes> public_key = {}; ///< SubjectPublicKeyInfo DER, as imported, for display
};

/// A TPM, or one attestation key, that is refused whatever else vouches for it: by model and
/// firmware when a flaw becomes known, by key when one was stolen. It applies where every member
/// that is not empty fits; at least one is not empty.
struct denial {
  std::string name;
  std::string manufacturer; ///< TPMManufacturer as in the EK certificate's SAN, "id:49465800"
  std::string model;        ///< TPMModel
  std::string firmware;     ///< TPMVersion, "id:0007"
  std::string serial;       ///< of the EK certificate, lower-case hex without leading zeros
  bytes ek_spki_sha256;     ///< 32 octets
  bytes ak_name;            ///< Name of an attestation key (TPM 2.0 Part 1, 16)
  std::string reason;       ///< for people; told to the host
};

/// A key that tokens are signed with. Its life: published from the start, signs between
/// `signs_from` and `signs_until`, verifies until `expires`. Unix seconds.
struct token_key {
  std::string name;         ///< `kid`
  std::string algorithm;    ///< "ES256", "ES384", "PS256" or "RS256"
  bytes public_key;         ///< SubjectPublicKeyInfo, DER
  bytes sealed_private_key; ///< PKCS#8 sealed under the cluster data key, as sealed_secret holds it
  std::int64_t signs_from = 0;
  std::int64_t signs_until = 0;
  std::int64_t expires = 0;
};

/// A data key of the cluster: what is secret in the configuration is sealed under one. The key that
/// was made with the cluster has no such object.
struct data_key {
  std::string name;         ///< id of the key, 8 hex digits
  std::int64_t created = 0; ///< unix seconds; of two the newer seals
  /// By name of the node: the key as JWE to the node's TLS key.
  std::map<std::string, std::string> wrapped;
};

/// What the dates of certificates of TPMs count for: EK certificates outlive their makers' CAs.
enum class certificate_dates : std::uint8_t {
  enforced = 1,   ///< every certificate of the path is valid now
  ek_may_expire,  ///< the EK certificate may have expired
  any_may_expire, ///< so may the CAs above it
};

/// How EAR claims are spelled: as deployed libraries read them, or as the draft has it.
enum class ear_spelling : std::uint8_t { dotted = 1, underscored, both };

/// Settings of the Attestation Service; times in seconds, sizes in bytes.
struct attestation_settings {
  bool require_endorsement_keys = false;
  bool require_certificate_validation = true;
  bool allow_sha1 = false;
  std::uint32_t challenge_life_s = 60;
  std::uint32_t token_life_s = 8 * 3600;
  std::uint32_t ak_certificate_life_s = 30 * 24 * 3600;
  std::uint32_t evidence_bytes_max = 4U << 20U;
  std::uint32_t event_log_bytes_max = 2U << 20U;
  std::uint32_t events_max = 16384;
  // Members from here on are written to documents only where they are not the default, so that
  // documents of older versions stay canonical.
  certificate_dates ek_certificate_dates = certificate_dates::enforced;
  bool require_crls = false;            ///< every CA of an EK's path needs a CRL that is current
  bool allow_sha1_certificates = false; ///< old makers' CAs signed with SHA-1
  bool require_safe_clock = false;      ///< TPMS_CLOCK_INFO.safe must be set
  std::uint32_t ima_log_bytes_max = 4U << 20U;
  std::uint32_t reporting_token_life_s = 3600;
  std::uint32_t evidence_hosts_max = 10000; ///< hosts whose last evidence a node keeps
  ear_spelling ear_claims = ear_spelling::dotted;
  /// Checks that are judged and reported, not enforced: of "clock", "secure-boot", "ima-log".
  std::vector<std::string> audit_only;
};

/// How the events of one PCR are judged (design: attestation, section 5).
enum class pcr_form : std::uint8_t {
  exact = 1, ///< the PCR has one of `values`
  ordered,   ///< the log's digests of this PCR are `events`, in order
  set,       ///< every digest of this PCR is among `events`
  ignored,   ///< quoted and replayed, not judged; named in the token
};

struct image_event {
  std::uint32_t type =
      0;            ///< TCG event type (PC Client PFP 1.06, table 27); a hint, not judged alone
  bytes digest;     ///< in the image's bank
  std::string hint; ///< readable description; never judged
};

struct pcr_policy {
  std::uint32_t pcr = 0; ///< 0-23, never 16 or 23
  pcr_form form = pcr_form::ordered;
  std::vector<bytes> values;
  std::vector<image_event> events;
};

/// What an image demands of UEFI Secure Boot, judged from the events of PCR 7 (check 16).
struct secure_boot_demand {
  bool enabled = true; ///< the state that is demanded
  /// SHA-256 of the EFI_SIGNATURE_DATA payloads (certificates as DER, or image hashes as they are)
  /// that may have authorised something that ran; empty: any that the firmware accepted.
  std::vector<bytes> authorities;
  /// SHA-256 image hashes that dbx must hold at least.
  std::vector<bytes> revoked;
};

/// Files, by path, that IMA may have measured, each with its accepted digests (algorithm by size).
struct ima_file {
  std::string path;
  std::vector<bytes> digests;
};

/// What an image demands of the IMA log (check 17). Every entry of the log must be accounted for:
/// by a file, a signature of a signer, a buffer, or an ignored path.
struct ima_policy {
  std::vector<ima_file> files;
  std::vector<bytes> signers;       ///< SubjectPublicKeyInfo, DER, of keys that sign files
  std::vector<ima_file> buffers;    ///< `ima-buf` entries, by name ("kexec-cmdline")
  std::vector<std::string> ignored; ///< path prefixes that are not judged; named in the token
};

/// A state of boot that is accepted.
struct base_image {
  std::string name;
  std::string version;
  std::string bank = "sha256"; ///< PCR bank the digests are of: sha256, sha384, sha512
  std::vector<pcr_policy> pcrs;
  std::optional<secure_boot_demand> secure_boot = {};
  std::optional<ima_policy> ima = {};
  /// Judged and reported for every host, but no host is granted or refused anything by it.
  bool audit_only = false;
};

/// How a provider's primary key is used (design: keys, words).
enum class primary_key_mode : std::uint8_t {
  automatic = 1, ///< remote from KMIP 1.2 on, else local
  local,         ///< fetched with Get, AES-KWP here
  remote,        ///< the server Encrypts and Decrypts
};

struct key_server {
  std::string name;
  std::string host;
  std::uint16_t port = 5696;
};

/// A secret encrypted under a data key of the cluster; safe to store and to send.
struct sealed_secret {
  bytes sealed; ///< as cluster/sealing.hpp has it
};

/// Who may use a provider: every part that is not empty must let the host pass.
struct access_rule {
  std::vector<std::string> images; ///< names of base images
  /// By id, or by pattern: a host passes if either list has it.
  std::vector<std::string> hosts;
  std::vector<std::string> host_patterns = {}; ///< '*' stands for any characters: "web-*"
  /// Values that are accepted, by name of a claim of the token: "image_version"; "secure_boot"
  /// and "ima" ("true", "false"); "status" ("affirming", "warning"). A token without the claim does
  /// not pass.
  std::map<std::string, std::vector<std::string>> claims = {};
};

/// Where a provider's primary keys are.
enum class provider_type : std::uint8_t {
  kmip = 1, ///< on key servers
  native,   ///< sealed in the provider's own object
};

/// A primary key of a native provider: AES-256. It protects nothing before it is known to be in a
/// backup, for with the cluster's disks everything under it would be lost.
struct native_key {
  /// Says which key it is: the first 16 octets, in hex, of SHA-256 over a label and the key
  /// (keyprovider::native_key_id).
  std::string id;
  sealed_secret key;
  std::int64_t created = 0; ///< unix seconds
  bool backed_up = false;
};

/// Calls of one host to one provider. What is not set is as the node has it.
struct call_limits {
  std::optional<std::uint32_t> calls_per_second; ///< sustained
  std::optional<std::uint32_t> burst;            ///< at once after a pause
};

/// How long primary keys fetched from key servers stay in memory; seconds. What is not set is as
/// the node has it.
struct cache_policy {
  std::optional<std::uint32_t> primary_key_age_s; ///< used so long before the server is asked again
  std::optional<std::uint32_t> grace_s; ///< and so long while no server answers; 0: not at all
};

/// When the primary key is changed by itself.
struct rotation_schedule {
  std::uint32_t interval_days = 0; ///< 0: never
  /// The primary key that the interval is counted for, and from when (unix seconds). It counts for
  /// no other key: whoever names another one begins anew.
  std::string key;
  std::int64_t since = 0;
};

/// A trusted key provider: on external key servers, or native.
struct key_provider {
  std::string name;
  std::string primary_key_id;
  primary_key_mode mode = primary_key_mode::automatic;
  std::vector<key_server> servers;
  std::string client_certificate;                     ///< PEM chain, empty until set
  sealed_secret client_private_key;                   ///< sealed PKCS#8
  std::vector<std::string> trusted_peer_certificates; ///< PEM: CA, or the server's own certificate
  std::string username;
  sealed_secret password;
  std::uint32_t timeout_ms = 5000;
  bool legacy_ciphers = false; ///< TLS 1.2 without ECDHE/AEAD allowed; said loudly in the audit
  access_rule access;
  // Members from here on are written to documents only where they say something, so that documents
  // of older versions stay canonical.
  provider_type type = provider_type::kmip;
  /// Of a native provider, in the order they were made; primary_key_id names one of them.
  std::vector<native_key> primary_keys = {};
  /// What shall take the place of client_certificate: used as soon as the key servers accept it,
  /// beside the other one until it is promoted. A key without certificate: a request is on its way.
  std::string next_client_certificate = {};
  sealed_secret next_client_private_key = {}; ///< sealed as the other, for the same use
  call_limits limits = {};
  cache_policy cache = {};
  rotation_schedule rotation = {};
};

enum class role : std::uint8_t { administrator = 1, auditor };

/// Somebody who may call the configuration API: the CN of a client certificate of the cluster's CA.
struct principal {
  std::string name;
  role may = role::auditor;
};

/// Who a host is: bound when it is attested first, never changed silently. Replicated like all
/// objects, but not part of the fingerprint: hosts come by themselves.
struct host_binding {
  std::string host;
  bytes ek_spki_sha256;
  bool quarantined = false;
  bytes ak_name = {}; ///< empty in bindings made by hand: any AK of that EK
};

/// Host bindings and endorsement keys are many and change one by one: a change copies one shard
/// only.
inline constexpr std::size_t host_shards = 1024;

/// One revision of the configuration, complete and immutable. Cheap to copy: objects are shared.
struct config_snapshot {
  std::uint64_t revision = 0;
  /// SHA-256 over all objects but hosts (cluster/config_state.hpp), in hex: equal fingerprints,
  /// equal configuration.
  std::string fingerprint;
  attestation_settings settings;
  object_index<tpm_ca> tpm_cas;
  object_index<endorsement_key, host_shards> endorsement_keys;
  object_index<base_image> base_images;
  object_index<key_provider> key_providers;
  object_index<principal> principals;
  object_index<token_key> token_keys;
  object_index<denial> denials;
  object_index<data_key> data_keys;
  object_index<host_binding, host_shards> hosts;
};

using config_ptr = std::shared_ptr<const config_snapshot>;

} // namespace custos
