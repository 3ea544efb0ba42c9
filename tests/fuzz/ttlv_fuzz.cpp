// The TTLV reader and the reader of KMIP responses on arbitrary octets. The first octet chooses the
// request the rest is taken as the answer to.

#include "adapters/kmip/protocol.hpp"

#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::kmip;

std::size_t count(const ttlv_item& item) {
  std::size_t n = 1;
  for (const ttlv_item child : item.children())
    n += count(child);
  return n;
}

/// Whatever the reader accepts, the writer must be able to write, octet for octet.
void write_again(ttlv_writer& w, const ttlv_item& item) {
  switch (item.type()) {
  case item_type::structure: {
    const ttlv_scope scope(w, item.name());
    for (const ttlv_item child : item.children())
      write_again(w, child);
    return;
  }
  case item_type::integer:
    return w.integer(item.name(), item.as_integer().value());
  case item_type::long_integer:
    return w.long_integer(item.name(), item.as_long_integer().value());
  case item_type::big_integer:
    return w.big_integer(item.name(), item.as_big_integer().value());
  case item_type::enumeration:
    return w.enumeration(item.name(), item.as_enumeration().value());
  case item_type::boolean:
    return w.boolean(item.name(), item.as_boolean().value());
  case item_type::text_string:
    return w.text(item.name(), item.as_text().value());
  case item_type::byte_string:
    return w.octets(item.name(), item.as_octets().value());
  case item_type::date_time:
    return w.date_time(item.name(), item.as_date_time().value());
  case item_type::interval:
    return w.interval(item.name(), item.as_interval().value());
  case item_type::date_time_extended:
    return w.date_time_extended(item.name(), item.as_date_time_extended().value());
  }
}

request request_of(std::uint8_t choice) {
  switch (choice % 8U) {
  case 0:
    return get_key{"k1"};
  case 1:
    return get_state{"k1"};
  case 2:
    return create_symmetric_key{};
  case 3:
    return activate{"k1"};
  case 4:
    return encrypt_data{"k1", nullptr, {}};
  case 5:
    return decrypt_data{"k1", {true, bytes(12), bytes(64), bytes(16)}, {}};
  case 6:
    return query{};
  default:
    return discover_versions{};
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const byte_view message(data + 1, size - 1);
  if (const auto item = parse_ttlv(message)) {
    if (count(*item) > items_max)
      std::abort();
    ttlv_writer w;
    write_again(w, *item);
    const auto again = w.take();
    if (!std::equal(again.begin(), again.end(), message.begin(), message.end()))
      std::abort();
  }
  message_options options;
  options.version = {1, data[0] < 128 ? 4U : 2U};
  const response r = parse_response(request_of(data[0]), options, message);
  if (!r.outcome && r.outcome.failure().message.empty())
    std::abort();
  return 0;
}
