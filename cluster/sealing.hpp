#pragma once
// Secrets at rest: what is stored or sent is sealed under a data key of the cluster (AES-256-GCM).
//
// A sealed value is version(2) || key id(4) || nonce(12) || ciphertext || tag(16); the additional
// data is "custos-sealed-v2:" and the use, so that a value sealed for one use does not open as
// another. How data keys are kept: cluster_keys.hpp; how they are rotated: data_key_rotation.hpp.

#include "adapters/crypto/secret_bytes.hpp"
#include "cluster/data_key_ring.hpp"
#include "messages/config.hpp"
#include "messages/error.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace custos::cluster {

inline constexpr std::uint8_t sealed_version = 2;
inline constexpr std::size_t sealed_nonce_bytes = 12;
inline constexpr std::size_t sealed_tag_bytes = 16;
inline constexpr std::size_t sealed_overhead_bytes =
    1 + data_key_id_bytes + sealed_nonce_bytes + sealed_tag_bytes;

/// Seals under the current data key and opens under any of the ring. Thread-safe; readers take no
/// lock. A ring that was in use is kept until the sealer goes: rings change a few times a year.
class sealer {
public:
  /// `ring` has its current key (a programmer error otherwise).
  explicit sealer(data_key_ring ring);

  [[nodiscard]] result<sealed_secret> seal(byte_view secret, std::string_view use) const;
  /// errc::crypto_failure: a key that is not in the ring, another use, or changed.
  /// errc::unsupported: another version. errc::malformed: too short.
  [[nodiscard]] result<crypto::secret_bytes> open(const sealed_secret& sealed,
                                                  std::string_view use) const;

  /// Valid as long as the sealer is.
  [[nodiscard]] const data_key_ring& ring() const {
    return *present_.load(std::memory_order_acquire);
  }
  [[nodiscard]] data_key_id current() const { return ring().current; }
  [[nodiscard]] bool holds(const data_key_id& id) const { return ring().find(id) != nullptr; }

  /// From now on this ring; as for the constructor.
  void replace(data_key_ring ring);

private:
  std::mutex mutex_; ///< of writers
  std::vector<std::unique_ptr<const data_key_ring>> rings_;
  std::atomic<const data_key_ring*> present_{nullptr};
};

/// The uses of a provider's sealed fields: "key-provider/NAME/client-private-key" and
/// "key-provider/NAME/password".
std::string client_private_key_use(std::string_view provider);
std::string password_use(std::string_view provider);
/// The use of a native provider's primary key: "key-provider/NAME/primary-key/ID".
std::string primary_key_use(std::string_view provider, std::string_view id);
/// The use of a token key's private key: "token-key/KID".
std::string token_key_use(std::string_view kid);

} // namespace custos::cluster
