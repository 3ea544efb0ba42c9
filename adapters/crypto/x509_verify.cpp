#include "adapters/crypto/internal.hpp"
#include "adapters/crypto/x509.hpp"

namespace custos::crypto {

using namespace internal;

namespace {

/// Longest path accepted, certificates between leaf and anchor.
constexpr int chain_depth_max = 6;
/// OpenSSL's level of 80 bits: no RSA below 1024 bits, no MD5, SHA-1 refused (SSL_CTX_set_security_
/// level(3)). Vendors' TPM chains hold nothing weaker.
constexpr int auth_level = 1;

int accept_unknown_critical(int ok, X509_STORE_CTX* context) {
  if (ok == 0 && X509_STORE_CTX_get_error(context) == X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION) {
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
  }
  return ok;
}

error verification_error(X509_STORE_CTX* context) {
  const int code = X509_STORE_CTX_get_error(context);
  std::string message = X509_verify_cert_error_string(code);
  if (X509* const at = X509_STORE_CTX_get_current_cert(context); at != nullptr) {
    const bio_ptr bio(BIO_new(BIO_s_mem()));
    if (bio && X509_NAME_print_ex(bio.get(), X509_get_subject_name(at), 0, XN_FLAG_RFC2253) >= 0)
      message += " (certificate " + text_of(bio.get()) + ")";
  }
  ERR_clear_error();
  return make_error(errc::crypto_failure, "certificate chain: " + message);
}

} // namespace

result<void> verify_chain(const certificate& leaf, const std::vector<certificate>& intermediates,
                          const std::vector<certificate>& anchors, const verify_options& options) {
  if (!leaf)
    return make_error(errc::malformed, "certificate chain: there is no certificate");
  const x509_store_ptr store(X509_STORE_new());
  const x509_store_ctx_ptr context(X509_STORE_CTX_new());
  std::unique_ptr<STACK_OF(X509), deleter<free_stack_of_certificates>> untrusted(
      sk_X509_new_null());
  if (!store || !context || !untrusted)
    return openssl_error(errc::crypto_failure, "certificate chain");
  for (const auto& anchor : anchors)
    if (anchor)
      X509_STORE_add_cert(store.get(), anchor.handle()); // a duplicate is no fault
  for (const auto& c : intermediates)
    if (c && sk_X509_push(untrusted.get(), c.handle()) > 0)
      X509_up_ref(c.handle());
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf.handle(), untrusted.get()) != 1)
    return openssl_error(errc::crypto_failure, "certificate chain");
  X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(context.get());
  unsigned long flags = 0;
  if (options.partial_chain)
    flags |= X509_V_FLAG_PARTIAL_CHAIN;
  if (options.ignore_validity)
    flags |= X509_V_FLAG_NO_CHECK_TIME;
  if (options.ignore_unknown_critical)
    X509_STORE_CTX_set_verify_cb(context.get(), accept_unknown_critical);
  X509_VERIFY_PARAM_set_flags(param, flags);
  X509_VERIFY_PARAM_set_depth(param, chain_depth_max);
  X509_VERIFY_PARAM_set_auth_level(param, auth_level);
  // A set time overrides NO_CHECK_TIME.
  if (!options.ignore_validity)
    X509_VERIFY_PARAM_set_time(param, options.now);
  if (options.use == purpose::tls_client)
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
  if (options.use == purpose::tls_server)
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
  if (X509_verify_cert(context.get()) != 1)
    return verification_error(context.get());
  ERR_clear_error();
  return {};
}

} // namespace custos::crypto
