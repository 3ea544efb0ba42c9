#pragma once
// Agreed keys with the hosts that ask for keys at the moment. Agreeing on a key is the dearest part
// of an answer, and a host that boots asks for several. Pure: time is passed in. Not thread-safe.

#include "adapters/jose/jose.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

namespace custos::keyprovider {

struct recipient_limits {
  std::size_t agreements_max = 1024;      ///< kept; the oldest leaves first. 32 secret octets each
  std::uint32_t agreement_age_s_max = 60; ///< then the host's next key gets another agreement
  std::uint32_t agreement_uses_max = 1000;
};

class recipients {
public:
  explicit recipients(recipient_limits limits = {}) : limits_(limits) {}

  /// A JWE (ECDH-ES+A256KW) of `plaintext` to the transport key. `kid` is the key's thumbprint: one
  /// id, one key. Errors: those of jose::recipient.
  result<std::string> encrypt(const crypto::key& transport_key, const std::string& kid,
                              byte_view plaintext, std::int64_t now);
  /// Wipes what is too old to be used.
  void sweep(std::int64_t now);
  [[nodiscard]] std::size_t size() const { return agreements_.size(); }

private:
  struct agreement {
    jose::recipient with;
    std::int64_t made = 0;
    std::uint32_t uses = 0;
  };
  [[nodiscard]] bool may_serve(const agreement& a, std::int64_t now) const;
  void make_room();

  recipient_limits limits_;
  std::unordered_map<std::string, agreement> agreements_;
  std::deque<std::string> order_; ///< oldest first; each name in agreements_ once
};

} // namespace custos::keyprovider
