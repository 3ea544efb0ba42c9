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
    write_item(w, *item);
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
