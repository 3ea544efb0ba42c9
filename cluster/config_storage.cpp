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
constexpr std::int64_t revision_max = std::numeric_limits<std::int64_t>::max();

std::string object_key(object_kind kind, std::string_view name) {
  return std::string(object_prefix).append(to_string(kind)).append("/").append(name);
}

std::string operation_key(std::uint64_t sequence) {
  auto digits = std::to_string(sequence);
  digits.insert(0, sequence_digits - std::min(digits.size(), sequence_digits), '0');
  return std::string(operation_prefix) + digits;
}

void put_head(rocksdb::write_batch& batch, std::uint64_t revision, const std::string& fingerprint) {
  batch.put(std::string(head_key), json::canonical(boost::json::object{
                                       {"revision", revision}, {"fingerprint", fingerprint}}));
}

void put_operation(rocksdb::write_batch& batch, const remembered_operation& o) {
  batch.put(operation_key(o.sequence),
            json::canonical(boost::json::object{{"id", o.operation_id},
                                                {"command", crypto::hex(o.command)},
                                                {"revision", o.outcome.revision},
                                                {"fingerprint", o.outcome.fingerprint},
                                                {"changed", o.outcome.changed}}));
}

error damaged(std::string_view key, const std::string& how) {
  return make_error(errc::corrupted, "stored configuration: " + std::string(key) + ": " + how);
}

struct head {
  std::uint64_t revision = 0;
  std::string fingerprint;
};

result<head> read_head(std::string_view text) {
  CUSTOS_TRY(auto o, json::parse_object(text, head_bytes_max));
  CUSTOS_TRY(const auto revision, o.integer("revision", 0, revision_max));
  CUSTOS_TRY(auto fingerprint, o.string("fingerprint", 64));
  CUSTOS_CHECK(o.finish());
  return head{static_cast<std::uint64_t>(revision), std::move(fingerprint)};
}

result<remembered_operation> read_operation(std::string_view text) {
  CUSTOS_TRY(auto o, json::parse_object(text, head_bytes_max));
  remembered_operation out;
  CUSTOS_TRY(out.operation_id, o.string("id", operation_id_bytes_max));
  CUSTOS_TRY(const auto command, o.hex("command", out.command.size()));
  if (command.size() != out.command.size())
    return make_error(errc::corrupted, "expected a SHA-256 digest");
  std::copy(command.begin(), command.end(), out.command.begin());
  CUSTOS_TRY(const auto revision, o.integer("revision", 0, revision_max));
  out.outcome.revision = static_cast<std::uint64_t>(revision);
  CUSTOS_TRY(out.outcome.fingerprint, o.string("fingerprint", 64));
  CUSTOS_TRY(out.outcome.changed, o.boolean("changed"));
  CUSTOS_CHECK(o.finish());
  return out;
}

result<void> load_object(config_state_loader& loader, const rocksdb::kv_entry& entry) {
  const auto rest = std::string_view(entry.key).substr(object_prefix.size());
  const auto slash = rest.find('/');
  const auto kind = object_kind_of(rest.substr(0, slash));
  if (slash == std::string_view::npos || !kind)
    return damaged(entry.key, "unknown kind of object");
  return loader.add_object(*kind, std::string(rest.substr(slash + 1)), as_text(entry.value));
}

result<void> load_operation(config_state_loader& loader, const rocksdb::kv_entry& entry) {
  const auto digits = std::string_view(entry.key).substr(operation_prefix.size());
  std::uint64_t sequence = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9')
      return damaged(entry.key, "expected a number");
    sequence = sequence * 10 + static_cast<std::uint64_t>(c - '0');
  }
  auto operation = read_operation(as_text(entry.value));
  if (!operation || digits.size() != sequence_digits)
    return damaged(entry.key, operation ? "expected 20 digits" : operation.failure().message);
  operation->sequence = sequence;
  loader.add_operation(std::move(*operation));
  return {};
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
  if (change.outcome.revision != before.revision())
    put_head(batch, change.outcome.revision, change.outcome.fingerprint);
  if (change.operation) {
    put_operation(batch, *change.operation);
    if (before.operations().size() >= operations_remembered_max)
      batch.erase(operation_key(before.operations().front()->sequence));
  }
}

void add_everything(rocksdb::write_batch& batch, const config_state& state) {
  put_head(batch, state.revision(), state.fingerprint());
  for (auto kind = object_kind::tpm_ca; kind <= last_object_kind;
       kind = static_cast<object_kind>(static_cast<unsigned>(kind) + 1))
    for (const auto& [name, object] : state.all(kind))
      batch.put(object_key(kind, name), object->document);
  for (const auto& operation : state.operations())
    put_operation(batch, *operation);
}

result<config_state> load_state(const rocksdb::kv_store& store) {
  CUSTOS_TRY(const auto entries, store.scan(prefix));
  if (entries.empty())
    return make_error(errc::not_found, "the store holds no configuration");
  config_state_loader loader;
  std::optional<head> found;
  for (const auto& entry : entries) {
    if (entry.key.starts_with(object_prefix)) {
      CUSTOS_CHECK(load_object(loader, entry));
    } else if (entry.key.starts_with(operation_prefix)) {
      CUSTOS_CHECK(load_operation(loader, entry));
    } else if (entry.key == head_key) {
      auto read = read_head(as_text(entry.value));
      if (!read)
        return damaged(entry.key, read.failure().message);
      found = std::move(*read);
    } else {
      return damaged(entry.key, "nothing of that name is known");
    }
  }
  if (!found)
    return damaged(head_key, "it is missing");
  return loader.finish(found->revision, found->fingerprint);
}

} // namespace custos::cluster
