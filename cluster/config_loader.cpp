// Builds a state from what was stored or sent.

#include "adapters/crypto/spki.hpp"
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

/// The octets in the one member of `document`, if this is the canonical document of a key that has
/// them in PEM and nothing else.
std::optional<bytes> octets_in(std::string_view document, std::string_view member,
                               std::string_view label) {
  const auto start = std::string("{\"").append(member).append("\":\"");
  constexpr std::string_view end = "\"}";
  if (!document.starts_with(start) || document.size() < start.size() + end.size())
    return std::nullopt;
  const auto text = document.substr(start.size(), document.size() - start.size() - end.size());
  // Base64 is what stands between the line ends, which are two characters in JSON.
  std::string base64;
  base64.reserve(text.size());
  for (auto rest = text; !rest.empty();) {
    const auto line = rest.substr(0, rest.find("\\n"));
    if (!line.starts_with('-'))
      base64 += line;
    rest.remove_prefix(std::min(rest.size(), line.size() + 2));
  }
  auto octets = crypto::from_base64(base64);
  if (!octets)
    return std::nullopt;
  // Whatever was made of it above: only what writes this very document is the content of it.
  std::string again = start;
  for (const char c : crypto::pem_of(label, *octets))
    c == '\n' ? again += "\\n" : again += c;
  return again.append(end) == document ? std::optional(std::move(*octets)) : std::nullopt;
}

/// Endorsement keys are many, and for each OpenSSL takes half a millisecond. When their documents
/// were judged it looked at them; the fingerprint says that they are those that were judged.
/// Nothing where it takes a closer look.
object_ptr read_plain_key(const std::string& name, std::string_view document) {
  endorsement_key key;
  key.name = name;
  std::optional<byte_view> spki;
  if ((key.certificate = octets_in(document, "certificate", "CERTIFICATE")))
    spki = crypto::plain_spki_of(*key.certificate);
  else if ((key.public_key = octets_in(document, "public_key", "PUBLIC KEY")))
    spki = crypto::is_plain_spki(*key.public_key) ? std::optional<byte_view>(*key.public_key)
                                                  : std::nullopt;
  if (!spki || !check_object_name(object_kind::endorsement_key, name))
    return nullptr;
  const auto digest = crypto::sha256(*spki);
  key.spki_sha256.assign(digest.begin(), digest.end());
  return std::make_shared<const stored_object>(stored_object{
      name, std::move(key), std::string(document), crypto::sha256(as_bytes(document))});
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
  auto& mine = objects_.at(static_cast<std::size_t>(kind) - 1);
  if (kind == object_kind::endorsement_key)
    if (auto plain = read_plain_key(name, document)) {
      mine.push_back(std::move(plain));
      return {};
    }
  auto value = read_object(kind, name, document);
  if (!value)
    return damaged(described(kind, name) + ": " + value.failure().field + " " +
                   value.failure().message);
  auto object = make_object(name, std::move(*value));
  if (object->document != document)
    return damaged(described(kind, name) + " is not in canonical form");
  mine.push_back(std::move(object));
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
  if (!state_.memory_.is_whole() || (head.state_hash && state_.state_hash() != *head.state_hash))
    return damaged("its hosts or operations are not those that its head has the state hash of");
  return std::move(state_);
}

} // namespace custos::cluster
