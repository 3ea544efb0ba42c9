#pragma once
// Primary keys of native providers: made here, sealed in the configuration, opened where they are
// used. Pure. Not thread-safe: one native_keys per provider and actor.

#include "actors/keyprovider/administration.hpp"
#include "actors/keyprovider/primary_keys.hpp"
#include "adapters/crypto/secret_bytes.hpp"
#include "messages/config.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace custos::keyprovider {

inline constexpr std::size_t native_key_bytes = 32; // AES-256

/// Says which key it is and nothing else of it: the first 16 octets, in hex, of
/// SHA-256("custos-native-key-v1" || key). Whoever holds a key can so prove that it is the one
/// named.
std::string native_key_id(const crypto::secret_bytes& key);

/// Label under which a native primary key is sealed: "key-provider/NAME/primary-key/ID".
std::string primary_key_label(std::string_view provider, std::string_view id);

/// A fresh key, not yet backed up. Errors of `seal`.
result<native_key> make_native_key(std::string_view provider, const seal_function& seal,
                                   std::int64_t now);

/// Opens what was sealed under a data key of the cluster for the given label.
using unseal_function =
    std::function<result<crypto::secret_bytes>(const sealed_secret&, std::string_view label)>;

/// The keys of one provider, opened.
class native_keys {
public:
  explicit native_keys(unseal_function unseal) : unseal_(std::move(unseal)) {}

  /// The provider as it is configured now: opens what is new, tries again what did not open, wipes
  /// what is gone.
  void follow(const key_provider& provider);

  /// not_found, check "primary-key-unknown": no such key, or not any more. For key_use::protect
  /// also forbidden, check "primary-key-not-backed-up". Errors of `unseal` as unavailable.
  [[nodiscard]] result<crypto::secret_ptr> use(const std::string& id, key_use use) const;
  /// As a key server would say: "Active"; "Pre-Active" until it is known to be in a backup.
  /// Errors of use().
  [[nodiscard]] result<std::string> state(const std::string& id) const;

private:
  struct held {
    crypto::secret_ptr key; ///< null: it did not open
    std::string problem;
    bool backed_up = false;
  };
  [[nodiscard]] result<crypto::secret_ptr> open(std::string_view provider,
                                                const native_key& key) const;

  unseal_function unseal_;
  std::string provider_;
  std::map<std::string, held> keys_;
};

} // namespace custos::keyprovider
