#pragma once
// May an old primary key be retired? Judged by what every node of a cluster counted
// (use_table.hpp). Pure: time is passed in.

#include "actors/keyprovider/use_table.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace custos::keyprovider {

/// What one node answered.
struct node_uses {
  std::string node;
  std::string problem; ///< why it could not be asked; empty if it answered
  std::string present; ///< the provider's primary key, as this node has it
  std::int64_t since = 0;
  bool complete = false;
  std::vector<primary_key_uses> keys;
};

/// The document of one node (uses_document). errc::malformed.
result<node_uses> read_node_uses(std::string_view document);
/// The coordinator's: {"nodes": [one document, or {"node", "error"}, ...]}. errc::malformed.
result<std::vector<node_uses>> read_cluster_uses(std::string_view document);

/// Every key that any node needed and that is not the present one anywhere; sorted.
std::vector<std::string> older_keys(std::span<const node_uses> nodes);

struct retirement {
  bool may = false;
  std::int64_t last_used = 0;       ///< at any node, unix seconds; 0: never since they count
  std::vector<std::string> reasons; ///< against it, one a line; empty if it may
};
/// Yes only if every node answered, counted every use, has counted for `idle_s` seconds, and has
/// not needed the key within them; and if the key is nowhere the present one. The empty key stands
/// for any that nobody needed.
retirement judge_retirement(std::span<const node_uses> nodes, std::string_view primary_key_id,
                            std::int64_t idle_s, std::int64_t now);

} // namespace custos::keyprovider
