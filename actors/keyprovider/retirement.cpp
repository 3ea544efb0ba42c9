#include "actors/keyprovider/retirement.hpp"

#include "actors/keyprovider/ciphertext.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <set>

namespace custos::keyprovider {

namespace {

constexpr std::size_t nodes_max = 1024;
constexpr std::size_t text_bytes_max = 16U << 10U;

result<primary_key_uses> read_key(json::object o) {
  primary_key_uses u;
  CUSTOS_TRY(u.primary_key_id, o.string("primary_key_id", primary_key_id_bytes_max));
  CUSTOS_TRY(const auto decrypts, o.integer("decrypts", 0, INT64_MAX));
  CUSTOS_TRY(const auto rewraps, o.integer("rewraps", 0, INT64_MAX));
  CUSTOS_TRY(u.last_decrypt, o.integer("last_decrypt", 0, INT64_MAX));
  CUSTOS_TRY(u.last_rewrap, o.integer("last_rewrap", 0, INT64_MAX));
  u.decrypts = static_cast<std::uint64_t>(decrypts);
  u.rewraps = static_cast<std::uint64_t>(rewraps);
  return u;
}

result<node_uses> read_one(json::object o) {
  node_uses out;
  CUSTOS_TRY(out.node, o.string("node", object_name_bytes_max));
  CUSTOS_TRY(auto problem, o.optional_string("error", text_bytes_max));
  if (problem) {
    out.problem = *std::move(problem);
    return out;
  }
  CUSTOS_TRY(out.present, o.string("primary_key_id", primary_key_id_bytes_max));
  CUSTOS_TRY(out.since, o.integer("since", 0, INT64_MAX));
  CUSTOS_TRY(out.complete, o.boolean("complete"));
  CUSTOS_TRY(const auto items, o.array("primary_keys", counted_keys_max));
  for (const auto& item : items) {
    CUSTOS_TRY(auto member, item.as_object());
    CUSTOS_TRY(auto key, read_key(std::move(member)));
    out.keys.push_back(std::move(key));
  }
  return out;
}

error not_uses(const error& e) {
  return field_error(errc::malformed, e.field, "uses of primary keys: " + e.message);
}

/// Against it, at one node.
void judge_node(const node_uses& n, std::string_view key, std::int64_t idle_from, retirement& out) {
  const auto against = [&](const std::string& why) {
    out.reasons.push_back("node " + n.node + ": " + why);
  };
  if (!n.problem.empty())
    return against("cannot be asked: " + n.problem);
  if (!key.empty() && n.present == key)
    against("it is the present primary key");
  if (!n.complete)
    against("it has not counted every use");
  if (n.since > idle_from)
    against("it counts only since " + std::to_string(n.since));
  for (const auto& one : n.keys) {
    if (one.primary_key_id != key)
      continue;
    const auto last = std::max(one.last_decrypt, one.last_rewrap);
    out.last_used = std::max(out.last_used, last);
    if (last > idle_from)
      against("needed at " + std::to_string(last));
  }
}

} // namespace

result<node_uses> read_node_uses(std::string_view document) {
  auto o = json::parse_object(document);
  auto read = o ? read_one(*std::move(o)) : result<node_uses>(std::move(o).failure());
  if (!read)
    return not_uses(read.failure());
  return read;
}

result<std::vector<node_uses>> read_cluster_uses(std::string_view document) {
  auto o = json::parse_object(document);
  auto items =
      o ? o->array("nodes", nodes_max) : result<std::vector<json::value>>(std::move(o).failure());
  if (!items)
    return not_uses(items.failure());
  std::vector<node_uses> out;
  for (const auto& item : *items) {
    auto member = item.as_object();
    auto one = member ? read_one(*std::move(member)) : result<node_uses>(member.failure());
    if (!one)
      return not_uses(one.failure());
    out.push_back(*std::move(one));
  }
  return out;
}

std::vector<std::string> older_keys(std::span<const node_uses> nodes) {
  std::set<std::string> out;
  for (const auto& n : nodes)
    for (const auto& key : n.keys)
      out.insert(key.primary_key_id);
  for (const auto& n : nodes)
    out.erase(n.present);
  return {out.begin(), out.end()};
}

retirement judge_retirement(std::span<const node_uses> nodes, std::string_view primary_key_id,
                            std::int64_t idle_s, std::int64_t now) {
  retirement out;
  if (nodes.empty())
    out.reasons.emplace_back("no node was asked");
  for (const auto& n : nodes)
    judge_node(n, primary_key_id, now - idle_s, out);
  out.may = out.reasons.empty();
  return out;
}

} // namespace custos::keyprovider
