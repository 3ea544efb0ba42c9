#include "cluster/backup/chunks.hpp"

#include "adapters/crypto/crypto.hpp"
#include "cluster/backup/header.hpp"

#include <algorithm>
#include <array>

namespace custos::backup {

namespace {

constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t position_bytes = 8;
constexpr std::size_t sealed_chunk_bytes = chunk_bytes + chunk_tag_bytes;
constexpr std::string_view label = "custos-backup-chunk-v1";

struct chunk_context {
  std::array<std::uint8_t, nonce_bytes> nonce{};
  std::array<std::uint8_t, label.size() + position_bytes + 1> aad{};

  chunk_context(std::uint64_t position, bool last) {
    auto* p = std::copy(label.begin(), label.end(), aad.begin());
    for (std::size_t i = 0; i < position_bytes; ++i) {
      const auto octet = static_cast<std::uint8_t>(
          position >> (8U * static_cast<unsigned>(position_bytes - 1 - i)));
      nonce.at(nonce_bytes - position_bytes + i) = octet;
      *p++ = octet;
    }
    *p = last ? 1 : 0;
  }
};

/// Takes octets off the front of a list of parts.
class gatherer {
public:
  explicit gatherer(std::span<const byte_view> parts) : parts_(parts) {}

  void take(std::size_t n, crypto::wiped_bytes& out) {
    out.clear();
    while (n > 0) {
      auto rest = parts_[part_].subspan(at_);
      const auto some = rest.first(std::min(n, rest.size()));
      out.insert(out.end(), some.begin(), some.end());
      n -= some.size();
      at_ += some.size();
      if (at_ == parts_[part_].size()) {
        ++part_;
        at_ = 0;
      }
    }
  }

private:
  std::span<const byte_view> parts_;
  std::size_t part_ = 0;
  std::size_t at_ = 0;
};

} // namespace

std::size_t sealed_size(std::size_t content_bytes) {
  return content_bytes + (content_bytes + chunk_bytes - 1) / chunk_bytes * chunk_tag_bytes;
}

result<void> seal_chunks(byte_view key, std::span<const byte_view> parts, std::string& out) {
  std::size_t left = 0;
  for (const auto& part : parts) {
    if (part.size() > content_bytes_max - left)
      return make_error(errc::too_large, "a backup holds at most " +
                                             std::to_string(content_bytes_max >> 20U) + " MiB");
    left += part.size();
  }
  if (left == 0)
    return make_error(errc::invalid_argument, "expected something to back up");
  out.reserve(out.size() + sealed_size(left));
  gatherer from(parts);
  crypto::wiped_bytes plain;
  plain.reserve(chunk_bytes);
  for (std::uint64_t position = 0; left > 0; ++position) {
    const auto n = std::min(left, chunk_bytes);
    left -= n;
    from.take(n, plain);
    const chunk_context context(position, left == 0);
    CUSTOS_TRY(const auto sealed, crypto::aes256_gcm_seal(key, context.nonce, context.aad, plain));
    out.append(as_text(sealed.ciphertext)).append(as_text(sealed.tag));
  }
  return {};
}

result<crypto::wiped_bytes> open_chunks(byte_view key, byte_view sealed) {
  if (sealed.size() <= chunk_tag_bytes || sealed.size() > sealed_bytes_max)
    return make_error(errc::corrupted, "sealed part: expected at least one chunk and at most " +
                                           std::to_string(sealed_bytes_max) + " bytes");
  crypto::wiped_bytes out;
  out.reserve(sealed.size());
  for (std::uint64_t position = 0; !sealed.empty(); ++position) {
    const auto chunk = sealed.first(std::min(sealed.size(), sealed_chunk_bytes));
    sealed = sealed.subspan(chunk.size());
    const chunk_context context(position, sealed.empty());
    const auto bad = [position] {
      return make_error(errc::corrupted, "sealed part: chunk " + std::to_string(position) +
                                             " does not open: it was changed, moved or cut off");
    };
    if (chunk.size() <= chunk_tag_bytes)
      return bad();
    const auto plain = crypto::aes256_gcm_open(key, context.nonce, context.aad,
                                               chunk.first(chunk.size() - chunk_tag_bytes),
                                               chunk.last(chunk_tag_bytes));
    if (!plain)
      return bad();
    const auto octets = plain->reveal_secret();
    out.insert(out.end(), octets.begin(), octets.end());
  }
  return out;
}

} // namespace custos::backup
