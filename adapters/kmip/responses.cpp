// Reading responses. Strict in framing and in whose answer it is; liberal in what servers add.

#include "adapters/kmip/protocol.hpp"

#include <algorithm>
#include <optional>

namespace custos::kmip {

namespace {

error malformed(std::string what) {
  return make_error(errc::malformed, "KMIP response: " + std::move(what));
}

/// At most one child of each of the given tags; one found twice is an error, others are skipped.
template <std::size_t N>
using fields = std::array<std::optional<ttlv_item>, N>;

template <std::size_t N>
result<fields<N>> read_fields(const ttlv_item& structure, const std::array<tag, N>& wanted) {
  fields<N> found;
  for (const ttlv_item item : structure.children()) {
    const auto* at = std::find(wanted.begin(), wanted.end(), item.name());
    if (at == wanted.end())
      continue;
    auto& field = found[static_cast<std::size_t>(at - wanted.begin())];
    if (field)
      return malformed(to_string(item.name()) + " twice");
    field = item;
  }
  return found;
}

result<ttlv_item> demand(const std::optional<ttlv_item>& field, tag t) {
  if (!field)
    return malformed(to_string(t) + " is missing");
  return *field;
}

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

/// A Batch Item of a response, found but not judged.
struct batch_item {
  std::optional<std::uint32_t> op;
  std::optional<byte_view> id;
  std::uint32_t status = 0;
  std::uint32_t reason = 0;
  std::string_view message;
  std::optional<ttlv_item> payload;
};

result<void> check_header(const ttlv_item& header) {
  static constexpr std::array wanted = {tag::protocol_version, tag::batch_count};
  CUSTOS_TRY(const auto found, read_fields(header, wanted));
  CUSTOS_TRY(const auto version_item, demand(found[0], wanted[0]));
  CUSTOS_TRY(const protocol_version version, read_version(version_item));
  // Another minor version is fine: errors often come as 1.0, whatever was asked in.
  if (version.major != 1)
    return malformed("protocol version " + to_string(version) + ", expected 1.x");
  CUSTOS_TRY(const auto count_item, demand(found[1], wanted[1]));
  CUSTOS_TRY(const std::int32_t count, count_item.as_integer());
  if (count != 1)
    return malformed("Batch Count is not 1");
  return {};
}

result<batch_item> read_item(const ttlv_item& item) {
  static constexpr std::array wanted = {tag::operation,      tag::unique_batch_item_id,
                                        tag::result_status,  tag::result_reason,
                                        tag::result_message, tag::response_payload};
  CUSTOS_TRY(const auto found, read_fields(item, wanted));
  batch_item out;
  if (found[0]) {
    CUSTOS_TRY(out.op, found[0]->as_enumeration());
  }
  if (found[1]) {
    CUSTOS_TRY(out.id, found[1]->as_octets());
  }
  CUSTOS_TRY(const auto status, demand(found[2], wanted[2]));
  CUSTOS_TRY(out.status, status.as_enumeration());
  if (found[3]) {
    CUSTOS_TRY(out.reason, found[3]->as_enumeration());
  }
  if (found[4]) {
    CUSTOS_TRY(out.message, found[4]->as_text());
  }
  if (found[5]) {
    CUSTOS_TRY(out.payload, found[5]->as_structure());
  }
  return out;
}

result<batch_item> read_message(byte_view octets, const ttlv_limits& limits) {
  CUSTOS_TRY(const ttlv_item message, parse_ttlv(octets, limits));
  if (message.name() != tag::response_message || message.type() != item_type::structure)
    return malformed("it is no Response Message");
  std::optional<ttlv_item> header;
  std::optional<ttlv_item> item;
  for (const ttlv_item child : message.children()) {
    const bool is_header = child.name() == tag::response_header;
    if (!is_header && child.name() != tag::batch_item)
      return malformed("unexpected " + to_string(child.name()));
    auto& slot = is_header ? header : item;
    if (slot || (is_header && item))
      return malformed("more than one " + to_string(child.name()) + ", or out of order");
    CUSTOS_TRY(slot, child.as_structure());
  }
  CUSTOS_TRY(const auto header_item, demand(header, tag::response_header));
  CUSTOS_CHECK(check_header(header_item));
  CUSTOS_TRY(const auto batch, demand(item, tag::batch_item));
  return read_item(batch);
}

/// Whether it answers our request at all. Errors may lack Operation and ID: a server that could not
/// read the request does not know them.
result<void> check_whose(const batch_item& item, operation asked,
                         const std::optional<batch_item_id>& id) {
  const bool failed = item.status != static_cast<std::uint32_t>(result_status::success);
  if (item.op && *item.op != static_cast<std::uint32_t>(asked))
    return malformed("it answers " + to_string(static_cast<operation>(*item.op)) + ", asked was " +
                     to_string(asked));
  if (item.id && (!id || !std::equal(item.id->begin(), item.id->end(), id->begin(), id->end())))
    return malformed("Unique Batch Item ID of another request");
  if (!failed && !item.op)
    return malformed("Operation is missing");
  // The server must give back an ID it was sent (KMIP 1.4, 6.4).
  if (!failed && id && !item.id)
    return malformed("Unique Batch Item ID is missing");
  return {};
}

errc code_of(result_reason reason) {
  switch (reason) {
  case result_reason::item_not_found:
  case result_reason::object_not_found:
  case result_reason::object_destroyed:
    return errc::not_found;
  case result_reason::operation_not_supported:
  case result_reason::feature_not_supported:
  case result_reason::unsupported_protocol_version:
  case result_reason::key_format_type_not_supported:
  case result_reason::key_compression_type_not_supported:
    return errc::unsupported;
  case result_reason::response_too_large:
    return errc::too_large;
  default:
    return errc::kmip_failure;
  }
}

bool transient(result_reason reason) {
  return reason == result_reason::cryptographic_failure ||
         reason == result_reason::internal_server_error ||
         reason == result_reason::server_limit_exceeded || reason == result_reason::general_failure;
}

std::string check_name(result_reason reason) {
  std::string out = "kmip-" + to_string(reason);
  for (char& c : out) {
    if (c == ' ')
      c = '-';
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

error refusal(const batch_item& item, operation asked) {
  const auto reason = static_cast<result_reason>(item.reason);
  error e = make_error(code_of(reason), "the key server refused " + to_string(asked) + ": ");
  if (item.status == static_cast<std::uint32_t>(result_status::operation_pending))
    e.message += "Operation Pending, which was not offered";
  else
    e.message += to_string(reason);
  if (!item.message.empty())
    e.message += " (" + printable(item.message) + ")";
  if (reason != result_reason::none)
    e.check = check_name(reason);
  e.retryable = transient(reason);
  return e;
}

// ---- payloads -----------------------------------------------------------------------------------

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

result<answer> read_payload(const get_state& asked, const ttlv_item& payload) {
  static constexpr std::array wanted = {tag::unique_identifier};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  CUSTOS_CHECK(read_identifier(found[0], asked.unique_identifier));
  for (const ttlv_item item : payload.children()) {
    const auto name =
        item.name() == tag::attribute ? item.child(tag::attribute_name) : std::nullopt;
    if (!name || name->type() != item_type::text_string || as_text(name->value()) != "State")
      continue;
    const auto value = item.child(tag::attribute_value);
    CUSTOS_TRY(const auto value_item, demand(value, tag::attribute_value));
    CUSTOS_TRY(const std::uint32_t number, value_item.as_enumeration());
    return answer{key_state{to_string(static_cast<state>(number))}};
  }
  // An attribute the object does not have is simply not in the answer.
  return answer{key_state{}};
}

result<answer> read_payload(const create_symmetric_key&, const ttlv_item& payload) {
  static constexpr std::array wanted = {tag::unique_identifier};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  CUSTOS_TRY(std::string id, read_identifier(found[0], {}));
  return answer{key_created{std::move(id)}};
}

result<answer> read_payload(const activate& asked, const ttlv_item& payload) {
  static constexpr std::array wanted = {tag::unique_identifier};
  CUSTOS_TRY(const auto found, read_fields(payload, wanted));
  CUSTOS_TRY(std::string id, read_identifier(found[0], asked.unique_identifier));
  return answer{activated{std::move(id)}};
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

result<answer> read_any_payload(const request& r, const message_options& options,
                                const ttlv_item& payload) {
  return std::visit(
      [&](const auto& asked) -> result<answer> {
        if constexpr (std::is_same_v<std::decay_t<decltype(asked)>, encrypt_data>)
          return read_payload(asked, payload, options.version >= protocol_version{1, 4});
        else
          return read_payload(asked, payload);
      },
      r);
}

} // namespace

std::string printable(std::string_view text) {
  std::string out(text.substr(0, server_text_bytes_max));
  for (char& c : out)
    if (c < 0x20 || c > 0x7E)
      c = '?';
  return out;
}

response parse_response(const request& r, const message_options& options, byte_view message) {
  const operation asked = operation_of(r);
  auto read = read_message(message, options.limits);
  if (!read)
    return {std::move(read).failure(), result_reason::none, true};
  const batch_item& item = *read;
  if (auto ours = check_whose(item, asked, options.id); !ours)
    return {std::move(ours).failure(), result_reason::none, true};
  if (item.status > static_cast<std::uint32_t>(result_status::undone))
    return {malformed("unknown Result Status"), result_reason::none, true};
  if (item.status != static_cast<std::uint32_t>(result_status::success)) {
    // No Operation: it could not read what we sent. Pending: an answer may come later, and would be
    // taken for that to another request.
    const bool pending =
        item.status == static_cast<std::uint32_t>(result_status::operation_pending);
    return {refusal(item, asked), static_cast<result_reason>(item.reason), !item.op || pending};
  }
  if (!item.payload)
    return {malformed("Response Payload is missing"), result_reason::none, true};
  auto outcome = read_any_payload(r, options, *item.payload);
  const bool close = !outcome && outcome.failure().code == errc::malformed;
  return {std::move(outcome), result_reason::none, close};
}

} // namespace custos::kmip
