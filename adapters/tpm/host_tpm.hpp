#pragma once
// The host's TPM through ESYS (TCG TSS 2.0 Enhanced System API). There may be no resource manager
// below: every transient object is flushed, one client at a time. All calls block: own thread only.
// Errors: errc::tpm_failure with what was being done and the TPM's or the TCTI's own words.

#include "adapters/crypto/crypto.hpp"
#include "messages/attestation.hpp"

#include <memory>
#include <string>
#include <vector>

namespace custos::tpm {

enum class ak_algorithm : std::uint8_t {
  ecdsa_p256,  ///< ECDSA over P-256 with SHA-256
  rsassa_2048, ///< RSASSA-PKCS1-v1_5, 2048 bits, with SHA-256
};

/// An attestation key as it is kept outside the TPM: wrapped by the TPM's storage key, useless
/// anywhere else. TPM2B_PUBLIC and TPM2B_PRIVATE, marshalled.
struct ak_blob {
  bytes public_area;
  bytes private_area;
};

struct quoted {
  bytes quote;     ///< TPMS_ATTEST
  bytes signature; ///< TPMT_SIGNATURE
  std::vector<pcr_value> pcrs;
};

class host_tpm {
public:
  /// `tcti` as tss2-tctildr takes it: "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321".
  static result<std::unique_ptr<host_tpm>> open(const std::string& tcti);
  ~host_tpm();
  host_tpm(const host_tpm&) = delete;
  host_tpm& operator=(const host_tpm&) = delete;

  /// The EK certificate as it lies in NV, padding included (TCG EK Credential Profile 2.2.1.4):
  /// RSA-2048 at 0x01C00002, else P-256 at 0x01C0000A. errc::not_found if there is none.
  result<bytes> ek_certificate();
  /// TPMT_PUBLIC of the endorsement key made from the template that belongs to the certificate.
  result<bytes> ek_public();

  /// A new restricted signing key under the storage root key.
  result<ak_blob> create_ak(ak_algorithm alg);
  /// TPMT_PUBLIC out of a blob.
  static result<bytes> ak_public(const ak_blob& ak);
  /// TPM2_ActivateCredential: the secret, if this TPM holds both the EK and this AK.
  result<crypto::secret_bytes> activate_credential(const ak_blob& ak, byte_view id_object,
                                                   byte_view encrypted_secret);

  /// Banks the TPM has active, of those we can compute.
  result<std::vector<crypto::hash_alg>> active_banks();
  /// Quote and PCR values of `mask` in all active banks of SHA-256 and better; read again until
  /// both agree, at most `attempts_max` times.
  result<quoted> quote(const ak_blob& ak, std::uint32_t mask, byte_view qualifying_data);

  /// TPM2_PCR_Extend; one digest a bank. For the measured-boot helper.
  result<void> extend(std::uint32_t pcr, const std::vector<crypto::hash_alg>& banks,
                      const std::vector<bytes>& digests);

private:
  struct impl;
  explicit host_tpm(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace custos::tpm
