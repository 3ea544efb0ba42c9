#pragma once
// The profile of an endorsement key certificate (TCG EK Credential Profile 2.6, section 3).
// Thread rule: pure function.

#include "adapters/crypto/x509.hpp"

#include <string>

namespace custos::tpm {

/// What the certificate's subject alternative name says of the TPM.
struct ek_certificate_facts {
  std::string manufacturer; ///< "id:00001014"
  std::string model;
  std::string version;
};

/// X.509 v3, no CA, key usage keyEncipherment (RSA) or keyAgreement (ECC) and not digitalSignature,
/// the extended key usage tcg-kp-EKCertificate (2.23.133.8.1) where there is one, a directoryName
/// with TPMManufacturer, TPMModel and TPMVersion, and no critical extension that is not known.
/// error.check is "ek-not-trusted".
result<ek_certificate_facts> check_ek_certificate(const crypto::certificate& cert);

} // namespace custos::tpm
