#include "adapters/crypto/internal.hpp"

#include <cstring>

namespace custos::crypto {

using namespace internal;

namespace {

std::size_t coordinate_bytes(const key& k) {
  switch (k.type()) {
  case key_type::p256:
    return 32;
  case key_type::p384:
    return 48;
  default:
    return 0;
  }
}

/// Octets of the largest signature made here: RSA of 4096 bits.
constexpr std::size_t signature_bytes_max = 512;

/// One-shot sign and verify (EVP_DigestSign / EVP_DigestVerify). A padding of 0 is for ECDSA.
result<bytes> sign(const key& k, hash_alg alg, byte_view message, int rsa_padding = 0) {
  static thread_local const md_ctx_ptr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  bool ok = k && context && EVP_MD_CTX_reset(context.get()) == 1 &&
            EVP_DigestSignInit_ex(context.get(), &key_context, md_name_of(alg), nullptr, nullptr,
                                  k.handle(), nullptr) == 1;
  if (ok && rsa_padding != 0)
    ok = EVP_PKEY_CTX_set_rsa_padding(key_context, rsa_padding) == 1;
  if (ok && rsa_padding == RSA_PKCS1_PSS_PADDING)
    ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
  bytes out(signature_bytes_max);
  std::size_t size = out.size();
  ok = ok && EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) == 1;
  // The context would keep the private key alive after its owner dropped it.
  if (context)
    EVP_MD_CTX_reset(context.get());
  if (!ok)
    return openssl_error(errc::crypto_failure, "signing failed");
  out.resize(size);
  return out;
}

bool verify(const key& k, hash_alg alg, byte_view message, byte_view signature, int rsa_padding,
            int salt = RSA_PSS_SALTLEN_AUTO) {
  static thread_local const md_ctx_ptr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  bool ok = k && context && EVP_MD_CTX_reset(context.get()) == 1 &&
            EVP_DigestVerifyInit_ex(context.get(), &key_context, md_name_of(alg), nullptr, nullptr,
                                    k.handle(), nullptr) == 1;
  if (ok && rsa_padding != 0)
    ok = EVP_PKEY_CTX_set_rsa_padding(key_context, rsa_padding) == 1;
  if (ok && rsa_padding == RSA_PKCS1_PSS_PADDING)
    ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, salt) == 1;
  ok = ok && EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                              message.size()) == 1;
  ERR_clear_error();
  return ok;
}

} // namespace

result<bytes> ecdsa_sign(const key& k, hash_alg alg, byte_view message) {
  const auto size = coordinate_bytes(k);
  if (size == 0)
    return make_error(errc::invalid_argument, "ECDSA: expected a P-256 or P-384 key");
  CUSTOS_TRY(const bytes der, sign(k, alg, message));
  const unsigned char* p = der.data();
  const ecdsa_sig_ptr parsed(d2i_ECDSA_SIG(nullptr, &p, static_cast<long>(der.size())));
  bytes out(2 * size);
  if (!parsed ||
      BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out.data(), static_cast<int>(size)) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out.data() + size, static_cast<int>(size)) < 0)
    return openssl_error(errc::crypto_failure, "ECDSA signature encoding failed");
  return out;
}

bool ecdsa_verify(const key& k, hash_alg alg, byte_view message, byte_view r_s) {
  const auto size = coordinate_bytes(k);
  if (size == 0 || r_s.size() != 2 * size)
    return false;
  bn_ptr r(BN_bin2bn(r_s.data(), static_cast<int>(size), nullptr));
  bn_ptr s(BN_bin2bn(r_s.data() + size, static_cast<int>(size), nullptr));
  // Zero r or s is what CVE-2022-21449 was about; OpenSSL checks the range again while verifying.
  if (!r || !s || BN_is_zero(r.get()) == 1 || BN_is_zero(s.get()) == 1)
    return false;
  const ecdsa_sig_ptr signature(ECDSA_SIG_new());
  if (!signature || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1)
    return false;
  // Owned by the signature from here on.
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  std::array<unsigned char, 160> der{};
  const int der_size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (der_size <= 0 || static_cast<std::size_t>(der_size) > der.size())
    return false;
  unsigned char* p = der.data();
  i2d_ECDSA_SIG(signature.get(), &p);
  return verify(k, alg, message, {der.data(), static_cast<std::size_t>(der_size)}, 0);
}

bool rsassa_verify(const key& k, hash_alg alg, byte_view message, byte_view signature) {
  return k.type() == key_type::rsa && verify(k, alg, message, signature, RSA_PKCS1_PADDING);
}

bool rsapss_verify(const key& k, hash_alg alg, byte_view message, byte_view signature,
                   pss_salt salt) {
  return k.type() == key_type::rsa &&
         verify(k, alg, message, signature, RSA_PKCS1_PSS_PADDING,
                salt == pss_salt::any ? RSA_PSS_SALTLEN_AUTO : RSA_PSS_SALTLEN_DIGEST);
}

result<bytes> rsassa_sign(const key& k, hash_alg alg, byte_view message) {
  if (k.type() != key_type::rsa)
    return make_error(errc::invalid_argument, "RSASSA: expected an RSA key");
  return sign(k, alg, message, RSA_PKCS1_PADDING);
}

result<bytes> rsapss_sign(const key& k, hash_alg alg, byte_view message) {
  if (k.type() != key_type::rsa)
    return make_error(errc::invalid_argument, "RSASSA-PSS: expected an RSA key");
  return sign(k, alg, message, RSA_PKCS1_PSS_PADDING);
}

result<bytes> rsa_oaep_encrypt(const key& k, hash_alg alg, byte_view label, byte_view plaintext) {
  const pkey_ctx_ptr context(k ? EVP_PKEY_CTX_new_from_pkey(nullptr, k.handle(), nullptr)
                               : nullptr);
  std::string name = md_name_of(alg);
  bytes label_copy = to_bytes(label);
  int padding = RSA_PKCS1_OAEP_PADDING;
  const std::array<OSSL_PARAM, 5> params{
      OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_PAD_MODE, &padding),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, name.data(), 0),
      OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, name.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label_copy.data(),
                                        label_copy.size()),
      OSSL_PARAM_construct_end()};
  std::size_t size = 0;
  if (!context || k.type() != key_type::rsa ||
      EVP_PKEY_encrypt_init_ex(context.get(), params.data()) != 1 ||
      EVP_PKEY_encrypt(context.get(), nullptr, &size, plaintext.data(), plaintext.size()) != 1)
    return openssl_error(errc::crypto_failure, "RSA-OAEP encryption failed");
  bytes out(size);
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, plaintext.data(), plaintext.size()) != 1)
    return openssl_error(errc::crypto_failure, "RSA-OAEP encryption failed");
  out.resize(size);
  return out;
}

result<secret_bytes> ecdh(const key& own_private, const key& peer_public) {
  if (coordinate_bytes(own_private) == 0 || own_private.type() != peer_public.type())
    return make_error(errc::invalid_argument,
                      "ECDH: expected two keys of the same curve, P-256 or P-384");
  const pkey_ctx_ptr context(EVP_PKEY_CTX_new_from_pkey(nullptr, own_private.handle(), nullptr));
  secret_bytes out(coordinate_bytes(own_private));
  std::size_t size = out.size();
  // The peer is not validated once more: every way to make a `key` judges that the point is on its
  // curve, and on P-256 and P-384 (cofactor 1) every point but infinity, of which the derivation
  // fails, then has the right order (NIST SP 800-56A, 5.6.2.3.4). OpenSSL would multiply by the
  // order, which takes as long as the derivation.
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer_ex(context.get(), peer_public.handle(), 0) != 1 ||
      EVP_PKEY_derive(context.get(), out.writable_secret().data(), &size) != 1 ||
      size != out.size())
    return openssl_error(errc::crypto_failure, "ECDH failed");
  return out;
}

} // namespace custos::crypto
