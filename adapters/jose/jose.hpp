#pragma once
// JOSE as Custos uses it: JWS compact with asymmetric signatures (RFC 7515, 7518), JWE compact with
// ECDH-ES+A256KW and A256GCM (RFC 7516, 7518 4.6), JWK (RFC 7517) and thumbprints (RFC 7638). What
// is not named here does not exist: no "none", no HMAC, no keys taken from a token.
//
// Thread rule: free functions, thread-safe. Errors of tokens are errc::token_invalid; error.check
// is the stable name of the rule that failed ("jws-algorithm"), error.field the header member or
// part at fault ("alg").

#include "adapters/crypto/crypto.hpp"

#include <array>
#include <boost/json/fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace custos::jose {

/// Largest JWS or JWE read, in characters.
inline constexpr std::size_t token_bytes_max = 16U << 10U;
/// Largest protected header read, in octets after base64url.
inline constexpr std::size_t header_bytes_max = 2U << 10U;
/// Largest JWK read, in octets: an RSA key of 4096 bits with its names fits many times.
inline constexpr std::size_t jwk_bytes_max = 8U << 10U;
/// Longest `kid`, in octets.
inline constexpr std::size_t kid_bytes_max = 256;

// ---- keys ---------------------------------------------------------------------------------------

/// RFC 7638 thumbprint: SHA-256 over the required members, as base64url. P-256, P-384 and RSA keys;
/// others are errc::unsupported. A private key gives the thumbprint of its public key.
result<std::string> thumbprint(const crypto::key& key);
/// Same, the 32 raw octets (what RFC 8705-like "jkt" and "cnf" values decode to).
result<bytes> thumbprint_digest(const crypto::key& key);

/// The public JWK. `use` is "sig" or "enc"; empty `kid`, `use` or `alg` leave the member out. The
/// key is P-256, P-384 or RSA: anything else is a programmer error.
boost::json::object jwk_of(const crypto::key& key, std::string_view kid, std::string_view use,
                           std::string_view alg = {});

/// The public key of a JWK: EC on P-256 or P-384 (the point must be on the curve), or RSA of 2048
/// to 4096 bits. Private and symmetric members and unknown curves are refused; `kid`, `use`, `alg`
/// and `key_ops` are judged by the caller; other members are ignored (RFC 7517, 4).
/// errc::malformed, errc::invalid_argument or errc::unsupported.
result<crypto::key> key_of_jwk(std::string_view json);

/// Largest JWK set read, in octets, and most keys in it.
inline constexpr std::size_t jwks_bytes_max = 256U << 10U;
inline constexpr std::size_t jwks_keys_max = 64;

/// One published key.
struct published_key {
  crypto::key key;
  std::string kid;
  std::string use; ///< "sig" or "enc"
  std::string alg; ///< "ES256"
};

/// A JWK set (RFC 7517, 5), as JSON text.
std::string jwks_of(const std::vector<published_key>& keys);

// ---- JWS ----------------------------------------------------------------------------------------

/// The algorithms that sign and verify, strongest habit first.
inline constexpr std::array<std::string_view, 4> signature_algorithms{"ES256", "ES384", "PS256",
                                                                      "RS256"};
/// Whether `alg` is one of them and signs with keys of this type.
bool fits(std::string_view alg, crypto::key_type type);

/// A private key ready to sign tokens of one type: what is the same in all of them is made once.
/// Immutable once made; copies share the key.
struct signer {
  crypto::key key;
  std::string alg;
  std::string kid;
  std::string encoded_header; ///< base64url of a protected header of exactly alg, kid and typ
};
/// errc::invalid_argument: an algorithm that is none or does not fit the key, no kid, no type.
result<signer> signer_of(crypto::key private_key, std::string_view alg, std::string_view kid,
                         std::string_view typ);

/// JWS compact. errc::too_large, errc::crypto_failure (the key is public only).
result<std::string> sign(const signer& by, std::string_view payload);
/// The same, for once.
result<std::string> sign(const crypto::key& private_key, std::string_view alg, std::string_view kid,
                         std::string_view typ, std::string_view payload);

/// A key that signs tokens we accept.
struct trusted_key {
  std::string kid;
  crypto::key key;
  std::string alg; ///< "ES256", "ES384", "RS256" or "PS256": the only one accepted with this key
};

/// The keys of a JWK set that verify signatures of ours: with a `kid`, a `use` of "sig" or none,
/// and an `alg` of signature_algorithms that fits. Others are passed over (RFC 7517, 5); a set with
/// none is an error. errc::malformed, errc::too_large, errc::invalid_argument.
result<std::vector<trusted_key>> trusted_of_jwks(std::string_view json);

/// A token as it presents itself, nothing verified: for showing to people only.
struct unverified {
  std::string header;  ///< JSON
  std::string payload; ///< octets
};
/// errc::token_invalid as below: jws-size, jws-form, jws-header.
result<unverified> peek(std::string_view jws);

/// A token whose signature holds. Claims are judged by the caller.
struct verified {
  std::string payload; ///< octets as signed
  std::string kid;
};

/// Verifies a JWS in compact form. The algorithm is the one of the trusted key named by `kid`; the
/// token's `alg` must agree with it. `typ` must be present and equal, without regard to case and to
/// a leading "application/" (RFC 7515, 4.1.9). Rules, by error.check: jws-size, jws-form,
/// jws-header, jws-critical (crit, b64), jws-embedded-key (jwk, jku, x5u, x5c), jws-algorithm,
/// jws-kid (two trusted keys of one id are none), jws-type, jws-signature.
result<verified> verify_compact(std::string_view jws, std::span<const trusted_key> keys,
                                std::string_view typ);

// ---- JWE ----------------------------------------------------------------------------------------

/// One key agreement with a recipient, for several answers to it: agreeing costs more than all else
/// of a JWE. The ephemeral private key is gone when it is made; the agreed key lives in here and
/// wraps a content key of its own for every answer. Whoever holds one decides for how long. Its
/// methods may be called from several threads.
class recipient {
public:
  /// Errors: invalid_argument (no P-256 key), too_large (kid), crypto_failure.
  static result<recipient> agree(const crypto::key& p256, std::string_view kid);
  /// As encrypt_ecdh_es_a256kw does it.
  [[nodiscard]] result<std::string> encrypt(byte_view plaintext) const;

private:
  recipient(std::string encoded_header, crypto::secret_bytes wrapping_key)
      : encoded_header_(std::move(encoded_header)), wrapping_key_(std::move(wrapping_key)) {}

  std::string encoded_header_;
  crypto::secret_bytes wrapping_key_;
};

/// JWE compact, alg ECDH-ES+A256KW, enc A256GCM, fresh ephemeral P-256 key and content key; the
/// protected header is alg, enc, epk and kid. Plaintext of at most token_bytes_max / 2 octets.
result<std::string> encrypt_ecdh_es_a256kw(const crypto::key& recipient_p256, std::string_view kid,
                                           byte_view plaintext);

/// Opens the above. Exactly these algorithms are accepted; the ephemeral key must be on P-256
/// (RFC 7518, 6.2; invalid-curve attack); crit and zip are refused. Rules, by error.check:
/// jwe-size, jwe-form, jwe-header, jwe-critical, jwe-embedded-key, jwe-algorithm,
/// jwe-ephemeral-key, jwe-decryption.
/// Which part of the decryption failed is not said.
result<crypto::secret_bytes> decrypt_ecdh_es_a256kw(const crypto::key& recipient_private,
                                                    std::string_view jwe);

} // namespace custos::jose
