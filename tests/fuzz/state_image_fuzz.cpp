// Images of the state as a peer may send them, and the operations in them. A checksum would keep
// all that is changed from being read: it is made anew, as somebody would who means harm.

#include "cluster/state_image.hpp"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace custos;
using namespace custos::cluster;

void require(bool holds) {
  if (!holds)
    std::abort();
}

void judge(const bytes& image) {
  const auto read = decode_state(image);
  if (!read) {
    require(read.failure().code == errc::corrupted || read.failure().code == errc::unsupported);
    return;
  }
  require(encode_state(*read) == image); // there is one image of a state
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  bytes image(data, data + size);
  judge(image);
  constexpr std::size_t checksum_bytes = sizeof(crypto::sha256_digest);
  if (image.size() >= checksum_bytes) {
    image.resize(image.size() - checksum_bytes);
    const auto checksum = crypto::sha256(image);
    image.insert(image.end(), checksum.begin(), checksum.end());
    judge(image);
  }
  if (const auto operation = read_operation(byte_view(data, size)))
    require(octets_of(*operation) == bytes(data, data + size));
  return 0;
}
