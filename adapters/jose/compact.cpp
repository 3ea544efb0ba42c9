#include "adapters/jose/internal.hpp"

#include <algorithm>

namespace custos::jose::internal {

namespace {

/// Header members that carry or point to a key. Trust never comes from the token itself.
constexpr std::array<std::string_view, 4> key_members{"jwk", "jku", "x5u", "x5c"};

} // namespace

error refused(std::string_view check, std::string_view field, std::string message) {
  error e;
  e.code = errc::token_invalid;
  e.check = check;
  e.field = field;
  e.message = std::move(message);
  return e;
}

result<json::object> read_header(std::string_view encoded, const std::string& kind) {
  if (encoded.size() > header_bytes_max / 3 * 4 + 4)
    return refused(kind + "-size", "header",
                   "expected a protected header of at most " + std::to_string(header_bytes_max) +
                       " bytes");
  const auto decoded = crypto::from_base64url(encoded);
  if (!decoded)
    return refused(kind + "-form", "header", "protected header: " + decoded.failure().message);
  auto header = json::parse_object(as_text(*decoded), header_bytes_max);
  if (!header)
    return refused(kind + "-header", "header" + header.failure().field,
                   "protected header: " + header.failure().message);
  for (const auto& name : header->names()) {
    // We understand no extension, so a token that insists on one must be refused (RFC 7515,
    // 4.1.11).
    if (name == "crit")
      return refused(kind + "-critical", name, "expected no critical header extensions");
    if (std::find(key_members.begin(), key_members.end(), name) != key_members.end())
      return refused(kind + "-embedded-key", name,
                     "expected no key in the header: keys come from configuration");
  }
  return header;
}

} // namespace custos::jose::internal
