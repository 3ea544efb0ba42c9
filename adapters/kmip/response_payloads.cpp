// Reading the payloads of responses, one function an operation. Liberal in what servers add:
// unknown fields are skipped.

#include "adapters/kmip/names.hpp"
#include "adapters/kmip/response_fields.hpp"

namespace custos::kmip::detail {

result<protocol_version> read_version(const ttlv_item& item) {
  static constexpr std::array wanted = {tag::protocol_version_major, tag::protocol_version_minor};
  CUSTOS_TRY(const auto structure, item.as_structure());
  CUSTOS_TRY(const auto found, read_fields(structure, wanted));
  CUSTOS_TRY(const auto major_item, demand(found[0], wanted[0]));
  CUSTOS_TRY(const auto minor_item, demand(found[1], wanted[1]));
  CUSTOS_TRY(const std::int32_t major, major_item.as_integer());
  CUSTOS_TRY(const std::int32_t minor, minor_item.as_integer());
  if (major < 0 || minor < 0)
    return malformed("a Protocol Version below zero");
  return protocol_version{static_cast<std::uint32_t>(major), static_cast<std::uint32_t>(minor)};
}

namespace {

/// The Unique Identifier of a payload; `asked` empty: any.
result<std::string> read_identifier(const std::optional<ttlv_item>& field, std::string_view asked) {
  CUSTOS_TRY(const auto item, demand(field, tag::unique_identifier));
  CUSTOS_TRY(const std::string_view text, item.as_text());
  if (text.empty() || text.size() > identifier_bytes_max)
    return malformed("Unique Identifier is empty or too long");
  if (!asked.empty() && text != asked)
    return malformed("Unique Identifier of another object");
  return std::string(text);
}

result<answer> read_payload(const discover_versions&, const ttlv_item& payload) {
  versions_supported out;
  for (const ttlv_item item : payload.children()) {
    if (item.name() != tag::protocol_version)
      continue;
    if (out.versions.size() == listed_max)
      return malformed("too many Protocol Versions");
    CUSTOS_TRY(const protocol_version v, read_version(item));
    out.versions.push_back(v);
  }
  return answer{std::move(out)};
}

result<answer> read_payload(const query&, const ttlv_item& payload) {
  query_answer out;
  for (const ttlv_item item : payload.children()) {
    if (item.name() == tag::operation) {
      if (out.operations.size() == listed_max)
        return malformed("too many Operations");
      CUSTOS_TRY(const std::uint32_t number, item.as_enumeration());
      out.operations.push_back(number);
    } else if (item.name() == tag::vendor_identification) {
      CUSTOS_TRY(const std::string_view text, item.as_text());
      out.server_information = printable(text);
    }
  }
  return answer{std::move(out)};
}

/// Key Material: octets (Raw), or a structure with Key (Transparent Symmetric Key).
result<byte_view> read_material(const ttlv_item& value) {
  // Servers differ: the specification has a Byte String only for wrapped keys (KMIP 1.4, 2.1.4).
  if (value.type() == item_type::byte_string)
    return value.as_octets();
  static constexpr std::array wanted = {tag::key_material};
  CUSTOS_TRY(const auto structure, value.as_structure());
  CUSTOS_TRY(const auto found, read_fields(structure, wanted));
  CUSTOS_TRY(const auto material, demand(found[0], wanted[0]));
  if (material.type() != item_type::structure)
    return material.as_octets();
  const auto key = material.child(tag::key);
  CUSTOS_TRY(const auto key_item, demand(key, tag::key));
  return key_item.as_octets();
}

result<void> check_key(byte_view key, std::int32_t length_bits) {
  if (key.size() != 16 && key.size() != 24 && key.size() != 32)
    return malformed("the key is no AES key: expected 16, 24 or 32 bytes");
  if (static_cast<std::size_t>(length_bits) != key.size() * 8)
    return malformed("Cryptographic Length is not the length of the key");
  std::uint8_t any = 0;
  for (const std::uint8_t octet : key)
    any = static_cast<std::uint8_t>(any | octet);
  if (any == 0)
    return malformed("the key is all zeros");
  return {};
}

result<answer> read_key_block(const ttlv_item& block) {
  static constexpr std::array wanted = {tag::key_format_type,         tag::key_value,
                                        tag::cryptographic_algorithm, tag::cryptographic_length,
                                        tag::key_wrapping_data,       tag::key_compression_type};
  CUSTOS_TRY(const auto found, read_fields(block, wanted));
  if (found[4])
    return make_error(errc::unsupported, "the key server gave the key wrapped, asked was the key");
  CUSTOS_TRY(const auto format_item, demand(found[0], wanted[0]));
  CUSTOS_TRY(const std::uint32_t format, format_item.as_enumeration());
  if (format != static_cast<std::uint32_t>(key_format::raw) &&
      format != static_cast<std::uint32_t>(key_format::transparent_symmetric_key))
    return make_error(errc::unsupported, "the key server gave the key in a format that is neither "
                                         "Raw nor Transparent Symmetric Key");
  if (found[2]) {
    CUSTOS_TRY(const std::uint32_t number, found[2]->as_enumeration());
    if (number != static_cast<std::uint32_t>(algorithm::aes))
      return make_error(errc::unsupported, "the key on the key server is no AES key");
  }
  CUSTOS_TRY(const auto length_item, demand(found[3], wanted[3]));
  CUSTOS_TRY(const std::int32_t length_bits, length_item.as_integer());
  CUSTOS_TRY(const auto value, demand(found[1], wanted[1]));
  CUSTOS_TRY(const byte_view key, read_material(value));
  CUSTOS_CHECK(check_key(key, length_bits));
  return answer{key_material{std::make_shared<const crypto::secret_bytes>(key)}};
}

result<answer> read_payload(const get_key& asked, const ttlv_item& payload) {
  static constexpr std::array wanted = {tag::object_type, tag::unique_identifier,
                                        tag::symmetric_key};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  CUSTOS_TRY(const auto type_item, demand(found[0], wanted[0]));
  CUSTOS_TRY(const std::uint32_t type, type_item.as_enumeration());
  CUSTOS_CHECK(read_identifier(found[1], asked.unique_identifier));
  if (type != static_cast<std::uint32_t>(object_type::symmetric_key))
    return make_error(errc::unsupported, "the object on the key server is no Symmetric Key");
  CUSTOS_TRY(const auto object, demand(found[2], wanted[2]));
  static constexpr std::array in_object = {tag::key_block};
  CUSTOS_TRY(const auto blocks, read_fields(object, in_object));
  CUSTOS_TRY(const auto block_item, demand(blocks[0], in_object[0]));
  CUSTOS_TRY(const auto block, block_item.as_structure());
  return read_key_block(block);
}

/// Calls `take(tag, value)` for each attribute, whichever way it comes: 1.x has structures of name
/// and value, 2.x an Attributes structure with the attributes under their own tags. What has no
/// name we know, as a vendor's own attribute, is skipped.
template <class Take>
result<void> for_each_attribute(const ttlv_item& payload, Take take) {
  for (const ttlv_item item : payload.children()) {
    if (item.name() == tag::attributes)
      for (const ttlv_item one : item.children())
        CUSTOS_CHECK(take(one.name(), one));
    if (item.name() != tag::attribute)
      continue;
    const auto name = item.child(tag::attribute_name);
    if (!name || name->type() != item_type::text_string)
      continue;
    const auto known = tag_of(as_text(name->value()));
    if (!known)
      continue;
    const auto value = item.child(tag::attribute_value);
    CUSTOS_TRY(const auto value_item, demand(value, tag::attribute_value));
    CUSTOS_CHECK(take(static_cast<tag>(*known), value_item));
  }
  return {};
}

std::string name_of_value(tag t, std::uint32_t number) {
  const auto name = enumeration_name(static_cast<std::uint32_t>(t), number);
  return name.empty() ? number_text(number) : std::string(name);
}

result<std::uint32_t> read_positive(const ttlv_item& item) {
  CUSTOS_TRY(const std::int32_t number, item.as_integer());
  if (number < 0)
    return malformed(to_string(item.name()) + " is below zero");
  return static_cast<std::uint32_t>(number);
}

/// An attribute that the object does not have is simply not in the answer.
result<key_attributes> read_attributes(const std::string& asked, const ttlv_item& payload) {
  static constexpr std::array wanted = {tag::unique_identifier};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  CUSTOS_CHECK(read_identifier(found[0], asked));
  key_attributes out;
  const auto take = [&](tag t, const ttlv_item& value) -> result<void> {
    std::string* const text = t == tag::state                     ? &out.state
                              : t == tag::object_type             ? &out.object_type
                              : t == tag::cryptographic_algorithm ? &out.algorithm
                                                                  : nullptr;
    if (text != nullptr) {
      CUSTOS_TRY(const std::uint32_t number, value.as_enumeration());
      *text = name_of_value(t, number);
    } else if (t == tag::cryptographic_length) {
      CUSTOS_TRY(out.length_bits, read_positive(value));
    } else if (t == tag::cryptographic_usage_mask) {
      CUSTOS_TRY(out.usage_mask, read_positive(value));
    }
    return {};
  };
  CUSTOS_CHECK(for_each_attribute(payload, take));
  return out;
}

result<answer> read_payload(const get_state& asked, const ttlv_item& payload) {
  CUSTOS_TRY(auto attributes, read_attributes(asked.unique_identifier, payload));
  return answer{key_state{std::move(attributes.state)}};
}

result<answer> read_payload(const get_attributes& asked, const ttlv_item& payload) {
  CUSTOS_TRY(auto attributes, read_attributes(asked.unique_identifier, payload));
  return answer{std::move(attributes)};
}

result<answer> read_payload(const locate&, const ttlv_item& payload) {
  keys_found out;
  for (const ttlv_item item : payload.children()) {
    if (item.name() != tag::unique_identifier)
      continue;
    if (out.unique_identifiers.size() == listed_max)
      return malformed("too many Unique Identifiers");
    CUSTOS_TRY(std::string id, read_identifier(item, {}));
    out.unique_identifiers.push_back(std::move(id));
  }
  return answer{std::move(out)};
}

/// The payload is the Unique Identifier; `asked` empty: that of a new object.
result<std::string> read_only_identifier(const std::string& asked, const ttlv_item& payload) {
  static constexpr std::array wanted = {tag::unique_identifier};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  return read_identifier(found[0], asked);
}

result<answer> read_payload(const create_symmetric_key&, const ttlv_item& payload) {
  CUSTOS_TRY(std::string id, read_only_identifier({}, payload));
  return answer{key_created{std::move(id)}};
}

result<answer> read_payload(const register_symmetric_key&, const ttlv_item& payload) {
  CUSTOS_TRY(std::string id, read_only_identifier({}, payload));
  return answer{key_created{std::move(id)}};
}

result<answer> read_payload(const re_key& asked, const ttlv_item& payload) {
  CUSTOS_TRY(std::string id, read_only_identifier({}, payload));
  if (id == asked.unique_identifier)
    return malformed("Re-key gave the Unique Identifier of the old key");
  return answer{key_created{std::move(id)}};
}

result<answer> read_payload(const activate& asked, const ttlv_item& payload) {
  CUSTOS_TRY(std::string id, read_only_identifier(asked.unique_identifier, payload));
  return answer{activated{std::move(id)}};
}

result<answer> read_payload(const revoke& asked, const ttlv_item& payload) {
  CUSTOS_TRY(std::string id, read_only_identifier(asked.unique_identifier, payload));
  return answer{revoked{std::move(id)}};
}

result<answer> read_payload(const destroy& asked, const ttlv_item& payload) {
  CUSTOS_TRY(std::string id, read_only_identifier(asked.unique_identifier, payload));
  return answer{destroyed{std::move(id)}};
}

result<answer> read_payload(const encrypt_data& asked, const ttlv_item& payload, bool gcm) {
  static constexpr std::array wanted = {tag::unique_identifier, tag::data, tag::iv_counter_nonce,
                                        tag::authenticated_encryption_tag};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  CUSTOS_CHECK(read_identifier(found[0], asked.unique_identifier));
  CUSTOS_TRY(const auto data_item, demand(found[1], wanted[1]));
  CUSTOS_TRY(const byte_view data, data_item.as_octets());
  CUSTOS_TRY(const auto iv_item, demand(found[2], wanted[2]));
  CUSTOS_TRY(const byte_view iv, iv_item.as_octets());
  const std::size_t plaintext_bytes = asked.plaintext ? asked.plaintext->size() : 0;
  encrypted_data out{gcm, to_bytes(iv), to_bytes(data), {}};
  if (!gcm) {
    if (iv.size() != 16 || data.size() != (plaintext_bytes / 16 + 1) * 16)
      return malformed("IV or Data does not have the size AES-CBC gives");
    return answer{std::move(out)};
  }
  CUSTOS_TRY(const auto tag_item, demand(found[3], wanted[3]));
  CUSTOS_TRY(const byte_view mac, tag_item.as_octets());
  if (iv.size() < 12 || iv.size() > 16 || mac.size() != static_cast<std::size_t>(gcm_tag_bytes) ||
      data.size() != plaintext_bytes)
    return malformed("IV, tag or Data does not have the size AES-GCM gives");
  out.tag = to_bytes(mac);
  return answer{std::move(out)};
}

result<answer> read_payload(const decrypt_data& asked, const ttlv_item& payload) {
  static constexpr std::array wanted = {tag::unique_identifier, tag::data};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  CUSTOS_CHECK(read_identifier(found[0], asked.unique_identifier));
  CUSTOS_TRY(const auto data_item, demand(found[1], wanted[1]));
  CUSTOS_TRY(const byte_view data, data_item.as_octets());
  if (data.size() > asked.data.ciphertext.size())
    return malformed("the plaintext is longer than the ciphertext");
  return answer{decrypted_data{std::make_shared<const crypto::secret_bytes>(data)}};
}

} // namespace

result<answer> read_payload(const request& asked, const message_options& options,
                            const ttlv_item& payload) {
  return std::visit(
      [&](const auto& what) -> result<answer> {
        if constexpr (std::is_same_v<std::decay_t<decltype(what)>, encrypt_data>)
          return read_payload(what, payload, options.version >= protocol_version{1, 4});
        else
          return read_payload(what, payload);
      },
      asked);
}

} // namespace custos::kmip::detail
