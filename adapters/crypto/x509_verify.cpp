#include "adapters/crypto/internal.hpp"
#include "adapters/crypto/x509_path.hpp"

#include <algorithm>

namespace custos::crypto {

using namespace internal;

namespace {

/// Longest path accepted, certificates between leaf and anchor.
constexpr int chain_depth_max = 6;
/// OpenSSL's level of 80 bits: no RSA below 1024 bits, no MD5, SHA-1 refused (SSL_CTX_set_security_
/// level(3)). Vendors' TPM chains hold nothing weaker.
constexpr int auth_level = 1;
constexpr int key_security_bits_least = 80;
/// What OpenSSL 3 holds SHA-1 to be good for; MD5 has 39.
constexpr int sha1_security_bits = 63;

/// Accepts that certificates have expired where the options say so, and nothing else.
int accept_expired(int ok, X509_STORE_CTX* context) {
  if (ok != 0 || X509_STORE_CTX_get_error(context) != X509_V_ERR_CERT_HAS_EXPIRED)
    return ok;
  const auto* const options =
      static_cast<const verify_options*>(X509_STORE_CTX_get_ex_data(context, 0));
  const bool leaf = X509_STORE_CTX_get_error_depth(context) == 0;
  if (options->expired != may_expire::any && !(options->expired == may_expire::leaf && leaf))
    return 0;
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
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

void configure(X509_STORE_CTX* context, const verify_options& options) {
  X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(context);
  unsigned long flags = 0;
  if (options.partial_chain)
    flags |= X509_V_FLAG_PARTIAL_CHAIN;
  if (options.ignore_validity)
    flags |= X509_V_FLAG_NO_CHECK_TIME;
  if (options.expired != may_expire::none) {
    X509_STORE_CTX_set_ex_data(context, 0, const_cast<verify_options*>(&options)); // NOLINT
    X509_STORE_CTX_set_verify_cb(context, accept_expired);
  }
  X509_VERIFY_PARAM_set_flags(param, flags);
  X509_VERIFY_PARAM_set_depth(param, chain_depth_max);
  X509_VERIFY_PARAM_set_auth_level(param, options.allow_sha1 ? 0 : auth_level);
  // A set time overrides NO_CHECK_TIME.
  if (!options.ignore_validity)
    X509_VERIFY_PARAM_set_time(param, options.now);
  if (options.use == purpose::tls_client)
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
  if (options.use == purpose::tls_server)
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
}

error path_error(const certificate& at, const char* what) {
  return make_error(errc::crypto_failure, std::string("certificate chain: ") + what +
                                              " (certificate " + at.subject() + ")");
}

/// What OpenSSL leaves open: CAs by key usage alone, and everything about strength where its level
/// was taken down to let SHA-1 pass. Nobody looks at the anchor's signature.
result<void> check_path(const std::vector<certificate>& path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    X509* const x = path[i].handle();
    if (i > 0 && !path[i].is_ca())
      return path_error(path[i], "an issuer is no CA by its basic constraints");
    EVP_PKEY* const key = X509_get0_pubkey(x);
    if (key == nullptr || EVP_PKEY_get_security_bits(key) < key_security_bits_least)
      return path_error(path[i], "the key is too weak or of no known kind");
    int bits = 0;
    if (i + 1 < path.size() && (X509_get_signature_info(x, nullptr, nullptr, &bits, nullptr) != 1 ||
                                bits < sha1_security_bits))
      return path_error(path[i], "the signature uses a hash that is too weak");
  }
  ERR_clear_error();
  return {};
}

} // namespace

anchor_set::anchor_set(std::vector<certificate> anchors) {
  anchors.erase(
      std::remove_if(anchors.begin(), anchors.end(), [](const certificate& c) { return !c; }),
      anchors.end());
  store_ = std::shared_ptr<X509_STORE>(X509_STORE_new(), X509_STORE_free);
  for (const auto& anchor : anchors)
    if (store_)
      X509_STORE_add_cert(store_.get(), anchor.handle()); // a duplicate is no fault
  ERR_clear_error();
  anchors_ = std::make_shared<const std::vector<certificate>>(std::move(anchors));
}

result<std::vector<certificate>> anchor_set::path(const certificate& leaf,
                                                  const std::vector<certificate>& intermediates,
                                                  const verify_options& options) const {
  if (!leaf)
    return make_error(errc::malformed, "certificate chain: there is no certificate");
  const x509_store_ctx_ptr context(X509_STORE_CTX_new());
  std::unique_ptr<STACK_OF(X509), deleter<free_stack_of_certificates>> untrusted(
      sk_X509_new_null());
  if (!context || !untrusted)
    return openssl_error(errc::crypto_failure, "certificate chain");
  for (const auto& c : intermediates)
    if (c && sk_X509_push(untrusted.get(), c.handle()) > 0)
      X509_up_ref(c.handle());
  if (X509_STORE_CTX_init(context.get(), store_.get(), leaf.handle(), untrusted.get()) != 1)
    return openssl_error(errc::crypto_failure, "certificate chain");
  configure(context.get(), options);
  if (X509_verify_cert(context.get()) != 1)
    return verification_error(context.get());
  ERR_clear_error();
  std::vector<certificate> out;
  const STACK_OF(X509)* const chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    const X509* const at = sk_X509_value(chain, i);
    const auto is_it = [at](const certificate& c) { return c.handle() == at; };
    if (is_it(leaf)) {
      out.push_back(leaf);
      continue;
    }
    auto found = std::find_if(intermediates.begin(), intermediates.end(), is_it);
    if (found == intermediates.end()) {
      found = std::find_if(anchors_->begin(), anchors_->end(), is_it);
      if (found == anchors_->end())
        return make_error(errc::internal, "certificate chain: a certificate of nobody");
    }
    out.push_back(*found);
  }
  CUSTOS_CHECK(check_path(out));
  return out;
}

result<void> verify_chain(const certificate& leaf, const std::vector<certificate>& intermediates,
                          const std::vector<certificate>& anchors, const verify_options& options) {
  CUSTOS_TRY(const auto path, anchor_set(anchors).path(leaf, intermediates, options));
  static_cast<void>(path);
  return {};
}

} // namespace custos::crypto
