// A file of messages as an administrator gives it to be looked at. What is read is written again
// octet for octet; what is not read is told with its place.

#include "adapters/kmip/describe.hpp"
#include "adapters/kmip/message_file.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace custos;
  using namespace custos::kmip;
  const auto read = read_message_file({data, size});
  if (!read) {
    const auto& text = read.failure().message;
    if (text.find("expected") == std::string::npos && read.failure().code != errc::too_large)
      std::abort();
    return 0;
  }
  for (const auto& m : *read) {
    ttlv_writer w;
    write_item(w, m.item());
    const auto again = w.take();
    if (!std::equal(again.begin(), again.end(), m.octets.begin(), m.octets.end()))
      std::abort();
    if (describe(m.item(), {true}).empty() || !describe_json(m.item()).is_object())
      std::abort();
  }
  return 0;
}
