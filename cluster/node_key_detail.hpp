#pragma once
// Between the parts of node_key; nobody else includes this.

#include "cluster/node_key.hpp"

namespace custos::cluster::node_key_detail {

inline constexpr std::string_view field = "node_key";
inline constexpr std::string_view key_file = "node.key";
inline constexpr std::string_view sealed_file = "node-key.tpm";
inline constexpr std::string_view record_file = "node-key.json";

/// Costs of scrypt (RFC 7914, 2): 128 MiB and a third of a second.
struct scrypt_cost {
  std::uint64_t n = 1U << 17U;
  std::uint32_t r = 8;
  std::uint32_t p = 1;
};

/// node-key.json.
struct record {
  std::string id; ///< 32 hex digits, random
  node_key_choice choice;
  bytes salt; ///< credential, passphrase
  scrypt_cost cost;
};

record new_record(const node_key_choice& choice);
std::string write_record(const record& r);
/// A folder without node-key.json has a node.key and nothing else: what nodes were at first.
/// errc::corrupted with field "node_key".
result<record> read_record(const std::filesystem::path& folder);

} // namespace custos::cluster::node_key_detail
