#pragma once
// Recognises RSA keys of the flawed generator of CVE-2017-15361 ("ROCA"), as some TPMs made them:
// their private keys can be computed from the modulus. Thread rule: pure function.

#include "messages/bytes.hpp"

namespace custos::crypto {

/// Has the modulus (big-endian) the mark of that generator? Its primes are k * M + (65537^a mod M)
/// with M a product of the first primes, so that modulo each of those the modulus is a power of
/// 65537. Asked of the odd primes up to 167, which divide M at every key size; of other keys less
/// than one in 10^8 has the mark by chance.
bool has_roca_mark(byte_view modulus);

} // namespace custos::crypto
