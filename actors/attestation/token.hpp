#pragma once
// The attestation result: a JWT (RFC 7519) signed ES256, with EAT and EAR-style claims and ours
// (docs/token.md). Made by the Attestation Service, read by the gate. Pure.

#include "adapters/crypto/crypto.hpp"
#include "adapters/jose/jose.hpp"
#include "messages/error.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace custos::attestation {

inline constexpr std::string_view token_type = "custos-attestation+jwt";
/// `aud` of tokens for key operations.
inline constexpr std::string_view key_audience = "custos-keys";
inline constexpr std::int64_t clock_skew_s_max = 60;

struct token_claims {
  std::string issuer;
  std::string host; ///< sub
  std::string audience = std::string(key_audience);
  std::int64_t issued = 0;                ///< iat and nbf
  std::int64_t expires = 0;               ///< exp
  std::string id;                         ///< jti
  bytes nonce;                            ///< eat_nonce
  crypto::sha256_digest key_thumbprint{}; ///< cnf.jkt
  crypto::sha256_digest ek_spki_sha256{};
  std::string image;
  std::string image_version;
  std::string bank;
  std::vector<std::uint32_t> pcrs_used;
  std::vector<std::uint32_t> pcrs_ignored;
  crypto::sha256_digest event_log_sha256{};
  bytes ak_name;
  std::uint32_t reset_count = 0;
};

/// JWS compact.
result<std::string> make_token(const token_claims& claims, const crypto::key& signing_key,
                               std::string_view kid);

/// What a reader insists on.
struct token_expectation {
  std::span<const jose::trusted_key> keys;
  std::string_view issuer;
  std::string_view audience = key_audience;
};

/// Verifies signature, typ, iss, aud, exp, nbf and that every claim the gate needs is there.
/// errc::token_invalid, error.field the claim at fault.
result<token_claims> read_token(std::string_view jws, const token_expectation& expected,
                                std::int64_t now);

} // namespace custos::attestation
