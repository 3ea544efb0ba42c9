// Files of base images, packed and plain: the archive reader, the JSON reader and the signature.

#include "adapters/archive/archive.hpp"
#include "cluster/config_codec.hpp"
#include "cluster/image_file.hpp"

#include <cstdlib>

namespace {

using namespace custos;

constexpr archive::limits small{std::size_t{1} << 16, std::size_t{1} << 20, 4};

void require(bool holds) {
  if (!holds)
    std::abort();
}

const std::vector<crypto::key>& trusted() {
  static const std::vector<crypto::key> keys{crypto::generate_p256().value()};
  return keys;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view input(data, size);
  if (const auto entries = archive::read_tgz(input, small)) {
    std::size_t total = 0;
    for (const auto& e : *entries) {
      total += e.content.size();
      require(!e.name.empty() && e.name.find('/') == std::string::npos && e.name != "..");
    }
    require(entries->size() <= small.entries_max && total <= small.unpacked_bytes_max);
    require(archive::write_tgz(*entries).ok());
  }
  // Nobody can have signed for a key that was made just now.
  require(!cluster::read_image_file(input, trusted()));
  if (const auto file = cluster::read_image_file(input)) {
    const auto again = cluster::read_image_file(as_bytes(cluster::write_image_json(*file)));
    require(again.ok() &&
            cluster::write_object(again->image) == cluster::write_object(file->image));
  }
  return 0;
}
