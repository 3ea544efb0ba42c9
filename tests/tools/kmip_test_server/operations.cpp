// The operations of the KMIP test server (KMIP 1.4, 4; 2.1, 6).

#include "adapters/crypto/crypto.hpp"
#include "tests/tools/kmip_test_server/answers.hpp"

#include <algorithm>

namespace custos::kmip_test_server {

using kmip::result_reason;
using kmip::state;
using kmip::tag;
using kmip::ttlv_item;
using kmip::ttlv_scope;
using kmip::ttlv_writer;

namespace {

constexpr std::uint32_t key_compromise = 2; ///< Revocation Reason Code

std::uint32_t number_of(const std::optional<ttlv_item>& item, std::uint32_t otherwise) {
  if (!item)
    return otherwise;
  if (const auto e = item->as_enumeration())
    return *e;
  const auto i = item->as_integer();
  return i ? static_cast<std::uint32_t>(*i) : otherwise;
}

std::string text_of(const std::optional<ttlv_item>& item) {
  return item ? std::string(as_text(item->value())) : std::string();
}

bytes octets_of(const ttlv_item& payload, tag t) {
  const auto item = payload.child(t);
  return item ? bytes(item->value().begin(), item->value().end()) : bytes();
}

/// The attributes we know by name; in 1.x they are named in words, in 2.x they are tags.
constexpr std::array attribute_tags = {tag::name, tag::state, tag::cryptographic_algorithm,
                                       tag::cryptographic_length, tag::cryptographic_usage_mask};

std::optional<tag> attribute_of_name(std::string_view name) {
  for (const tag t : attribute_tags)
    if (kmip::to_string(t) == name)
      return t;
  return std::nullopt;
}

/// The value of an attribute somewhere in a payload, in the form of either major version.
std::optional<ttlv_item> attribute(const ttlv_item& in, tag wanted) {
  for (const auto child : in.children()) {
    if (child.name() == tag::template_attribute || child.name() == tag::attributes) {
      if (auto found = attribute(child, wanted))
        return found;
    } else if (child.name() == tag::attribute) {
      if (attribute_of_name(text_of(child.child(tag::attribute_name))) == wanted)
        return child.child(tag::attribute_value);
    } else if (child.name() == wanted && in.name() == tag::attributes) {
      return child;
    }
  }
  return std::nullopt;
}

std::string name_in(const ttlv_item& payload) {
  const auto name = attribute(payload, tag::name);
  return name ? text_of(name->child(tag::name_value)) : std::string();
}

/// Writes the value under `under`, which is the attribute's own tag in 2.x.
void write_value(ttlv_writer& w, const stored_key& key, tag which, tag under) {
  switch (which) {
  case tag::name: {
    const ttlv_scope scope(w, under);
    w.text(tag::name_value, key.name);
    w.enumeration(tag::name_type, kmip::name_type::uninterpreted_text_string);
    return;
  }
  case tag::state:
    return w.enumeration(under, key.state);
  case tag::cryptographic_algorithm:
    return w.enumeration(under, kmip::algorithm::aes);
  case tag::cryptographic_length:
    return w.integer(under, static_cast<std::int32_t>(key.material.size() * 8));
  default:
    return w.integer(under, static_cast<std::int32_t>(key.usage));
  }
}

bool is_aes_size(std::size_t octets) {
  return octets == 16 || octets == 24 || octets == 32;
}

/// GCM if the parameters say so; else CBC.
bool wants_gcm(const ttlv_item& payload) {
  const auto parameters = payload.child(tag::cryptographic_parameters);
  return parameters && number_of(parameters->child(tag::block_cipher_mode), 0) ==
                           static_cast<std::uint32_t>(kmip::block_cipher_mode::gcm);
}

refusal not_now(const stored_key& key) {
  return {result_reason::permission_denied, "the key is " + kmip::to_string(key.state)};
}

} // namespace

std::variant<refusal, key_ptr> answers::key_of(const request_item& item) {
  const auto id = text_of(item.payload.child(tag::unique_identifier));
  auto key = keys_.find(id);
  if (!key)
    return refusal{result_reason::item_not_found, "Could not locate object: " + id};
  return key;
}

answers::outcome answers::discover(const request_item& item, bool refuse) {
  std::vector<version> asked;
  for (const auto child : item.payload.children())
    if (child.name() == tag::protocol_version)
      asked.emplace_back(number_of(child.child(tag::protocol_version_major), 0),
                         number_of(child.child(tag::protocol_version_minor), 0));
  auto ours = refuse ? std::vector<version>() : versions();
  if (!asked.empty())
    std::erase_if(ours, [&](const version& v) {
      return std::find(asked.begin(), asked.end(), v) == asked.end();
    });
  return write_payload([ours](ttlv_writer& w) {
    for (const auto& [major, minor] : ours) {
      const ttlv_scope scope(w, tag::protocol_version);
      w.integer(tag::protocol_version_major, major);
      w.integer(tag::protocol_version_minor, minor);
    }
  });
}

answers::outcome answers::query() {
  return write_payload([](ttlv_writer& w) {
    using enum kmip::operation;
    for (const auto o : {create, register_object, kmip::operation::locate, kmip::operation::get,
                         kmip::operation::get_attributes, kmip::operation::activate,
                         kmip::operation::revoke, kmip::operation::destroy, kmip::operation::query,
                         kmip::operation::encrypt, kmip::operation::decrypt, discover_versions})
      w.enumeration(tag::operation, o);
    w.enumeration(tag::object_type, kmip::object_type::symmetric_key);
    w.text(tag::vendor_identification, "KMIP test server");
  });
}

answers::outcome answers::create(const header&, const request_item& item) {
  const auto bits = number_of(attribute(item.payload, tag::cryptographic_length), 0);
  if (bits % 8 != 0 || !is_aes_size(bits / 8))
    return refusal{result_reason::invalid_field, "Cryptographic Length is no size of AES"};
  stored_key key;
  key.name = name_in(item.payload);
  key.usage = number_of(attribute(item.payload, tag::cryptographic_usage_mask), 0);
  key.material = crypto::random_bytes(bits / 8);
  const auto id = keys_.add(std::move(key));
  if (!id)
    return refusal{result_reason::general_failure, id.failure().message};
  return write_payload([id = *id](ttlv_writer& w) {
    w.enumeration(tag::object_type, kmip::object_type::symmetric_key);
    w.text(tag::unique_identifier, id);
  });
}

answers::outcome answers::register_key(const header&, const request_item& item) {
  const auto object = item.payload.child(tag::symmetric_key);
  const auto block = object ? object->child(tag::key_block) : std::nullopt;
  const auto value = block ? block->child(tag::key_value) : std::nullopt;
  const auto material = value ? value->child(tag::key_material) : std::nullopt;
  if (!material || material->type() != kmip::item_type::byte_string)
    return refusal{result_reason::invalid_field, "expected a Symmetric Key in the Raw format"};
  stored_key key;
  key.name = name_in(item.payload);
  key.usage = number_of(attribute(item.payload, tag::cryptographic_usage_mask), key.usage);
  key.material.assign(material->value().begin(), material->value().end());
  if (!is_aes_size(key.material.size()))
    return refusal{result_reason::invalid_field, "the key has no size of AES"};
  const auto id = keys_.add(std::move(key));
  if (!id)
    return refusal{result_reason::general_failure, id.failure().message};
  return write_payload([id = *id](ttlv_writer& w) { w.text(tag::unique_identifier, id); });
}

answers::outcome answers::locate(const request_item& item) {
  auto found =
      keys_.locate(name_in(item.payload), number_of(attribute(item.payload, tag::state), 0));
  const auto most = number_of(item.payload.child(tag::maximum_items), 1000);
  if (found.size() > most)
    found.resize(most);
  return write_payload([found = std::move(found)](ttlv_writer& w) {
    for (const auto& id : found)
      w.text(tag::unique_identifier, id);
  });
}

answers::outcome answers::get(const request_item& item, const std::optional<fault>& f) {
  auto found = key_of(item);
  if (const auto* why = std::get_if<refusal>(&found))
    return *why;
  auto key = std::get<key_ptr>(found);
  if (key->material.empty())
    return refusal{result_reason::item_not_found, "the key is destroyed"};
  if (f && f->what == wrong::other_key)
    if (auto other = keys_.other_than(key->id))
      key = std::move(other);
  auto material = key->material;
  auto bits = static_cast<std::int32_t>(material.size() * 8);
  if (f && f->what == wrong::short_key)
    material.resize(20);
  if (f && f->what == wrong::key_length) {
    material.resize(f->number, 0x5A);
    bits = static_cast<std::int32_t>(f->number * 8);
  }
  return write_payload([key, material = std::move(material), bits](ttlv_writer& w) {
    w.enumeration(tag::object_type, kmip::object_type::symmetric_key);
    w.text(tag::unique_identifier, key->id);
    const ttlv_scope object(w, tag::symmetric_key);
    const ttlv_scope block(w, tag::key_block);
    w.enumeration(tag::key_format_type, kmip::key_format::raw);
    {
      const ttlv_scope value(w, tag::key_value);
      w.octets(tag::key_material, material);
    }
    w.enumeration(tag::cryptographic_algorithm, kmip::algorithm::aes);
    w.integer(tag::cryptographic_length, bits);
  });
}

answers::outcome answers::get_attributes(const header& h, const request_item& item) {
  auto found = key_of(item);
  if (const auto* why = std::get_if<refusal>(&found))
    return *why;
  std::vector<tag> wanted;
  bool all = true;
  for (const auto child : item.payload.children()) {
    if (child.name() != tag::attribute_name && child.name() != tag::attribute_reference)
      continue;
    all = false;
    const auto one = child.name() == tag::attribute_name
                         ? attribute_of_name(text_of(child))
                         : std::optional(static_cast<tag>(number_of(child, 0)));
    if (one)
      wanted.push_back(*one);
  }
  if (all)
    wanted.assign(attribute_tags.begin(), attribute_tags.end());
  return write_payload(
      [key = std::get<key_ptr>(found), wanted, v2 = h.spoken.first == 2](ttlv_writer& w) {
        w.text(tag::unique_identifier, key->id);
        if (v2) {
          const ttlv_scope scope(w, tag::attributes);
          for (const tag t : wanted)
            write_value(w, *key, t, t);
          return;
        }
        for (const tag t : wanted) {
          const ttlv_scope scope(w, tag::attribute);
          w.text(tag::attribute_name, kmip::to_string(t));
          write_value(w, *key, t, tag::attribute_value);
        }
      });
}

answers::outcome answers::activate(const request_item& item) {
  auto found = key_of(item);
  if (const auto* why = std::get_if<refusal>(&found))
    return *why;
  const auto key = std::get<key_ptr>(found);
  if (key->state != state::pre_active)
    return not_now(*key);
  if (auto done = keys_.change(key->id, [](stored_key& k) { k.state = state::active; }); !done)
    return refusal{result_reason::general_failure, done.failure().message};
  return write_payload([id = key->id](ttlv_writer& w) { w.text(tag::unique_identifier, id); });
}

answers::outcome answers::revoke(const request_item& item) {
  auto found = key_of(item);
  if (const auto* why = std::get_if<refusal>(&found))
    return *why;
  const auto key = std::get<key_ptr>(found);
  const auto reason = item.payload.child(tag::revocation_reason);
  const auto code = reason ? number_of(reason->child(tag::revocation_reason_code), 0) : 0;
  const bool compromised = code == key_compromise;
  if (!compromised && key->state != state::active)
    return refusal{result_reason::illegal_operation, "the key is " + kmip::to_string(key->state)};
  const auto next = compromised ? state::compromised : state::deactivated;
  if (auto done = keys_.change(key->id, [next](stored_key& k) { k.state = next; }); !done)
    return refusal{result_reason::general_failure, done.failure().message};
  return write_payload([id = key->id](ttlv_writer& w) { w.text(tag::unique_identifier, id); });
}

answers::outcome answers::destroy(const request_item& item) {
  auto found = key_of(item);
  if (const auto* why = std::get_if<refusal>(&found))
    return *why;
  const auto key = std::get<key_ptr>(found);
  if (key->state == state::active)
    return not_now(*key);
  const auto done = keys_.change(key->id, [](stored_key& k) {
    k.state = k.state == state::compromised ? state::destroyed_compromised : state::destroyed;
    k.material.clear();
  });
  if (!done)
    return refusal{result_reason::general_failure, done.failure().message};
  return write_payload([id = key->id](ttlv_writer& w) { w.text(tag::unique_identifier, id); });
}

answers::outcome answers::encrypt(const header& h, const request_item& item) {
  auto found = key_of(item);
  if (const auto* why = std::get_if<refusal>(&found))
    return *why;
  const auto key = std::get<key_ptr>(found);
  if (key->state != state::active || (key->usage & kmip::usage_encrypt) == 0)
    return not_now(*key);
  const auto plain = octets_of(item.payload, tag::data);
  if (!wants_gcm(item.payload)) {
    const auto iv = crypto::random_bytes(16);
    const auto sealed = crypto::aes_cbc_encrypt(key->material, iv, plain);
    if (!sealed)
      return refusal{result_reason::cryptographic_failure, sealed.failure().message};
    return write_payload([id = key->id, iv, sealed = *sealed](ttlv_writer& w) {
      w.text(tag::unique_identifier, id);
      w.octets(tag::data, sealed);
      w.octets(tag::iv_counter_nonce, iv);
    });
  }
  if (h.spoken < version{1, 4})
    return refusal{result_reason::feature_not_supported, "GCM has no tag in this version"};
  const auto iv = crypto::random_bytes(12);
  const auto aad = octets_of(item.payload, tag::authenticated_encryption_additional_data);
  const auto sealed = crypto::aes256_gcm_seal(key->material, iv, aad, plain);
  if (!sealed)
    return refusal{result_reason::cryptographic_failure, sealed.failure().message};
  return write_payload([id = key->id, iv, sealed = *sealed](ttlv_writer& w) {
    w.text(tag::unique_identifier, id);
    w.octets(tag::data, sealed.ciphertext);
    w.octets(tag::iv_counter_nonce, iv);
    w.octets(tag::authenticated_encryption_tag, sealed.tag);
  });
}

answers::outcome answers::decrypt(const header& h, const request_item& item) {
  auto found = key_of(item);
  if (const auto* why = std::get_if<refusal>(&found))
    return *why;
  const auto key = std::get<key_ptr>(found);
  const bool may = key->state == state::active || key->state == state::deactivated ||
                   key->state == state::compromised;
  if (!may || (key->usage & kmip::usage_decrypt) == 0)
    return not_now(*key);
  const bool gcm = wants_gcm(item.payload);
  if (gcm && h.spoken < version{1, 4})
    return refusal{result_reason::feature_not_supported, "GCM has no tag in this version"};
  const auto data = octets_of(item.payload, tag::data);
  const auto iv = octets_of(item.payload, tag::iv_counter_nonce);
  const auto aad = octets_of(item.payload, tag::authenticated_encryption_additional_data);
  const auto mac = octets_of(item.payload, tag::authenticated_encryption_tag);
  const auto opened = gcm ? crypto::aes256_gcm_open(key->material, iv, aad, data, mac)
                          : crypto::aes_cbc_decrypt(key->material, iv, data);
  if (!opened)
    return refusal{result_reason::cryptographic_failure, "the data does not open"};
  const auto plain = opened->reveal_secret();
  return write_payload([id = key->id, plain = bytes(plain.begin(), plain.end())](ttlv_writer& w) {
    w.text(tag::unique_identifier, id);
    w.octets(tag::data, plain);
  });
}

} // namespace custos::kmip_test_server
