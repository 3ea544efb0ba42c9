#include "tests/tools/kmip_test_server/tls_listener.hpp"

#include <arpa/inet.h>
#include <chrono>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace custos::kmip_test_server {

namespace {

constexpr std::size_t read_bytes_max = 64U << 10U;
constexpr std::size_t mebibyte = 1U << 20U;
constexpr kmip::ttlv_limits limits{kmip::message_bytes_max, kmip::items_max, kmip::depth_max};

struct ssl_deleter {
  void operator()(SSL* s) const { SSL_free(s); }
};

error tls_failure(std::string doing) {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  const char* const reason = first == 0 ? nullptr : ERR_reason_error_string(first);
  return make_error(errc::invalid_argument, doing + ": " + (reason ? reason : "no reason"));
}

bool send_all(SSL* ssl, byte_view octets) {
  while (!octets.empty()) {
    std::size_t sent = 0;
    ERR_clear_error();
    if (SSL_write_ex(ssl, octets.data(), octets.size(), &sent) != 1)
      return false;
    octets = octets.subspan(sent);
  }
  return true;
}

void put_length(crypto::wiped_bytes& message, std::size_t length) {
  for (std::size_t i = 0; i < 4; ++i)
    message[4 + i] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
}

bool send_slowly(SSL* ssl, byte_view octets, std::chrono::milliseconds between) {
  for (std::size_t i = 0; i < octets.size(); ++i) {
    if (!send_all(ssl, octets.subspan(i, 1)))
      return false;
    std::this_thread::sleep_for(between);
  }
  return true;
}

/// A Response Message of so many octets, none of them of any use.
bool send_giant(SSL* ssl, std::size_t octets) {
  crypto::wiped_bytes part{0x42, 0x00, 0x7B, 0x01, 0, 0, 0, 0};
  put_length(part, octets);
  if (!send_all(ssl, part))
    return false;
  part.assign(read_bytes_max, 0);
  for (std::size_t sent = 0; sent < octets; sent += part.size())
    if (!send_all(ssl, part))
      return false;
  return true;
}

} // namespace

result<void> tls_listener::use(const tls_files& files) {
  context_ptr made(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!made || SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION) != 1 ||
      (files.tls12_only && SSL_CTX_set_max_proto_version(made.get(), TLS1_2_VERSION) != 1))
    return tls_failure("setting up TLS");
  if (SSL_CTX_use_certificate_chain_file(made.get(), files.certificate.c_str()) != 1)
    return tls_failure(files.certificate);
  if (SSL_CTX_use_PrivateKey_file(made.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(made.get()) != 1)
    return tls_failure(files.key);
  if (SSL_CTX_load_verify_locations(made.get(), files.client_ca.c_str(), nullptr) != 1)
    return tls_failure(files.client_ca);
  // A certificate that is named is trusted, whoever issued it: clients with one of their own
  // making.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(made.get()), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_session_cache_mode(made.get(), SSL_SESS_CACHE_OFF);
  const std::scoped_lock lock(mutex_);
  context_ = std::move(made);
  return {};
}

result<std::uint16_t> tls_listener::listen(std::uint16_t port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* const address = reinterpret_cast<sockaddr*>(&at);
  if (listener_ < 0 || ::bind(listener_, address, size) != 0 || ::listen(listener_, 128) != 0 ||
      ::getsockname(listener_, address, &size) != 0)
    return make_error(errc::unavailable, "port " + std::to_string(port) + " cannot be taken");
  return ntohs(at.sin_port);
}

void tls_listener::run() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0)
      continue;
    ++accepted_;
    const std::scoped_lock lock(mutex_);
    open_.insert(socket);
    std::thread([this, socket, context = context_] { serve(socket, context); }).detach();
  }
}

void tls_listener::disconnect() {
  const std::scoped_lock lock(mutex_);
  for (const int socket : open_)
    ::shutdown(socket, SHUT_RDWR);
}

void tls_listener::serve(int socket, const context_ptr& context) {
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  {
    const std::unique_ptr<SSL, ssl_deleter> ssl(SSL_new(context.get()));
    ERR_clear_error();
    if (ssl && SSL_set_fd(ssl.get(), socket) == 1 && SSL_accept(ssl.get()) == 1) {
      converse(ssl.get());
      SSL_shutdown(ssl.get());
    }
    ERR_clear_error();
  }
  const std::scoped_lock lock(mutex_);
  open_.erase(socket);
  ::close(socket);
}

void tls_listener::converse(SSL* ssl) {
  crypto::wiped_bytes received;
  crypto::wiped_bytes chunk(read_bytes_max);
  for (;;) {
    std::size_t got = 0;
    ERR_clear_error();
    if (SSL_read_ex(ssl, chunk.data(), chunk.size(), &got) != 1)
      return;
    received.insert(received.end(), chunk.begin(),
                    chunk.begin() + static_cast<std::ptrdiff_t>(got));
    // What a pipelining client sent in several records is in the socket already.
    if (SSL_has_pending(ssl) == 1 && received.size() < mebibyte)
      continue;
    if (!answer_all(ssl, received))
      return;
  }
}

bool tls_listener::answer_all(SSL* ssl, crypto::wiped_bytes& received) {
  crypto::wiped_bytes out;
  byte_view rest(received);
  while (rest.size() >= kmip::ttlv_header_bytes) {
    const auto total = kmip::ttlv_total_bytes(rest, limits);
    if (!total)
      return false;
    if (rest.size() < *total)
      break;
    auto answered = answers_.answer(rest.first(*total), faults_);
    rest = rest.subspan(*total);
    if (!answered.travel) {
      out.insert(out.end(), answered.message.begin(), answered.message.end());
      continue;
    }
    if (!send_all(ssl, out) || !send_wrong(ssl, std::move(answered.message), *answered.travel))
      return false;
    out.clear();
  }
  received.erase(received.begin(), received.end() - static_cast<std::ptrdiff_t>(rest.size()));
  return send_all(ssl, out);
}

bool tls_listener::send_wrong(SSL* ssl, crypto::wiped_bytes message, const fault& f) {
  const std::size_t length = message.size() - kmip::ttlv_header_bytes;
  switch (f.what) {
  case wrong::slow:
    return send_slowly(ssl, message, std::chrono::milliseconds(f.number));
  case wrong::late:
    std::this_thread::sleep_for(std::chrono::milliseconds(f.number));
    return send_all(ssl, message);
  case wrong::garbage:
    return send_all(ssl, as_bytes("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
  case wrong::short_length:
    put_length(message, length - 8);
    return send_all(ssl, message);
  case wrong::long_length:
    put_length(message, length + 8);
    return send_all(ssl, message);
  case wrong::giant:
    return send_giant(ssl, f.number * mebibyte);
  case wrong::cut:
    send_all(ssl, byte_view(message).first(message.size() / 2));
    return false;
  case wrong::close:
    return false;
  case wrong::silent:
    return true;
  case wrong::flood:
    return send_all(ssl, message) && send_all(ssl, message);
  default:
    return send_all(ssl, message);
  }
}

} // namespace custos::kmip_test_server
