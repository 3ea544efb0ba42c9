#pragma once
// The certificate of an attestation key: X.509, issued by the cluster's AK CA. Our one extension
// carries the host id, the AK's TPMT_PUBLIC and the chain of the endorsement key it stands for, so
// that any node can judge a quote, and the EK's trust anew, from the certificate alone. The common
// name is the beginning of the host id, for people only. Pure.

#include "adapters/crypto/x509.hpp"
#include "adapters/tpm/structures.hpp"
#include "messages/attestation.hpp"

#include <vector>

namespace custos::attestation {

/// Under the UUID arc (ITU-T X.667), which nobody registers.
inline constexpr const char* ak_extension_oid = "2.25.147023187362491750938271650193847165023";
inline constexpr std::size_t ek_chain_certificates_max = 6;

struct ak_identity {
  host_id host;
  tpm::public_area ak;
  bytes ek_spki;               ///< SubjectPublicKeyInfo, DER
  std::vector<bytes> ek_chain; ///< DER, EK certificate first; may be empty
  crypto::unix_seconds not_before = 0;
  crypto::unix_seconds not_after = 0;
};

result<crypto::certificate> issue_ak_certificate(const ak_identity& who, const crypto::key& ca_key,
                                                 const crypto::certificate& ca);

/// Ours and well-formed; whether it is valid now is for the caller (not_before, not_after).
/// error.check "ak-certificate".
result<ak_identity> read_ak_certificate(byte_view der, const crypto::certificate& ca);

/// How the AK certificate travels: AES-256-GCM under SHA-256("custos-ak-certificate-v1" || secret),
/// nonce(12) || ciphertext || tag(16). Only the TPM that activates the credential has the secret.
result<bytes> encrypt_ak_certificate(byte_view secret, byte_view der);
result<bytes> decrypt_ak_certificate(byte_view secret, byte_view encrypted);

} // namespace custos::attestation
