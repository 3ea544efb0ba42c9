#pragma once
// Private keys from numbers that were derived, not drawn. Pure.

#include "adapters/crypto/crypto.hpp"

namespace custos::crypto {

/// The P-256 key of this private scalar, big-endian, 32 octets; OpenSSL computes the public point.
/// errc::invalid_argument: the scalar is not in [1, n-1] (FIPS 186-5, A.2.2: take another).
result<key> p256_of_scalar(byte_view scalar);

} // namespace custos::crypto
