#include "cluster/data_key_rotation.hpp"

#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace custos::cluster {

namespace {

constexpr std::string_view cluster_itself = "cluster";

/// The recipient's key as the JWE's header names it; empty if it does not read.
std::string recipient_of(std::string_view jwe) {
  const auto header = crypto::from_base64url(jwe.substr(0, jwe.find('.')));
  if (!header)
    return {};
  auto o = json::parse_object(as_text(*header), jose::header_bytes_max);
  if (!o)
    return {};
  auto kid = o->string("kid", jose::kid_bytes_max);
  return kid ? *std::move(kid) : std::string();
}

result<void> encrypt_for(data_key& object, const key_recipient& member,
                         const crypto::secret_bytes& key) {
  CUSTOS_TRY(const auto kid, jose::thumbprint(member.tls_public));
  CUSTOS_TRY(object.wrapped[member.name],
             jose::encrypt_ecdh_es_a256kw(member.tls_public, kid, key.reveal_secret()));
  return {};
}

/// From the newest to the oldest.
std::vector<const data_key*> newest_first(const config_snapshot& present) {
  std::vector<const data_key*> out;
  for (const auto& [name, object] : present.data_keys)
    out.push_back(&object);
  std::sort(out.begin(), out.end(), [](const data_key* a, const data_key* b) {
    return std::tie(a->created, a->name) > std::tie(b->created, b->name);
  });
  return out;
}

config_command put_command(object_kind kind, std::string name, std::string document) {
  config_command out;
  out.kind = kind;
  out.name = std::move(name);
  out.document = std::move(document);
  out.actor = cluster_itself;
  return out;
}

/// Calls f(octets, use) for each sealed member that is set.
template <class Provider, class F>
void for_sealed(Provider& p,
                F&& f) requires std::is_same_v<std::remove_const_t<Provider>, key_provider> {
  if (!p.client_private_key.sealed.empty())
    f(p.client_private_key.sealed, client_private_key_use(p.name));
  if (!p.password.sealed.empty())
    f(p.password.sealed, password_use(p.name));
  if (!p.next_client_private_key.sealed.empty())
    f(p.next_client_private_key.sealed, client_private_key_use(p.name));
  for (auto& key : p.primary_keys)
    f(key.key.sealed, primary_key_use(p.name, key.id));
}

template <class Key, class F>
void for_sealed(Key& k, F&& f) requires std::is_same_v<std::remove_const_t<Key>, token_key> {
  f(k.sealed_private_key, token_key_use(k.name));
}

template <class T>
result<std::optional<config_object>> resealed_object(T object, const sealer& seals) {
  bool changed = false;
  result<void> outcome;
  for_sealed(object, [&](bytes& sealed, const std::string& use) {
    if (!outcome || data_key_of(sealed) == seals.current())
      return;
    const auto opened = seals.open({sealed}, use);
    auto again =
        opened ? seals.seal(opened->reveal_secret(), use) : result<sealed_secret>(opened.failure());
    if (!again) {
      outcome = again.failure();
      return;
    }
    sealed = std::move(again->sealed);
    changed = true;
  });
  if (!outcome)
    return std::move(outcome).failure();
  return changed ? std::optional<config_object>(std::move(object)) : std::nullopt;
}

/// How many values of an object are under other keys.
template <class T>
std::size_t values_under_others(const T& object, const data_key_id& current) {
  std::size_t n = 0;
  for_sealed(object, [&](const bytes& sealed, const std::string&) {
    n += data_key_of(sealed) == current ? 0U : 1U;
  });
  return n;
}

} // namespace

result<made_data_key> make_data_key(const config_snapshot& present,
                                    const std::vector<key_recipient>& members, const sealer& seals,
                                    std::int64_t now) {
  if (members.empty() || members.size() > data_key_recipients_max)
    return field_error(errc::invalid_argument, "members",
                       "expected 1-" + std::to_string(data_key_recipients_max) + " members");
  if (present.data_keys.size() + retired_data_keys_kept + 1 >= data_keys_max)
    return make_error(
        errc::too_large,
        "there are too many data keys already: let the rotations under way end first");
  made_data_key out;
  data_key_id id{};
  do {
    auto key = crypto::random_secret(data_key_bytes);
    id = id_of(key);
    out.object.name = text_of(id);
    out.key = std::make_shared<const crypto::secret_bytes>(std::move(key));
  } while (seals.holds(id) || present.data_keys.contains(out.object.name));
  // Newer than the others even where clocks differ.
  out.object.created = std::max<std::int64_t>(now, 1);
  for (const auto& [name, object] : present.data_keys)
    out.object.created = std::max(out.object.created, object.created + 1);
  for (const auto& member : members)
    CUSTOS_CHECK(encrypt_for(out.object, member, *out.key));
  return out;
}

config_command create_command(const data_key& object) {
  auto out = put_command(object_kind::data_key, object.name, write_object(object));
  out.action = config_action::create;
  return out;
}

result<crypto::secret_bytes> open_data_key(const data_key& object, std::string_view node,
                                           const crypto::key& tls_key) {
  const auto about = "data key " + object.name;
  const auto found = object.wrapped.find(std::string(node));
  if (found == object.wrapped.end())
    return make_error(errc::not_found, about + " is not encrypted for " + std::string(node));
  auto key = jose::decrypt_ecdh_es_a256kw(tls_key, found->second);
  if (!key)
    return make_error(errc::crypto_failure,
                      about + " does not open with the TLS key of " + std::string(node));
  if (key->size() != data_key_bytes || text_of(id_of(*key)) != object.name)
    return make_error(errc::crypto_failure, about + " holds another key than it says");
  return key;
}

std::vector<std::string> missing_recipients(const data_key& object,
                                            const std::vector<key_recipient>& members) {
  std::vector<std::string> out;
  for (const auto& member : members) {
    const auto found = object.wrapped.find(member.name);
    const auto kid = jose::thumbprint(member.tls_public);
    if (found == object.wrapped.end() || !kid || recipient_of(found->second) != *kid)
      out.push_back(member.name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

result<data_key> add_recipients(const data_key& object, const std::vector<key_recipient>& members,
                                const sealer& seals) {
  const auto id = data_key_id_of(object.name);
  const auto* const held = id ? seals.ring().find(*id) : nullptr;
  if (held == nullptr)
    return make_error(errc::not_found, "this node does not hold data key " + object.name);
  auto out = object;
  const auto missing = missing_recipients(object, members);
  for (const auto& member : members)
    if (std::binary_search(missing.begin(), missing.end(), member.name))
      CUSTOS_CHECK(encrypt_for(out, member, *held->key));
  // Those who left make room.
  for (auto at = out.wrapped.begin();
       out.wrapped.size() > data_key_recipients_max && at != out.wrapped.end();)
    at = std::none_of(members.begin(), members.end(),
                      [&](const key_recipient& m) { return m.name == at->first; })
             ? out.wrapped.erase(at)
             : std::next(at);
  return out;
}

std::optional<data_key_id> current_data_key(const config_snapshot& present,
                                            const std::vector<key_recipient>& members) {
  if (members.empty()) // not known yet: that says nothing of what they can open
    return std::nullopt;
  for (const auto* const object : newest_first(present))
    if (missing_recipients(*object, members).empty())
      return data_key_id_of(object->name);
  return std::nullopt;
}

result<std::optional<config_object>> resealed(const config_object& object, const sealer& seals) {
  if (const auto* const provider = std::get_if<key_provider>(&object))
    return resealed_object(*provider, seals);
  if (const auto* const key = std::get_if<token_key>(&object))
    return resealed_object(*key, seals);
  return std::optional<config_object>();
}

std::vector<data_key_id> data_keys_in_use(const config_snapshot& present) {
  std::vector<data_key_id> out;
  const auto note = [&](const bytes& sealed, const std::string&) {
    if (const auto id = data_key_of(sealed))
      out.push_back(*id);
  };
  for (const auto& [name, provider] : present.key_providers)
    for_sealed(provider, note);
  for (const auto& [name, key] : present.token_keys)
    for_sealed(key, note);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

namespace {

/// The next member that a key is to be encrypted for.
void plan_recipients(rotation_plan& plan, const config_snapshot& present,
                     const std::vector<key_recipient>& members, const sealer& seals) {
  for (const auto* const object : newest_first(present)) {
    if (missing_recipients(*object, members).empty())
      continue;
    const auto more = add_recipients(*object, members, seals);
    if (!more) {
      plan.problems.push_back(more.failure());
      continue;
    }
    plan.next = put_command(object_kind::data_key, object->name, write_object(*more));
    return;
  }
}

/// The next object that is to be re-sealed; counts the values in all.
template <class Index>
void plan_resealing(rotation_plan& plan, const Index& index, object_kind kind,
                    const sealer& seals) {
  for (const auto& [name, object] : index) {
    const auto left = values_under_others(object, seals.current());
    plan.values_left += left;
    if (left == 0 || plan.next)
      continue;
    const auto again = resealed(config_object(object), seals);
    if (!again)
      plan.problems.push_back(again.failure());
    else if (*again)
      plan.next = put_command(kind, name, write_object(**again));
  }
}

/// The next object that is no longer needed: older than the current one, and nothing is sealed
/// under it.
void plan_removal(rotation_plan& plan, const config_snapshot& present, const data_key_id& current) {
  const auto in_use = data_keys_in_use(present);
  bool older = false;
  for (const auto* const object : newest_first(present)) {
    const auto id = data_key_id_of(object->name);
    if (older && id && !std::binary_search(in_use.begin(), in_use.end(), *id)) {
      plan.next = put_command(object_kind::data_key, object->name, {});
      plan.next->action = config_action::erase;
      return;
    }
    older = older || id == current;
  }
}

} // namespace

rotation_plan rotation_step(const config_snapshot& present,
                            const std::vector<key_recipient>& members, const sealer& seals) {
  rotation_plan plan;
  if (present.data_keys.empty())
    return plan;
  plan_recipients(plan, present, members, seals);
  const auto current = current_data_key(present, members);
  // Until all members have the newest key nothing is sealed under it, nor is it by a node that has
  // not followed yet.
  if (current && *current == seals.current()) {
    plan_resealing(plan, present.key_providers, object_kind::key_provider, seals);
    plan_resealing(plan, present.token_keys, object_kind::token_key, seals);
    if (!plan.next)
      plan_removal(plan, present, *current);
  }
  if (plan.next)
    plan.next->if_revision = present.revision;
  return plan;
}

} // namespace custos::cluster
