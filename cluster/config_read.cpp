#include "cluster/config_codec_detail.hpp"
#include "cluster/sealing.hpp"

#include <algorithm>
#include <limits>
#include <set>

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

// ---- key providers -----------------------------------------------------------------------------

namespace {

result<primary_key_mode> read_mode(json::object& o) {
  CUSTOS_TRY(const auto text, o.optional_string("mode", 16));
  if (!text || *text == "auto")
    return primary_key_mode::automatic;
  if (*text == "local")
    return primary_key_mode::local;
  if (*text == "remote")
    return primary_key_mode::remote;
  return bad("/mode", R"("auto", "local" or "remote")");
}

bool is_host(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':';
  });
}

result<std::vector<key_server>> read_servers(json::object& o) {
  CUSTOS_TRY(const auto items, o.array("servers", servers_per_provider_max));
  if (items.empty())
    return bad("/servers", "at least one key server");
  std::vector<key_server> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto s, item.as_object());
    key_server server;
    CUSTOS_TRY(server.name, s.string("name", object_name_bytes_max));
    if (!is_object_name(server.name))
      return bad(s.path() + "/name", "1-128 characters of A-Z a-z 0-9 . _ -");
    if (std::any_of(out.begin(), out.end(), [&](const auto& x) { return x.name == server.name; }))
      return bad(s.path() + "/name", "a name that no other server of the provider has");
    CUSTOS_TRY(server.host, s.string("host", host_bytes_max));
    if (!is_host(server.host))
      return bad(s.path() + "/host", "a host name or an IP address");
    CUSTOS_TRY(const auto port, bounded(s, "port", 1, 65535, server.port));
    server.port = static_cast<std::uint16_t>(port);
    CUSTOS_CHECK(s.finish());
    out.push_back(std::move(server));
  }
  return out;
}

result<std::string> read_client_certificate(json::object& o) {
  CUSTOS_TRY(const auto pem, o.optional_string("client_certificate", pem_bytes_max));
  if (!pem || pem->empty())
    return std::string();
  const auto chain = crypto::certificates_from_pem(as_bytes(*pem));
  if (!chain)
    return bad("/client_certificate", "PEM certificates: " + chain.failure().message);
  std::string out;
  for (const auto& cert : *chain)
    out += cert.pem();
  return out;
}

result<std::vector<std::string>> read_peer_certificates(json::object& o) {
  constexpr auto member = "trusted_peer_certificates";
  CUSTOS_TRY(const auto items, o.array(member, certificates_per_object_max, true));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(const auto pem, items[i].as_string(pem_bytes_max));
    CUSTOS_TRY(const auto cert, read_certificate(pem, at("/trusted_peer_certificates", i)));
    out.push_back(cert.pem());
  }
  return out;
}

result<std::vector<std::string>> read_names(json::object& access, std::string_view member,
                                            bool (*valid)(std::string_view)) {
  CUSTOS_TRY(const auto items, access.array(member, access_entries_max, true));
  std::vector<std::string> out;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto path = at(access.path() + "/" + std::string(member), i);
    CUSTOS_TRY(auto name, items[i].as_string(object_name_bytes_max));
    if (!valid(name))
      return bad(path, "1-128 characters of A-Z a-z 0-9 . _ -");
    if (!seen.insert(name).second)
      return bad(path, "each name once");
    out.push_back(std::move(name));
  }
  return out;
}

result<access_rule> read_access(json::object& o) {
  access_rule out;
  CUSTOS_TRY(auto access, o.optional_child("access"));
  if (!access)
    return out;
  CUSTOS_TRY(out.images, read_names(*access, "images", is_object_name));
  CUSTOS_TRY(out.hosts, read_names(*access, "hosts", is_host_name));
  CUSTOS_CHECK(access->finish());
  return out;
}

} // namespace

result<key_provider> read_key_provider(json::object& o) {
  key_provider out;
  CUSTOS_TRY(auto primary, o.optional_string("primary_key_id", key_id_bytes_max));
  out.primary_key_id = std::move(primary).value_or("");
  CUSTOS_TRY(out.mode, read_mode(o));
  CUSTOS_TRY(out.servers, read_servers(o));
  CUSTOS_TRY(out.client_certificate, read_client_certificate(o));
  CUSTOS_TRY(out.client_private_key, read_sealed(o, "sealed_client_private_key"));
  // A key without a certificate is a signing request on its way; the reverse is of no use.
  if (!out.client_certificate.empty() && out.client_private_key.sealed.empty())
    return bad("/sealed_client_private_key", "the sealed private key of client_certificate");
  CUSTOS_TRY(out.trusted_peer_certificates, read_peer_certificates(o));
  CUSTOS_TRY(auto username, o.optional_string("username", username_bytes_max));
  out.username = std::move(username).value_or("");
  CUSTOS_TRY(out.password, read_sealed(o, "sealed_password"));
  if (out.username.empty() && !out.password.sealed.empty())
    return bad("/username", "the name that sealed_password belongs to");
  CUSTOS_TRY(out.timeout_ms,
             bounded(o, "timeout_ms", timeout_ms_min, timeout_ms_max, out.timeout_ms));
  CUSTOS_TRY(out.legacy_ciphers, flag(o, "legacy_ciphers", false));
  CUSTOS_TRY(out.access, read_access(o));
  return out;
}

} // namespace custos::cluster::detail
