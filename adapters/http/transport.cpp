#include "adapters/http/transport.hpp"

#include <cerrno>
#include <limits>
#include <sys/socket.h>

namespace custos::http::internal {

namespace {

error tls_error(std::string_view doing) {
  std::string message(doing);
  if (const auto first = ERR_get_error(); first != 0) {
    std::array<char, 160> text{};
    ERR_error_string_n(first, text.data(), text.size());
    message.append(": ").append(text.data());
  }
  ERR_clear_error();
  return make_error(errc::crypto_failure, std::move(message));
}

result<ssl_ctx_ptr> make_context(const SSL_METHOD* method) {
  ssl_ctx_ptr context(SSL_CTX_new(method), SSL_CTX_free);
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1)
    return tls_error("setting up TLS failed");
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // A record in one read of the socket instead of one for its head and one for the rest. Nothing
  // waits for the socket before it has asked OpenSSL (transport::operation).
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

result<void> use_identity(SSL_CTX* context, const tls_identity& identity) {
  CUSTOS_TRY(const auto chain,
             crypto::certificates_from_pem(as_bytes(identity.certificate_chain_pem)));
  if (SSL_CTX_use_certificate(context, chain.front().handle()) != 1)
    return tls_error("TLS certificate");
  for (std::size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, chain[i].handle()) != 1)
      return tls_error("TLS certificate chain");
  if (!identity.private_key ||
      SSL_CTX_use_PrivateKey(context, identity.private_key.handle()) != 1 ||
      SSL_CTX_check_private_key(context) != 1)
    return tls_error("TLS private key does not belong to the certificate");
  return {};
}

/// Possession of the key is proven by CertificateVerify (RFC 8446, 4.4.3); who it is, and whether
/// the certificate is any good, is for the handler to judge.
int accept_any(int, X509_STORE_CTX*) {
  return 1;
}

} // namespace

result<ssl_ctx_ptr> make_server_context(const tls_identity& identity, bool ask_client_certificate) {
  CUSTOS_TRY(auto context, make_context(TLS_server_method()));
  CUSTOS_CHECK(use_identity(context.get(), identity));
  // No tickets: a resumed session would carry a client certificate we have not seen in this one.
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_verify(context.get(), ask_client_certificate ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     accept_any);
  return context;
}

result<ssl_ctx_ptr> make_client_context(const client_options& options) {
  CUSTOS_TRY(auto context, make_context(TLS_client_method()));
  if (options.identity)
    CUSTOS_CHECK(use_identity(context.get(), *options.identity));
  if (!options.trusted_pem.empty()) {
    CUSTOS_TRY(const auto anchors, crypto::certificates_from_pem(as_bytes(options.trusted_pem)));
    for (const auto& anchor : anchors)
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), anchor.handle());
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context.get()), X509_V_FLAG_PARTIAL_CHAIN);
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, options.pinned.empty() ? nullptr : accept_any);
  return context;
}

crypto::certificate peer_certificate_of(SSL* ssl) {
  X509* const presented = ssl == nullptr ? nullptr : SSL_get0_peer_certificate(ssl);
  if (presented == nullptr)
    return {};
  const int size = i2d_X509(presented, nullptr);
  bytes der(size > 0 ? static_cast<std::size_t>(size) : 0);
  unsigned char* p = der.data();
  i2d_X509(presented, &p);
  auto parsed = crypto::certificate_from_der(der);
  return parsed ? *std::move(parsed) : crypto::certificate();
}

bool transport::start_tls(SSL_CTX* context, bool server) {
  error_code failed;
  socket_.non_blocking(true, failed);
  socket_.native_non_blocking(true, failed);
  ssl_.reset(SSL_new(context));
  if (failed || !ssl_ || SSL_set_fd(ssl_.get(), socket_.native_handle()) != 1)
    return false;
  if (server)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
  return true;
}

transport::attempt transport::try_once(kind k, void* data, std::size_t size) {
  attempt a;
  if (size == 0 && k != kind::handshake)
    return a;
  if (!ssl_) {
    const auto n = k == kind::read
                       ? ::recv(socket_.native_handle(), data, size, MSG_DONTWAIT)
                       : ::send(socket_.native_handle(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
      a.bytes = static_cast<std::size_t>(n);
    else if (n == 0)
      a.failed = asio::error::eof;
    else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
      (k == kind::read ? a.wait_read : a.wait_write) = true;
    else
      a.failed = error_code(errno, boost::system::system_category());
    return a;
  }
  ERR_clear_error();
  int done = 0;
  if (k == kind::handshake)
    done = SSL_do_handshake(ssl_.get());
  else if (k == kind::read)
    done = SSL_read_ex(ssl_.get(), data, size, &a.bytes);
  else
    done = SSL_write_ex(ssl_.get(), data, size, &a.bytes);
  if (done == 1)
    return a;
  switch (SSL_get_error(ssl_.get(), done)) {
  case SSL_ERROR_WANT_READ:
    a.wait_read = true;
    break;
  case SSL_ERROR_WANT_WRITE:
    a.wait_write = true;
    break;
  case SSL_ERROR_ZERO_RETURN:
    a.failed = asio::error::eof;
    break;
  case SSL_ERROR_SYSCALL:
    a.failed = errno != 0 ? error_code(errno, boost::system::system_category())
                          : error_code(asio::error::connection_reset);
    break;
  default:
    a.failed = asio::error::no_protocol_option; // told apart by the callers through OpenSSL's queue
    break;
  }
  return a;
}

void transport::shutdown_send() {
  if (ssl_ && SSL_is_init_finished(ssl_.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

void transport::close() {
  error_code ignored;
  socket_.close(ignored);
}

} // namespace custos::http::internal
