#include "actors/attestation/ticket.hpp"

#include <cstring>
#include <functional>

namespace custos::attestation {

namespace {

constexpr std::uint8_t ticket_version = 2;
constexpr std::size_t epoch_at = 1;
constexpr std::size_t expires_at = epoch_at + 8;
constexpr std::size_t nonce_at = expires_at + 8;
constexpr std::size_t head_bytes = nonce_at + nonce_bytes;
constexpr std::size_t ticket_bytes = head_bytes + 32;
constexpr std::string_view epoch_label = "custos-ticket-epoch-v2";
constexpr std::string_view mac_label = "custos-ticket-v2";
constexpr std::string_view binding_label = "custos-attest-v1";

error ticket_error(const char* check, const char* message) {
  error e = field_error(errc::attestation_failed, "/ticket", message);
  e.check = check;
  return e;
}

void put_number(std::span<std::uint8_t> to, std::int64_t number) {
  for (unsigned i = 0; i < 8; ++i)
    to[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> (56U - 8U * i));
}

std::int64_t number_in(byte_view from) {
  std::uint64_t number = 0;
  for (unsigned i = 0; i < 8; ++i)
    number = (number << 8U) | from[i];
  return static_cast<std::int64_t>(number);
}

/// `head` begins with version and epoch. The epoch's key lives on the stack only.
crypto::sha256_digest mac_of(byte_view challenge_key, byte_view head) {
  auto key = crypto::hmac_sha256(challenge_key, {as_bytes(epoch_label), head.subspan(epoch_at, 8)});
  const auto mac = crypto::hmac_sha256(key, {as_bytes(mac_label), head});
  crypto::wipe(key.data(), key.size());
  return mac;
}

bool taken(std::int64_t epoch, std::int64_t now) {
  return epoch >= now / ticket_epoch_s - 1 && epoch <= (now + ticket_skew_s_max) / ticket_epoch_s;
}

} // namespace

challenge make_ticket(byte_view challenge_key, std::int64_t now, std::uint32_t life_s) {
  challenge out;
  out.expires = now + life_s;
  out.nonce = crypto::random_bytes(nonce_bytes);
  bytes raw(head_bytes);
  raw[0] = ticket_version;
  put_number(std::span(raw).subspan(epoch_at, 8), now / ticket_epoch_s);
  put_number(std::span(raw).subspan(expires_at, 8), out.expires);
  std::memcpy(raw.data() + nonce_at, out.nonce.data(), nonce_bytes);
  const auto mac = mac_of(challenge_key, raw);
  raw.insert(raw.end(), mac.begin(), mac.end());
  out.ticket = crypto::base64url(raw);
  return out;
}

result<ticket> check_ticket(byte_view challenge_key, std::string_view text, std::int64_t now) {
  if (text.size() > 2 * ticket_bytes)
    return ticket_error("ticket-invalid", "expected a ticket of POST /attestation/v1/challenges");
  const auto raw = crypto::from_base64url(text);
  if (!raw || raw->size() != ticket_bytes || (*raw)[0] != ticket_version)
    return ticket_error("ticket-invalid", "expected a ticket of POST /attestation/v1/challenges");
  const byte_view head = byte_view(*raw).first(head_bytes);
  if (!crypto::equal(mac_of(challenge_key, head), byte_view(*raw).subspan(head_bytes)))
    return ticket_error("ticket-invalid", "the ticket was not made by this cluster");
  ticket out;
  out.expires = number_in(head.subspan(expires_at, 8));
  std::memcpy(out.nonce.data(), head.data() + nonce_at, nonce_bytes);
  if (out.expires <= now || !taken(number_in(head.subspan(epoch_at, 8)), now)) {
    auto e = ticket_error("ticket-expired", "the challenge has expired; ask for a new one");
    e.retryable = true;
    return e;
  }
  return out;
}

std::size_t used_tickets::nonce_hash::operator()(const nonce_value& n) const {
  std::size_t h = 0; // the nonce is random already
  std::memcpy(&h, n.data(), sizeof h);
  return h;
}

result<void> used_tickets::use(const ticket& t, std::int64_t now) {
  while (!order_.empty()) {
    const auto oldest = seen_.find(order_.front());
    if (oldest->second > now)
      break;
    seen_.erase(oldest);
    order_.pop_front();
  }
  if (seen_.find(t.nonce) != seen_.end()) {
    auto e = ticket_error("ticket-replayed", "the challenge was used before; ask for a new one");
    e.retryable = true;
    return e;
  }
  if (seen_.size() >= max_) {
    auto e = make_error(errc::overloaded, "too many challenges are in use");
    e.retry_after_s = 10;
    return e;
  }
  seen_.emplace(t.nonce, t.expires);
  order_.push_back(t.nonce);
  return {};
}

std::size_t verifier_of(std::string_view ticket_text, std::size_t n) {
  return std::hash<std::string_view>{}(ticket_text) % n;
}

crypto::sha256_digest quote_binding(byte_view nonce, byte_view transport_thumbprint) {
  crypto::sha256_digest out{};
  crypto::digest_into(crypto::hash_alg::sha256,
                      {as_bytes(binding_label), nonce, transport_thumbprint}, out);
  return out;
}

} // namespace custos::attestation
