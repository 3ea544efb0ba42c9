// Building requests. Order of fields: KMIP 1.4, sections 4, 6 and 7; KMIP 2.1, sections 6, 8 and 9.

#include "adapters/kmip/protocol.hpp"

#include <algorithm>
#include <cassert>

namespace custos::kmip {

namespace {

template <class... Fs>
struct overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
overloaded(Fs...) -> overloaded<Fs...>;

result<void> check_identifier(std::string_view text, const char* what) {
  if (text.empty() || text.size() > identifier_bytes_max || !is_clean_utf8(as_bytes(text)))
    return field_error(errc::invalid_argument, what,
                       std::string("KMIP ") + what + ": expected 1 to " +
                           std::to_string(identifier_bytes_max) + " bytes of UTF-8");
  return {};
}

error needs_version(operation o, protocol_version needed, protocol_version have) {
  return make_error(errc::unsupported, "KMIP " + to_string(o) +
                                           " as needed here begins with KMIP " + to_string(needed) +
                                           ", the key server speaks " + to_string(have));
}

void write_version(ttlv_writer& w, protocol_version v) {
  const ttlv_scope scope(w, tag::protocol_version);
  w.integer(tag::protocol_version_major, static_cast<std::int32_t>(v.major));
  w.integer(tag::protocol_version_minor, static_cast<std::int32_t>(v.minor));
}

void write_header(ttlv_writer& w, const message_options& options, std::size_t items) {
  const ttlv_scope header(w, tag::request_header);
  write_version(w, options.version);
  w.integer(tag::maximum_response_size, static_cast<std::int32_t>(options.limits.message_bytes));
  if (!options.username.empty()) {
    const ttlv_scope authentication(w, tag::authentication);
    const ttlv_scope credential(w, tag::credential);
    w.enumeration(tag::credential_type, credential_type::username_and_password);
    const ttlv_scope value(w, tag::credential_value);
    w.text(tag::username, options.username);
    if (options.password)
      w.text(tag::password, as_text(options.password->reveal_secret()));
  }
  if (items > 1)
    w.enumeration(tag::batch_error_continuation_option, batch_error_continuation::proceed);
  w.integer(tag::batch_count, static_cast<std::int32_t>(items));
}

/// Attributes of an object. 1.x: Attribute structures of name and value, in a Template-Attribute
/// unless `bare`. 2.x: under their own tags in an Attributes structure.
class attribute_list {
public:
  attribute_list(ttlv_writer& w, protocol_version version, bool bare = false)
      : w_(w), own_tags_(version.major >= 2) {
    if (own_tags_)
      scope_.emplace(w, tag::attributes);
    else if (!bare)
      scope_.emplace(w, tag::template_attribute);
  }

  template <class Enum>
  void enumeration(tag t, Enum value) {
    put(t, [&](tag as) { w_.enumeration(as, value); });
  }
  void integer(tag t, std::uint32_t value) {
    put(t, [&](tag as) { w_.integer(as, static_cast<std::int32_t>(value)); });
  }
  /// Nothing for the empty name.
  void name(const std::string& text) {
    if (text.empty())
      return;
    put(tag::name, [&](tag as) {
      const ttlv_scope value(w_, as);
      w_.text(tag::name_value, text);
      w_.enumeration(tag::name_type, name_type::uninterpreted_text_string);
    });
  }

private:
  template <class WriteValue>
  void put(tag t, WriteValue write_value) {
    if (own_tags_)
      return write_value(t);
    const ttlv_scope scope(w_, tag::attribute);
    w_.text(tag::attribute_name, to_string(t));
    write_value(tag::attribute_value);
  }

  ttlv_writer& w_;
  bool own_tags_;
  std::optional<ttlv_scope> scope_;
};

/// Which attributes are asked for: by name in 1.x, by tag in 2.x.
void write_asked(ttlv_writer& w, std::span<const tag> attributes, protocol_version version) {
  for (const tag t : attributes)
    if (version.major >= 2)
      w.enumeration(tag::attribute_reference, t);
    else
      w.text(tag::attribute_name, to_string(t));
}

void write_create(ttlv_writer& w, const create_symmetric_key& r, protocol_version version) {
  w.enumeration(tag::object_type, object_type::symmetric_key);
  attribute_list attributes(w, version);
  attributes.enumeration(tag::cryptographic_algorithm, algorithm::aes);
  attributes.integer(tag::cryptographic_length, r.length_bits);
  attributes.integer(tag::cryptographic_usage_mask, r.usage_mask);
  attributes.name(r.name);
}

void write_register(ttlv_writer& w, const register_symmetric_key& r, protocol_version version) {
  w.enumeration(tag::object_type, object_type::symmetric_key);
  {
    attribute_list attributes(w, version);
    attributes.integer(tag::cryptographic_usage_mask, r.usage_mask);
    attributes.name(r.name);
  }
  const ttlv_scope object(w, tag::symmetric_key);
  const ttlv_scope block(w, tag::key_block);
  w.enumeration(tag::key_format_type, key_format::raw);
  {
    const ttlv_scope value(w, tag::key_value);
    w.octets(tag::key_material, r.key->reveal_secret());
  }
  w.enumeration(tag::cryptographic_algorithm, algorithm::aes);
  w.integer(tag::cryptographic_length, static_cast<std::int32_t>(r.key->size() * 8));
}

void write_locate(ttlv_writer& w, const locate& r, protocol_version version) {
  w.integer(tag::maximum_items, located_max);
  attribute_list attributes(w, version, true);
  attributes.enumeration(tag::object_type, object_type::symmetric_key);
  attributes.name(r.name);
}

bool is_compromise(revocation_reason r) {
  return r == revocation_reason::key_compromise || r == revocation_reason::ca_compromise;
}

void write_revoke(ttlv_writer& w, const revoke& r) {
  w.text(tag::unique_identifier, r.unique_identifier);
  {
    const ttlv_scope reason(w, tag::revocation_reason);
    w.enumeration(tag::revocation_reason_code, r.reason);
    if (!r.message.empty())
      w.text(tag::revocation_message, r.message);
  }
  if (is_compromise(r.reason))
    w.date_time(tag::compromise_occurrence_date, r.compromised_since);
}

/// IV Length counts bits, Tag Length bytes (KMIP 1.4, 3.6).
void write_parameters(ttlv_writer& w, bool gcm, bool random_iv) {
  const ttlv_scope parameters(w, tag::cryptographic_parameters);
  w.enumeration(tag::block_cipher_mode, gcm ? block_cipher_mode::gcm : block_cipher_mode::cbc);
  if (!gcm)
    w.enumeration(tag::padding_method, padding_method::pkcs5);
  w.enumeration(tag::cryptographic_algorithm, algorithm::aes);
  if (random_iv)
    w.boolean(tag::random_iv, true);
  if (gcm && random_iv)
    w.integer(tag::iv_length, gcm_iv_bits);
  if (gcm)
    w.integer(tag::tag_length, gcm_tag_bytes);
}

void write_encrypt(ttlv_writer& w, const encrypt_data& r, protocol_version version) {
  const bool gcm = version >= protocol_version{1, 4};
  w.text(tag::unique_identifier, r.unique_identifier);
  write_parameters(w, gcm, true);
  w.octets(tag::data, r.plaintext ? r.plaintext->reveal_secret() : byte_view{});
  if (gcm && !r.aad.empty())
    w.octets(tag::authenticated_encryption_additional_data, r.aad);
}

void write_decrypt(ttlv_writer& w, const decrypt_data& r) {
  w.text(tag::unique_identifier, r.unique_identifier);
  write_parameters(w, r.data.gcm, false);
  w.octets(tag::data, r.data.ciphertext);
  w.octets(tag::iv_counter_nonce, r.data.iv);
  if (!r.data.gcm)
    return;
  if (!r.aad.empty())
    w.octets(tag::authenticated_encryption_additional_data, r.aad);
  w.octets(tag::authenticated_encryption_tag, r.data.tag);
}

constexpr std::array state_only = {tag::state};
constexpr std::array what_a_key_is = {tag::state, tag::object_type, tag::cryptographic_algorithm,
                                      tag::cryptographic_length, tag::cryptographic_usage_mask};

void write_payload(ttlv_writer& w, const request& r, protocol_version version) {
  const ttlv_scope payload(w, tag::request_payload);
  const auto identifier = [&](const auto& x) {
    w.text(tag::unique_identifier, x.unique_identifier);
  };
  std::visit(overloaded{
                 [&](const discover_versions& d) {
                   for (const protocol_version v : d.versions)
                     write_version(w, v);
                 },
                 [&](const query&) {
                   w.enumeration(tag::query_function, query_function::operations);
                   w.enumeration(tag::query_function, query_function::server_information);
                 },
                 [&](const get_state& g) {
                   identifier(g);
                   write_asked(w, state_only, version);
                 },
                 [&](const get_attributes& g) {
                   identifier(g);
                   write_asked(w, what_a_key_is, version);
                 },
                 [&](const create_symmetric_key& c) { write_create(w, c, version); },
                 [&](const register_symmetric_key& k) { write_register(w, k, version); },
                 [&](const locate& l) { write_locate(w, l, version); },
                 [&](const revoke& v) { write_revoke(w, v); },
                 [&](const encrypt_data& e) { write_encrypt(w, e, version); },
                 [&](const decrypt_data& d) { write_decrypt(w, d); },
                 identifier, // Get, Activate, Destroy, Re-key
             },
             r);
}

/// Encrypt and Decrypt begin with 1.2, the fields for GCM's tag and AAD with 1.4.
protocol_version first_version(const request& r) {
  if (std::holds_alternative<discover_versions>(r))
    return {1, 1};
  if (std::holds_alternative<encrypt_data>(r))
    return {1, 2};
  if (const auto* decrypt = std::get_if<decrypt_data>(&r))
    return decrypt->data.gcm ? protocol_version{1, 4} : protocol_version{1, 2};
  return {1, 0};
}

result<void> check_new_key(const register_symmetric_key& r) {
  const std::size_t octets = r.key ? r.key->size() : 0;
  if (octets != 16 && octets != 24 && octets != 32)
    return field_error(errc::invalid_argument, "Key Material",
                       "KMIP Key Material: expected an AES key of 16, 24 or 32 bytes");
  return {};
}

result<void> check_request(const request& r, protocol_version version) {
  const operation o = operation_of(r);
  if (std::find(our_versions.begin(), our_versions.end(), version) == our_versions.end())
    return make_error(errc::unsupported, "KMIP " + to_string(version) + " is not spoken here");
  if (const protocol_version needed = first_version(r); version < needed)
    return needs_version(o, needed, version);
  if (const auto* made = std::get_if<register_symmetric_key>(&r))
    CUSTOS_CHECK(check_new_key(*made));
  if (const auto* ended = std::get_if<revoke>(&r); ended != nullptr && !ended->message.empty())
    CUSTOS_CHECK(check_identifier(ended->message, "Revocation Message"));
  return std::visit(
      [](const auto& x) -> result<void> {
        // Who creates may leave the name away; who looks for a name may not.
        constexpr bool named = requires {
          x.name;
        };
        if constexpr (named) {
          if (std::is_same_v<std::decay_t<decltype(x)>, locate> || !x.name.empty())
            return check_identifier(x.name, "Name");
        }
        if constexpr (requires { x.unique_identifier; })
          return check_identifier(x.unique_identifier, "Unique Identifier");
        return {};
      },
      r);
}

void write_item(ttlv_writer& w, const request& r, const std::optional<batch_item_id>& id,
                protocol_version version) {
  const ttlv_scope item(w, tag::batch_item);
  w.enumeration(tag::operation, operation_of(r));
  if (id)
    w.octets(tag::unique_batch_item_id, *id);
  write_payload(w, r, version);
}

result<crypto::wiped_bytes> finish(ttlv_writer& w, const ttlv_limits& limits) {
  crypto::wiped_bytes message = w.take();
  if (message.size() > limits.message_bytes)
    return make_error(errc::too_large, "the KMIP request is longer than " +
                                           std::to_string(limits.message_bytes) + " bytes");
  return message;
}

} // namespace

std::string to_string(protocol_version v) {
  return std::to_string(v.major) + "." + std::to_string(v.minor);
}

operation operation_of(const request& r) {
  return std::visit(overloaded{
                        [](const discover_versions&) { return operation::discover_versions; },
                        [](const query&) { return operation::query; },
                        [](const get_key&) { return operation::get; },
                        [](const get_state&) { return operation::get_attributes; },
                        [](const create_symmetric_key&) { return operation::create; },
                        [](const activate&) { return operation::activate; },
                        [](const encrypt_data&) { return operation::encrypt; },
                        [](const decrypt_data&) { return operation::decrypt; },
                        [](const locate&) { return operation::locate; },
                        [](const get_attributes&) { return operation::get_attributes; },
                        [](const register_symmetric_key&) { return operation::register_object; },
                        [](const re_key&) { return operation::re_key; },
                        [](const revoke&) { return operation::revoke; },
                        [](const destroy&) { return operation::destroy; },
                    },
                    r);
}

bool is_idempotent(const request& r) {
  switch (operation_of(r)) {
  case operation::create:
  case operation::register_object:
  case operation::re_key:
  case operation::activate:
  case operation::revoke:
  case operation::destroy:
    return false;
  default:
    return true;
  }
}

result<crypto::wiped_bytes> build_request(const request& r, const message_options& options) {
  CUSTOS_CHECK(check_request(r, options.version));
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::request_message);
    write_header(w, options, 1);
    write_item(w, r, options.id, options.version);
  }
  return finish(w, options.limits);
}

result<crypto::wiped_bytes> build_batch(std::span<const request> requests,
                                        std::span<const batch_item_id> ids,
                                        const message_options& options) {
  assert(!requests.empty() && requests.size() <= batch_items_max && ids.size() == requests.size());
  for (const request& r : requests)
    CUSTOS_CHECK(check_request(r, options.version));
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::request_message);
    write_header(w, options, requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i)
      write_item(w, requests[i], ids[i], options.version);
  }
  return finish(w, options.limits);
}

} // namespace custos::kmip
