#pragma once
// The host's TPM through ESYS (TCG TSS 2.0 Enhanced System API). There may be no resource manager
// below: every transient object is flushed, one client at a time. All calls block: own thread only.
// Errors: errc::tpm_failure with what was being done and the TPM's or the TCTI's own words.

#include "adapters/crypto/crypto.hpp"
#include "adapters/tpm/structures.hpp"
#include "messages/attestation.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::tpm {

/// Kinds of attestation keys. The hash is that of the signature: SHA-384 with P-384, else SHA-256.
enum class ak_algorithm : std::uint8_t {
  ecdsa_p256,
  ecdsa_p384,
  rsassa_2048,
  rsapss_2048,
  rsassa_3072,
  rsapss_3072,
};
/// As in options: "ecdsa-p256", "rsassa-2048".
std::string_view to_string(ak_algorithm alg);
std::optional<ak_algorithm> ak_algorithm_of(std::string_view text);
/// Which of them a public area (TPMT_PUBLIC) is of, if it is exactly what create_ak makes.
std::optional<ak_algorithm> ak_algorithm_of_key(const public_area& area);

/// Which endorsement key. `automatic`: the first whose certificate is in NV, in the order of the
/// low range (RSA-2048, P-256), then the high range (P-384, RSA-3072, P-256, RSA-2048).
enum class ek_kind : std::uint8_t { automatic, rsa_2048, ecc_p256, rsa_3072, ecc_p384 };
std::string_view to_string(ek_kind kind);
std::optional<ek_kind> ek_kind_of(std::string_view text);

/// An attestation key as it is kept outside the TPM: wrapped by the TPM's storage key, useless
/// anywhere else; and where the TPM holds it across restarts, if it does.
struct ak_blob {
  bytes public_area;        ///< TPM2B_PUBLIC, marshalled
  bytes private_area;       ///< TPM2B_PRIVATE, marshalled; empty: the key is at `handle` only
  std::uint32_t handle = 0; ///< persistent handle; 0: loaded from the blob whenever it is used
};

/// A small secret as it is kept outside the TPM that sealed it: useless anywhere else.
struct sealed_object {
  bytes public_area;  ///< TPM2B_PUBLIC, marshalled
  bytes private_area; ///< TPM2B_PRIVATE, marshalled
  /// Name (Part 1, 16) of the storage key above it: shows that the same TPM answers.
  bytes parent_name;
};
/// Largest secret that is sealed (Part 2, 11.1.15: at least this much fits).
inline constexpr std::size_t sealed_secret_bytes_max = 64;

struct quoted {
  bytes quote;     ///< TPMS_ATTEST
  bytes signature; ///< TPMT_SIGNATURE
  std::vector<pcr_value> pcrs;
  clock_info clock; ///< of the quote
};

/// The endorsement key's credentials as they lie in NV.
struct ek_credentials {
  bytes certificate; ///< as in NV, padding included; empty if there is none
  /// DER, from the EK's issuer upwards, without a root; at most ek_intermediates_max.
  std::vector<bytes> intermediates;
};
inline constexpr std::size_t ek_intermediates_max = 5;

/// What keeping an attestation key needs of a TPM.
class ak_device {
public:
  virtual ~ak_device() = default;
  /// A new restricted signing key under the storage root key. errc::unsupported: this TPM has no
  /// such algorithm.
  virtual result<ak_blob> create_ak(ak_algorithm alg) = 0;
  /// Whether the TPM still loads the blob. errc::corrupted: it is another TPM's, or the TPM was
  /// cleared since (Part 3, 12.2: the integrity value does not fit the parent's seed).
  virtual result<void> try_load(const ak_blob& ak) = 0;
  /// TPM2B_PUBLIC of what is at a persistent handle; nothing if it is free.
  virtual result<std::optional<bytes>> persistent_public(std::uint32_t handle) = 0;
  /// TPM2_EvictControl: keeps the blob's key at a free persistent handle of the owner's range.
  virtual result<void> make_persistent(const ak_blob& ak, std::uint32_t handle) = 0;
  /// TPM2_EvictControl: frees a persistent handle.
  virtual result<void> evict(std::uint32_t handle) = 0;
};

class host_tpm : public ak_device {
public:
  /// `tcti` as tss2-tctildr takes it: "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321".
  static result<std::unique_ptr<host_tpm>> open(const std::string& tcti,
                                                ek_kind ek = ek_kind::automatic);
  ~host_tpm() override;
  host_tpm(const host_tpm&) = delete;
  host_tpm& operator=(const host_tpm&) = delete;

  /// The EK certificate and what is at 0x01C00100 - 0x01C001FF of the chain above it (TCG EK
  /// Credential Profile 2.6, 2.2.2). A chain that does not read is left out: a node may know it.
  result<ek_credentials> read_ek_credentials();
  /// TPMT_PUBLIC of the endorsement key made from the template that belongs to the certificate: the
  /// TPM maker's own from NV where there is one, else the profile's (annex B).
  result<bytes> ek_public();

  result<ak_blob> create_ak(ak_algorithm alg) override;
  result<void> try_load(const ak_blob& ak) override;
  result<std::optional<bytes>> persistent_public(std::uint32_t handle) override;
  result<void> make_persistent(const ak_blob& ak, std::uint32_t handle) override;
  result<void> evict(std::uint32_t handle) override;

  /// TPMT_PUBLIC out of a blob.
  static result<bytes> ak_public(const ak_blob& ak);
  /// TPM2_ActivateCredential: the secret, if this TPM holds both the EK and this AK.
  result<crypto::secret_bytes> activate_credential(const ak_blob& ak, byte_view id_object,
                                                   byte_view encrypted_secret);

  /// Banks the TPM has active, of those we can compute.
  result<std::vector<crypto::hash_alg>> active_banks();
  /// Quote and PCR values of `mask` in all active banks of SHA-256 and better; read again until
  /// both agree, at most a fixed number of times. Values that take several reads count only if
  /// pcrUpdateCounter stood still meanwhile (Part 3, 22.4).
  result<quoted> quote(const ak_blob& ak, std::uint32_t mask, byte_view qualifying_data);

  /// Seals a secret under the storage key. With a mask of PCRs the TPM gives it back only while
  /// these PCRs of the SHA-256 bank have the values they have now. On its way between TPM and
  /// processor it is encrypted. errc::unsupported: the TPM has no SHA-256 bank.
  result<sealed_object> seal(const crypto::secret_bytes& secret, std::uint32_t pcrs);
  /// errc::corrupted: another TPM, or it was cleared since, or the object was changed.
  /// errc::forbidden: the PCRs have other values.
  result<crypto::secret_bytes> unseal(const sealed_object& object, std::uint32_t pcrs);

  /// TPM2_PCR_Extend; one digest a bank. For the measured-boot helper.
  result<void> extend(std::uint32_t pcr, const std::vector<crypto::hash_alg>& banks,
                      const std::vector<bytes>& digests);

private:
  struct impl;
  explicit host_tpm(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace custos::tpm
