#include "cluster/config_state.hpp"

#include <algorithm>
#include <cassert>
#include <set>

namespace custos::cluster {

namespace {

std::size_t index_of(object_kind kind) {
  return static_cast<std::size_t>(kind) - 1;
}

bool is_kind(object_kind kind) {
  return kind >= object_kind::tpm_ca && kind <= last_object_kind;
}

bool is_shared(object_kind kind) {
  return kind != object_kind::host;
}

object_ptr make_object(config_object value) {
  auto document = write_object(value);
  return std::make_shared<const stored_object>(
      stored_object{std::move(value), std::move(document)});
}

/// Every part with its length before it, so that no two commands have the same octets.
crypto::sha256_digest hash_of(const config_command& command) {
  std::string text;
  const auto add = [&](std::string_view part) {
    text += std::to_string(part.size());
    text += ':';
    text += part;
  };
  add(std::to_string(static_cast<unsigned>(command.action)));
  add(to_string(command.kind));
  add(command.name);
  add(command.document);
  add(command.if_revision ? std::to_string(*command.if_revision) : "any");
  return crypto::sha256(as_bytes(text));
}

bool is_administrator(const stored_object& object) {
  const auto* const p = std::get_if<principal>(&object.value);
  return p != nullptr && p->may == role::administrator;
}

const bytes& bound_key(const stored_object& object) {
  return std::get<host_binding>(object.value).ek_spki_sha256;
}

std::string described(object_kind kind, const std::string& name) {
  return std::string(to_string(kind)) + "/" + name;
}

result<void> check_command(const config_command& command) {
  if (!is_kind(command.kind))
    return field_error(errc::invalid_argument, "kind", "expected a kind of configuration object");
  if (command.operation_id.size() > operation_id_bytes_max)
    return field_error(errc::invalid_argument, "operation_id",
                       "expected at most " + std::to_string(operation_id_bytes_max) + " bytes");
  return check_object_name(command.kind, command.name);
}

} // namespace

config_state::config_state() {
  for (auto& map : objects_)
    map = std::make_shared<object_map>();
  auto settings = std::make_shared<object_map>();
  settings->emplace(settings_name, make_object(attestation_settings{}));
  objects_[index_of(object_kind::settings)] = std::move(settings);
  fingerprint_ = fingerprint_after(nullptr);
}

const stored_object* config_state::find(object_kind kind, std::string_view name) const {
  if (!is_kind(kind))
    return nullptr;
  const auto& map = all(kind);
  const auto found = map.find(name);
  return found == map.end() ? nullptr : found->second.get();
}

const object_map& config_state::all(object_kind kind) const {
  assert(is_kind(kind));
  return *objects_.at(index_of(kind));
}

const remembered_operation* config_state::remembered(std::string_view operation_id) const {
  const auto found = std::find_if(operations_.begin(), operations_.end(),
                                  [&](const auto& o) { return o->operation_id == operation_id; });
  return found == operations_.end() ? nullptr : found->get();
}

/// SHA-256 over {"KIND":{"NAME":document,...},...}: the documents are canonical and the names need
/// no escapes, so that putting them together gives the canonical JSON (RFC 8785) of the whole.
std::string config_state::fingerprint_after(const planned_change* change) const {
  // Kinds by name, as the canonical form sorts them.
  constexpr std::array sorted{
      object_kind::base_image,      object_kind::data_key,     object_kind::denial,
      object_kind::endorsement_key, object_kind::key_provider, object_kind::principal,
      object_kind::settings,        object_kind::token_key,    object_kind::tpm_ca};
  std::string text = "{";
  for (const auto kind : sorted) {
    // Kinds that came after 0.1 count only where there are any: what was stored before keeps its
    // fingerprint.
    const bool later = kind == object_kind::data_key || kind == object_kind::denial ||
                       kind == object_kind::token_key;
    if (later && all(kind).empty() &&
        (change == nullptr || change->kind != kind || !change->object))
      continue;
    text.append(text.size() > 1 ? ",\"" : "\"").append(to_string(kind)).append("\":{");
    const bool changes = change != nullptr && change->writes && change->kind == kind;
    bool pending = changes && change->object != nullptr;
    bool first = true;
    const auto add = [&](std::string_view name, const std::string& document) {
      text.append(first ? "\"" : ",\"").append(name).append("\":").append(document);
      first = false;
    };
    for (const auto& [name, object] : all(kind)) {
      if (pending && change->name <= name) {
        add(change->name, change->object->document);
        pending = false;
      }
      if (!changes || change->name != name)
        add(name, object->document);
    }
    if (pending)
      add(change->name, change->object->document);
    text += '}';
  }
  return crypto::hex(crypto::sha256(as_bytes(text + "}")));
}

result<void> config_state::keeps_an_administrator(const planned_change& change) const {
  const auto* const before = find(change.kind, change.name);
  if (before == nullptr || !is_administrator(*before) ||
      (change.object && is_administrator(*change.object)))
    return {};
  const auto& principals = all(object_kind::principal);
  if (std::count_if(principals.begin(), principals.end(),
                    [](const auto& entry) { return is_administrator(*entry.second); }) > 1)
    return {};
  return make_error(errc::forbidden, change.name + " is the last administrator: make another one "
                                                   "first");
}

/// Host and endorsement key are bound once, in both directions.
result<void> config_state::check_binding(const config_command& command,
                                         const stored_object& binding) const {
  const auto* const before = find(command.kind, command.name);
  if (before != nullptr && bound_key(*before) != bound_key(binding))
    return field_error(errc::forbidden, "/ek_spki_sha256",
                       "host " + command.name +
                           " is bound to another endorsement key: erase the host first if it has "
                           "a new TPM");
  const auto owner = bound_keys_.find(bound_key(binding));
  if (owner != bound_keys_.end() && owner->second != command.name)
    return field_error(errc::forbidden, "/ek_spki_sha256",
                       "the endorsement key is bound to host " + owner->second +
                           ": erase that host first if the TPM has moved");
  return {};
}

result<planned_change> config_state::plan_put(const config_command& command) const {
  CUSTOS_TRY(auto value, read_object(command.kind, command.name, command.document));
  planned_change out;
  out.object = make_object(std::move(value));
  const auto* const before = find(command.kind, command.name);
  if (command.kind == object_kind::host)
    CUSTOS_CHECK(check_binding(command, *out.object));
  if (before != nullptr && command.action == config_action::create)
    return make_error(errc::already_exists,
                      described(command.kind, command.name) + " exists already");
  const bool per_machine =
      command.kind == object_kind::host || command.kind == object_kind::endorsement_key;
  const auto limit = per_machine ? hosts_max : objects_per_kind_max;
  if (before == nullptr && all(command.kind).size() >= limit)
    return make_error(errc::too_large, "expected at most " + std::to_string(limit) +
                                           " objects of " + std::string(to_string(command.kind)));
  out.writes = before == nullptr || before->document != out.object->document;
  return out;
}

result<planned_change> config_state::plan_erase(const config_command& command) const {
  if (!command.document.empty())
    return field_error(errc::invalid_argument, "", "expected no document");
  if (command.kind == object_kind::settings)
    return make_error(errc::forbidden,
                      "the settings cannot be erased: put {} to have the defaults again");
  if (find(command.kind, command.name) == nullptr)
    return make_error(errc::not_found, "there is no " + described(command.kind, command.name));
  planned_change out;
  out.writes = true;
  return out;
}

result<planned_change> config_state::plan(const config_command& command) const {
  CUSTOS_CHECK(check_command(command));
  const auto hash = hash_of(command);
  if (!command.operation_id.empty())
    if (const auto* const first = remembered(command.operation_id)) {
      if (first->command != hash)
        return field_error(errc::invalid_argument, "operation_id",
                           "expected an id that was not used for another command");
      planned_change out;
      out.outcome = first->outcome;
      out.repeated = true;
      return out;
    }
  if (command.if_revision && *command.if_revision != revision_)
    return make_error(errc::revision_conflict, "the configuration has revision " +
                                                   std::to_string(revision_) + ", not " +
                                                   std::to_string(*command.if_revision));
  CUSTOS_TRY(auto out,
             command.action == config_action::erase ? plan_erase(command) : plan_put(command));
  out.kind = command.kind;
  out.name = command.name;
  CUSTOS_CHECK(keeps_an_administrator(out));
  const bool counts = out.writes && is_shared(out.kind);
  out.outcome = {revision_ + (counts ? 1U : 0U), counts ? fingerprint_after(&out) : fingerprint_,
                 out.writes};
  if (!command.operation_id.empty())
    out.operation = std::make_shared<const remembered_operation>(
        remembered_operation{operations_.empty() ? 1 : operations_.back()->sequence + 1,
                             command.operation_id, hash, out.outcome});
  return out;
}

void config_state::commit(const planned_change& change) {
  if (change.repeated)
    return;
  if (change.operation) {
    operations_.push_back(change.operation);
    if (operations_.size() > operations_remembered_max)
      operations_.pop_front();
  }
  if (!change.writes)
    return;
  auto& slot = objects_.at(index_of(change.kind));
  if (slot.use_count() > 1)
    slot = std::make_shared<object_map>(*slot);
  if (change.object)
    slot->insert_or_assign(change.name, change.object);
  else
    slot->erase(change.name);
  show(change.kind, change.name, change.object);
  revision_ = change.outcome.revision;
  fingerprint_ = change.outcome.fingerprint;
}

result<transition> config_state::apply(const config_command& command) const {
  CUSTOS_TRY(const auto change, plan(command));
  transition out{*this, change.outcome};
  out.next.commit(change);
  return out;
}

namespace {

/// Shows one object in the index of its kind: the very object, not a copy.
template <class T, class Index>
void show_in(Index& index, const std::string& name, const object_ptr& object) {
  if (object)
    index.set(name, std::shared_ptr<const T>(object, &std::get<T>(object->value)));
  else
    index.erase(name);
}

} // namespace

void config_state::show(object_kind kind, const std::string& name, const object_ptr& object) {
  switch (kind) {
  case object_kind::tpm_ca:
    return show_in<tpm_ca>(view_.tpm_cas, name, object);
  case object_kind::endorsement_key:
    return show_in<endorsement_key>(view_.endorsement_keys, name, object);
  case object_kind::base_image:
    return show_in<base_image>(view_.base_images, name, object);
  case object_kind::settings:
    view_.settings = std::get<attestation_settings>(object->value);
    return;
  case object_kind::key_provider:
    return show_in<key_provider>(view_.key_providers, name, object);
  case object_kind::principal:
    return show_in<principal>(view_.principals, name, object);
  case object_kind::token_key:
    return show_in<token_key>(view_.token_keys, name, object);
  case object_kind::denial:
    return show_in<denial>(view_.denials, name, object);
  case object_kind::data_key:
    return show_in<data_key>(view_.data_keys, name, object);
  case object_kind::host:
    if (const auto before = view_.hosts.find(name); before != view_.hosts.end())
      bound_keys_.erase((*before).second.ek_spki_sha256);
    if (object)
      bound_keys_[bound_key(*object)] = name;
    return show_in<host_binding>(view_.hosts, name, object);
  }
}

config_ptr config_state::snapshot() const {
  auto out = std::make_shared<config_snapshot>(view_);
  out->revision = revision_;
  out->fingerprint = fingerprint_;
  return out;
}

// ---- loader -------------------------------------------------------------------------------------

config_state_loader::config_state_loader() = default;

result<void> config_state_loader::add_object(object_kind kind, const std::string& name,
                                             std::string_view document) {
  if (!is_kind(kind))
    return make_error(errc::corrupted, "stored configuration: unknown kind of object");
  auto value = read_object(kind, name, document);
  if (!value)
    return make_error(errc::corrupted, "stored configuration: " + described(kind, name) + ": " +
                                           value.failure().field + " " + value.failure().message);
  auto object = make_object(std::move(*value));
  if (object->document != document)
    return make_error(errc::corrupted, "stored configuration: " + described(kind, name) +
                                           " is not in canonical form");
  objects_.at(index_of(kind)).insert_or_assign(name, std::move(object));
  return {};
}

void config_state_loader::add_operation(remembered_operation operation) {
  state_.operations_.push_back(std::make_shared<const remembered_operation>(std::move(operation)));
}

result<config_state> config_state_loader::finish(std::uint64_t revision,
                                                 std::string_view fingerprint) {
  if (objects_.at(index_of(object_kind::settings)).empty())
    return make_error(errc::corrupted, "stored configuration: there are no settings");
  for (std::size_t i = 0; i < object_kinds; ++i)
    for (const auto& [name, object] : objects_.at(i))
      state_.show(static_cast<object_kind>(i + 1), name, object);
  for (std::size_t i = 0; i < object_kinds; ++i)
    state_.objects_.at(i) = std::make_shared<object_map>(std::move(objects_.at(i)));
  state_.revision_ = revision;
  state_.fingerprint_ = state_.fingerprint_after(nullptr);
  if (state_.fingerprint_ != fingerprint)
    return make_error(errc::corrupted, "stored configuration: its objects have fingerprint " +
                                           state_.fingerprint_ + ", its head says " +
                                           std::string(fingerprint));
  return std::move(state_);
}

} // namespace custos::cluster
