#pragma once
// Primary keys fetched from a key server (local mode), as long as they may be used. Pure: time is
// passed in. Not thread-safe.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/config.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace custos::keyprovider {

/// What a key is wanted for (KMIP 1.4, 3.22: the state decides which of them is allowed).
enum class key_use : std::uint8_t {
  protect, ///< wrapping a new key: Active only
  process, ///< unwrapping: also Deactivated and Compromised, or nothing could be recovered
};

struct primary_key {
  crypto::secret_ptr key;
  std::string state; ///< as the key server said when it was fetched
};

/// Error: forbidden, check "primary-key-state".
result<void> check_state(std::string_view id, std::string_view state, key_use use);

/// Octets a primary key may have: AES-128, AES-192, AES-256.
bool is_aes_key(const crypto::secret_bytes& key);

class primary_key_cache {
public:
  /// Seconds a key counts as fresh, and seconds it may be used while no server can be asked.
  primary_key_cache(std::size_t keys_max, std::uint32_t age_s_max, std::uint32_t grace_s_max)
      : keys_max_(keys_max), age_s_max_(age_s_max), grace_s_max_(grace_s_max) {}

  /// From now on these.
  void set_policy(std::uint32_t age_s_max, std::uint32_t grace_s_max) {
    age_s_max_ = age_s_max;
    grace_s_max_ = grace_s_max;
  }
  /// A full cache loses its oldest key.
  void put(const std::string& id, primary_key key, std::int64_t now);
  /// Null when there is none of that age.
  const primary_key* fresh(const std::string& id, std::int64_t now) const;
  const primary_key* within_grace(const std::string& id, std::int64_t now) const;
  void erase(const std::string& id) { keys_.erase(id); }
  /// Wipes what may not be used any more.
  void sweep(std::int64_t now);
  [[nodiscard]] std::size_t size() const { return keys_.size(); }

private:
  struct entry {
    primary_key key;
    std::int64_t fetched = 0;
  };
  const primary_key* not_older(const std::string& id, std::int64_t now, std::uint32_t s) const;

  std::size_t keys_max_;
  std::uint32_t age_s_max_;
  std::uint32_t grace_s_max_;
  std::map<std::string, entry> keys_;
};

/// Whether a KMIP group made for `a` serves `b` as well: type, servers, trust and credentials are
/// the same. What follows the client certificate is not looked at.
bool same_connection(const key_provider& a, const key_provider& b);

/// The provider as it is once its next client certificate has taken the place of the other.
key_provider with_next_certificate(key_provider provider);

} // namespace custos::keyprovider
