// The parser of key ciphertexts: hosts send them.

#include "actors/keyprovider/ciphertext.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace custos;
  using namespace custos::keyprovider;
  const auto parsed = parse_ciphertext({data, size});
  if (!parsed)
    return 0;
  // What was accepted says where it ends and has one encoding: its header can be made again.
  const auto& c = *parsed;
  const crypto::secret_bytes fresh(fresh_key_bytes);
  const crypto::secret_bytes key(c.body.size());
  const auto again = seal_key(c.identity, c.wrapped, fresh, {}, key);
  if (!again || again->size() != size)
    std::abort();
  const auto header = size - c.body.size() - tag_bytes;
  for (std::size_t i = 0; i < header; ++i)
    if ((*again)[i] != data[i])
      std::abort();
  // All-zero keys open nothing that was not made with them; opening must not fail otherwise.
  (void)open_key(c, {}, fresh);
  return 0;
}
