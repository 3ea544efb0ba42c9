#include "adapters/tpm/make_credential.hpp"

#include "adapters/tpm/unmarshal.hpp"

#include <algorithm>
#include <array>
#include <openssl/ec.h>
#include <openssl/evp.h>

namespace custos::tpm {

using namespace internal;
using crypto::secret_bytes;

namespace {

// Labels are hashed with their terminating zero (Part 1, 11.4.10.2 and B.4).
constexpr std::string_view label_identity{"IDENTITY\0", 9};
constexpr std::string_view label_storage{"STORAGE\0", 8};
constexpr std::string_view label_integrity{"INTEGRITY\0", 10};

std::array<std::uint8_t, 4> big_endian_32(std::size_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

/// Appends a TPM2B: two bytes of size, then the octets. All sizes here are far below 64 KiB.
void append_sized(bytes& out, byte_view octets) {
  out.push_back(static_cast<std::uint8_t>(octets.size() >> 8));
  out.push_back(static_cast<std::uint8_t>(octets.size()));
  out.insert(out.end(), octets.begin(), octets.end());
}

/// KDFa (Part 1, 11.4.10.2; NIST SP 800-108 in counter mode). Every output here fits one block.
secret_bytes kdf_a(crypto::hash_alg hash, byte_view key, std::string_view label, byte_view context,
                   std::size_t out_bytes) {
  const auto counter = big_endian_32(1);
  const auto bits = big_endian_32(out_bytes * 8);
  bytes block = crypto::hmac(hash, key, {counter, as_bytes(label), context, bits});
  secret_bytes out(byte_view(block).first(out_bytes));
  crypto::wipe(block.data(), block.size());
  return out;
}

/// KDFe (Part 1, 11.4.10.3; NIST SP 800-56A) for one block of the hash.
secret_bytes kdf_e(crypto::hash_alg hash, byte_view z, byte_view party_u, byte_view party_v) {
  const auto counter = big_endian_32(1);
  secret_bytes out(crypto::digest_size(hash));
  crypto::digest_into(hash, {counter, z, as_bytes(label_identity), party_u, party_v},
                      out.writable_secret());
  return out;
}

struct shared_seed {
  secret_bytes seed;
  bytes encrypted; ///< the content of the TPM2B_ENCRYPTED_SECRET
};

/// Part 1, B.10.4: the seed is as long as the digest of the name algorithm, which OAEP uses too.
result<shared_seed> seed_for_rsa(const public_area& ek) {
  shared_seed out;
  out.seed = crypto::random_secret(crypto::digest_size(ek.name_alg));
  CUSTOS_TRY(out.encrypted, crypto::rsa_oaep_encrypt(ek.key, ek.name_alg, as_bytes(label_identity),
                                                     out.seed.reveal_secret()));
  return out;
}

result<crypto::key> ephemeral_key(crypto::key_type curve) {
  if (curve == crypto::key_type::p256)
    return crypto::generate_p256();
  EVP_PKEY* made = EVP_EC_gen("P-384");
  if (made == nullptr)
    return make_error(errc::crypto_failure, "credential: no ephemeral P-384 key");
  return crypto::key(std::shared_ptr<evp_pkey_st>(made, EVP_PKEY_free));
}

/// Part 1, C.6.1: one-pass ECDH with an ephemeral key; the seed is bound to both x coordinates.
result<shared_seed> seed_for_ecc(const public_area& ek) {
  TPMT_PUBLIC in{};
  CUSTOS_CHECK(
      unmarshal(&Tss2_MU_TPMT_PUBLIC_Unmarshal, byte_view(ek.marshalled), in, "public area"));
  // The TPM takes PartyVInfo from its public area as it stands there, padded or not.
  const byte_view ek_x = view_of(in.unique.ecc.x);
  CUSTOS_TRY(const auto ephemeral, ephemeral_key(ek.key.type()));
  CUSTOS_TRY(const auto point, crypto::ec_point_of(ephemeral));
  CUSTOS_TRY(const auto z, crypto::ecdh(ephemeral, ek.key));
  shared_seed out;
  out.seed = kdf_e(ek.name_alg, z.reveal_secret(), point.x, ek_x);
  append_sized(out.encrypted, point.x);
  append_sized(out.encrypted, point.y);
  return out;
}

} // namespace

result<credential> make_credential(const public_area& ek, byte_view ak_name, byte_view secret) {
  const auto digest_bytes = crypto::digest_size(ek.name_alg);
  if (secret.empty() || secret.size() > digest_bytes)
    return make_error(errc::invalid_argument,
                      "credential: the secret is longer than the EK's name algorithm allows");
  if (ak_name.size() < 2 || ak_name.size() > 2 + 64)
    return make_error(errc::invalid_argument, "credential: expected the name of a loaded object");
  if (!ek.symmetric)
    return make_error(errc::unsupported, "credential: the EK has no symmetric algorithm");
  CUSTOS_TRY(const auto shared, ek.type == object_type::rsa ? seed_for_rsa(ek) : seed_for_ecc(ek));
  const byte_view seed = shared.seed.reveal_secret();

  // Part 1, 24.4 and 24.5: encIdentity = CFB(TPM2B(secret)), then the HMAC over it and the name.
  secret_bytes sized_secret(2 + secret.size());
  sized_secret.writable_secret()[0] = 0; // at most 64 bytes
  sized_secret.writable_secret()[1] = static_cast<std::uint8_t>(secret.size());
  std::copy(secret.begin(), secret.end(), sized_secret.writable_secret().begin() + 2);
  const auto storage_key =
      kdf_a(ek.name_alg, seed, label_storage, ak_name, ek.symmetric->aes_bits / 8);
  const std::array<std::uint8_t, 16> zero_iv{};
  CUSTOS_TRY(const bytes identity, crypto::aes_cfb_encrypt(storage_key.reveal_secret(), zero_iv,
                                                           sized_secret.reveal_secret()));
  const auto hmac_key = kdf_a(ek.name_alg, seed, label_integrity, {}, digest_bytes);
  const bytes outer = crypto::hmac(ek.name_alg, hmac_key.reveal_secret(), {identity, ak_name});

  bytes id_object;
  append_sized(id_object, outer);
  id_object.insert(id_object.end(), identity.begin(), identity.end());
  credential out;
  append_sized(out.id_object, id_object);
  append_sized(out.encrypted_secret, shared.encrypted);
  return out;
}

} // namespace custos::tpm
