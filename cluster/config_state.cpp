#include "cluster/config_state.hpp"

#include "cluster/octets.hpp"

#include <cassert>

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

} // namespace

config_state::config_state() {
  objects_[index_of(object_kind::settings)] =
      object_table({make_object(std::string(settings_name), attestation_settings{})});
  fingerprint_ = crypto::hex(fingerprint_with(nullptr));
}

const object_table& config_state::table(object_kind kind) const {
  assert(is_kind(kind));
  return objects_.at(index_of(kind));
}

const stored_object* config_state::find(object_kind kind, std::string_view name) const {
  return is_kind(kind) ? table(kind).find(name) : nullptr;
}

// ---- hashes -------------------------------------------------------------------------------------

crypto::sha256_digest config_state::fingerprint_with(const planned_change* change) const {
  bytes all;
  for (std::size_t i = 0; i < object_kinds; ++i) {
    const auto kind = static_cast<object_kind>(i + 1);
    const auto& objects =
        change != nullptr && change->kind == kind ? *change->objects : objects_.at(i);
    if (!is_shared(kind) || objects.empty())
      continue;
    all.push_back(static_cast<std::uint8_t>(kind));
    put_octets(all, objects.hash());
  }
  return crypto::sha256(all);
}

crypto::sha256_digest config_state::state_hash() const {
  bytes all;
  put_number(all, revision_);
  const auto fingerprint = crypto::from_hex(fingerprint_);
  assert(fingerprint.ok());
  put_octets(all, *fingerprint);
  put_octets(all, table(object_kind::host).hash());
  put_octets(all, memory_.hash());
  return crypto::sha256(all);
}

// ---- judging ------------------------------------------------------------------------------------

result<void> config_state::keeps_an_administrator(const planned_change& change) const {
  const auto* const before = find(change.kind, change.name);
  if (before == nullptr || !is_administrator(*before) ||
      (change.object && is_administrator(*change.object)))
    return {};
  std::size_t administrators = 0;
  table(object_kind::principal).for_each([&](const object_ptr& object) {
    administrators += is_administrator(*object) ? 1U : 0U;
  });
  if (administrators > 1)
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
  const auto owner = bound_keys_.find(as_text(bound_key(binding)));
  if (owner != bound_keys_.end() && owner->second.host != command.name)
    return field_error(errc::forbidden, "/ek_spki_sha256",
                       "the endorsement key is bound to host " + owner->second.host +
                           ": erase that host first if the TPM has moved");
  return {};
}

result<planned_change> config_state::put_of(const config_command& command) const {
  CUSTOS_TRY(auto value, read_object(command.kind, command.name, command.document));
  planned_change out;
  out.object = make_object(command.name, std::move(value));
  if (out.object->document.size() > config_document_bytes_max)
    return make_error(errc::too_large, "expected a document of at most " +
                                           std::to_string(config_document_bytes_max) +
                                           " bytes in canonical form");
  const auto* const before = find(command.kind, command.name);
  if (command.kind == object_kind::host)
    CUSTOS_CHECK(check_binding(command, *out.object));
  if (before != nullptr && command.action == config_action::create)
    return make_error(errc::already_exists,
                      described(command.kind, command.name) + " exists already");
  const auto limit = objects_max(command.kind);
  if (before == nullptr && count(command.kind) >= limit)
    return make_error(errc::too_large, "expected at most " + std::to_string(limit) +
                                           " objects of " + std::string(to_string(command.kind)));
  out.writes = before == nullptr || before->document != out.object->document;
  if (out.writes)
    out.objects = table(command.kind).with(out.object);
  return out;
}

result<planned_change> config_state::erasure_of(const config_command& command) const {
  if (!command.document.empty())
    return field_error(errc::invalid_argument, "", "expected no document");
  if (command.kind == object_kind::settings)
    return make_error(errc::forbidden,
                      "the settings cannot be erased: put {} to have the defaults again");
  if (find(command.kind, command.name) == nullptr)
    return make_error(errc::not_found, "there is no " + described(command.kind, command.name));
  planned_change out;
  out.writes = true;
  out.objects = table(command.kind).without(command.name);
  return out;
}

result<planned_change> config_state::change_of(const config_command& command) const {
  CUSTOS_CHECK(check_object_name(command.kind, command.name));
  if (command.if_revision && *command.if_revision != revision_)
    return make_error(errc::revision_conflict, "the configuration has revision " +
                                                   std::to_string(revision_) + ", not " +
                                                   std::to_string(*command.if_revision));
  CUSTOS_TRY(auto out,
             command.action == config_action::erase ? erasure_of(command) : put_of(command));
  out.kind = command.kind;
  out.name = command.name;
  if (command.kind == object_kind::principal && out.writes)
    CUSTOS_CHECK(keeps_an_administrator(out));
  const bool counts = out.writes && is_shared(command.kind);
  out.outcome = {revision_ + (counts ? 1 : 0),
                 counts ? crypto::hex(fingerprint_with(&out)) : fingerprint_, out.writes};
  return out;
}

planned_change config_state::refused(error why) const {
  planned_change out;
  out.outcome = {revision_, fingerprint_, false};
  out.refusal = refusal_of(std::move(why));
  return out;
}

std::optional<planned_change> config_state::repetition(const config_command& command,
                                                       const crypto::sha256_digest& hash) const {
  const auto* const first = memory_.find(command.operation_id);
  if (first == nullptr)
    return std::nullopt;
  if (first->command != hash)
    return refused(field_error(errc::invalid_argument, "operation_id",
                               "expected an id that was not used for another command"));
  planned_change out;
  out.outcome = first->outcome;
  out.refusal = first->refusal;
  out.repeated = true;
  return out;
}

void config_state::remember(planned_change& change, const config_command& command,
                            const crypto::sha256_digest& hash) const {
  change.operation = std::make_shared<const remembered_operation>(
      remembered_operation{memory_.next_sequence(), command.operation_id, hash, change.outcome,
                           change.refusal, memory_.hash()});
}

planned_change config_state::judge(const replicated_command& entry, std::uint64_t index) const {
  const auto& command = entry.command;
  const auto hash = hash_of(command);
  auto out = [&]() -> planned_change {
    if (auto known = repetition(command, hash))
      return std::move(*known);
    if (entry.valid_until != 0 && index > entry.valid_until)
      return refused(field_error(errc::unavailable, "operation_id",
                                 "the change took too long to get through: ask again"));
    if (auto fit = check_replicable(command); !fit)
      return refused(std::move(fit).failure());
    auto change = change_of(command);
    auto judged = change ? *std::move(change) : refused(std::move(change).failure());
    remember(judged, command, hash);
    return judged;
  }();
  out.kind = command.kind;
  out.name = command.name;
  return out;
}

result<planned_change> config_state::plan(const config_command& command) const {
  // The log demands an id; here it may be missing.
  auto checked = command;
  if (checked.operation_id.empty())
    checked.operation_id = "none";
  CUSTOS_CHECK(check_replicable(checked));
  if (command.operation_id.empty())
    return change_of(command);
  const auto hash = hash_of(command);
  if (auto known = repetition(command, hash)) {
    if (known->refusal)
      return std::move(*known->refusal);
    return std::move(*known);
  }
  CUSTOS_TRY(auto out, change_of(command));
  remember(out, command, hash);
  return out;
}

// ---- changing -----------------------------------------------------------------------------------

void config_state::commit(const planned_change& change) {
  if (change.repeated)
    return;
  if (change.operation)
    memory_.add(change.operation);
  if (!change.writes)
    return;
  objects_.at(index_of(change.kind)) = change.objects.value();
  show(change.kind, change.name, change.object);
  revision_ = change.outcome.revision;
  fingerprint_ = change.outcome.fingerprint;
}

void config_state::set_applied(std::uint64_t index) {
  assert(index >= applied_);
  applied_ = index;
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
      bound_keys_.erase(as_text(before->second.ek_spki_sha256));
    if (object)
      show_in<host_binding>(bound_keys_, std::string(as_text(bound_key(*object))), object);
    return show_in<host_binding>(view_.hosts, name, object);
  }
}

config_ptr config_state::snapshot() const {
  auto out = std::make_shared<config_snapshot>(view_);
  out->revision = revision_;
  out->fingerprint = fingerprint_;
  return out;
}

} // namespace custos::cluster
