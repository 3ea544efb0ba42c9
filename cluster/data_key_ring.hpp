#pragma once
// The cluster's data keys (AES-256): one seals, all of them open. Plain values; thread rule: as a
// value.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/config.hpp"
#include "messages/error.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::cluster {

inline constexpr std::size_t data_key_bytes = 32;
inline constexpr std::size_t data_key_id_bytes = 4;
/// Keys a ring holds at most.
inline constexpr std::size_t data_keys_max = 16;

/// Names a data key: the first octets of SHA-256("custos-data-key" || key).
using data_key_id = std::array<std::uint8_t, data_key_id_bytes>;
data_key_id id_of(const crypto::secret_bytes& data_key);
/// 8 hex digits, lower case: the name of the key's object in the configuration.
std::string text_of(const data_key_id& id);
std::optional<data_key_id> data_key_id_of(std::string_view text);
/// Under which key a value is sealed; nothing if it has not the form of a sealed value.
std::optional<data_key_id> data_key_of(byte_view sealed);

struct ring_key {
  data_key_id id{};
  std::int64_t created = 0; ///< unix seconds; 0: made with the cluster
  crypto::secret_ptr key;
};

struct data_key_ring {
  std::vector<ring_key> keys; ///< oldest first
  data_key_id current{};      ///< one of them: it seals

  [[nodiscard]] const ring_key* find(const data_key_id& id) const;
};

/// The ring of a new cluster: one fresh key.
data_key_ring first_data_key_ring();
/// A ring of this one key, which has data_key_bytes.
data_key_ring ring_of(crypto::secret_ptr key);

/// Adds a key in its place; the current one stays current. The same key again changes nothing.
/// errc::already_exists: another key has the same id; errc::too_large: data_keys_max.
result<void> add_key(data_key_ring& ring, crypto::secret_ptr key, std::int64_t created);

/// All of it as octets (version 1, tagged and length-prefixed), for sealing or encryption only.
crypto::secret_bytes serialize(const data_key_ring& ring);
/// errc::unsupported (version), errc::malformed.
result<data_key_ring> parse_data_key_ring(byte_view octets);

} // namespace custos::cluster
