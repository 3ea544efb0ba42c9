#pragma once
// The keys that tokens are signed and verified with: those of the configuration (token-keys/{kid})
// and the one made with the cluster. A key's life: published and trusted from the start, signs from
// `signs_from` to `signs_until`, trusted until `expires`; so verifiers that keep the JWKS for a
// while know a key before it signs, and tokens outlive the change of keys.
//
// Sealed keys are opened once per change of the configuration's token keys, not per token. Pure:
// time and configuration are passed in.

#include "actors/attestation/token.hpp"
#include "adapters/crypto/secret_bytes.hpp"
#include "messages/config.hpp"
#include "messages/config_commands.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace custos::attestation {

/// The key made at `cluster init`: signs where no key of the configuration does, never expires.
struct initial_key {
  crypto::key key; ///< P-256, signs ES256
  std::string kid;
};

/// Opens the sealed private key (PKCS#8) of a token key.
using key_opener = std::function<result<crypto::secret_bytes>(const token_key&)>;

/// One state of the keys. Immutable, thread-safe.
class token_keyring {
public:
  /// A key that does not open, or is not the pair of its public key, counts for nothing: only nodes
  /// can seal one, so nobody who may merely write configuration can have tokens of his own
  /// accepted. `problems` says which. errc::invalid_argument: `initial` does not sign.
  static result<std::shared_ptr<const token_keyring>>
  make(const initial_key& initial, const object_index<token_key>& keys, const key_opener& open);

  /// The key that signs now: of those whose time it is, the one that began last.
  [[nodiscard]] const token_signer& signer_at(std::int64_t now) const;
  /// Every key that has not expired; lives as long as this.
  [[nodiscard]] std::span<const jose::trusted_key> trusted_at(std::int64_t now) const;
  /// The JWK set (RFC 7517, 5) of the same keys.
  [[nodiscard]] std::string jwks_at(std::int64_t now) const;
  /// Their algorithms, each once, as OpenID discovery lists them.
  [[nodiscard]] std::vector<std::string> algorithms_at(std::int64_t now) const;
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }

private:
  struct signing {
    token_signer by;
    std::int64_t from = 0, until = 0;
  };

  token_keyring() = default;
  void add(const token_key& key, const key_opener& open);

  std::vector<signing> signers_;           ///< the one that began last first
  token_signer fallback_;                  ///< of the initial key
  std::vector<jose::trusted_key> trusted_; ///< the one that expires last first
  std::vector<std::int64_t> expires_;      ///< of the same
  std::vector<std::string> problems_;
};

/// The keyring of a configuration, made when its token keys changed and shared by all who ask.
/// Thread-safe; whoever asks often keeps a token_keyring_reader.
class token_keyring_source {
public:
  /// `initial` signs. `complain` is told of each key that does not open, once per change; may be
  /// empty.
  token_keyring_source(initial_key initial, key_opener open,
                       std::function<void(const std::string&)> complain = {});

  struct state {
    std::shared_ptr<const token_keyring> ring; ///< never null
    std::uint64_t generation = 0;              ///< differs where the keys do
  };
  state of(const config_ptr& config);

private:
  initial_key initial_;
  key_opener open_;
  std::function<void(const std::string&)> complain_;
  std::mutex mutex_; ///< guards what follows
  config_ptr made_of_;
  state present_;
};

/// One actor's view: no lock and no allocation unless the configuration changed. Not thread-safe.
class token_keyring_reader {
public:
  explicit token_keyring_reader(std::shared_ptr<token_keyring_source> source)
      : source_(std::move(source)) {}

  /// `config` is not null.
  const token_keyring& get(const config_ptr& config) {
    look(config);
    return *seen_.ring;
  }
  /// A number that changes when a key comes, goes or expires: what was found good with the keys
  /// before is to be judged anew.
  std::uint64_t trust_generation(const config_ptr& config, std::int64_t now);

private:
  void look(const config_ptr& config) {
    if (config != of_) {
      seen_ = source_->of(config);
      of_ = config;
    }
  }

  std::shared_ptr<token_keyring_source> source_;
  config_ptr of_;
  token_keyring_source::state seen_;
};

// ---- new keys -----------------------------------------------------------------------------------

/// Bits of RSA keys made here.
inline constexpr unsigned token_rsa_bits = 3072;
/// How long a new key is published before it signs, unless told otherwise: longer than verifiers
/// usually keep a JWKS that does not say.
inline constexpr std::int64_t token_key_lead_s = 300;
inline constexpr std::int64_t token_key_signs_for_s = 90LL * 24 * 3600;
inline constexpr std::int64_t token_key_signs_for_s_max = 3660LL * 24 * 3600;

/// A fresh key pair as the configuration holds it, named by its RFC 7638 thumbprint. `seal` seals
/// the private key (PKCS#8) for use with the key of that name. Making an RSA key takes a while.
/// errc::invalid_argument with the field.
result<token_key>
make_token_key(const token_key_wish& wish, const attestation_settings& settings, std::int64_t now,
               const std::function<result<bytes>(const std::string& kid, byte_view pkcs8)>& seal);

} // namespace custos::attestation
