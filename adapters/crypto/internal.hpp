#pragma once
// For the .cpp files of this room only: OpenSSL headers, deleters, errors from its queue.

#include "adapters/crypto/crypto.hpp"

#include <memory>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <optional>

namespace custos::crypto::internal {

template <auto Free>
struct deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};

inline void free_stack_of_certificates(STACK_OF(X509) * s) {
  sk_X509_pop_free(s, X509_free);
}

using bio_ptr = std::unique_ptr<BIO, deleter<BIO_free_all>>;
using bn_ptr = std::unique_ptr<BIGNUM, deleter<BN_clear_free>>;
using pkey_ptr = std::unique_ptr<EVP_PKEY, deleter<EVP_PKEY_free>>;
using pkey_ctx_ptr = std::unique_ptr<EVP_PKEY_CTX, deleter<EVP_PKEY_CTX_free>>;
using md_ctx_ptr = std::unique_ptr<EVP_MD_CTX, deleter<EVP_MD_CTX_free>>;
using cipher_ctx_ptr = std::unique_ptr<EVP_CIPHER_CTX, deleter<EVP_CIPHER_CTX_free>>;
using param_bld_ptr = std::unique_ptr<OSSL_PARAM_BLD, deleter<OSSL_PARAM_BLD_free>>;
using params_ptr = std::unique_ptr<OSSL_PARAM, deleter<OSSL_PARAM_free>>;
using x509_ptr = std::unique_ptr<X509, deleter<X509_free>>;
using x509_req_ptr = std::unique_ptr<X509_REQ, deleter<X509_REQ_free>>;
using x509_store_ptr = std::unique_ptr<X509_STORE, deleter<X509_STORE_free>>;
using x509_store_ctx_ptr = std::unique_ptr<X509_STORE_CTX, deleter<X509_STORE_CTX_free>>;
using x509_ext_ptr = std::unique_ptr<X509_EXTENSION, deleter<X509_EXTENSION_free>>;
using asn1_object_ptr = std::unique_ptr<ASN1_OBJECT, deleter<ASN1_OBJECT_free>>;
using asn1_octets_ptr = std::unique_ptr<ASN1_OCTET_STRING, deleter<ASN1_OCTET_STRING_free>>;
using ecdsa_sig_ptr = std::unique_ptr<ECDSA_SIG, deleter<ECDSA_SIG_free>>;

/// An error with the first entry of OpenSSL's queue, which is emptied.
error openssl_error(errc code, std::string_view doing);

/// The digest, fetched once for the process.
const EVP_MD* md_of(hash_alg alg);
const char* md_name_of(hash_alg alg);

inline key own(EVP_PKEY* handle) {
  return key(std::shared_ptr<EVP_PKEY>(handle, EVP_PKEY_free));
}

/// A read-only BIO over a view that must outlive it. Empty if the view is too large.
bio_ptr bio_over(byte_view data);
std::string text_of(BIO* bio);
/// What the next PEM block of this name holds, exactly: re-encoding would break signatures over
/// what was not DER. Empty: there is none, or it does not read; OpenSSL's queue says which.
std::optional<bytes> next_pem_block(BIO* bio, const char* name);

/// The first common name in UTF-8, empty if there is none.
std::string common_name_of(const X509_NAME* name);

/// The DER encoding of whatever OpenSSL's i2d function encodes.
template <class T>
bytes der_of(int (*encode)(T, unsigned char**), T object) {
  const int size = encode(object, nullptr);
  if (size <= 0)
    return {};
  bytes out(static_cast<std::size_t>(size));
  unsigned char* p = out.data();
  encode(object, &p);
  return out;
}

} // namespace custos::crypto::internal
