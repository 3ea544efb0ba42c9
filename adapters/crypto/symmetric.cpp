#include "adapters/crypto/internal.hpp"

#include <limits>
#include <openssl/kdf.h>

namespace custos::crypto {

using namespace internal;

namespace {

constexpr std::size_t gcm_nonce_bytes = 12;
constexpr std::size_t gcm_tag_bytes = 16;
constexpr std::size_t aes_block_bytes = 16;

bool fits_int(byte_view v) {
  return v.size() < static_cast<std::size_t>(std::numeric_limits<int>::max()) - 64;
}
int as_int(byte_view v) {
  return static_cast<int>(v.size());
}

/// A fetched cipher is kept for the life of the process.
const EVP_CIPHER* cipher_of(const char* name) {
  return EVP_CIPHER_fetch(nullptr, name, nullptr);
}

const EVP_CIPHER* by_key_size(byte_view key, const EVP_CIPHER* c128, const EVP_CIPHER* c192,
                              const EVP_CIPHER* c256) {
  return key.size() == 16 ? c128 : key.size() == 24 ? c192 : key.size() == 32 ? c256 : nullptr;
}

const EVP_CIPHER* gcm() {
  static const EVP_CIPHER* const c = cipher_of("AES-256-GCM");
  return c;
}

error key_size_error() {
  return make_error(errc::invalid_argument, "AES key of unexpected size");
}

struct wrap_form {
  const EVP_CIPHER* cipher;
  std::size_t overhead_bytes;
  bool any_size; ///< RFC 5649 pads, RFC 3394 takes multiples of 8
};

wrap_form kwp(byte_view key) {
  static const EVP_CIPHER* const a = cipher_of("AES-128-WRAP-PAD");
  static const EVP_CIPHER* const b = cipher_of("AES-192-WRAP-PAD");
  static const EVP_CIPHER* const c = cipher_of("AES-256-WRAP-PAD");
  return {by_key_size(key, a, b, c), 16, true};
}

wrap_form kw(byte_view key) {
  static const EVP_CIPHER* const a = cipher_of("AES-128-WRAP");
  static const EVP_CIPHER* const b = cipher_of("AES-192-WRAP");
  static const EVP_CIPHER* const c = cipher_of("AES-256-WRAP");
  return {by_key_size(key, a, b, c), 8, false};
}

result<bytes> wrap(const wrap_form& form, byte_view key, byte_view plaintext) {
  if (form.cipher == nullptr)
    return key_size_error();
  if (plaintext.empty() || !fits_int(plaintext) ||
      (!form.any_size && (plaintext.size() % 8 != 0 || plaintext.size() < 16)))
    return make_error(errc::invalid_argument,
                      "key to wrap has a size that the wrap algorithm does not take");
  const cipher_ctx_ptr context(EVP_CIPHER_CTX_new());
  bytes out(plaintext.size() + form.overhead_bytes + 8);
  int size = 0;
  int rest = 0;
  if (!context ||
      EVP_EncryptInit_ex2(context.get(), form.cipher, key.data(), nullptr, nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, plaintext.data(), as_int(plaintext)) !=
          1 ||
      EVP_EncryptFinal_ex(context.get(), out.data() + size, &rest) != 1)
    return openssl_error(errc::crypto_failure, "AES key wrap failed");
  out.resize(static_cast<std::size_t>(size + rest));
  return out;
}

result<secret_bytes> unwrap(const wrap_form& form, byte_view key, byte_view wrapped) {
  if (form.cipher == nullptr)
    return key_size_error();
  if (wrapped.size() < 16 || wrapped.size() % 8 != 0 || !fits_int(wrapped))
    return make_error(errc::malformed, "wrapped key: expected at least 16 bytes, a multiple of 8");
  const cipher_ctx_ptr context(EVP_CIPHER_CTX_new());
  secret_bytes out(wrapped.size() + aes_block_bytes);
  int size = 0;
  int rest = 0;
  auto* const data = out.writable_secret().data();
  if (!context ||
      EVP_DecryptInit_ex2(context.get(), form.cipher, key.data(), nullptr, nullptr) != 1 ||
      EVP_DecryptUpdate(context.get(), data, &size, wrapped.data(), as_int(wrapped)) != 1 ||
      EVP_DecryptFinal_ex(context.get(), data + size, &rest) != 1)
    return openssl_error(errc::crypto_failure, "wrapped key does not open under this key");
  out.shrink(static_cast<std::size_t>(size + rest));
  return out;
}

} // namespace

result<gcm_sealed> aes256_gcm_seal(byte_view key32, byte_view nonce12, byte_view aad,
                                   byte_view plaintext) {
  if (key32.size() != 32 || nonce12.size() != gcm_nonce_bytes)
    return key_size_error();
  if (!fits_int(plaintext) || !fits_int(aad))
    return make_error(errc::too_large, "data to encrypt is too large");
  const cipher_ctx_ptr context(EVP_CIPHER_CTX_new());
  gcm_sealed out{bytes(plaintext.size()), {}};
  int size = 0;
  bool ok = context &&
            EVP_EncryptInit_ex2(context.get(), gcm(), key32.data(), nonce12.data(), nullptr) == 1;
  ok = ok && (aad.empty() ||
              EVP_EncryptUpdate(context.get(), nullptr, &size, aad.data(), as_int(aad)) == 1);
  ok = ok && (plaintext.empty() || EVP_EncryptUpdate(context.get(), out.ciphertext.data(), &size,
                                                     plaintext.data(), as_int(plaintext)) == 1);
  std::array<std::uint8_t, aes_block_bytes> none{};
  ok = ok && EVP_EncryptFinal_ex(context.get(), none.data(), &size) == 1;
  ok = ok && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, gcm_tag_bytes,
                                 out.tag.data()) == 1;
  if (!ok)
    return openssl_error(errc::crypto_failure, "AES-256-GCM encryption failed");
  return out;
}

result<secret_bytes> aes256_gcm_open(byte_view key32, byte_view nonce12, byte_view aad,
                                     byte_view ciphertext, byte_view tag16) {
  if (key32.size() != 32)
    return key_size_error();
  if (nonce12.size() != gcm_nonce_bytes || tag16.size() != gcm_tag_bytes || !fits_int(ciphertext) ||
      !fits_int(aad))
    return make_error(errc::malformed, "AES-256-GCM: expected a nonce of 12 and a tag of 16 bytes");
  const cipher_ctx_ptr context(EVP_CIPHER_CTX_new());
  secret_bytes out(ciphertext.size());
  std::array<std::uint8_t, gcm_tag_bytes> tag{};
  std::copy(tag16.begin(), tag16.end(), tag.begin());
  int size = 0;
  bool ok = context &&
            EVP_DecryptInit_ex2(context.get(), gcm(), key32.data(), nonce12.data(), nullptr) == 1;
  ok = ok && (aad.empty() ||
              EVP_DecryptUpdate(context.get(), nullptr, &size, aad.data(), as_int(aad)) == 1);
  ok = ok &&
       (ciphertext.empty() || EVP_DecryptUpdate(context.get(), out.writable_secret().data(), &size,
                                                ciphertext.data(), as_int(ciphertext)) == 1);
  ok = ok &&
       EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, gcm_tag_bytes, tag.data()) == 1;
  std::array<std::uint8_t, aes_block_bytes> none{};
  ok = ok && EVP_DecryptFinal_ex(context.get(), none.data(), &size) == 1;
  if (!ok)
    return openssl_error(errc::crypto_failure,
                         "AES-256-GCM: the data does not open under this key and context");
  return out;
}

result<bytes> aes_kwp_wrap(byte_view key, byte_view plaintext) {
  return wrap(kwp(key), key, plaintext);
}
result<secret_bytes> aes_kwp_unwrap(byte_view key, byte_view wrapped) {
  return unwrap(kwp(key), key, wrapped);
}
result<bytes> aes_kw_wrap(byte_view key, byte_view plaintext) {
  return wrap(kw(key), key, plaintext);
}
result<secret_bytes> aes_kw_unwrap(byte_view key, byte_view wrapped) {
  return unwrap(kw(key), key, wrapped);
}

result<bytes> aes_cfb_encrypt(byte_view key, byte_view iv16, byte_view plaintext) {
  static const EVP_CIPHER* const a = cipher_of("AES-128-CFB");
  static const EVP_CIPHER* const b = cipher_of("AES-192-CFB");
  static const EVP_CIPHER* const c = cipher_of("AES-256-CFB");
  const auto* const cipher = by_key_size(key, a, b, c);
  if (cipher == nullptr || iv16.size() != aes_block_bytes || !fits_int(plaintext))
    return key_size_error();
  const cipher_ctx_ptr context(EVP_CIPHER_CTX_new());
  bytes out(plaintext.size());
  int size = 0;
  if (!context ||
      EVP_EncryptInit_ex2(context.get(), cipher, key.data(), iv16.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, plaintext.data(), as_int(plaintext)) !=
          1 ||
      static_cast<std::size_t>(size) != out.size())
    return openssl_error(errc::crypto_failure, "AES-CFB encryption failed");
  return out;
}

namespace {

const EVP_CIPHER* cbc(byte_view key) {
  static const EVP_CIPHER* const a = cipher_of("AES-128-CBC");
  static const EVP_CIPHER* const b = cipher_of("AES-192-CBC");
  static const EVP_CIPHER* const c = cipher_of("AES-256-CBC");
  return by_key_size(key, a, b, c);
}

} // namespace

result<bytes> aes_cbc_encrypt(byte_view key, byte_view iv16, byte_view plaintext) {
  if (cbc(key) == nullptr || iv16.size() != aes_block_bytes || !fits_int(plaintext))
    return key_size_error();
  const cipher_ctx_ptr context(EVP_CIPHER_CTX_new());
  bytes out(plaintext.size() + aes_block_bytes);
  int size = 0;
  int rest = 0;
  if (!context ||
      EVP_EncryptInit_ex2(context.get(), cbc(key), key.data(), iv16.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, plaintext.data(), as_int(plaintext)) !=
          1 ||
      EVP_EncryptFinal_ex(context.get(), out.data() + size, &rest) != 1)
    return openssl_error(errc::crypto_failure, "AES-CBC encryption failed");
  out.resize(static_cast<std::size_t>(size + rest));
  return out;
}

result<secret_bytes> aes_cbc_decrypt(byte_view key, byte_view iv16, byte_view ciphertext) {
  if (cbc(key) == nullptr || iv16.size() != aes_block_bytes || !fits_int(ciphertext))
    return key_size_error();
  const cipher_ctx_ptr context(EVP_CIPHER_CTX_new());
  secret_bytes out(ciphertext.size() + aes_block_bytes);
  auto* const data = out.writable_secret().data();
  int size = 0;
  int rest = 0;
  if (!context ||
      EVP_DecryptInit_ex2(context.get(), cbc(key), key.data(), iv16.data(), nullptr) != 1 ||
      EVP_DecryptUpdate(context.get(), data, &size, ciphertext.data(), as_int(ciphertext)) != 1 ||
      EVP_DecryptFinal_ex(context.get(), data + size, &rest) != 1)
    return openssl_error(errc::crypto_failure, "AES-CBC: the data does not open under this key");
  out.shrink(static_cast<std::size_t>(size + rest));
  return out;
}

result<secret_bytes> scrypt(byte_view passphrase, byte_view salt, std::uint64_t n, std::uint32_t r,
                            std::uint32_t p, std::size_t out_bytes) {
  secret_bytes out(out_bytes);
  constexpr std::uint64_t memory_bytes_max = 256ULL << 20U;
  if (EVP_PBE_scrypt(reinterpret_cast<const char*>(passphrase.data()), passphrase.size(),
                     salt.data(), salt.size(), n, r, p, memory_bytes_max,
                     out.writable_secret().data(), out.size()) != 1)
    return openssl_error(errc::crypto_failure, "scrypt failed");
  return out;
}

} // namespace custos::crypto
