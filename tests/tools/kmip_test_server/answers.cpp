// Reading the request and writing the frame of the response; the operations are in operations.cpp.

#include "tests/tools/kmip_test_server/answers.hpp"

#include <algorithm>
#include <chrono>

namespace custos::kmip_test_server {

using kmip::result_reason;
using kmip::tag;
using kmip::ttlv_item;
using kmip::ttlv_scope;
using kmip::ttlv_writer;

namespace {

const kmip::ttlv_limits limits{kmip::message_bytes_max, kmip::items_max, kmip::depth_max};

void write_header(ttlv_writer& w, version spoken, std::int32_t items) {
  const ttlv_scope scope(w, tag::response_header);
  {
    const ttlv_scope inner(w, tag::protocol_version);
    w.integer(tag::protocol_version_major, spoken.first);
    w.integer(tag::protocol_version_minor, spoken.second);
  }
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  w.date_time(tag::time_stamp, std::chrono::duration_cast<std::chrono::seconds>(now).count());
  w.integer(tag::batch_count, items);
}

void write_refusal(ttlv_writer& w, const refusal& why, kmip::result_status status) {
  w.enumeration(tag::result_status, status);
  w.enumeration(tag::result_reason, why.reason);
  w.text(tag::result_message, why.message);
}

/// The answer to what could not be read: without Operation, and as the oldest version.
crypto::wiped_bytes unreadable(const std::string& why) {
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::response_message);
    write_header(w, {1, 0}, 1);
    const ttlv_scope item(w, tag::batch_item);
    write_refusal(w, {result_reason::invalid_message, why}, kmip::result_status::operation_failed);
  }
  return w.take();
}

result<request_item> read_item(const ttlv_item& item) {
  request_item out;
  const auto op = item.child(tag::operation);
  const auto payload = item.child(tag::request_payload);
  if (!op || !payload)
    return make_error(errc::malformed, "a Batch Item without Operation or Request Payload");
  CUSTOS_TRY(const std::uint32_t number, op->as_enumeration());
  CUSTOS_TRY(out.payload, payload->as_structure());
  out.op = static_cast<kmip::operation>(number);
  if (const auto id = item.child(tag::unique_batch_item_id)) {
    CUSTOS_TRY(out.id, id->as_octets());
  }
  return out;
}

bool is_about_travel(wrong w) {
  return w < wrong::other_id;
}

} // namespace

std::vector<version> answers::versions() {
  const std::scoped_lock lock(mutex_);
  return options_.versions;
}

void answers::set_versions(std::vector<version> v) {
  const std::scoped_lock lock(mutex_);
  options_.versions = std::move(v);
}

std::uint64_t answers::count(kmip::operation o) const {
  const auto index = static_cast<std::size_t>(o);
  return index < counts_.size() ? counts_[index].load() : 0;
}

bool answers::known(const ttlv_item& request_header) const {
  if (options_.username.empty())
    return true;
  const auto authentication = request_header.child(tag::authentication);
  const auto credential = authentication ? authentication->child(tag::credential) : std::nullopt;
  const auto value = credential ? credential->child(tag::credential_value) : std::nullopt;
  const auto user = value ? value->child(tag::username) : std::nullopt;
  const auto password = value ? value->child(tag::password) : std::nullopt;
  return user && password && as_text(user->value()) == options_.username &&
         as_text(password->value()) == options_.password;
}

result<answers::header> answers::read_header(const ttlv_item& message) {
  const auto found = message.child(tag::request_header);
  const auto spoken = found ? found->child(tag::protocol_version) : std::nullopt;
  const auto items = found ? found->child(tag::batch_count) : std::nullopt;
  const auto major = spoken ? spoken->child(tag::protocol_version_major) : std::nullopt;
  const auto minor = spoken ? spoken->child(tag::protocol_version_minor) : std::nullopt;
  if (!major || !minor || !items)
    return make_error(errc::malformed, "no Request Header with Protocol Version and Batch Count");
  header h;
  CUSTOS_TRY(h.spoken.first, major->as_integer());
  CUSTOS_TRY(h.spoken.second, minor->as_integer());
  CUSTOS_TRY(h.items, items->as_integer());
  if (h.items < 1 || h.items > batch_items_max)
    return make_error(errc::malformed, "Batch Count is not 1 to 32");
  h.known_to_us = known(*found);
  return h;
}

answers::answered answers::answer(byte_view octets, fault_box& faults) {
  const auto message = kmip::parse_ttlv(octets, limits);
  if (!message)
    return {unreadable(message.failure().message), std::nullopt};
  if (message->name() != tag::request_message)
    return {unreadable("it is no Request Message"), std::nullopt};
  const auto h = read_header(*message);
  if (!h)
    return {unreadable(h.failure().message), std::nullopt};
  std::vector<request_item> items;
  for (const auto child : message->children())
    if (child.name() == tag::batch_item) {
      auto item = read_item(child);
      if (!item)
        return {unreadable(item.failure().message), std::nullopt};
      items.push_back(*std::move(item));
    }
  if (items.size() != static_cast<std::size_t>(h->items))
    return {unreadable("Batch Count is not the number of Batch Items"), std::nullopt};
  const auto f = faults.take(items.front().op);
  const auto spoken = versions();
  if ((f && f->what == wrong::no_operation) ||
      std::find(spoken.begin(), spoken.end(), h->spoken) == spoken.end())
    return {unreadable("the Protocol Version is not spoken here"), std::nullopt};
  if (f && f->what == wrong::no_version && items.front().op != kmip::operation::discover_versions)
    return {unreadable("the Protocol Version is not spoken here"), std::nullopt};
  ttlv_writer w;
  {
    const ttlv_scope response(w, tag::response_message);
    write_header(w, h->spoken, h->items);
    for (const auto& item : items)
      answer_item(w, *h, item, f);
  }
  return {w.take(), f && is_about_travel(f->what) ? f : std::nullopt};
}

void answers::answer_item(ttlv_writer& w, const header& h, const request_item& item,
                          const std::optional<fault>& f) {
  if (const auto index = static_cast<std::size_t>(item.op); index < counts_.size())
    ++counts_[index];
  const auto done = perform(h, item, f);
  const ttlv_scope scope(w, tag::batch_item);
  w.enumeration(tag::operation, item.op);
  if (item.id) {
    bytes id(item.id->begin(), item.id->end());
    if (f && f->what == wrong::other_id && !id.empty())
      id.front() ^= 0x55U;
    w.octets(tag::unique_batch_item_id, id);
  }
  if (f && f->what == wrong::pending) {
    w.enumeration(tag::result_status, kmip::result_status::operation_pending);
    w.octets(tag::asynchronous_correlation_value, as_bytes("later"));
    return;
  }
  if (const auto* why = std::get_if<refusal>(&done))
    return write_refusal(w, *why, kmip::result_status::operation_failed);
  w.enumeration(tag::result_status, kmip::result_status::success);
  const ttlv_scope payload(w, tag::response_payload);
  std::get<write_payload>(done)(w);
}

answers::outcome answers::perform(const header& h, const request_item& item,
                                  const std::optional<fault>& f) {
  if (!h.known_to_us)
    return refusal{result_reason::authentication_not_successful, "user or password is wrong"};
  if (f && f->what == wrong::lost)
    return refusal{result_reason::item_not_found, "Could not locate object"};
  if (f && f->what == wrong::denied)
    return refusal{result_reason::permission_denied, "not for this client"};
  if (f && f->what == wrong::failing)
    return refusal{result_reason::general_failure, "the server does not feel well"};
  const bool crypt = item.op == kmip::operation::encrypt || item.op == kmip::operation::decrypt;
  const bool too_old = (crypt && h.spoken < version{1, 2}) ||
                       (item.op == kmip::operation::discover_versions && h.spoken < version{1, 1});
  if (too_old)
    return refusal{result_reason::operation_not_supported, "not in this version"};
  switch (item.op) {
  case kmip::operation::discover_versions:
    return discover(item, f && f->what == wrong::no_version);
  case kmip::operation::query:
    return query();
  case kmip::operation::create:
    return create(h, item);
  case kmip::operation::register_object:
    return register_key(h, item);
  case kmip::operation::locate:
    return locate(item);
  case kmip::operation::get:
    return get(item, f);
  case kmip::operation::get_attributes:
    return get_attributes(h, item);
  case kmip::operation::activate:
    return activate(item);
  case kmip::operation::revoke:
    return revoke(item);
  case kmip::operation::destroy:
    return destroy(item);
  case kmip::operation::encrypt:
    return encrypt(h, item);
  case kmip::operation::decrypt:
    return decrypt(h, item);
  default:
    return refusal{result_reason::operation_not_supported, "not an operation of this server"};
  }
}

} // namespace custos::kmip_test_server
