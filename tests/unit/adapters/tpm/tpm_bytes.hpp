#pragma once
// Builds the TPM's own bytes (big-endian) for tests, field by field, so that every field can be
// made wrong on purpose. Free of GoogleTest: benchmarks use it too.

#include "adapters/crypto/crypto.hpp"
#include "adapters/tpm/structures.hpp"
#include "messages/bytes.hpp"

#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

namespace custos::tpm::test {

class tpm_bytes {
public:
  tpm_bytes& u8(std::uint8_t v) {
    out_.push_back(v);
    return *this;
  }
  tpm_bytes& u16(std::size_t v) {
    return u8(static_cast<std::uint8_t>(v >> 8)).u8(static_cast<std::uint8_t>(v));
  }
  tpm_bytes& u32(std::uint32_t v) { return u16(v >> 16).u16(v & 0xFFFF); }
  tpm_bytes& u64(std::uint64_t v) {
    return u32(static_cast<std::uint32_t>(v >> 32)).u32(static_cast<std::uint32_t>(v));
  }
  tpm_bytes& raw(byte_view v) {
    out_.insert(out_.end(), v.begin(), v.end());
    return *this;
  }
  /// TPM2B.
  tpm_bytes& sized(byte_view v) { return u16(v.size()).raw(v); }
  operator bytes() const { return out_; }     // NOLINT: reads well at the end of a chain
  operator byte_view() const { return out_; } // NOLINT: same

private:
  bytes out_;
};

constexpr std::uint16_t alg_null = 0x0010;
constexpr std::uint16_t alg_aes = 0x0006;
constexpr std::uint16_t alg_cfb = 0x0043;
constexpr std::uint32_t ak_attributes = 0x00050072;
constexpr std::uint32_t ek_attributes = 0x000300B2;

/// What a TPMT_PUBLIC is made of; the defaults are those of a good AK.
struct template_of {
  std::uint16_t name_alg = 0x000B;
  std::uint32_t attributes = ak_attributes;
  bytes policy{};
  unsigned aes_bits = 0; ///< 0: none
  std::uint16_t aes_mode = alg_cfb;
  std::uint16_t scheme = 0x0018; ///< ECDSA
  std::uint16_t scheme_hash = 0x000B;
};

inline void put_symmetric(tpm_bytes& out, const template_of& t) {
  if (t.aes_bits == 0)
    out.u16(alg_null);
  else
    out.u16(alg_aes).u16(t.aes_bits).u16(t.aes_mode);
}

inline void put_scheme(tpm_bytes& out, const template_of& t) {
  out.u16(t.scheme);
  if (t.scheme != alg_null)
    out.u16(t.scheme_hash);
}

inline bytes ecc_public(const crypto::key& key, const template_of& t) {
  const auto point = crypto::ec_point_of(key);
  if (!point)
    std::abort();
  tpm_bytes out;
  out.u16(0x0023).u16(t.name_alg).u32(t.attributes).sized(t.policy);
  put_symmetric(out, t);
  put_scheme(out, t);
  out.u16(key.type() == crypto::key_type::p384 ? 4 : 3).u16(alg_null);
  return out.sized(point->x).sized(point->y);
}

inline bytes rsa_public(byte_view modulus, const template_of& t, std::uint32_t exponent = 0) {
  tpm_bytes out;
  out.u16(0x0001).u16(t.name_alg).u32(t.attributes).sized(t.policy);
  put_symmetric(out, t);
  put_scheme(out, t);
  return out.u16(modulus.size() * 8).u32(exponent).sized(modulus);
}

inline bytes modulus_of(const crypto::key& key) {
  const auto numbers = crypto::rsa_numbers_of(key);
  if (!numbers)
    std::abort();
  return numbers->modulus;
}

inline template_of ek_template() {
  return {
      .attributes = ek_attributes, .policy = bytes(32, 0x83), .aes_bits = 128, .scheme = alg_null};
}

/// What a TPMS_ATTEST is made of.
struct quote_of {
  std::uint32_t magic = 0xFF544347;
  std::uint16_t type = 0x8018;
  bytes signer = bytes(34, 0x01);
  bytes extra = bytes(32, 0x02);
  std::uint64_t clock = 1000;
  std::uint32_t reset_count = 7;
  std::uint32_t restart_count = 3;
  std::uint8_t safe = 1;
  /// hash algorithm and select octets
  std::vector<std::pair<std::uint16_t, bytes>> selection{{0x000B, {0xFF, 0x00, 0x00}}};
  std::optional<std::uint32_t> selection_count{};
  bytes digest = bytes(32, 0x03);
};

inline bytes quote_bytes(const quote_of& q) {
  tpm_bytes out;
  out.u32(q.magic).u16(q.type).sized(q.signer).sized(q.extra);
  out.u64(q.clock).u32(q.reset_count).u32(q.restart_count).u8(q.safe).u64(0x0102030405060708);
  out.u32(q.selection_count.value_or(static_cast<std::uint32_t>(q.selection.size())));
  for (const auto& [alg, select] : q.selection)
    out.u16(alg).u8(static_cast<std::uint8_t>(select.size())).raw(select);
  return out.sized(q.digest);
}

/// TPMT_SIGNATURE of an ECDSA signature given as r || s.
inline bytes ecdsa_signature(byte_view r_s, std::uint16_t hash = 0x000B) {
  const auto half = r_s.size() / 2;
  return tpm_bytes().u16(0x0018).u16(hash).sized(r_s.first(half)).sized(r_s.subspan(half));
}

} // namespace custos::tpm::test
