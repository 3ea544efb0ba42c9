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

/// Takes `start` from the front of a text that begins with it.
bool take(std::string_view& text, std::string_view start) {
  if (!text.starts_with(start))
    return false;
  text.remove_prefix(start.size());
  return true;
}

/// The octets in the one member of `document`, if this is the canonical document of a key that has
/// them in PEM and nothing else. There is one such document for any octets, because Base64 is read
/// strictly and lines are full.
std::optional<bytes> octets_in(std::string_view document, std::string_view member,
                               std::string_view label) {
  constexpr std::string_view line_end = "\\n"; // two characters, in JSON
  constexpr std::size_t line_characters = 64;
  auto rest = document;
  if (!take(rest, "{\"") || !take(rest, member) || !take(rest, "\":\"-----BEGIN ") ||
      !take(rest, label) || !take(rest, "-----") || !take(rest, line_end))
    return std::nullopt;
  std::string base64;
  base64.reserve(rest.size());
  for (bool last = false; !rest.starts_with('-');) {
    const auto line = rest.substr(0, rest.find(line_end));
    if (last || line.empty() || line.size() > line_characters)
      return std::nullopt;
    last = line.size() < line_characters;
    base64 += line;
    rest.remove_prefix(line.size());
    if (!take(rest, line_end))
      return std::nullopt;
  }
  if (!take(rest, "-----END ") || !take(rest, label) || !take(rest, "-----") ||
      !take(rest, line_end) || rest != "\"}")
    return std::nullopt;
  auto octets = crypto::from_base64(base64);
  return octets ? std::optional(*std::move(octets)) : std::nullopt;
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
