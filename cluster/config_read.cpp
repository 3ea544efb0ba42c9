#include "cluster/config_codec_detail.hpp"
#include "cluster/sealing.hpp"

#include <algorithm>
#include <limits>

namespace custos::cluster::detail {

using crypto::certificate;

std::string at(const std::string& path, std::size_t index) {
  return path + "/" + std::to_string(index);
}

error bad(const std::string& path, std::string_view expected) {
  return field_error(errc::invalid_argument, path, "expected " + std::string(expected));
}

result<certificate> read_certificate(const std::string& pem, const std::string& path) {
  auto all = crypto::certificates_from_pem(as_bytes(pem), certificates_per_object_max);
  if (!all)
    return bad(path, "one PEM certificate: " + all.failure().message);
  if (all->size() != 1)
    return bad(path, "one PEM certificate, not several");
  return std::move(all->front());
}

result<std::uint32_t> bounded(json::object& o, std::string_view name, std::int64_t min,
                              std::int64_t max, std::uint32_t otherwise) {
  CUSTOS_TRY(const auto given, o.optional_integer(name, min, max));
  return given ? static_cast<std::uint32_t>(*given) : otherwise;
}

result<bool> flag(json::object& o, std::string_view name, bool otherwise) {
  CUSTOS_TRY(const auto given, o.optional_boolean(name));
  return given.value_or(otherwise);
}

result<bytes> read_digest(json::object& o, std::string_view name, std::size_t size) {
  const auto path = o.path() + "/" + std::string(name);
  CUSTOS_TRY(const auto text, o.string(name, 2 * size));
  auto digest = crypto::from_hex(text);
  if (!digest || digest->size() != size)
    return bad(path, std::to_string(2 * size) + " hex digits");
  return digest;
}

result<bytes> optional_digest(json::object& o, std::string_view name, std::size_t size) {
  if (!o.has(name))
    return bytes();
  return read_digest(o, name, size);
}

result<sealed_secret> read_sealed(json::object& o, std::string_view name) {
  CUSTOS_TRY(auto given, o.optional_base64url(name, sealed_bytes_max));
  sealed_secret out;
  if (!given)
    return out;
  out.sealed = std::move(*given);
  if (out.sealed.size() <= sealed_overhead_bytes || !data_key_of(out.sealed))
    return bad("/" + std::string(name), "a value sealed by a node of this cluster");
  return out;
}

result<principal> read_principal(json::object& o) {
  principal out;
  CUSTOS_TRY(const auto text, o.string("role", 32));
  if (text == "administrator")
    out.may = role::administrator;
  else if (text == "auditor")
    out.may = role::auditor;
  else
    return bad("/role", "\"administrator\" or \"auditor\"");
  return out;
}

result<host_binding> read_host(json::object& o) {
  host_binding out;
  CUSTOS_TRY(out.ek_spki_sha256, read_digest(o, "ek_spki_sha256", 32));
  CUSTOS_TRY(out.quarantined, flag(o, "quarantined", false));
  if (o.has("ak_name")) {
    CUSTOS_TRY(out.ak_name, o.hex("ak_name", ak_name_bytes_max));
  }
  return out;
}

result<data_key> read_data_key(json::object& o) {
  // Base64url and the four dots of a JWE (RFC 7516, 3.1); whether it opens shows at its node.
  const auto is_jwe = [](std::string_view text) {
    return std::count(text.begin(), text.end(), '.') == 4 &&
           std::all_of(text.begin(), text.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';
           });
  };
  data_key out;
  CUSTOS_TRY(out.created, o.integer("created", 1, std::numeric_limits<std::int64_t>::max()));
  CUSTOS_TRY(auto wrapped, o.child("wrapped"));
  const auto nodes = wrapped.names();
  if (nodes.empty() || nodes.size() > data_key_recipients_max)
    return bad("/wrapped", "1-" + std::to_string(data_key_recipients_max) + " nodes");
  for (const auto& node : nodes) {
    if (!is_object_name(node))
      return bad("/wrapped", "names of nodes: 1-128 characters of A-Z a-z 0-9 . _ -");
    CUSTOS_TRY(auto jwe, wrapped.string(node, data_key_jwe_bytes_max));
    if (!is_jwe(jwe))
      return bad("/wrapped/" + node, "a JWE in compact form");
    out.wrapped.emplace(node, std::move(jwe));
  }
  CUSTOS_CHECK(wrapped.finish());
  return out;
}

} // namespace custos::cluster::detail
