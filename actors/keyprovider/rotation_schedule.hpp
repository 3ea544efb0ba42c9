#pragma once
// When primary keys change by themselves (rotation_schedule of a provider's object). Pure: time is
// passed in, unix seconds.
//
// On key servers: a new key is made and named as the primary key `interval_days` after the present
// one was. Whoever names a primary key by hand starts the interval anew; since when it counts is
// part of the object, written when the key is first seen.
//
// Native: a new key is made `interval_days` after the newest one. It becomes the primary key when
// it is confirmed to be in a backup, so until then there is no further one.

#include "messages/config.hpp"

#include <cstdint>
#include <string>

namespace custos::keyprovider {

enum class rotation_step : std::uint8_t {
  none = 1,
  count, ///< note since when the interval counts for the primary key
  make,  ///< make a new key
};
rotation_step next_step(const key_provider& provider, std::int64_t now);

/// What a native provider's rotation waits for; empty: for nothing.
std::string waits_for(const key_provider& provider);

/// The object after the step: counting from now for its primary key.
key_provider counting(key_provider provider, std::int64_t now);
/// ... with this primary key, made on its key servers.
key_provider with_primary_key(key_provider provider, const std::string& id, std::int64_t now);
/// ... with this key beside the others of a native provider.
key_provider with_native_key(key_provider provider, native_key key);

} // namespace custos::keyprovider
