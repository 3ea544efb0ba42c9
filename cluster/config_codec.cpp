#include "cluster/config_codec.hpp"

#include "cluster/config_codec_detail.hpp"
#include "cluster/data_key_ring.hpp"

#include <algorithm>
#include <array>

namespace custos::cluster {

namespace {

/// Gives the object its name and wraps it.
template <class T>
result<config_object> named(result<T> read, std::string_view name) {
  if (!read)
    return read.failure();
  T& object = *read;
  if constexpr (requires { object.name; })
    object.name = std::string(name);
  else if constexpr (requires { object.host; })
    object.host = std::string(name);
  return config_object(std::move(object));
}

result<config_object> read_members(object_kind kind, std::string_view name, json::object& o) {
  switch (kind) {
  case object_kind::tpm_ca:
    return named(detail::read_tpm_ca(o), name);
  case object_kind::endorsement_key:
    return named(detail::read_endorsement_key(o), name);
  case object_kind::base_image:
    return named(detail::read_base_image(o), name);
  case object_kind::settings:
    return named(detail::read_settings(o), name);
  case object_kind::key_provider:
    return named(detail::read_key_provider(o), name);
  case object_kind::principal:
    return named(detail::read_principal(o), name);
  case object_kind::host:
    return named(detail::read_host(o), name);
  case object_kind::token_key:
    return named(detail::read_token_key(o), name);
  case object_kind::denial:
    return named(detail::read_denial(o), name);
  case object_kind::data_key:
    return named(detail::read_data_key(o), name);
  }
  return field_error(errc::invalid_argument, "kind", "expected a kind of configuration object");
}

} // namespace

bool detail::is_object_name(std::string_view text) {
  return custos::is_object_name(text);
}

bool detail::is_host_name(std::string_view text) {
  return custos::is_host_name(text);
}

object_kind kind_of(const config_object& object) {
  // In the order of the alternatives of config_object.
  constexpr std::array<object_kind, std::variant_size_v<config_object>> kinds{
      object_kind::tpm_ca,   object_kind::endorsement_key, object_kind::base_image,
      object_kind::settings, object_kind::key_provider,    object_kind::principal,
      object_kind::host,     object_kind::token_key,       object_kind::denial,
      object_kind::data_key};
  return kinds.at(object.index());
}

result<void> check_object_name(object_kind kind, std::string_view name) {
  if (kind == object_kind::settings) {
    if (name != settings_name)
      return field_error(errc::invalid_argument, "name",
                         "expected \"settings\": there is one settings object");
    return {};
  }
  if (kind == object_kind::host) {
    if (!detail::is_host_name(name))
      return field_error(errc::invalid_argument, "name",
                         "expected a host id: 1-128 characters of A-Z a-z 0-9 . _ -");
    return {};
  }
  if (kind == object_kind::data_key && !data_key_id_of(name))
    return field_error(errc::invalid_argument, "name", "expected a key id: 8 hex digits");
  if (!detail::is_object_name(name))
    return field_error(errc::invalid_argument, "name",
                       "expected 1-128 characters of A-Z a-z 0-9 . _ -, the first a letter or "
                       "digit");
  return {};
}

result<config_object> read_object(object_kind kind, std::string_view name,
                                  std::string_view document) {
  CUSTOS_CHECK(check_object_name(kind, name));
  CUSTOS_TRY(auto o, json::parse_object(document, config_document_bytes_max));
  CUSTOS_TRY(const auto said, o.optional_string("name", object_name_bytes_max));
  if (said && *said != name)
    return field_error(errc::invalid_argument, "/name",
                       "expected \"" + std::string(name) + "\", the name of the object addressed");
  CUSTOS_TRY(auto object, read_members(kind, name, o));
  CUSTOS_CHECK(o.finish());
  return object;
}

std::string write_object(const config_object& object) {
  return json::canonical(
      std::visit([](const auto& x) { return boost::json::value(detail::json_of(x)); }, object));
}

} // namespace custos::cluster
