#pragma once
// TPM2_MakeCredential in software (TPM 2.0 Library, Part 1, 24; B.10.4 for RSA, C.6.1 for ECC): the
// verifier needs no TPM. Thread rule: pure function on its arguments (and the CSPRNG).

#include "adapters/tpm/structures.hpp"

namespace custos::tpm {

/// What TPM2_ActivateCredential takes.
struct credential {
  bytes id_object;        ///< TPM2B_ID_OBJECT, marshalled
  bytes encrypted_secret; ///< TPM2B_ENCRYPTED_SECRET, marshalled
};

/// Protects `secret` so that only a TPM holding both the private EK and a loaded object of the name
/// `ak_name` can read it. `secret`: 1 byte to the digest size of the EK's name algorithm. The
/// caller has run check_endorsement_key and computed the name itself.
result<credential> make_credential(const public_area& ek, byte_view ak_name, byte_view secret);

} // namespace custos::tpm
