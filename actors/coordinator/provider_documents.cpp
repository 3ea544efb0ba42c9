// Providers as the contract has them, from and to the documents of nodes.

#include "actors/coordinator/provider_documents.hpp"

#include "actors/coordinator/coordinator_api.hpp"
#include "adapters/json/json.hpp"
#include "messages/config_commands.hpp"

#include <string_view>

namespace custos::coordinator {

namespace bj = boost::json;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t body_bytes_max = 1U << 20U;
constexpr std::size_t servers_max = 16;
constexpr std::int64_t timeout_s_max = 60;
constexpr std::size_t access_entries_max = 4096;
result<bj::array> servers_of(json::object& kmip) {
  CUSTOS_TRY(const auto items, kmip.array("servers", servers_max));
  bj::array out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto server, item.as_object());
    CUSTOS_TRY(const auto name, server.string("name", text_bytes_max));
    CUSTOS_TRY(auto address, server.child("address"));
    CUSTOS_TRY(const auto hostname, address.string("hostname", text_bytes_max));
    CUSTOS_TRY(const auto port, address.optional_integer("port", 1, 65535));
    CUSTOS_CHECK(address.finish());
    CUSTOS_CHECK(server.finish());
    out.push_back(bj::object{{"name", name}, {"host", hostname}, {"port", port.value_or(5696)}});
  }
  return out;
}

/// ti.tac.kms:Providers.KeyServerCreateSpec, or with `update` KeyServerUpdateSpec, in which every
/// member may be absent, onto the node's document.
result<void> read_key_server(json::object& spec, bj::object& document, bool update) {
  CUSTOS_TRY(const auto type, spec.optional_string("type", 16));
  if (!type && !update)
    return field_error(errc::invalid_argument, spec.path() + "/type", "expected KMIP");
  if (type && *type != "KMIP")
    return field_error(errc::invalid_argument, spec.path() + "/type", "expected KMIP");
  CUSTOS_TRY(const auto description, spec.optional_string("description", text_bytes_max));
  static_cast<void>(description); // the contract lets it be set; nothing depends on it
  if (spec.has("proxy_server"))
    return field_error(errc::unsupported, spec.path() + "/proxy_server",
                       "expected no proxy: key servers are reached directly");
  CUSTOS_TRY(const auto timeout, spec.optional_integer("connection_timeout", 1, timeout_s_max));
  if (timeout)
    document["timeout_ms"] = *timeout * 1000;
  CUSTOS_TRY(auto kmip, spec.optional_child("kmip_server"));
  if (!kmip && !update)
    return field_error(errc::invalid_argument, spec.path() + "/kmip_server",
                       "expected an object with the servers; it is missing");
  if (kmip) {
    if (!update || kmip->has("servers")) {
      CUSTOS_TRY(auto servers, servers_of(*kmip));
      document["servers"] = std::move(servers);
    }
    CUSTOS_TRY(const auto username, kmip->optional_string("username", text_bytes_max));
    if (username)
      document["username"] = *username;
    CUSTOS_CHECK(kmip->finish());
  }
  return spec.finish();
}

/// A member that nodes judge, as it is.
result<void> pass_on(json::object& from, const char* name, bj::object& document) {
  CUSTOS_TRY(auto part, from.optional_child(name));
  if (!part)
    return {};
  CUSTOS_TRY(document[name], json::parse_any(part->text(), body_bytes_max));
  return {};
}

result<bj::object> access_of(json::object& rule) {
  bj::object out;
  for (const auto* name : {"images", "hosts", "host_patterns"}) {
    const bool always = std::string_view(name) != "host_patterns";
    if (!always && !rule.has(name))
      continue;
    CUSTOS_TRY(const auto items, rule.array(name, access_entries_max, true));
    bj::array list;
    for (const auto& item : items) {
      CUSTOS_TRY(const auto text, item.as_string(text_bytes_max));
      list.emplace_back(text);
    }
    out[name] = std::move(list);
  }
  CUSTOS_CHECK(pass_on(rule, "claims", out));
  CUSTOS_CHECK(rule.finish());
  return out;
}

/// Ours in addition to the contract: "custos": {"type", "mode", "access", "limits", "cache",
/// "rotation"}; each that is there takes the place of what was.
result<void> read_extension(json::object& spec, bj::object& document) {
  CUSTOS_TRY(auto ours, spec.optional_child("custos"));
  if (!ours)
    return {};
  for (const auto* name : {"type", "mode"}) {
    CUSTOS_TRY(const auto text, ours->optional_string(name, 16));
    if (text)
      document[name] = *text;
  }
  CUSTOS_TRY(auto rule, ours->optional_child("access"));
  if (rule) {
    CUSTOS_TRY(document["access"], access_of(*rule));
  }
  for (const auto* name : {"limits", "cache", "rotation"})
    CUSTOS_CHECK(pass_on(*ours, name, document));
  return ours->finish();
}

/// Of a provider on key servers.
result<void> read_connection(json::object& spec, bj::object& document) {
  CUSTOS_TRY(const auto key, spec.string("master_key_id", text_bytes_max));
  document["primary_key_id"] = key;
  CUSTOS_TRY(auto server, spec.child("key_server"));
  return read_key_server(server, document, false);
}

/// Members of a document that came from a node: whatever has another form is left out.
const bj::value& member_of(const bj::object& o, std::string_view name) {
  static const bj::value none;
  const auto* const found = o.if_contains(name);
  return found == nullptr ? none : *found;
}

/// Members of ours that may be seen: all but what is sealed.
bj::object extension_of(const bj::object& o) {
  const auto& type = member_of(o, "type");
  bj::object out{{"type", type.is_null() ? bj::value("kmip") : type}};
  for (const auto* name : {"mode", "access", "limits", "cache", "rotation"})
    if (const auto& member = member_of(o, name); !member.is_null())
      out[name] = member;
  if (const auto* const keys = member_of(o, "primary_keys").if_array(); keys != nullptr) {
    bj::array list;
    for (const auto& item : *keys)
      if (const auto* const key = item.if_object(); key != nullptr)
        list.push_back(bj::object{{"id", member_of(*key, "id")},
                                  {"created", member_of(*key, "created")},
                                  {"backed_up", member_of(*key, "backed_up") == bj::value(true)}});
    out["primary_keys"] = std::move(list);
  }
  if (!member_of(o, "sealed_next_client_private_key").is_null())
    out["next_client_certificate"] =
        member_of(o, "next_client_certificate").is_null() ? "requested" : "set";
  return out;
}

bj::object key_server_of(const bj::object& o) {
  if (member_of(o, "type") == bj::value("native"))
    return {{"type", "NATIVE"}, {"description", ""}};
  bj::array servers;
  if (const auto* const list = member_of(o, "servers").if_array(); list != nullptr)
    for (const auto& item : *list) {
      const auto* const s = item.if_object();
      if (s == nullptr)
        continue;
      servers.push_back(bj::object{{"name", member_of(*s, "name")},
                                   {"address", bj::object{{"hostname", member_of(*s, "host")},
                                                          {"port", member_of(*s, "port")}}}});
    }
  bj::object kmip{{"servers", std::move(servers)}};
  if (const auto& user = member_of(o, "username"); !user.is_null())
    kmip["username"] = user;
  bj::object out{{"type", "KMIP"}, {"description", ""}, {"kmip_server", std::move(kmip)}};
  if (const auto* const timeout_ms = member_of(o, "timeout_ms").if_int64(); timeout_ms != nullptr)
    out["connection_timeout"] = (*timeout_ms + 999) / 1000; // seconds in the contract
  return out;
}

} // namespace

bj::object provider_info(const std::string& document, const std::vector<std::string>& details) {
  boost::system::error_code failed;
  const auto parsed = bj::parse(document, failed);
  const auto& o = parsed.as_object();
  return {{"master_key_id", member_of(o, "primary_key_id")},
          {"key_server", key_server_of(o)},
          {"status", bj::object{{"health", health_of(details)},
                                {"details", messages_of(details)},
                                {"servers", bj::array{}}}},
          {"custos", extension_of(o)}};
}

result<provider_spec> read_provider_create(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  provider_spec out;
  CUSTOS_TRY(out.name, spec.string("provider", 128));
  if (!is_object_name(out.name))
    return bad_object_name("/provider");
  CUSTOS_CHECK(read_extension(spec, out.document));
  out.native = member_of(out.document, "type") == bj::value("native");
  if (!out.native)
    CUSTOS_CHECK(read_connection(spec, out.document));
  CUSTOS_CHECK(spec.finish());
  return out;
}

result<bj::object> read_provider_update(const std::string& body) {
  CUSTOS_TRY(auto spec, json::parse_object(body, body_bytes_max));
  bj::object document;
  CUSTOS_TRY(const auto key, spec.optional_string("master_key_id", text_bytes_max));
  if (key)
    document["primary_key_id"] = *key;
  CUSTOS_TRY(auto server, spec.optional_child("key_server"));
  if (server)
    CUSTOS_CHECK(read_key_server(*server, document, true));
  CUSTOS_CHECK(read_extension(spec, document));
  CUSTOS_CHECK(spec.finish());
  return document;
}

void update_provider(bj::object& document, const bj::object& change) {
  for (const auto& [name, value] : change) {
    const auto* const was = document.if_contains(name);
    // Since when the interval counts is not the caller's.
    if (name != "rotation" || was == nullptr || !was->is_object() || !value.is_object()) {
      document[name] = value;
      continue;
    }
    for (const auto& [part, given] : value.get_object())
      document[name].get_object()[part] = given;
  }
}

} // namespace custos::coordinator
