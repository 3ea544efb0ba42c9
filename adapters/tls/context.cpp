#include "adapters/tls/context.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace custos::tls::internal {

namespace {

constexpr const char* ciphers_tls12 = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
/// KMIP profiles 1.x make TLS_RSA_WITH_AES_{128,256}_CBC_SHA256 mandatory (RFC 5246, A.5): that is
/// all that old key servers have.
constexpr const char* ciphers_tls12_legacy =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:"
    "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:"
    "AES256-GCM-SHA384:AES128-GCM-SHA256:AES256-SHA256:AES128-SHA256:AES256-SHA:AES128-SHA";

result<crypto::certificate> certificate_of(X509* handle) {
  const int size = i2d_X509(handle, nullptr);
  if (size <= 0)
    return make_error(errc::malformed, "a presented certificate cannot be encoded");
  bytes der(static_cast<std::size_t>(size));
  unsigned char* p = der.data();
  i2d_X509(handle, &p);
  return crypto::certificate_from_der(der);
}

result<void> use_identity(SSL_CTX* context, const http::tls_identity& identity) {
  CUSTOS_TRY(const auto chain,
             crypto::certificates_from_pem(as_bytes(identity.certificate_chain_pem)));
  if (chain.empty() || SSL_CTX_use_certificate(context, chain.front().handle()) != 1)
    return take_tls_error(errc::invalid_argument, "the TLS client certificate cannot be used");
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, chain[i].handle()) != 1)
      return take_tls_error(errc::invalid_argument,
                            "the TLS client certificate's chain cannot be used");
  if (!identity.private_key ||
      SSL_CTX_use_PrivateKey(context, identity.private_key.handle()) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return take_tls_error(errc::invalid_argument,
                          "the TLS client key does not belong to the certificate");
  return {};
}

/// Alerts with which a server says that it does not like who we are (RFC 8446, 6.2).
bool is_about_our_certificate(int reason) {
  switch (reason - SSL_AD_REASON_OFFSET) {
  case SSL_AD_BAD_CERTIFICATE:
  case SSL_AD_UNSUPPORTED_CERTIFICATE:
  case SSL_AD_CERTIFICATE_REVOKED:
  case SSL_AD_CERTIFICATE_EXPIRED:
  case SSL_AD_CERTIFICATE_UNKNOWN:
  case SSL_AD_UNKNOWN_CA:
  case SSL_AD_ACCESS_DENIED:
  case SSL_AD_CERTIFICATE_REQUIRED:
    return true;
  default:
    return false;
  }
}

} // namespace

error take_tls_error(errc code, std::string doing) {
  error e = make_error(code, std::move(doing));
  const unsigned long first = ERR_get_error();
  if (first != 0) {
    std::array<char, 160> text{};
    ERR_error_string_n(first, text.data(), text.size());
    e.message.append(": ").append(text.data());
    if (ERR_GET_LIB(first) == ERR_LIB_SSL && is_about_our_certificate(ERR_GET_REASON(first)))
      e.check = client_not_trusted_check;
  }
  ERR_clear_error();
  return e;
}

result<server_judge> server_judge::create(const stream_options& options) {
  server_judge judge;
  judge.pinned_ = options.pinned;
  for (const auto& pem : options.trusted_pem) {
    CUSTOS_TRY(auto certificates, crypto::certificates_from_pem(as_bytes(pem)));
    for (auto& certificate : certificates) {
      judge.pinned_.push_back(certificate.fingerprint());
      judge.anchors_.push_back(std::move(certificate));
    }
  }
  return judge;
}

void server_judge::attach(SSL_CTX* context) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const auto& anchor : anchors_)
    X509_STORE_add_cert(store, anchor.handle());
  // An intermediate the administrator named is an anchor like any other.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, &server_judge::judge, this);
}

int server_judge::judge(X509_STORE_CTX* presented, void* self) {
  return static_cast<server_judge*>(self)->accepts(presented) ? 1 : 0;
}

bool server_judge::accepts(X509_STORE_CTX* presented) {
  X509* const leaf_handle = X509_STORE_CTX_get0_cert(presented);
  auto leaf = certificate_of(leaf_handle);
  if (!leaf) {
    refusal_ = leaf.failure().message;
    X509_STORE_CTX_set_error(presented, X509_V_ERR_UNSPECIFIED);
    return false;
  }
  chain_pem_ = leaf->pem();
  STACK_OF(X509)* const sent = X509_STORE_CTX_get0_untrusted(presented);
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* const other = sk_X509_value(sent, i);
    if (other == leaf_handle)
      continue;
    const auto certificate = certificate_of(other);
    if (!certificate || chain_pem_.size() > peer_chain_pem_bytes_max)
      break;
    chain_pem_ += certificate->pem();
  }
  if (std::find(pinned_.begin(), pinned_.end(), leaf->fingerprint()) != pinned_.end()) {
    X509_STORE_CTX_set_error(presented, X509_V_OK);
    return true;
  }
  if (anchors_.empty()) {
    refusal_ = "no certificate is trusted for this server yet";
    X509_STORE_CTX_set_error(presented, X509_V_ERR_CERT_UNTRUSTED);
    return false;
  }
  if (X509_verify_cert(presented) == 1)
    return true;
  refusal_ = X509_verify_cert_error_string(X509_STORE_CTX_get_error(presented));
  return false;
}

result<ssl_ctx_ptr> make_client_context(const stream_options& options) {
  ssl_ctx_ptr context(SSL_CTX_new(TLS_client_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(),
                              options.legacy_ciphers ? ciphers_tls12_legacy : ciphers_tls12) != 1)
    return take_tls_error(errc::internal, "setting up TLS failed");
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  // Keys come this way: OpenSSL wipes its copy of the plaintext once it is read.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  if (options.identity)
    CUSTOS_CHECK(use_identity(context.get(), *options.identity));
  return context;
}

bool set_peer_name(SSL* ssl, const std::string& host) {
  boost::system::error_code no_address;
  boost::asio::ip::make_address(host, no_address);
  if (!no_address)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 && SSL_set1_host(ssl, host.c_str()) == 1;
}

} // namespace custos::tls::internal
