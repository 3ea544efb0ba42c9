#include "cluster/config_preview.hpp"

#include "cluster/config_codec.hpp"

namespace custos::cluster {

namespace {

template <class T, class Index>
void put(Index& index, const std::string& name, config_object value) {
  index.set(name, std::make_shared<const T>(std::get<T>(std::move(value))));
}

void put_object(config_snapshot& s, object_kind kind, const std::string& name,
                config_object value) {
  switch (kind) {
  case object_kind::tpm_ca:
    return put<tpm_ca>(s.tpm_cas, name, std::move(value));
  case object_kind::endorsement_key:
    return put<endorsement_key>(s.endorsement_keys, name, std::move(value));
  case object_kind::base_image:
    return put<base_image>(s.base_images, name, std::move(value));
  case object_kind::settings:
    s.settings = std::get<attestation_settings>(std::move(value));
    return;
  case object_kind::key_provider:
    return put<key_provider>(s.key_providers, name, std::move(value));
  case object_kind::principal:
    return put<principal>(s.principals, name, std::move(value));
  case object_kind::host:
    return put<host_binding>(s.hosts, name, std::move(value));
  case object_kind::token_key:
    return put<token_key>(s.token_keys, name, std::move(value));
  case object_kind::denial:
    return put<denial>(s.denials, name, std::move(value));
  case object_kind::data_key:
    return put<data_key>(s.data_keys, name, std::move(value));
  }
}

std::size_t erase_object(config_snapshot& s, object_kind kind, const std::string& name) {
  switch (kind) {
  case object_kind::tpm_ca:
    return s.tpm_cas.erase(name);
  case object_kind::endorsement_key:
    return s.endorsement_keys.erase(name);
  case object_kind::base_image:
    return s.base_images.erase(name);
  case object_kind::key_provider:
    return s.key_providers.erase(name);
  case object_kind::principal:
    return s.principals.erase(name);
  case object_kind::host:
    return s.hosts.erase(name);
  case object_kind::token_key:
    return s.token_keys.erase(name);
  case object_kind::denial:
    return s.denials.erase(name);
  case object_kind::data_key:
    return s.data_keys.erase(name);
  case object_kind::settings:
    break; // never erased
  }
  return 0;
}

} // namespace

result<config_ptr> with_changes(const config_ptr& present,
                                const std::vector<config_command>& changes) {
  if (changes.size() > preview_changes_max)
    return field_error(errc::too_large, "/changes",
                       "expected at most " + std::to_string(preview_changes_max) + " changes");
  auto next = std::make_shared<config_snapshot>(*present);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto& c = changes[i];
    const auto at = "/changes/" + std::to_string(i);
    if (c.action == config_action::erase) {
      if (erase_object(*next, c.kind, c.name) == 0)
        return field_error(errc::not_found, at,
                           "there is no " + std::string(to_string(c.kind)) + "/" + c.name);
      continue;
    }
    auto value = read_object(c.kind, c.name, c.document);
    if (!value) {
      auto e = value.failure();
      e.field = at + e.field;
      return e;
    }
    put_object(*next, c.kind, c.name, *std::move(value));
  }
  return config_ptr(std::move(next));
}

} // namespace custos::cluster
