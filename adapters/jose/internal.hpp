#pragma once
// For the .cpp files and the tests of this room only: the compact form, protected headers, and the
// steps beneath verification and decryption that public test vectors exercise on their own.

#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"

#include <array>
#include <optional>

namespace custos::jose::internal {

/// errc::token_invalid with the rule that failed and the member or part at fault.
error refused(std::string_view check, std::string_view field, std::string message);

/// The N parts between N-1 dots, or nothing if there are more or fewer.
template <std::size_t N>
std::optional<std::array<std::string_view, N>> parts_of(std::string_view compact) {
  std::array<std::string_view, N> parts;
  for (std::size_t i = 0; i + 1 < N; ++i) {
    const auto dot = compact.find('.');
    if (dot == std::string_view::npos)
      return std::nullopt;
    parts[i] = compact.substr(0, dot);
    compact.remove_prefix(dot + 1);
  }
  if (compact.find('.') != std::string_view::npos)
    return std::nullopt;
  parts[N - 1] = compact;
  return parts;
}

/// Reads a protected header: an object of at most header_bytes_max, each member once (RFC 7515,
/// 5.2). Refuses `crit` and what would bring a key along. `kind` is "jws" or "jwe".
result<json::object> read_header(std::string_view encoded, const std::string& kind);

/// A token whose signature holds, before its type is judged.
struct signed_token {
  std::string payload, kid;
  std::optional<std::string> typ;
};
result<signed_token> verify_signature(std::string_view jws, std::span<const trusted_key> keys);

/// Verifies with the algorithm of the trusted key. An algorithm that is not known, or that does not
/// fit the key, verifies nothing.
bool signature_holds(const trusted_key& trusted, byte_view message, byte_view signature);

/// Concat KDF with SHA-256, one round (RFC 7518, 4.6.2; NIST SP 800-56A 5.8.1): `key_bytes` <= 32.
crypto::secret_bytes concat_kdf(byte_view z, std::string_view algorithm_id, byte_view apu,
                                byte_view apv, std::size_t key_bytes);

/// The public key of an EC JWK on P-256 or P-384, of exactly these members.
result<crypto::key> ec_key_of(json::object& jwk);

} // namespace custos::jose::internal
