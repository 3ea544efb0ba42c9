// What a key server answers, to every request we send in every version, and to batches of them. The
// first octet chooses the request, the second the version; the rest is the message.

#include "adapters/kmip/describe.hpp"
#include "adapters/kmip/protocol.hpp"

#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::kmip;

crypto::secret_ptr secret(std::size_t octets) {
  return std::make_shared<const crypto::secret_bytes>(bytes(octets, 1));
}

const std::vector<request>& requests() {
  static const std::vector<request> all = {
      get_key{"k1"},
      get_state{"k1"},
      get_attributes{"k1"},
      locate{"n"},
      create_symmetric_key{},
      register_symmetric_key{"n", secret(32)},
      re_key{"k1"},
      activate{"k1"},
      kmip::revoke{"k1", revocation_reason::unspecified, {}},
      destroy{"k1"},
      encrypt_data{"k1", secret(32), {}},
      decrypt_data{"k1", {true, bytes(12), bytes(64), bytes(16)}, {}},
      query{},
      discover_versions{},
  };
  return all;
}

void judge(const response& r) {
  if (!r.outcome && r.outcome.failure().message.empty())
    std::abort();
  // A message of the server is made printable before it reaches anybody.
  if (!r.outcome)
    for (const char c : r.outcome.failure().message)
      if (c < 0x20 || c > 0x7E)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2)
    return 0;
  const byte_view message(data + 2, size - 2);
  message_options options;
  options.version = our_versions[data[1] % our_versions.size()];
  const auto& all = requests();
  const request& asked = all[data[0] % all.size()];
  judge(parse_response(asked, options, message));
  options.id = batch_item_id{'i', 'd', 0, 0, 0, 0, 0, 1};
  judge(parse_response(asked, options, message));

  const std::vector<request> batch = {asked, all[(data[0] + 1U) % all.size()]};
  const std::vector<batch_item_id> ids = {{1}, {2}};
  const auto several = parse_batch(batch, ids, options, message);
  if (several.responses.size() != (several.fault ? 0 : batch.size()))
    std::abort();
  for (const auto& r : several.responses)
    judge(r);

  if (const auto item = parse_ttlv(message)) {
    if (describe(*item).empty())
      std::abort();
  } else if (item.failure().message.find("offset") == std::string::npos) {
    std::abort();
  }
  return 0;
}
