#pragma once
// Files that say whom to trust, as people have them: certificates, CRLs and endorsement keys, in
// PEM, DER, or as read from a TPM. Errors name the file.

#include "adapters/crypto/x509.hpp"
#include "messages/error.hpp"
#include "runtime/cli/inputs.hpp"

#include <string>
#include <vector>

namespace custos::cli {

/// PEM (one or more), DER, or DER with the padding of NV.
result<std::vector<crypto::certificate>> read_certificates(const std::string& file);
/// Every .pem, .crt, .cer and .der file of a folder, by name.
result<std::vector<crypto::certificate>> read_certificate_folder(const std::string& folder);
/// One CRL a file, PEM or DER.
result<std::vector<crypto::certificate_revocation_list>>
read_crls(const std::vector<std::string>& files);
/// SHA-256 of an endorsement key's SubjectPublicKeyInfo: 64 hex digits as they are, or a file with
/// its certificate, its PEM public key, or its TPMT_PUBLIC or TPM2B_PUBLIC.
result<std::string> ek_fingerprint(const std::string& hex_or_file);

} // namespace custos::cli
