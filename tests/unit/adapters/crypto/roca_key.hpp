#pragma once
// An RSA-2048 modulus as the generator of CVE-2017-15361 makes them: both primes are
// k * M + (65537^a mod M), M the product of the first 126 primes.

#include "messages/bytes.hpp"

#include <cstdlib>
#include <memory>
#include <openssl/bn.h>

namespace custos::crypto::test {

namespace roca {

struct free_number {
  void operator()(BIGNUM* n) const { BN_free(n); }
  void operator()(BN_CTX* c) const { BN_CTX_free(c); }
};
using number = std::unique_ptr<BIGNUM, free_number>;

inline void need(bool ok) {
  if (!ok)
    std::abort();
}

inline number product_of_primes(unsigned count) {
  number m(BN_new());
  need(m && BN_one(m.get()) == 1);
  for (unsigned candidate = 2; count > 0; ++candidate) {
    bool prime = true;
    for (unsigned d = 2; d * d <= candidate; ++d)
      prime = prime && candidate % d != 0;
    if (!prime)
      continue;
    need(BN_mul_word(m.get(), candidate) == 1);
    --count;
  }
  return m;
}

/// The next such prime of 1024 bits whose k is behind a start that the seed chooses.
inline number prime(const BIGNUM* m, unsigned seed, BN_CTX* context) {
  number base(BN_new()), exponent(BN_new()), p(BN_new());
  need(BN_set_word(base.get(), 65537) == 1 && BN_set_word(exponent.get(), 1000003U * seed) == 1);
  need(BN_mod_exp(p.get(), base.get(), exponent.get(), m, context) == 1);
  number k(BN_new()), start(BN_new());
  // The two highest bits are set, so that the product of two has 2048 bits.
  need(BN_one(start.get()) == 1 && BN_lshift(start.get(), start.get(), 1023) == 1 &&
       BN_set_bit(start.get(), 1022) == 1);
  need(BN_div(k.get(), nullptr, start.get(), m, context) == 1 &&
       BN_add_word(k.get(), 1 + 1009U * seed) == 1 && BN_mul(k.get(), k.get(), m, context) == 1 &&
       BN_add(p.get(), p.get(), k.get()) == 1);
  while (BN_check_prime(p.get(), context, nullptr) != 1)
    need(BN_add(p.get(), p.get(), m) == 1);
  return p;
}

} // namespace roca

/// Big-endian, 256 octets; the same for the same seed.
inline bytes roca_modulus(unsigned seed) {
  const std::unique_ptr<BN_CTX, roca::free_number> context(BN_CTX_new());
  const auto m = roca::product_of_primes(126);
  const auto p = roca::prime(m.get(), 2 * seed, context.get());
  const auto q = roca::prime(m.get(), 2 * seed + 1, context.get());
  const roca::number n(BN_new());
  roca::need(BN_mul(n.get(), p.get(), q.get(), context.get()) == 1);
  bytes out(static_cast<std::size_t>(BN_num_bytes(n.get())));
  BN_bn2bin(n.get(), out.data());
  return out;
}

} // namespace custos::crypto::test
