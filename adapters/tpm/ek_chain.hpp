#pragma once
// The certificate chain of an endorsement key as TPM makers keep it in NV: the content of the
// indices 0x01C00100 - 0x01C001FF in their order, one after the other (TCG EK Credential Profile
// 2.6, 2.2.2.6). Thread rule: pure functions.

#include "adapters/crypto/x509.hpp"

#include <vector>

namespace custos::tpm {

inline constexpr std::size_t chain_bytes_max = 64U << 10U;
inline constexpr std::size_t chain_certificates_max = 32;

/// All certificates of the concatenation. Indices are often longer than what is in them: octets
/// 0x00 and 0xFF between certificates and behind them are padding. Errors: malformed, too_large.
result<std::vector<crypto::certificate>> split_chain(byte_view concatenated);

/// Those of `pool` that lead from the leaf upwards, issuer by issuer, by name; without a root, at
/// most `max`. Who verifies needs no others, and verifies the signatures itself.
std::vector<bytes> path_above(const crypto::certificate& leaf,
                              const std::vector<crypto::certificate>& pool, std::size_t max);

} // namespace custos::tpm
