#pragma once
// What the configuration would be with some changes, without making them: for simulations. Pure.

#include "messages/config.hpp"
#include "messages/config_commands.hpp"
#include "messages/error.hpp"

#include <vector>

namespace custos::cluster {

inline constexpr std::size_t preview_changes_max = 256;

/// Documents are judged as the ConfigStore judges them; what is erased must be there. Names,
/// revisions and operation ids of commands count for nothing. Errors: errc::too_large,
/// errc::not_found, and those of read_object, with the number of the change before the field
/// ("/changes/0/pcrs").
result<config_ptr> with_changes(const config_ptr& present,
                                const std::vector<config_command>& changes);

} // namespace custos::cluster
