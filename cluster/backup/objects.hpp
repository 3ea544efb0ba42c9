#pragma once
// The objects of a configuration in one piece.

#include "cluster/config_state.hpp"

namespace custos::backup {

bytes encode_state(const cluster::config_state& state);
result<cluster::config_state> decode_state(byte_view image);

} // namespace custos::backup
