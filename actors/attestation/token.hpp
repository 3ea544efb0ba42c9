#pragma once
// The attestation result: a JWT (RFC 7519) with EAT (RFC 9711) and EAR claims (draft-ietf-rats-ear)
// and ours: docs/token.md, docs/token.schema.json. Made by the Attestation Service, read by the
// gate. Pure; free functions, thread-safe.

#include "adapters/crypto/crypto.hpp"
#include "adapters/jose/jose.hpp"
#include "messages/config.hpp"
#include "messages/error.hpp"
#include "messages/host_verdict.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace custos::attestation {

inline constexpr std::string_view token_type = "custos-attestation+jwt";
inline constexpr std::string_view token_profile = "tag:custos,2026:attestation-result#1";
/// `aud` of tokens for key operations: the only one that the gate accepts.
inline constexpr std::string_view key_audience = "custos-keys";
/// `aud` of tokens that report a host's state to others.
inline constexpr std::string_view reporting_audience = "custos-reporting";
inline constexpr std::int64_t clock_skew_s_max = 60;

/// Longest token made, in characters: what every reader of ours, the gate included, takes.
inline constexpr std::size_t token_chars_max = 8192;
/// Findings told in a token, octets of one text of a finding, and octets of JSON after which no
/// further one is begun.
inline constexpr std::size_t findings_max = 8;
inline constexpr std::size_t finding_bytes_max = 120;
inline constexpr std::size_t findings_bytes_max = 1024;
/// Octets that ignored IMA prefixes may take in a token, as JSON; how many were left out is said.
inline constexpr std::size_t ima_ignored_bytes_max = 1024;

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
  std::uint32_t restart_count = 0;
  std::optional<bool> secure_boot;          ///< the state, where it was judged
  std::optional<std::uint64_t> ima_entries; ///< judged in this boot, where the image demands it
  std::vector<std::string> ima_ignored;     ///< path prefixes that were not judged
  std::vector<audit_finding> findings;      ///< any of them: `warning`, not `affirming`
  std::string config_fingerprint;           ///< of the configuration appraised against, hex
};

/// A private key ready to sign tokens.
using token_signer = jose::signer;
/// `kid` is the RFC 7638 thumbprint in Custos. Errors of jose::signer_of.
result<token_signer> make_token_signer(crypto::key private_key, std::string_view alg,
                                       std::string_view kid);

/// JWS compact. errc::too_large beyond token_chars_max, errc::crypto_failure.
result<std::string> make_token(const token_claims& claims, const token_signer& by,
                               ear_spelling spelling = ear_spelling::dotted);

/// What a reader insists on.
struct token_expectation {
  std::span<const jose::trusted_key> keys;
  std::string_view issuer;
  std::string_view audience = key_audience;
};

/// Verifies signature, typ, iss, aud, exp, nbf and that every claim the gate needs is there; EAR
/// claims in either spelling, which agree where there are both. The status is `affirming`, or
/// `warning` where the token names the findings that the administrator chose to be told of only.
/// errc::token_invalid, error.field the claim at fault. Claims that nobody decides by are not
/// read back: eat_nonce, bank, PCRs, event log digest.
result<token_claims> read_token(std::string_view jws, const token_expectation& expected,
                                std::int64_t now);

} // namespace custos::attestation
