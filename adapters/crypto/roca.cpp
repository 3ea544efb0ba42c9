#include "adapters/crypto/roca.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace custos::crypto {

namespace {

constexpr std::uint32_t generator = 65537;
constexpr std::uint32_t prime_max = 167;

/// A prime, and which residues are powers of the generator modulo it.
struct mark {
  std::uint32_t prime = 0;
  std::array<bool, prime_max + 1> power{};
  bool tells = false; ///< some residue other than 0 is none: the prime distinguishes
};

constexpr bool is_prime(std::uint32_t n) {
  for (std::uint32_t d = 2; d * d <= n; ++d)
    if (n % d == 0)
      return false;
  return n > 1;
}

constexpr mark mark_of(std::uint32_t prime) {
  mark out;
  out.prime = prime;
  std::uint32_t order = 0;
  for (std::uint32_t x = 1; !out.power[x]; x = x * (generator % prime) % prime) {
    out.power[x] = true;
    ++order;
  }
  out.tells = order < prime - 1;
  return out;
}

constexpr std::size_t count_primes() {
  std::size_t n = 0;
  for (std::uint32_t p = 3; p <= prime_max; ++p)
    n += is_prime(p) ? 1U : 0U;
  return n;
}

constexpr auto marks = [] {
  std::array<mark, count_primes()> out{};
  std::size_t i = 0;
  for (std::uint32_t p = 3; p <= prime_max; ++p)
    if (is_prime(p))
      out[i++] = mark_of(p);
  return out;
}();

std::uint32_t residue(byte_view number, std::uint32_t prime) {
  std::uint32_t r = 0;
  for (const auto octet : number)
    r = (r << 8U | octet) % prime;
  return r;
}

} // namespace

bool has_roca_mark(byte_view modulus) {
  if (modulus.empty())
    return false;
  // Most keys fail at one of the first primes that tell anything.
  return std::all_of(marks.begin(), marks.end(),
                     [&](const mark& m) { return !m.tells || m.power[residue(modulus, m.prime)]; });
}

} // namespace custos::crypto
