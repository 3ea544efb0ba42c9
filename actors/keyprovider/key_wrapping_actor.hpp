#pragma once
// Keys under a provider's primary key, here or on its key servers: the two halves of every
// operation. No actor itself: used on the key provider actor's turn only. Every `then` is called
// exactly once, on that turn or at once.

#include "actors/keyprovider/ciphertext.hpp"
#include "actors/keyprovider/provider_session_actor.hpp"

#include <functional>
#include <memory>
#include <string>

namespace custos::keyprovider {

using session_ptr = std::shared_ptr<provider_session>;

/// A key to be sealed.
struct key_to_seal {
  std::string provider;
  std::string primary_key_id;
  primary_key_mode mode = primary_key_mode::automatic;
  bytes context;
  crypto::secret_ptr key; ///< kek_bytes_min to kek_bytes_max
};
struct sealed_key {
  ciphertext_identity identity;
  bytes ciphertext;
};
using sealed_done = std::function<void(result<sealed_key>)>;

/// Under the primary key it names: on the server or here, as the mode says.
void seal_under(const session_ptr& session, key_to_seal what, sealed_done then);

/// A ciphertext that was read and judged (read_for), and its context.
struct key_to_open {
  kek_ciphertext parsed;
  bytes context;
};
/// `why` is what the audit log learns of a failure; the error is what the host learns.
using opened_done = std::function<void(result<crypto::secret_bytes>, std::string why)>;

/// The key of a ciphertext, under the primary key that the ciphertext names.
void open_under(const session_ptr& session, std::shared_ptr<const key_to_open> what,
                opened_done then);

/// Everything of a ciphertext that can be judged without the primary key: its form, whose it is,
/// the context, and whether the provider's mode lets it be opened.
result<kek_ciphertext> read_for(const key_provider& provider, byte_view ciphertext,
                                byte_view context);

/// "gate-token: a bearer token is needed".
std::string refusal_detail(const error& e);

} // namespace custos::keyprovider
