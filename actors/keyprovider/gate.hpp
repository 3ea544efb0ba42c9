#pragma once
// The gate before the key servers: six steps, in order; the first that says no is the answer
// (docs: keys, "The gate"). Pure: configuration and time are passed in, the token check is
// injected. Not thread-safe: one gate per actor.
//
//   check name     step
//   gate-token     1 the token: signature and claims; remembered by the token's hash until `exp`
//   gate-binding   2 the token's `cnf` is the key the TLS connection was made with
//   gate-host      3 the host is not quarantined, its endorsement key is still trusted
//   gate-image     3 the base image it was attested with is still configured, in that version
//   gate-boot      3 the host has neither rebooted nor failed an attestation since the token was
//                    made, as far as this node has seen
//   gate-access    4 the provider exists and its access rule lets this host and image pass
//   gate-rate      5 the host's rate limit at this provider
//   gate-request   6 sizes of key, context, ciphertext
//
// Steps 2 to 6 are judged anew for every call, against the present configuration.
//
// What "still trusted" means in step 3: a binding of the host, if this node has one, must name the
// token's endorsement key. That key must be configured by itself, or (unless
// require_endorsement_keys) TPM CAs must be configured or certificate validation be off: a token
// does not say which CA vouched, so taking away one CA of several ends tokens only at their `exp`;
// taking away the last, quarantining the host, or denying one of its keys ends them at once.

#include "actors/attestation/trust_index.hpp"
#include "adapters/crypto/crypto.hpp"
#include "messages/config.hpp"
#include "messages/keys.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace custos::keyprovider {

/// Longest token looked at.
inline constexpr std::size_t token_bytes_max = 8192;

/// Ciphertexts of one rewrap that weigh as much as a call of its own.
inline constexpr std::size_t rewraps_per_call_max = 50;

/// What the gate needs of a token that was found good.
struct token_facts {
  std::string host;                       ///< `sub`
  crypto::sha256_digest key_thumbprint{}; ///< `cnf` (RFC 7638, SHA-256)
  crypto::sha256_digest ek_spki_sha256{}; ///< endorsement key of the host's TPM
  std::string image;                      ///< base image that matched
  std::string image_version;
  std::int64_t expires = 0;        ///< `exp`, unix seconds
  std::int64_t issued = 0;         ///< `nbf`, unix seconds
  bytes ak_name;                   ///< attestation key that the evidence was signed with
  std::uint32_t reset_count = 0;   ///< of the boot that was judged
  std::uint32_t restart_count = 0; ///< the TPM's resumes in that boot
  std::optional<bool> secure_boot; ///< the state, where it was judged
  bool ima = false;                ///< an IMA log was judged
  bool warning = false; ///< the status is `warning`: checks that are reported only failed
};

/// What this node has seen of a host since: reboots, and attestations that failed.
struct host_sight {
  bytes ak_name;
  std::uint32_t reset_count = 0;
  std::int64_t boot_seen = 0;    ///< when the first quote of this key and boot came, unix seconds
  std::int64_t failed_since = 0; ///< unix seconds, 0: it is in good standing
  std::uint32_t restart_count = 0;
};
/// Nothing: the host was not seen by this node. Thread-safe, never blocks for long.
using host_sight_source = std::function<std::optional<host_sight>(const std::string& host)>;

/// Step 1: everything a token must satisfy on its own (signature by a key of ours, `typ`, `iss`,
/// `aud`, `nbf`, `exp` ...). `now` in unix seconds.
using token_check = std::function<result<token_facts>(std::string_view token, std::int64_t now)>;

struct gate_limits {
  std::size_t verdicts_max = 16384;        ///< remembered tokens
  std::size_t hosts_max = 65536;           ///< pairs of host and provider whose rate is counted
  std::uint32_t calls_per_second_max = 50; ///< sustained, per host and provider
  std::uint32_t calls_burst_max = 500;     ///< at once after a pause, per host and provider
};

/// The limits of one host at one provider: the provider's own, else the gate's.
struct call_rate {
  std::uint32_t calls_per_second = 0;
  std::uint32_t burst = 0;
};

/// Who may pass: the host, and the key its answers are encrypted to.
struct grant {
  std::string host;
  std::string image;
  crypto::key transport_key; ///< P-256; the key of the TLS connection, which is the token's `cnf`
  std::string transport_key_id; ///< its thumbprint, base64url: `kid` of the JWE
};

class gate {
public:
  explicit gate(token_check check, gate_limits limits = {}, host_sight_source sight = {});

  /// Steps 1-6 for a new key; `config` is never null. Errors carry the check's name; rate_limited
  /// also retry_after_s.
  result<grant> admit(const generate_key& call, const config_ptr& config, std::int64_t now);
  /// Steps 1-6 for a ciphertext.
  result<grant> admit(const decrypt_key& call, const config_ptr& config, std::int64_t now);
  /// Steps 1-6 for key material of the host's own: the size of its JWE, which is opened later.
  result<grant> admit(const encrypt_key& call, const config_ptr& config, std::int64_t now);
  /// Steps 1-6 for many ciphertexts: how many, and their sizes. For the rate it counts as one call,
  /// and another for every rewraps_per_call_max ciphertexts.
  result<grant> admit(const rewrap_keys& call, const config_ptr& config, std::int64_t now);
  /// Steps 1-3 and 5; then, of all providers, those whose access rule lets the host pass (step 4).
  struct listing {
    grant who;
    std::vector<std::string> providers;
  };
  result<listing> admit(const list_providers& call, const config_ptr& config, std::int64_t now);

  /// The host a token found good by step 1 names, for the audit log; empty if it was not found
  /// good.
  [[nodiscard]] std::string host_of(const key_caller& caller, std::int64_t now) const;
  /// Forgets what step 1 found: after the keys that tokens are verified with changed.
  void forget_verdicts();
  [[nodiscard]] std::size_t verdict_count() const { return verdicts_.size(); }
  [[nodiscard]] std::size_t host_count() const { return buckets_.size(); }

private:
  struct digest_hash {
    std::size_t operator()(const crypto::sha256_digest& d) const;
  };
  struct verdict {
    token_facts facts;
    /// The transport key as parsed last for this token: parsing is slow and always gives the same;
    /// the binding itself is compared in every call.
    bytes spki;
    crypto::key key;
    crypto::sha256_digest thumbprint{};
  };
  struct bucket {
    std::int64_t updated = 0;
    std::uint64_t tokens = 0;
    call_rate rate; ///< as it was asked last
  };

  result<verdict*> check_token(const key_caller& caller, std::int64_t now);
  result<void> check_binding(const key_caller& caller, verdict& v) const;
  /// Calls that name no provider have a count of their own. `calls`: how many this one weighs.
  result<void> check_rate(const std::string& host, std::string_view provider, const call_rate& rate,
                          std::int64_t now, std::uint64_t calls = 1);
  result<verdict*> checks_before_access(const key_caller& caller, const config_ptr& config,
                                        std::int64_t now);
  result<grant> checks_with_provider(const key_caller& caller, const std::string& provider,
                                     const config_ptr& config, std::int64_t now,
                                     std::uint64_t calls = 1);
  void drop_old_verdicts(std::int64_t now);
  bool make_room_for_bucket(std::int64_t now);
  [[nodiscard]] call_rate rate_of(const call_limits& limits) const;
  [[nodiscard]] static std::uint64_t refilled(const bucket& b, std::int64_t now);

  token_check check_;
  gate_limits limits_;
  host_sight_source sight_;
  std::unordered_map<crypto::sha256_digest, verdict, digest_hash> verdicts_;
  std::deque<crypto::sha256_digest> verdict_order_; ///< oldest first
  std::unordered_map<std::string, bucket> buckets_;
  std::int64_t buckets_swept_ = 0;
  attestation::trust_reader trust_{std::make_shared<const attestation::trust_source>()};
};

} // namespace custos::keyprovider
