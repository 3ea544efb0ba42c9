#include "adapters/crypto/internal.hpp"

#include <openssl/kdf.h>
#include <vector>

namespace custos::crypto {

using namespace internal;

namespace {

using kdf_ctx_ptr = std::unique_ptr<EVP_KDF_CTX, deleter<EVP_KDF_CTX_free>>;

/// Fetched once, kept for the life of the process.
EVP_KDF* hkdf() {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  return kdf;
}

OSSL_PARAM octets(const char* name, byte_view value) {
  // OpenSSL only reads what it is given here, but takes no pointer to const.
  return OSSL_PARAM_construct_octet_string(
      name,
      const_cast<std::uint8_t*>(value.data()), // NOLINT(cppcoreguidelines-pro-type-const-cast)
      value.size());
}

} // namespace

result<secret_bytes> hkdf_sha256(byte_view secret, byte_view salt, byte_view info,
                                 std::size_t out_bytes) {
  const kdf_ctx_ptr context(EVP_KDF_CTX_new(hkdf()));
  std::string hash = "SHA256";
  std::vector<OSSL_PARAM> params{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash.data(), hash.size()),
      octets(OSSL_KDF_PARAM_KEY, secret)};
  // What is empty has no place in memory, which OpenSSL takes for a mistake.
  if (!salt.empty())
    params.push_back(octets(OSSL_KDF_PARAM_SALT, salt));
  if (!info.empty())
    params.push_back(octets(OSSL_KDF_PARAM_INFO, info));
  params.push_back(OSSL_PARAM_construct_end());
  secret_bytes out(out_bytes);
  if (!context ||
      EVP_KDF_derive(context.get(), out.writable_secret().data(), out.size(), params.data()) != 1)
    return openssl_error(errc::crypto_failure, "HKDF failed");
  return out;
}

} // namespace custos::crypto
