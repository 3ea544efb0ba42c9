// Builds a state from what was stored or sent.

#include "cluster/config_state.hpp"

#include <utility>

namespace custos::cluster {

namespace {

error damaged(const std::string& how) {
  return make_error(errc::corrupted, "stored configuration: " + how);
}

std::string described(object_kind kind, const std::string& name) {
  return std::string(to_string(kind)) + "/" + name;
}

} // namespace

state_head head_of(const config_state& state) {
  return {state.revision(), state.fingerprint(), state.applied_index(), state.state_hash()};
}

config_state_loader::config_state_loader() = default;

result<void> config_state_loader::add_object(object_kind kind, const std::string& name,
                                             std::string_view document) {
  if (to_string(kind) == "unknown")
    return damaged("unknown kind of object");
  auto value = read_object(kind, name, document);
  if (!value)
    return damaged(described(kind, name) + ": " + value.failure().field + " " +
                   value.failure().message);
  auto object = make_object(name, std::move(*value));
  if (object->document != document)
    return damaged(described(kind, name) + " is not in canonical form");
  objects_.at(static_cast<std::size_t>(kind) - 1).push_back(std::move(object));
  return {};
}

result<void> config_state_loader::add_operation(remembered_operation operation) {
  return state_.memory_.load(std::move(operation));
}

result<config_state> config_state_loader::finish(const state_head& head) {
  for (std::size_t i = 0; i < object_kinds; ++i) {
    const auto kind = static_cast<object_kind>(i + 1);
    if (objects_.at(i).size() > objects_max(kind))
      return damaged("too many objects of " + std::string(to_string(kind)));
    for (const auto& object : objects_.at(i))
      state_.show(kind, object->name, object);
    state_.objects_.at(i) = object_table(std::move(objects_.at(i)));
  }
  if (state_.table(object_kind::settings).empty())
    return damaged("there are no settings");
  state_.revision_ = head.revision;
  state_.applied_ = head.applied_index;
  state_.fingerprint_ = crypto::hex(state_.fingerprint_with(nullptr));
  if (state_.fingerprint_ != head.fingerprint)
    return damaged("its objects have fingerprint " + state_.fingerprint_ + ", its head says " +
                   head.fingerprint);
  if (head.state_hash && state_.state_hash() != *head.state_hash)
    return damaged("its hosts or operations are not those that its head has the state hash of");
  return std::move(state_);
}

} // namespace custos::cluster
