// What needs the digest, not the message, and names of keys.

#include "adapters/crypto/internal.hpp"

namespace custos::crypto {

using namespace internal;

bool verify_digest(const key& k, hash_alg alg, byte_view digest, byte_view signature) {
  const auto type = k ? k.type() : key_type::other;
  if (type == key_type::other || digest.size() != digest_size(alg))
    return false;
  const pkey_ctx_ptr context(EVP_PKEY_CTX_new_from_pkey(nullptr, k.handle(), nullptr));
  bool ok = context && EVP_PKEY_verify_init(context.get()) == 1;
  if (ok && type == key_type::rsa)
    ok = EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1;
  ok = ok && EVP_PKEY_CTX_set_signature_md(context.get(), md_of(alg)) == 1 &&
       EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.data(),
                       digest.size()) == 1;
  ERR_clear_error();
  return ok;
}

std::array<std::uint8_t, 20> subject_key_id(const key& k) {
  std::array<std::uint8_t, 20> out{};
  const bytes spki = k.spki_der();
  const unsigned char* p = spki.data();
  X509_PUBKEY* const parsed = d2i_X509_PUBKEY(nullptr, &p, static_cast<long>(spki.size()));
  const unsigned char* bits = nullptr;
  int size = 0;
  if (parsed != nullptr && X509_PUBKEY_get0_param(nullptr, &bits, &size, nullptr, parsed) == 1)
    digest_into(hash_alg::sha1, {{bits, static_cast<std::size_t>(size)}}, out);
  X509_PUBKEY_free(parsed);
  ERR_clear_error();
  return out;
}

} // namespace custos::crypto
