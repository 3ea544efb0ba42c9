#pragma once
// The Key Provider Service of a node: the gate, the primary key, the ciphertext, the JWE; and the
// administration of providers on this node. It never blocks: key servers, audit log and peers are
// asked by message or callback.
//
// No release and no refusal leaves before its audit record is on disk: no audit, no key.
// Errors of what hosts ask: those of the gate (error.check "gate-..."), of the ciphertext,
// `unavailable` with retry_after_s when the key servers or the audit log are away, `forbidden` when
// the primary key's state does not allow the operation; of encrypt_key also check "encryption-key"
// (the JWE is to a key that is not ours, or not any more) and those of the JWE ("jwe-...").
//
// rewrap_keys judges each ciphertext by itself; an error of the whole call is the gate's, or that
// the provider cannot seal now. Those not begun within rewrap_time_s_max are answered with errc
// `timeout`.

#include "actors/keyprovider/administration.hpp"
#include "actors/keyprovider/gate.hpp"
#include "actors/keyprovider/native_keys.hpp"
#include "actors/keyprovider/peer_certificates_actor.hpp"
#include "actors/keyprovider/use_table.hpp"
#include "messages/clock.hpp"
#include "messages/config_cell.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace custos::keyprovider {

/// Named limits; times in seconds.
struct key_provider_limits {
  gate_limits gate;
  std::size_t calls_in_flight_max = 1024;    ///< beyond it: overloaded
  std::size_t primary_keys_max = 64;         ///< fetched primary keys held in memory, per provider
  std::uint32_t primary_key_age_s_max = 900; ///< then fetched again, with its state
  std::uint32_t primary_key_grace_s_max = 4 * 3600; ///< used so long while no server answers
  std::uint32_t capabilities_age_s_max = 300;
  std::uint32_t retry_after_s = 5; ///< told to callers when nothing better is known
  std::uint32_t audit_timeout_s = 10;
  std::size_t rewraps_at_once_max = 16; ///< of one call, at the key servers
  std::size_t rewrap_slice_max = 64;    ///< begun before other calls have their turn
  std::uint32_t rewrap_time_s_max = 8;  ///< then the rest of a call is put off
  std::uint32_t peer_certificates_timeout_s = 15;
  std::uint32_t client_certificate_life_s = 2U * 365 * 24 * 3600;
};

/// Everything the service is given; composed in runtime/.
struct key_provider_dependencies {
  std::shared_ptr<const config_cell> config;
  clock_source now;
  token_check check_token;
  /// What this node has seen of hosts since their tokens were made. May be empty.
  host_sight_source sight_of_host;
  /// Changes whenever a key that tokens are verified with was taken away: the gate then forgets the
  /// tokens it found good. May be empty.
  std::function<std::uint64_t()> token_keys_generation;
  audit_api audit;
  /// Starts the KMIP group of a provider; called again when its configuration changed. An error
  /// (a private key that cannot be unsealed) makes the provider unavailable until it changes.
  std::function<result<kmip_api>(const key_provider&)> spawn_group;
  seal_function seal;
  /// The private half of the service's encryption key of this id: errc::not_found. Not empty.
  std::function<result<crypto::key>(std::string_view kid)> encryption_key;
  /// Where uses of primary keys are counted. May be null.
  std::shared_ptr<use_table> uses;
  /// Opens the primary keys of native providers.
  unseal_function unseal;
  /// Why the primary key of a provider was not changed when it was due; empty: it was. May be
  /// empty, is called on the actor's thread.
  std::function<std::string(const std::string& provider)> rotation_problem;
  peer_certificates_reader read_peer_certificates;
  key_provider_limits limits;
};

/// Stop it with an exit message; its KMIP groups end with it.
key_provider_api spawn_key_provider(caf::actor_system& system, key_provider_dependencies given);

} // namespace custos::keyprovider
