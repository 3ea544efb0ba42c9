#include "cluster/link/tls.hpp"

#include <array>
#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace custos::cluster::link {

namespace {

constexpr std::string_view node_prefix = "node:";

/// The first entry of OpenSSL's queue, which is emptied.
struct tls_reason {
  unsigned long code = 0;
  std::string text;
};

tls_reason take_reason() {
  tls_reason out;
  out.code = ERR_get_error();
  if (out.code != 0) {
    std::array<char, 160> text{};
    ERR_error_string_n(out.code, text.data(), text.size());
    out.text = text.data();
  }
  ERR_clear_error();
  return out;
}

error bad_identity(std::string_view field, std::string what) {
  if (const auto reason = take_reason(); !reason.text.empty())
    what.append(": ").append(reason.text);
  return field_error(errc::invalid_argument, std::string(field), std::move(what));
}

/// Alerts with which a peer says that it does not believe our certificate (RFC 8446, 6.2).
bool is_about_our_certificate(unsigned long code) {
  if (ERR_GET_LIB(code) != ERR_LIB_SSL)
    return false;
  switch (ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET) {
  case SSL_AD_HANDSHAKE_FAILURE:
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

std::string node_name_of(const X509* certificate) {
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
    return {};
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0)
    return {};
  const std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  // Compared with the octets of names of members: an odd name, with NUL or such, equals none.
  return text.starts_with(node_prefix) ? text.substr(node_prefix.size()) : std::string();
}

result<std::shared_ptr<const tls_identity>> tls_identity::make(const link_identity& identity,
                                                               clock_source now) {
  if (!identity.certificate || !identity.key || identity.authorities.empty())
    return field_error(errc::invalid_argument, "identity",
                       "expected a certificate, its key and the CA of the cluster");
  if (node_name_of(identity.certificate.handle()) != identity.node || identity.node.empty())
    return field_error(errc::invalid_argument, "certificate",
                       "expected the certificate of node " + identity.node);
  std::shared_ptr<tls_identity> out(new tls_identity); // the constructor is private
  out->now_ = std::move(now);
  CUSTOS_CHECK(out->set_up(identity));
  return std::shared_ptr<const tls_identity>(std::move(out));
}

result<void> tls_identity::set_up(const link_identity& identity) {
  ERR_clear_error();
  context_.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const c = context_.get();
  if (c == nullptr || SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) != 1)
    return bad_identity("identity", "setting up TLS failed");
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                          SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(c, static_cast<long>(peer_chain_bytes_max));
  // Without tickets there is nothing to resume, and without that no early data (RFC 8446, 2.3).
  if (SSL_CTX_set_num_tickets(c, 0) != 1 || SSL_CTX_set_max_early_data(c, 0) != 1)
    return bad_identity("identity", "setting up TLS failed");
  if (SSL_CTX_use_certificate(c, identity.certificate.handle()) != 1)
    return bad_identity("certificate", "the certificate cannot be used");
  if (SSL_CTX_use_PrivateKey(c, identity.key.handle()) != 1 || SSL_CTX_check_private_key(c) != 1)
    return bad_identity("key", "expected the private key of the certificate");
  for (const auto& authority : identity.authorities)
    if (!authority || X509_STORE_add_cert(SSL_CTX_get_cert_store(c), authority.handle()) != 1)
      return bad_identity("authorities", "a CA certificate cannot be used");
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  // The CA issues to nodes itself: nothing stands between.
  SSL_CTX_set_verify_depth(c, 0);
  SSL_CTX_set_cert_verify_callback(c, &tls_identity::judge, this);
  return {};
}

/// OpenSSL has set purpose (client or server) and anchors; the time is ours, and the name.
int tls_identity::judge(X509_STORE_CTX* presented, void* self) {
  X509_STORE_CTX_set_time(presented, 0,
                          static_cast<time_t>(static_cast<tls_identity*>(self)->now_()));
  if (X509_verify_cert(presented) != 1)
    return 0;
  if (!node_name_of(X509_STORE_CTX_get0_cert(presented)).empty())
    return 1;
  X509_STORE_CTX_set_error(presented, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

ssl_ptr tls_identity::begin(int socket, bool accepting) const {
  ssl_ptr out(SSL_new(context_.get()));
  if (!out || SSL_set_fd(out.get(), socket) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  if (accepting)
    SSL_set_accept_state(out.get());
  else
    SSL_set_connect_state(out.get());
  return out;
}

result<peer_certificate> peer_certificate_of(SSL* ssl) {
  X509* const presented = SSL_get0_peer_certificate(ssl);
  const int size = presented == nullptr ? 0 : i2d_X509(presented, nullptr);
  if (size <= 0)
    return make_error(errc::unauthenticated, "the peer presented no certificate");
  bytes der(static_cast<std::size_t>(size));
  unsigned char* p = der.data();
  i2d_X509(presented, &p);
  CUSTOS_TRY(const auto certificate, crypto::certificate_from_der(der));
  return peer_certificate{node_name_of(presented), certificate.fingerprint(),
                          certificate.not_after()};
}

error handshake_error(SSL* ssl, const std::string& peer) {
  const long judged = SSL_get_verify_result(ssl);
  const auto reason = take_reason();
  error e = make_error(errc::unauthenticated, "TLS handshake with " + peer + " failed");
  if (judged == X509_V_ERR_APPLICATION_VERIFICATION) {
    e.check = untrusted_check;
    e.message = "the certificate of " + peer + " is not that of a node";
  } else if (judged != X509_V_OK) {
    e.check = untrusted_check;
    e.message =
        "the certificate of " + peer + " is not trusted: " + X509_verify_cert_error_string(judged);
  } else if (is_about_our_certificate(reason.code)) {
    e.check = not_trusted_check;
    e.message = peer + " does not accept our certificate: " + reason.text;
  } else {
    e.code = errc::io_failure;
    e.check = handshake_check;
    e.message += reason.text.empty() ? ": the connection was lost" : ": " + reason.text;
  }
  return e;
}

error stream_error(const std::string& peer) {
  const auto reason = take_reason();
  if (is_about_our_certificate(reason.code)) {
    // TLS 1.3: the client is done before the server has seen its certificate (RFC 8446, 2).
    error e = make_error(errc::unauthenticated,
                         peer + " does not accept our certificate: " + reason.text);
    e.check = not_trusted_check;
    return e;
  }
  return make_error(errc::io_failure, "the link to " + peer + " was lost" +
                                          (reason.text.empty() ? "" : ": " + reason.text));
}

} // namespace custos::cluster::link
