#include "adapters/eventlog/signature_list.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace custos::eventlog {

namespace {

/// Type, list size, header size, signature size.
constexpr std::size_t list_header_bytes = 16 + 4 + 4 + 4;
constexpr std::size_t sha256_bytes = 32;

std::size_t u32_at(byte_view data, std::size_t at) {
  return static_cast<std::size_t>(data[at]) | static_cast<std::size_t>(data[at + 1]) << 8 |
         static_cast<std::size_t>(data[at + 2]) << 16 |
         static_cast<std::size_t>(data[at + 3]) << 24;
}

std::optional<signature_kind> kind_of(byte_view type) {
  if (std::equal(type.begin(), type.end(), x509_list_guid.begin()))
    return signature_kind::x509;
  if (std::equal(type.begin(), type.end(), sha256_list_guid.begin()))
    return signature_kind::sha256;
  return std::nullopt;
}

error list_error(std::size_t offset, const std::string& what, errc code = errc::malformed) {
  return make_error(code, "signature list at offset " + std::to_string(offset) + ": " + what);
}

/// One list, header included and nothing behind it.
result<void> read_list(byte_view list, std::size_t offset, signature_lists& out) {
  const auto kind = kind_of(list.first(owner_bytes));
  const auto header_bytes = u32_at(list, 20);
  const auto signature_bytes = u32_at(list, 24);
  const auto body_bytes = list.size() - list_header_bytes;
  if (header_bytes > body_bytes)
    return list_error(offset, "SignatureHeaderSize is larger than the list");
  if (kind && header_bytes != 0)
    return list_error(offset, "SignatureHeaderSize is not 0, as this type has it");
  if (signature_bytes <= owner_bytes)
    return list_error(offset, "SignatureSize leaves no room for a signature");
  if (kind == signature_kind::sha256 && signature_bytes != owner_bytes + sha256_bytes)
    return list_error(offset, "SignatureSize is not 48, as SHA-256 hashes have it");
  auto rest = list.subspan(list_header_bytes + header_bytes);
  if (rest.size() % signature_bytes != 0)
    return list_error(offset, "SignatureSize does not divide the list");
  const auto count = rest.size() / signature_bytes;
  if (count > signatures_max - out.signatures.size() - out.others)
    return list_error(offset, "more signatures than signatures_max", errc::too_large);
  if (!kind) {
    out.others += count;
    return {};
  }
  for (; !rest.empty(); rest = rest.subspan(signature_bytes))
    out.signatures.push_back(
        {*kind, rest.first(owner_bytes), rest.subspan(owner_bytes, signature_bytes - owner_bytes)});
  return {};
}

} // namespace

result<signature_lists> parse_signature_lists(byte_view data) {
  signature_lists out;
  for (std::size_t offset = 0; offset < data.size();) {
    const auto rest = data.subspan(offset);
    if (rest.size() < list_header_bytes)
      return list_error(offset, "shorter than its header");
    const auto list_bytes = u32_at(rest, 16);
    if (list_bytes < list_header_bytes)
      return list_error(offset, "SignatureListSize is smaller than the header");
    if (list_bytes > rest.size())
      return list_error(offset, "SignatureListSize is larger than the variable");
    CUSTOS_CHECK(read_list(rest.first(list_bytes), offset, out));
    offset += list_bytes;
  }
  return out;
}

} // namespace custos::eventlog
