// Reading responses. Strict in framing and in whose answer it is; liberal in what servers add.

#include "adapters/kmip/response_fields.hpp"

#include <algorithm>
#include <cassert>

namespace custos::kmip {

namespace {

using detail::demand;
using detail::malformed;
using detail::read_fields;
using detail::read_version;

/// A Batch Item of a response, found but not judged.
struct batch_item {
  std::optional<std::uint32_t> op;
  std::optional<byte_view> id;
  std::uint32_t status = 0;
  std::uint32_t reason = 0;
  std::string_view message;
  std::optional<ttlv_item> payload;
};

/// The Batch Count of a header that is in order.
result<std::size_t> read_header(const ttlv_item& header, protocol_version asked) {
  static constexpr std::array wanted = {tag::protocol_version, tag::batch_count};
  CUSTOS_TRY(const auto found, read_fields(header, wanted));
  CUSTOS_TRY(const auto version_item, demand(found[0], wanted[0]));
  CUSTOS_TRY(const protocol_version version, read_version(version_item));
  // An older version is fine: errors often come as 1.0, whatever was asked in.
  if (version.major < 1 || version.major > asked.major)
    return malformed("protocol version " + to_string(version) + ", asked was " + to_string(asked));
  CUSTOS_TRY(const auto count_item, demand(found[1], wanted[1]));
  CUSTOS_TRY(const std::int32_t count, count_item.as_integer());
  if (count < 1 || count > static_cast<std::int32_t>(batch_items_max))
    return malformed("Batch Count " + std::to_string(count));
  return static_cast<std::size_t>(count);
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

using batch_items = std::vector<batch_item>;

/// The Batch Items of a whole Response Message, as many as its header says.
result<batch_items> read_message(byte_view octets, const message_options& options) {
  CUSTOS_TRY(const ttlv_item message, parse_ttlv(octets, options.limits));
  if (message.name() != tag::response_message || message.type() != item_type::structure)
    return malformed("it is no Response Message");
  std::optional<std::size_t> count;
  batch_items items;
  for (const ttlv_item child : message.children()) {
    CUSTOS_TRY(const ttlv_item structure, child.as_structure());
    if (child.name() == tag::response_header) {
      if (count)
        return malformed("Response Header twice");
      CUSTOS_TRY(count, read_header(structure, options.version));
      continue;
    }
    if (child.name() != tag::batch_item)
      return malformed("unexpected " + to_string(child.name()));
    if (!count)
      return malformed("a Batch Item before the Response Header");
    if (items.size() == *count)
      return malformed("more Batch Items than Batch Count says");
    CUSTOS_TRY(auto item, read_item(structure));
    items.push_back(item);
  }
  if (!count)
    return malformed("Response Header is missing");
  if (items.size() != *count)
    return malformed("fewer Batch Items than Batch Count says");
  return items;
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
  case result_reason::key_wrap_type_not_supported:
  case result_reason::unsupported_attribute:
  case result_reason::unsupported_cryptographic_parameters:
    return errc::unsupported;
  case result_reason::object_already_exists:
  case result_reason::non_unique_name_attribute:
    return errc::already_exists;
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
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
    else if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
      c = '-';
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

} // namespace

std::string printable(std::string_view text) {
  std::string out(text.substr(0, server_text_bytes_max));
  for (char& c : out)
    if (c < 0x20 || c > 0x7E)
      c = '?';
  return out;
}

namespace {

/// The answer that an item is to a request it belongs to.
response judge(const batch_item& item, const request& r, const message_options& options) {
  const operation asked = operation_of(r);
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
  auto outcome = detail::read_payload(r, options, *item.payload);
  const bool close = !outcome && outcome.failure().code == errc::malformed;
  return {std::move(outcome), result_reason::none, close};
}

} // namespace

response parse_response(const request& r, const message_options& options, byte_view message) {
  auto items = read_message(message, options);
  if (!items)
    return {std::move(items).failure(), result_reason::none, true};
  if (items->size() != 1)
    return {malformed("several Batch Items, asked was one"), result_reason::none, true};
  const batch_item& item = items->front();
  if (auto ours = check_whose(item, operation_of(r), options.id); !ours)
    return {std::move(ours).failure(), result_reason::none, true};
  return judge(item, r, options);
}

batch_response parse_batch(std::span<const request> requests, std::span<const batch_item_id> ids,
                           const message_options& options, byte_view message) {
  assert(!requests.empty() && ids.size() == requests.size());
  batch_response out;
  const auto read = read_message(message, options);
  if (!read) {
    out.fault = read.failure();
    return out;
  }
  // One item without Operation: the server could not read the batch, or does not take any.
  if (read->size() == 1 && !read->front().op && read->front().status != 0) {
    out.fault = refusal(read->front(), operation_of(requests.front()));
    return out;
  }
  if (read->size() != requests.size()) {
    out.fault = malformed("another number of Batch Items than was asked");
    return out;
  }
  for (std::size_t i = 0; i < requests.size(); ++i) {
    // Found by its ID: without the Batch Order Option a server may answer in any order.
    const auto item = std::find_if(read->begin(), read->end(), [&](const batch_item& b) {
      return b.id && std::equal(b.id->begin(), b.id->end(), ids[i].begin(), ids[i].end());
    });
    auto ours = item == read->end() ? result<void>(malformed("no Batch Item has the ID asked"))
                                    : check_whose(*item, operation_of(requests[i]), ids[i]);
    if (!ours) {
      out.fault = std::move(ours).failure();
      out.responses.clear();
      return out;
    }
    out.responses.push_back(judge(*item, requests[i], options));
  }
  return out;
}

} // namespace custos::kmip
