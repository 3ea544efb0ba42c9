#include "cluster/config_storage.hpp"

#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <limits>

namespace custos::cluster {

namespace {

constexpr std::string_view prefix = "config/";
constexpr std::string_view head_key = "config/head";
constexpr std::string_view object_prefix = "config/object/";
constexpr std::string_view operation_prefix = "config/operation/";
constexpr std::size_t sequence_digits = 20;
constexpr std::size_t head_bytes_max = 1024;
constexpr std::int64_t number_max = std::numeric_limits<std::int64_t>::max();

std::string object_key(object_kind kind, std::string_view name) {
  return std::string(object_prefix).append(to_string(kind)).append("/").append(name);
}

std::string operation_key(std::uint64_t sequence) {
  auto digits = std::to_string(sequence);
  digits.insert(0, sequence_digits - std::min(digits.size(), sequence_digits), '0');
  return std::string(operation_prefix) + digits;
}

error damaged(std::string_view key, const std::string& how) {
  return make_error(errc::corrupted, "stored configuration: " + std::string(key) + ": " + how);
}

result<state_head> read_head(std::string_view text) {
  CUSTOS_TRY(auto o, json::parse_object(text, head_bytes_max));
  state_head out;
  CUSTOS_TRY(const auto applied, o.integer("applied", 0, number_max));
  out.applied_index = static_cast<std::uint64_t>(applied);
  CUSTOS_TRY(out.fingerprint, o.string("fingerprint", 64));
  CUSTOS_TRY(const auto revision, o.integer("revision", 0, number_max));
  out.revision = static_cast<std::uint64_t>(revision);
  CUSTOS_TRY(const auto hash, o.hex("state", sizeof(crypto::sha256_digest)));
  if (hash.size() != sizeof(crypto::sha256_digest))
    return make_error(errc::corrupted, "expected a SHA-256 digest");
  out.state_hash.emplace();
  std::copy(hash.begin(), hash.end(), out.state_hash->begin());
  CUSTOS_CHECK(o.finish());
  return out;
}

result<void> load_object(config_state_loader& loader, std::string_view key, byte_view value) {
  const auto rest = key.substr(object_prefix.size());
  const auto slash = rest.find('/');
  const auto kind = object_kind_of(rest.substr(0, slash));
  if (slash == std::string_view::npos || !kind)
    return damaged(key, "unknown kind of object");
  return loader.add_object(*kind, std::string(rest.substr(slash + 1)), as_text(value));
}

result<void> load_operation(config_state_loader& loader, std::string_view key, byte_view value) {
  auto operation = read_operation(value);
  if (!operation)
    return damaged(key, operation.failure().message);
  if (operation_key(operation->sequence) != key)
    return damaged(key, "it is in the place of another one");
  return loader.add_operation(std::move(*operation));
}

} // namespace

void add_changes(rocksdb::write_batch& batch, const config_state& before,
                 const planned_change& change) {
  if (change.repeated)
    return;
  if (change.writes) {
    auto key = object_key(change.kind, change.name);
    if (change.object)
      batch.put(std::move(key), change.object->document);
    else
      batch.erase(std::move(key));
  }
  if (change.operation) {
    batch.put(operation_key(change.operation->sequence), octets_of(*change.operation));
    if (before.operations().size() >= operations_remembered_max)
      batch.erase(operation_key(before.operations().front()->sequence));
  }
}

void add_head(rocksdb::write_batch& batch, const config_state& after) {
  const auto head = head_of(after);
  batch.put(std::string(head_key),
            json::canonical(boost::json::object{{"applied", head.applied_index},
                                                {"fingerprint", head.fingerprint},
                                                {"revision", head.revision},
                                                {"state", crypto::hex(*head.state_hash)}}));
}

void add_everything(rocksdb::write_batch& batch, const config_state& state) {
  for (auto kind = object_kind::tpm_ca; kind <= last_object_kind;
       kind = static_cast<object_kind>(static_cast<unsigned>(kind) + 1))
    state.table(kind).for_each([&](const object_ptr& object) {
      batch.put(object_key(kind, object->name), object->document);
    });
  for (const auto& operation : state.operations())
    batch.put(operation_key(operation->sequence), octets_of(*operation));
  add_head(batch, state);
}

void replace_everything(rocksdb::write_batch& batch, const config_state& state) {
  batch.erase_prefix(std::string(prefix));
  add_everything(batch, state);
}

result<config_state> load_state(const rocksdb::kv_store& store) {
  config_state_loader loader;
  std::optional<state_head> head;
  bool any = false;
  CUSTOS_CHECK(store.visit(prefix, [&](std::string_view key, byte_view value) -> result<void> {
    any = true;
    if (key.starts_with(object_prefix))
      return load_object(loader, key, value);
    if (key.starts_with(operation_prefix))
      return load_operation(loader, key, value);
    if (key != head_key)
      return damaged(key, "nothing of that name is known");
    auto read = read_head(as_text(value));
    if (!read)
      return damaged(key, read.failure().message);
    head = std::move(*read);
    return {};
  }));
  if (!any)
    return make_error(errc::not_found, "the store holds no configuration");
  if (!head)
    return damaged(head_key, "it is missing");
  return loader.finish(*head);
}

} // namespace custos::cluster
