// Building requests. Order of fields: KMIP 1.4, sections 4, 6 and 7.

#include "adapters/kmip/protocol.hpp"

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

void write_header(ttlv_writer& w, const message_options& options) {
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
  w.integer(tag::batch_count, 1);
}

/// An attribute of 1.x: its name is a text, its value has the type of the attribute.
template <class WriteValue>
void write_attribute(ttlv_writer& w, std::string_view name, WriteValue write_value) {
  const ttlv_scope scope(w, tag::attribute);
  w.text(tag::attribute_name, name);
  write_value();
}

void write_create(ttlv_writer& w, const create_symmetric_key& r) {
  w.enumeration(tag::object_type, object_type::symmetric_key);
  const ttlv_scope attributes(w, tag::template_attribute);
  write_attribute(w, "Cryptographic Algorithm",
                  [&] { w.enumeration(tag::attribute_value, algorithm::aes); });
  write_attribute(w, "Cryptographic Length", [&] {
    w.integer(tag::attribute_value, static_cast<std::int32_t>(r.length_bits));
  });
  write_attribute(w, "Cryptographic Usage Mask", [&] {
    w.integer(tag::attribute_value, static_cast<std::int32_t>(r.usage_mask));
  });
  if (r.name.empty())
    return;
  write_attribute(w, "Name", [&] {
    const ttlv_scope value(w, tag::attribute_value);
    w.text(tag::name_value, r.name);
    w.enumeration(tag::name_type, name_type::uninterpreted_text_string);
  });
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

void write_payload(ttlv_writer& w, const request& r, protocol_version version) {
  const ttlv_scope payload(w, tag::request_payload);
  std::visit(overloaded{
                 [&](const discover_versions& d) {
                   for (const protocol_version v : d.versions)
                     write_version(w, v);
                 },
                 [&](const query&) {
                   w.enumeration(tag::query_function, query_function::operations);
                   w.enumeration(tag::query_function, query_function::server_information);
                 },
                 [&](const get_key& g) { w.text(tag::unique_identifier, g.unique_identifier); },
                 [&](const get_state& g) {
                   w.text(tag::unique_identifier, g.unique_identifier);
                   w.text(tag::attribute_name, "State");
                 },
                 [&](const create_symmetric_key& c) { write_create(w, c); },
                 [&](const activate& a) { w.text(tag::unique_identifier, a.unique_identifier); },
                 [&](const encrypt_data& e) { write_encrypt(w, e, version); },
                 [&](const decrypt_data& d) { write_decrypt(w, d); },
             },
             r);
}

result<void> check_request(const request& r, protocol_version version) {
  const operation o = operation_of(r);
  if (version.major != 1)
    return needs_version(o, {1, 0}, version);
  if (const auto* created = std::get_if<create_symmetric_key>(&r))
    return created->name.empty() ? result<void>{} : check_identifier(created->name, "Name");
  if (std::holds_alternative<discover_versions>(r))
    return version >= protocol_version{1, 1} ? result<void>{} : needs_version(o, {1, 1}, version);
  if (std::holds_alternative<query>(r))
    return {};
  const bool is_encrypt = std::holds_alternative<encrypt_data>(r);
  const auto* decrypt = std::get_if<decrypt_data>(&r);
  // Encrypt and Decrypt begin with 1.2, the fields for GCM's tag and AAD with 1.4.
  const protocol_version needed =
      decrypt != nullptr && decrypt->data.gcm ? protocol_version{1, 4} : protocol_version{1, 2};
  if ((is_encrypt || decrypt != nullptr) && version < needed)
    return needs_version(o, needed, version);
  return std::visit(
      [](const auto& x) -> result<void> {
        if constexpr (requires { x.unique_identifier; })
          return check_identifier(x.unique_identifier, "Unique Identifier");
        return {};
      },
      r);
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
                    },
                    r);
}

bool is_idempotent(const request& r) {
  const operation o = operation_of(r);
  return o != operation::create && o != operation::activate;
}

result<crypto::wiped_bytes> build_request(const request& r, const message_options& options) {
  CUSTOS_CHECK(check_request(r, options.version));
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::request_message);
    write_header(w, options);
    const ttlv_scope item(w, tag::batch_item);
    w.enumeration(tag::operation, operation_of(r));
    if (options.id)
      w.octets(tag::unique_batch_item_id, *options.id);
    write_payload(w, r, options.version);
  }
  crypto::wiped_bytes message = w.take();
  if (message.size() > options.limits.message_bytes)
    return make_error(errc::too_large, "the KMIP request is longer than " +
                                           std::to_string(options.limits.message_bytes) + " bytes");
  return message;
}

} // namespace custos::kmip
