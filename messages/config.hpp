#pragma once
// The configuration of a trust authority: plain objects, and the immutable snapshot that services
// read. Written only through the config_store actor; validated by cluster/config_codec.

#include "messages/bytes.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace custos {

/// Names of objects: 1-128 characters of [A-Za-z0-9._-], starting with a letter or digit.
inline constexpr std::size_t object_name_bytes_max = 128;

/// A TPM vendor's certificate chain, managed as one unit; DER, root first or any order.
struct tpm_ca {
  std::string name;
  std::vector<bytes> certificates;
};

/// One trusted endorsement key, by the SHA-256 of its SubjectPublicKeyInfo (DER).
struct endorsement_key {
  std::string name;
  bytes spki_sha256;                    ///< 32 bytes
  std::optional<bytes> certificate;     ///< DER, as imported, for display
  std::optional<bytes> public_key = {}; ///< SubjectPublicKeyInfo DER, as imported, for display
};

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

/// A state of boot that is accepted.
struct base_image {
  std::string name;
  std::string version;
  std::string bank = "sha256"; ///< PCR bank the digests are of: sha256, sha384, sha512
  std::vector<pcr_policy> pcrs;
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

/// A secret encrypted under the cluster data key; safe to store and to send. `aad` is fixed by use.
struct sealed_secret {
  bytes sealed; ///< version(1) || nonce(12) || ciphertext || tag(16)
};

/// Who may use a provider. Empty lists mean: nobody is excluded by that list.
struct access_rule {
  std::vector<std::string> images; ///< names of base images
  std::vector<std::string> hosts;  ///< host ids
};

/// A trusted key provider on external key servers.
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
};

enum class role : std::uint8_t { administrator = 1, auditor };

/// Somebody who may call the configuration API: the CN of a client certificate of the cluster's CA.
struct principal {
  std::string name;
  role may = role::auditor;
};

/// What is known of an attested host. Local to a node until the ConfigStores replicate; not part of
/// the fingerprint.
struct host_binding {
  std::string host;
  bytes ek_spki_sha256;
  bool quarantined = false;
};

/// One revision of the configuration, complete and immutable.
struct config_snapshot {
  std::uint64_t revision = 0;
  /// SHA-256 over the canonical JSON of all shared objects: equal fingerprints, equal
  /// configuration.
  std::string fingerprint;
  attestation_settings settings;
  std::map<std::string, tpm_ca, std::less<>> tpm_cas;
  std::map<std::string, endorsement_key, std::less<>> endorsement_keys;
  std::map<std::string, base_image, std::less<>> base_images;
  std::map<std::string, key_provider, std::less<>> key_providers;
  std::map<std::string, principal, std::less<>> principals;
  std::map<std::string, host_binding, std::less<>> hosts;
};

using config_ptr = std::shared_ptr<const config_snapshot>;

} // namespace custos
