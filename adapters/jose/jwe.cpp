#include "adapters/jose/jwe_key.hpp"

#include "adapters/jose/internal.hpp"

#include <boost/json.hpp>
#include <cassert>

namespace custos::jose {

using internal::refused;

namespace {

constexpr std::string_view key_algorithm = "ECDH-ES+A256KW";
constexpr std::string_view content_algorithm = "A256GCM";
constexpr std::size_t name_bytes_max = 64;
/// Longest agreement information (apu, apv) we feed to the KDF, in octets.
constexpr std::size_t party_bytes_max = 256;
constexpr std::size_t key_bytes = 32;
constexpr std::size_t wrapped_key_bytes = key_bytes + 8;
constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;

std::array<std::uint8_t, 4> big_endian(std::size_t n) {
  const auto v = static_cast<std::uint32_t>(n);
  return {static_cast<std::uint8_t>(v >> 24U), static_cast<std::uint8_t>(v >> 16U),
          static_cast<std::uint8_t>(v >> 8U), static_cast<std::uint8_t>(v)};
}

/// Whatever goes wrong with secrets involved looks the same from outside.
error not_opened() {
  return refused("jwe-decryption", "ciphertext", "the token does not open with this key");
}

/// What the header says, checked.
struct agreement {
  crypto::key ephemeral;
  bytes apu, apv;
};

result<crypto::key> ephemeral_key_of(json::object& header) {
  auto epk = header.child("epk");
  if (!epk)
    return refused("jwe-ephemeral-key", "epk", epk.failure().message);
  const auto kty = epk->string("kty", name_bytes_max);
  if (!kty || *kty != "EC" || epk->has("d"))
    return refused("jwe-ephemeral-key", "epk", "expected a public EC key");
  auto key = internal::ec_key_of(*epk);
  // A point off the curve would leak the private key bit by bit (RFC 8725, 3.4).
  if (!key || key->type() != crypto::key_type::p256)
    return refused("jwe-ephemeral-key", "epk",
                   key ? "expected a key on P-256" : key.failure().message);
  return key;
}

result<agreement> read_agreement(std::string_view encoded_header) {
  CUSTOS_TRY(auto header, internal::read_header(encoded_header, "jwe"));
  const auto is = [&](const char* name, std::string_view value) {
    const auto text = header.string(name, name_bytes_max);
    return text && *text == value;
  };
  if (!is("alg", key_algorithm))
    return refused("jwe-algorithm", "alg", "expected " + std::string(key_algorithm));
  if (!is("enc", content_algorithm))
    return refused("jwe-algorithm", "enc", "expected " + std::string(content_algorithm));
  if (header.has("zip"))
    return refused("jwe-algorithm", "zip", "expected no compression");
  agreement out;
  CUSTOS_TRY(out.ephemeral, ephemeral_key_of(header));
  const auto party = [&](const char* name, bytes& value) {
    auto read = header.optional_base64url(name, party_bytes_max);
    if (!read)
      return false;
    if (*read)
      value = **std::move(read);
    return true;
  };
  if (!party("apu", out.apu) || !party("apv", out.apv))
    return refused("jwe-header", "apu", "expected agreement information in base64url");
  return out;
}

result<crypto::secret_bytes> agreed_key(const crypto::key& own, const crypto::key& peer,
                                        byte_view apu, byte_view apv) {
  CUSTOS_TRY(const auto z, crypto::ecdh(own, peer));
  return internal::concat_kdf(z.reveal_secret(), key_algorithm, apu, apv, key_bytes);
}

} // namespace

namespace internal {

crypto::secret_bytes concat_kdf(byte_view z, std::string_view algorithm_id, byte_view apu,
                                byte_view apv, std::size_t size) {
  assert(size <= key_bytes);
  const auto round = big_endian(1);
  const auto id_size = big_endian(algorithm_id.size());
  const auto apu_size = big_endian(apu.size());
  const auto apv_size = big_endian(apv.size());
  const auto key_bits = big_endian(size * 8);
  crypto::secret_bytes out(key_bytes);
  crypto::digest_into(
      crypto::hash_alg::sha256,
      {round, z, id_size, as_bytes(algorithm_id), apu_size, apu, apv_size, apv, key_bits},
      out.writable_secret());
  out.shrink(size);
  return out;
}

} // namespace internal

result<recipient> recipient::agree(const crypto::key& p256, std::string_view kid) {
  if (p256.type() != crypto::key_type::p256)
    return make_error(errc::invalid_argument, "ECDH-ES: expected a P-256 key");
  if (kid.size() > kid_bytes_max)
    return make_error(errc::too_large, "JWE: expected a short key id");
  CUSTOS_TRY(const auto ephemeral, crypto::generate_p256());
  boost::json::object header;
  header["alg"] = boost::json::string(key_algorithm.data(), key_algorithm.size());
  header["enc"] = boost::json::string(content_algorithm.data(), content_algorithm.size());
  header["epk"] = jwk_of(ephemeral, {}, {});
  if (!kid.empty())
    header["kid"] = boost::json::string(kid.data(), kid.size());
  CUSTOS_TRY(auto wrapping_key, agreed_key(ephemeral, p256, {}, {}));
  return recipient(crypto::base64url(as_bytes(boost::json::serialize(header))),
                   std::move(wrapping_key));
}

result<std::string> recipient::encrypt(byte_view plaintext) const {
  if (plaintext.size() > token_bytes_max / 2)
    return make_error(errc::too_large,
                      "JWE: expected at most " + std::to_string(token_bytes_max / 2) + " bytes");
  const auto content_key = crypto::random_secret(key_bytes);
  CUSTOS_TRY(const auto wrapped,
             crypto::aes_kw_wrap(wrapping_key_.reveal_secret(), content_key.reveal_secret()));
  const auto nonce = crypto::random_bytes(nonce_bytes);
  // RFC 7516, 5.1 step 14: the encoded header is what the tag also covers.
  CUSTOS_TRY(const auto sealed, crypto::aes256_gcm_seal(content_key.reveal_secret(), nonce,
                                                        as_bytes(encoded_header_), plaintext));
  std::string out = encoded_header_;
  for (const byte_view part :
       {byte_view(wrapped), byte_view(nonce), byte_view(sealed.ciphertext), byte_view(sealed.tag)})
    out.append(".").append(crypto::base64url(part));
  return out;
}

result<std::string> encrypt_ecdh_es_a256kw(const crypto::key& recipient_p256, std::string_view kid,
                                           byte_view plaintext) {
  CUSTOS_TRY(const auto to, recipient::agree(recipient_p256, kid));
  return to.encrypt(plaintext);
}

namespace {

result<std::array<std::string_view, 5>> parts_of_jwe(std::string_view jwe) {
  if (jwe.size() > token_bytes_max)
    return refused("jwe-size", "token",
                   "expected a token of at most " + std::to_string(token_bytes_max) +
                       " characters");
  const auto parts = internal::parts_of<5>(jwe);
  if (!parts)
    return refused("jwe-form", "token", "expected five parts separated by dots (RFC 7516, 7.1)");
  return *parts;
}

} // namespace

result<std::string> key_id_of_jwe(std::string_view jwe) {
  CUSTOS_TRY(const auto parts, parts_of_jwe(jwe));
  CUSTOS_TRY(auto header, internal::read_header(parts[0], "jwe"));
  auto kid = header.optional_string("kid", kid_bytes_max);
  if (!kid)
    return refused("jwe-header", "kid", kid.failure().message);
  return (*kid).value_or(std::string());
}

result<crypto::secret_bytes> decrypt_ecdh_es_a256kw(const crypto::key& recipient_private,
                                                    std::string_view jwe) {
  if (recipient_private.type() != crypto::key_type::p256)
    return make_error(errc::invalid_argument, "ECDH-ES: expected a P-256 key");
  CUSTOS_TRY(const auto parts, parts_of_jwe(jwe));
  CUSTOS_TRY(const auto agreed, read_agreement(parts[0]));
  const auto wrapped = crypto::from_base64url(parts[1]);
  const auto nonce = crypto::from_base64url(parts[2]);
  const auto ciphertext = crypto::from_base64url(parts[3]);
  const auto tag = crypto::from_base64url(parts[4]);
  if (!wrapped || !nonce || !ciphertext || !tag || wrapped->size() != wrapped_key_bytes ||
      nonce->size() != nonce_bytes || tag->size() != tag_bytes)
    return refused("jwe-form", "token",
                   "expected a key of 40, a nonce of 12 and a tag of 16 octets in base64url");
  const auto wrapping_key = agreed_key(recipient_private, agreed.ephemeral, agreed.apu, agreed.apv);
  if (!wrapping_key)
    return not_opened();
  const auto content_key = crypto::aes_kw_unwrap(wrapping_key->reveal_secret(), *wrapped);
  if (!content_key || content_key->size() != key_bytes)
    return not_opened();
  auto plaintext = crypto::aes256_gcm_open(content_key->reveal_secret(), *nonce, as_bytes(parts[0]),
                                           *ciphertext, *tag);
  if (!plaintext)
    return not_opened();
  return plaintext;
}

} // namespace custos::jose
