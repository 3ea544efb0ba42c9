#pragma once
// OpenSSL 3 behind words of our own. Only EVP-level calls beneath. Every function here is
// thread-safe on distinct objects; keys are immutable after creation and may be shared.
// Failure drains OpenSSL's error queue into the error's message.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// OpenSSL's opaque types, so that users of this header need no OpenSSL header.
struct evp_pkey_st;
struct x509_st;

namespace custos::crypto {

// ---- randomness, digests, MACs ------------------------------------------------------------------

/// n bytes of the CSPRNG. n <= 65536. Aborts the process if the CSPRNG fails: nothing is safe then.
bytes random_bytes(std::size_t n);
secret_bytes random_secret(std::size_t n);

/// Hash algorithms, by their TCG algorithm id (TPM 2.0 Part 2, 6.3).
enum class hash_alg : std::uint16_t {
  sha1 = 0x0004,
  sha256 = 0x000B,
  sha384 = 0x000C,
  sha512 = 0x000D
};

/// Digest size in bytes: 20, 32, 48, 64.
std::size_t digest_size(hash_alg alg);
/// "sha1", "sha256", "sha384", "sha512".
std::string_view to_string(hash_alg alg);
result<hash_alg> hash_alg_of(std::string_view name);

using sha256_digest = std::array<std::uint8_t, 32>;
sha256_digest sha256(byte_view data);
/// Hash of the concatenation of the parts.
bytes digest(hash_alg alg, std::initializer_list<byte_view> parts);
/// Same into caller's memory (digest_size(alg) bytes); no allocation: for hot paths. Reuses a
/// per-thread context.
void digest_into(hash_alg alg, std::initializer_list<byte_view> parts, std::span<std::uint8_t> out);

sha256_digest hmac_sha256(byte_view key, std::initializer_list<byte_view> parts);
bytes hmac(hash_alg alg, byte_view key, std::initializer_list<byte_view> parts);

/// Constant-time comparison; lengths are not secret.
bool equal(byte_view a, byte_view b);

// ---- symmetric ----------------------------------------------------------------------------------

/// AES-256-GCM, 96-bit nonce, 128-bit tag (NIST SP 800-38D).
struct gcm_sealed {
  bytes ciphertext;
  std::array<std::uint8_t, 16> tag;
};
result<gcm_sealed> aes256_gcm_seal(byte_view key32, byte_view nonce12, byte_view aad,
                                   byte_view plaintext);
result<secret_bytes> aes256_gcm_open(byte_view key32, byte_view nonce12, byte_view aad,
                                     byte_view ciphertext, byte_view tag16);
/// AES key wrap with padding (RFC 5649); key of 16, 24 or 32 bytes.
result<bytes> aes_kwp_wrap(byte_view key, byte_view plaintext);
result<secret_bytes> aes_kwp_unwrap(byte_view key, byte_view wrapped);
/// AES key wrap (RFC 3394).
result<bytes> aes_kw_wrap(byte_view key, byte_view plaintext);
result<secret_bytes> aes_kw_unwrap(byte_view key, byte_view wrapped);
/// AES-CFB, full block feedback, zero or given IV: what TPM2_MakeCredential needs (Part 1, 24).
result<bytes> aes_cfb_encrypt(byte_view key, byte_view iv16, byte_view plaintext);
/// AES-256-CBC with PKCS#7 padding.
result<bytes> aes_cbc_encrypt(byte_view key, byte_view iv16, byte_view plaintext);
result<secret_bytes> aes_cbc_decrypt(byte_view key, byte_view iv16, byte_view ciphertext);

/// scrypt (RFC 7914), N a power of two.
result<secret_bytes> scrypt(byte_view passphrase, byte_view salt, std::uint64_t n, std::uint32_t r,
                            std::uint32_t p, std::size_t out_bytes);
/// HKDF with SHA-256 (RFC 5869), of a secret that is as good as random.
result<secret_bytes> hkdf_sha256(byte_view secret, byte_view salt, byte_view info,
                                 std::size_t out_bytes);

// ---- asymmetric ---------------------------------------------------------------------------------

enum class key_type : std::uint8_t { rsa, p256, p384, other };

/// A public or private key. Copying shares the underlying immutable key.
class key {
public:
  key() = default;
  explicit key(std::shared_ptr<evp_pkey_st> handle) : handle_(std::move(handle)) {}
  explicit operator bool() const { return handle_ != nullptr; }
  [[nodiscard]] evp_pkey_st* handle() const { return handle_.get(); }
  [[nodiscard]] key_type type() const;
  /// Modulus or field size in bits.
  [[nodiscard]] unsigned bits() const;
  /// SubjectPublicKeyInfo, DER (RFC 5280, 4.1.2.7).
  [[nodiscard]] bytes spki_der() const;
  [[nodiscard]] std::string public_pem() const;
  /// PKCS#8, unencrypted; for sealing only.
  [[nodiscard]] secret_bytes pkcs8_der() const;
  /// Same public key.
  [[nodiscard]] bool same_public(const key& other) const;

private:
  std::shared_ptr<evp_pkey_st> handle_;
};

result<key> generate_p256();
result<key> generate_p384();
result<key> generate_rsa(unsigned bits);
result<key> private_key_from_pkcs8(byte_view der);
result<key> private_key_from_pem(byte_view pem);
result<key> public_key_from_spki(byte_view der);
result<key> public_key_from_pem(byte_view pem);
/// RSA public key of big-endian modulus and exponent. Modulus of 2048 to 4096 bits, odd e >= 65537.
result<key> rsa_public_key(byte_view modulus, std::uint32_t exponent);
/// EC public key of affine coordinates, big-endian, left-padded or not; the point must be on the
/// curve.
result<key> ec_public_key(key_type curve, byte_view x, byte_view y);
/// Affine coordinates of a P-256/P-384 key, left-padded to the field size.
struct ec_point {
  bytes x, y;
};
result<ec_point> ec_point_of(const key& k);
/// Modulus and public exponent of an RSA key, big-endian without leading zeros.
struct rsa_numbers {
  bytes modulus, exponent;
};
result<rsa_numbers> rsa_numbers_of(const key& k);

/// ECDSA signature as r || s, each of field size (RFC 7518, 3.4).
result<bytes> ecdsa_sign(const key& k, hash_alg alg, byte_view message);
/// Verifies r || s. 1 <= r,s < n is checked.
bool ecdsa_verify(const key& k, hash_alg alg, byte_view message, byte_view r_s);
/// RSASSA-PKCS1-v1_5 (RFC 8017, 8.2).
bool rsassa_verify(const key& k, hash_alg alg, byte_view message, byte_view signature);
/// Length of the salt of an RSASSA-PSS signature: whatever it carries (TPMs use the longest that
/// fits), or exactly the digest's (RFC 7518, 3.5).
enum class pss_salt : std::uint8_t { any, digest_size };
/// RSASSA-PSS, MGF1 with the same hash (RFC 8017, 8.1).
bool rsapss_verify(const key& k, hash_alg alg, byte_view message, byte_view signature,
                   pss_salt salt = pss_salt::any);
/// A signature over a digest that somebody else made: RSASSA-PKCS1-v1_5, or ECDSA in DER (RFC 3279,
/// 2.2.3), by the key's type; 1 <= r,s < n is checked. The digest has digest_size(alg) octets.
bool verify_digest(const key& k, hash_alg alg, byte_view digest, byte_view signature);
/// SHA-1 of the subject public key (RFC 5280, 4.2.1.2, method 1): a name, no evidence.
std::array<std::uint8_t, 20> subject_key_id(const key& k);
result<bytes> rsassa_sign(const key& k, hash_alg alg, byte_view message);
/// RSASSA-PSS with a salt of the digest's size (RFC 7518, 3.5).
result<bytes> rsapss_sign(const key& k, hash_alg alg, byte_view message);
/// RSAES-OAEP, hash and MGF1 `alg`, with label as given, terminating zero included by the caller.
result<bytes> rsa_oaep_encrypt(const key& k, hash_alg alg, byte_view label, byte_view plaintext);
/// ECDH shared secret Z: the x coordinate, field size (NIST SP 800-56A).
result<secret_bytes> ecdh(const key& own_private, const key& peer_public);

// ---- text forms ---------------------------------------------------------------------------------

std::string base64url(byte_view data); ///< no padding (RFC 4648, 5)
void append_base64url(std::string& out, byte_view data);
result<bytes> from_base64url(std::string_view text); ///< strict: no padding, no spaces, canonical
std::string base64(byte_view data);                  ///< with padding (RFC 4648, 4)
result<bytes> from_base64(std::string_view text);    ///< strict
std::string hex(byte_view data);                     ///< lower case
void append_hex(std::string& out, byte_view data);
result<bytes> from_hex(std::string_view text); ///< upper or lower case

} // namespace custos::crypto
