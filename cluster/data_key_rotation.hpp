#pragma once
// How the cluster changes its data key, as configuration: pure functions over a snapshot.
//
//   1. A member makes a key and puts it into the configuration as data-keys/ID, encrypted for each
//      member (JWE, ECDH-ES+A256KW, to the member's TLS key).
//   2. Each node that sees an object it has no key for opens it and keeps the key wrapped under its
//      node key (node_store::follow_data_keys).
//   3. Once the newest object is there for all members, it seals. The leader re-seals what is
//   sealed
//      under others, one object after another, and then removes the objects nothing is sealed
//      under.
//
// Every step follows from the configuration alone: whoever leads goes on where another one stopped,
// and doing a step twice does no harm. A leader that is asked rotation_step() after each applied
// change, and applies what it says, comes to an end.

#include "adapters/crypto/crypto.hpp"
#include "cluster/config_codec.hpp"
#include "cluster/sealing.hpp"
#include "messages/config.hpp"
#include "messages/config_commands.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::cluster {

/// Keys that a node keeps though nothing it knows of is sealed under them: values may be on their
/// way, or in a document that an administrator is editing.
inline constexpr std::size_t retired_data_keys_kept = 4;

/// A member of the cluster, voter or not.
struct key_recipient {
  std::string name;
  crypto::key tls_public; ///< P-256
};

struct made_data_key {
  data_key object;
  crypto::secret_ptr key;
};
/// A fresh key for all members, newer than all there are. It goes into the configuration by a
/// `create`. errc::invalid_argument (no members), errc::too_large (data_keys_max: a rotation has
/// not ended), errc::unsupported (a member's key).
result<made_data_key> make_data_key(const config_snapshot& present,
                                    const std::vector<key_recipient>& members, const sealer& seals,
                                    std::int64_t now);
/// `create data-keys/ID`, by the cluster itself.
config_command create_command(const data_key& object);

/// errc::not_found: it is not encrypted for `node`. errc::crypto_failure: it does not open with
/// this key, or holds another data key than it says.
result<crypto::secret_bytes> open_data_key(const data_key& object, std::string_view node,
                                           const crypto::key& tls_key);

/// Members it is not encrypted for, or for another TLS key than the member has now; by name.
std::vector<std::string> missing_recipients(const data_key& object,
                                            const std::vector<key_recipient>& members);
/// The object with these added. errc::not_found: `seals` does not hold the key.
result<data_key> add_recipients(const data_key& object, const std::vector<key_recipient>& members,
                                const sealer& seals);

/// The newest object (by `created`, then id) that all members can open: the key to seal under.
/// Nothing: no rotation was ever begun, or none has reached everybody.
std::optional<data_key_id> current_data_key(const config_snapshot& present,
                                            const std::vector<key_recipient>& members);

/// The object with all its sealed members under the current key of `seals`; nothing if they are.
/// errc::crypto_failure if one does not open.
result<std::optional<config_object>> resealed(const config_object& object, const sealer& seals);

/// Under which keys anything in the configuration is sealed; each once, sorted.
std::vector<data_key_id> data_keys_in_use(const config_snapshot& present);

struct rotation_plan {
  /// What the leader does next, with if_revision; then it asks again. Nothing: there is nothing to
  /// do, or not by this node yet (its sealer does not hold the key, or does not seal under it).
  std::optional<config_command> next;
  /// Values sealed under other keys than the current one.
  std::size_t values_left = 0;
  /// What stands in the way; nothing waits for it but the removal of the old key.
  std::vector<error> problems;
};
rotation_plan rotation_step(const config_snapshot& present,
                            const std::vector<key_recipient>& members, const sealer& seals);

} // namespace custos::cluster
