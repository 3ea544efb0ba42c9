#include "cluster/fields.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace custos::cluster {

namespace {

constexpr std::size_t header_bytes = 5;

} // namespace

crypto::secret_bytes write_fields(std::uint8_t version, const std::vector<tagged_field>& fields) {
  std::size_t size = 1;
  for (const auto& f : fields)
    size += header_bytes + f.value.size();
  crypto::secret_bytes out(size);
  auto* p = out.writable_secret().data();
  *p++ = version;
  for (const auto& f : fields) {
    assert(f.value.size() <= std::numeric_limits<std::uint32_t>::max());
    const auto length = static_cast<std::uint32_t>(f.value.size());
    *p++ = f.tag;
    for (int shift = 24; shift >= 0; shift -= 8)
      *p++ = static_cast<std::uint8_t>(length >> static_cast<unsigned>(shift));
    p = std::copy(f.value.begin(), f.value.end(), p);
  }
  return out;
}

result<std::vector<tagged_field>> read_fields(std::uint8_t version, byte_view octets) {
  if (octets.empty())
    return make_error(errc::malformed, "expected a version");
  if (octets.front() != version)
    return make_error(errc::unsupported, "expected version " + std::to_string(version));
  octets = octets.subspan(1);
  std::vector<tagged_field> out;
  while (!octets.empty()) {
    if (octets.size() < header_bytes || out.size() == fields_max)
      return make_error(errc::malformed, "expected a tag and a length");
    std::size_t length = 0;
    for (std::size_t i = 1; i < header_bytes; ++i)
      length = (length << 8U) | octets[i];
    if (length > octets.size() - header_bytes)
      return make_error(errc::malformed, "expected as many bytes as the length says");
    out.push_back({octets.front(), octets.subspan(header_bytes, length)});
    octets = octets.subspan(header_bytes + length);
  }
  return out;
}

result<byte_view> one_field(const std::vector<tagged_field>& fields, std::uint8_t tag) {
  const auto has_tag = [tag](const tagged_field& f) { return f.tag == tag; };
  const auto found = std::find_if(fields.begin(), fields.end(), has_tag);
  if (found == fields.end() || std::any_of(found + 1, fields.end(), has_tag))
    return make_error(errc::malformed, "expected one field " + std::to_string(tag));
  return found->value;
}

} // namespace custos::cluster
