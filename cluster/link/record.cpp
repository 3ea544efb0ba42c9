#include "cluster/link/record.hpp"

#include <algorithm>
#include <cassert>

namespace custos::cluster::link {

namespace {

/// Lengths of content that a kind may have.
struct size_range {
  std::size_t least;
  std::size_t most;
};

std::optional<size_range> sizes_of(std::uint8_t kind) {
  switch (static_cast<record_kind>(kind)) {
  case record_kind::hello:
    return size_range{1, control_bytes_max};
  case record_kind::refusal:
  case record_kind::ready:
    return size_range{1, 1};
  case record_kind::accept:
    return size_range{accept_bytes, accept_bytes};
  case record_kind::frame:
    return size_range{0, frame_bytes_max};
  case record_kind::alive:
  case record_kind::clash:
    return size_range{0, 0};
  case record_kind::probe:
  case record_kind::echo:
    return size_range{probe_bytes, probe_bytes};
  }
  return std::nullopt;
}

std::uint32_t read_length(const std::uint8_t* p) {
  return (std::uint32_t{p[0]} << 24U) | (std::uint32_t{p[1]} << 16U) | (std::uint32_t{p[2]} << 8U) |
         std::uint32_t{p[3]};
}

} // namespace

bytes write_record(record_kind kind, byte_view content) {
  [[maybe_unused]] const auto sizes = sizes_of(static_cast<std::uint8_t>(kind));
  assert(sizes && content.size() >= sizes->least && content.size() <= sizes->most);
  const auto length = static_cast<std::uint32_t>(content.size() + 1);
  bytes out;
  out.reserve(record_header_bytes + content.size());
  for (unsigned shift = 32; shift != 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(length >> (shift - 8)));
  out.push_back(static_cast<std::uint8_t>(kind));
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

bytes write_number(std::uint64_t number) {
  bytes out(8);
  for (std::size_t i = 0; i < 8; ++i)
    out[i] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
  return out;
}

std::uint64_t read_number(byte_view octets) {
  assert(octets.size() == 8);
  std::uint64_t out = 0;
  for (const auto octet : octets)
    out = (out << 8U) | octet;
  return out;
}

result<void> record_reader::begin() {
  const std::size_t length = read_length(header_);
  const auto sizes = sizes_of(header_[4]);
  if (!sizes)
    return field_error(errc::malformed, "kind",
                       "link record: unknown kind " + std::to_string(header_[4]));
  current_.kind = static_cast<record_kind>(header_[4]);
  if (current_.kind == record_kind::frame && !frames_)
    return field_error(errc::malformed, "kind", "link record: a frame before the link is open");
  if (length == 0 || length - 1 < sizes->least)
    return field_error(errc::malformed, "length",
                       "link record: expected at least " + std::to_string(sizes->least + 1) +
                           " octets");
  if (length - 1 > sizes->most)
    return field_error(errc::too_large, "length",
                       "link record: expected at most " + std::to_string(sizes->most + 1) +
                           " octets");
  content_size_ = length - 1;
  return {};
}

result<std::optional<record>> record_reader::feed(byte_view octets, std::size_t& taken) {
  taken = 0;
  while (header_size_ < record_header_bytes) {
    if (taken == octets.size())
      return std::optional<record>();
    header_[header_size_++] = octets[taken++];
    if (header_size_ == record_header_bytes)
      CUSTOS_CHECK(begin());
  }
  const auto missing = content_size_ - current_.content.size();
  const auto part = octets.subspan(taken, std::min(missing, octets.size() - taken));
  current_.content.insert(current_.content.end(), part.begin(), part.end());
  taken += part.size();
  if (part.size() < missing)
    return std::optional<record>();
  header_size_ = 0;
  content_size_ = 0;
  return std::optional<record>(std::exchange(current_, record()));
}

} // namespace custos::cluster::link
