#pragma once
// The profile of an endorsement key certificate (TCG EK Credential Profile 2.6, section 3).
// Thread rule: pure function.

#include "adapters/crypto/x509.hpp"
#include "messages/config.hpp"

#include <string>

namespace custos::tpm {

/// What an EK certificate says of the TPM; empty where it says nothing.
struct ek_certificate_facts {
  std::string manufacturer; ///< "id:00001014", of the subject alternative name
  std::string model;
  std::string version;
  std::string serial; ///< of the certificate: lower-case hex without leading zeros
};

/// The facts alone, whatever else is wrong with the certificate.
ek_certificate_facts read_ek_facts(const crypto::certificate& cert);

/// X.509 v3, no CA, key usage keyEncipherment (RSA) or keyAgreement (ECC) and not digitalSignature,
/// no critical extension that is not known, none that does not parse. With the profile `tcg` also:
/// the extended key usage tcg-kp-EKCertificate (2.23.133.8.1) where there is one, and a
/// directoryName with TPMManufacturer, TPMModel and TPMVersion. error.check is "ek-not-trusted".
result<ek_certificate_facts> check_ek_certificate(const crypto::certificate& cert,
                                                  ek_profile profile = ek_profile::tcg);

} // namespace custos::tpm
