#pragma once
// Public templates of the keys a host makes in its TPM: endorsement keys (TCG EK Credential Profile
// 2.6, annex B), storage root key, attestation keys. Thread rule: pure functions.

#include "adapters/tpm/host_tpm.hpp"

#include <span>
#include <tss2/tss2_tpm2_types.h>

namespace custos::tpm {

/// Where a TPM's maker puts what belongs to one endorsement key, and its default template.
struct ek_slot {
  ek_kind kind = ek_kind::automatic;
  TPM2_HANDLE certificate = 0;
  TPM2_HANDLE nonce = 0; ///< 0: the high range has none
  TPM2_HANDLE shape = 0; ///< TPMT_PUBLIC of the maker's own template
  bool high_range = false;
};

/// All slots, in the order in which `automatic` looks (profile 2.2.2.4, 2.2.2.5).
std::span<const ek_slot> ek_slots();

/// L-1, L-2 (B.3.3, B.3.4), H-1, H-2, H-3, H-6 (B.4.4, B.4.5).
TPM2B_PUBLIC ek_template(const ek_slot& slot);
TPM2B_PUBLIC srk_template();
TPM2B_PUBLIC ak_template(ak_algorithm alg);

} // namespace custos::tpm
