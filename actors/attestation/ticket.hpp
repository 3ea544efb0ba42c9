#pragma once
// Challenges without server state: the ticket carries nonce and expiry under a MAC, so that any
// node accepts a ticket of any other. The MAC's key changes every hour: it is derived from the
// cluster's challenge key and the number of the hour (the epoch), so all nodes have it without a
// word between them. Layout before base64url, version 2: version(1) || epoch(8, big-endian) ||
// expires(8, big-endian, unix seconds) || nonce(32) || HMAC-SHA-256(32).

#include "adapters/crypto/crypto.hpp"
#include "messages/attestation.hpp"

#include <array>
#include <deque>
#include <unordered_map>

namespace custos::attestation {

inline constexpr std::size_t nonce_bytes = 32;
using nonce_value = std::array<std::uint8_t, nonce_bytes>;

/// How long one epoch's key makes tickets. Tickets of the present and the previous epoch are taken
/// (of the next, too, within clock skew: clocks of nodes differ), so no ticket lives longer.
inline constexpr std::int64_t ticket_epoch_s = 3600;
inline constexpr std::int64_t ticket_skew_s_max = 60;

/// A fresh challenge that expires `life_s` (at most ticket_epoch_s) after `now`, which is positive.
challenge make_ticket(byte_view challenge_key, std::int64_t now, std::uint32_t life_s);

struct ticket {
  nonce_value nonce{};
  std::int64_t expires = 0;
};
/// Authentic, of an epoch that is taken and unexpired, or error.check "ticket-invalid" /
/// "ticket-expired".
result<ticket> check_ticket(byte_view challenge_key, std::string_view text, std::int64_t now);

/// Which tickets were used on this node. Each ticket goes to one verifier (by its hash), so this
/// needs no lock. Not thread-safe.
class used_tickets {
public:
  /// A ticket is remembered until it expires: at challenges of 60 s this lasts for 8,700 tickets a
  /// second on one verifier, more than one core appraises, in at most some 60 MB.
  static constexpr std::size_t tickets_max_default = std::size_t{1} << 19U;

  explicit used_tickets(std::size_t tickets_max = tickets_max_default) : max_(tickets_max) {}
  /// error.check "ticket-replayed"; errc::overloaded when the memory is full of unexpired tickets:
  /// forgetting one would allow a replay.
  result<void> use(const ticket& t, std::int64_t now);
  [[nodiscard]] std::size_t size() const { return seen_.size(); }

private:
  struct nonce_hash {
    std::size_t operator()(const nonce_value& n) const;
  };
  std::size_t max_;
  std::unordered_map<nonce_value, std::int64_t, nonce_hash> seen_;
  std::deque<nonce_value> order_;
};

/// Which of `n` verifiers a ticket belongs to.
std::size_t verifier_of(std::string_view ticket_text, std::size_t n);

/// What extraData of the quote must be: SHA-256("custos-attest-v1" || nonce || thumbprint), the
/// thumbprint being the transport key's (RFC 7638, 32 octets): the quote is for this challenge and
/// for the key that will receive secrets, so it cannot be relayed to another.
crypto::sha256_digest quote_binding(byte_view nonce, byte_view transport_thumbprint);

} // namespace custos::attestation
