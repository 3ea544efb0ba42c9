// custos provider rotate, retire, confirm-backup: the primary keys of providers.

#include "actors/keyprovider/native_keys.hpp"
#include "cluster/sealing.hpp"
#include "runtime/cli/backup_files.hpp"
#include "runtime/cli/provider_paths.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

namespace {

/// Ids of the keys of a native provider as the cluster has them now.
result<std::vector<std::string>> present_keys(session& s, const std::string& name) {
  CUSTOS_TRY(const auto base, contract_providers(s));
  CUSTOS_TRY(const auto info, s.ask("GET", base + "/" + segment(name)));
  const auto* const root = info.if_object();
  const auto* const ours = root == nullptr ? nullptr : root->if_contains("custos");
  const auto* const keys = ours == nullptr || !ours->is_object()
                               ? nullptr
                               : ours->get_object().if_contains("primary_keys");
  if (keys == nullptr || !keys->is_array())
    return field_error(errc::invalid_argument, "name",
                       "expected a native provider: the keys of " + name + " are on key servers");
  std::vector<std::string> out;
  for (const auto& key : keys->get_array())
    if (const auto* const o = key.if_object(); o != nullptr)
      if (const auto* const id = o->if_contains("id"); id != nullptr && id->is_string())
        out.emplace_back(id->get_string());
  return out;
}

/// Ids of the keys that the backup holds: each was opened with what is in the backup alone, and is
/// the key that its id says.
result<std::vector<std::string>> keys_in(const backup::cluster_content& content,
                                         const std::string& name) {
  const auto* const found = content.state.find(object_kind::key_provider, name);
  if (found == nullptr)
    return field_error(errc::not_found, name, "the backup has no such provider");
  const auto& provider = std::get<key_provider>(found->value);
  const cluster::sealer seals(content.data_keys);
  std::vector<std::string> out;
  for (const auto& key : provider.primary_keys) {
    CUSTOS_TRY(const auto opened, seals.open(key.key, cluster::primary_key_use(name, key.id)));
    if (keyprovider::native_key_id(opened) != key.id)
      return field_error(errc::corrupted, name,
                         "primary key " + key.id + " of the backup is another key than it says");
    out.push_back(key.id);
  }
  return out;
}

struct confirm_arguments {
  std::string name;
  std::string file;
  opener_arguments with;
};

result<void> confirm_backup(session& s, const confirm_arguments& a) {
  CUSTOS_TRY(const auto opened, open_backup(a.file, a.with));
  const auto* const content = std::get_if<backup::cluster_content>(&opened.content);
  if (content == nullptr)
    return field_error(errc::invalid_argument, a.file,
                       "expected the backup of a trust authority cluster");
  CUSTOS_TRY(auto held, keys_in(*content, a.name));
  CUSTOS_TRY(const auto present, present_keys(s, a.name));
  std::erase_if(held, [&present](const std::string& id) {
    return std::find(present.begin(), present.end(), id) == present.end();
  });
  if (held.empty())
    return field_error(errc::invalid_argument, a.file,
                       "the backup holds no primary key that " + a.name +
                           " has now: make a new backup");
  CUSTOS_TRY(const auto base, own_providers(s));
  CUSTOS_TRY(const auto answer,
             s.ask("POST", base + "/" + segment(a.name) + "/primary-keys/confirm-backup",
                   bj::object{{"keys", bj::array(held.begin(), held.end())}}));
  static_cast<void>(answer); // there is none
  s.show(bj::object{{"backup", opened.head.about.id},
                    {"confirmed", bj::array(held.begin(), held.end())}});
  return {};
}

struct key_arguments {
  std::string name;
  std::string key;
};

result<void> rotate(session& s, const std::string& name) {
  CUSTOS_TRY(const auto base, own_providers(s));
  CUSTOS_TRY(const auto id, s.ask("POST", base + "/" + segment(name) + "/primary-key"));
  s.show(id);
  if (present_keys(s, name))
    s.say("next: backup create, then confirm-backup; it protects nothing before");
  return {};
}

result<void> retire(session& s, const key_arguments& a) {
  CUSTOS_TRY(const auto base, own_providers(s));
  CUSTOS_TRY(const auto answer,
             s.ask("DELETE", base + "/" + segment(a.name) + "/primary-keys/" + segment(a.key)));
  s.show(answer);
  return {};
}

} // namespace

void add_primary_key_commands(command_set& commands, CLI::App* group) {
  auto n = std::make_shared<std::string>();
  auto* c = commands.command(group, "rotate",
                             "Makes a new primary key: at once in use on key servers, of a native "
                             "provider once it is confirmed to be in a backup",
                             [n](session& s) { return rotate(s, *n); });
  c->add_option("name", *n, "The provider")->required();

  auto k = std::make_shared<key_arguments>();
  c = commands.command(group, "retire",
                       "Removes an old primary key of a native provider: what is still encrypted "
                       "under it is lost",
                       [k](session& s) { return retire(s, *k); });
  c->add_option("name", k->name, "The provider")->required();
  c->add_option("--key", k->key, "Id of the key, as `show` has it")->required();

  auto b = std::make_shared<confirm_arguments>();
  c = commands.command(group, "confirm-backup",
                       "Opens a backup here, finds the provider's primary keys in it, and lets the "
                       "cluster use them",
                       [b](session& s) { return confirm_backup(s, *b); });
  c->add_option("name", b->name, "The native provider")->required();
  c->add_option("file", b->file, "The backup")->required();
  b->with.add_to(c);
  c->footer("Example:\n"
            "  custos backup create --node https://n1.example.org --out prod.custos-backup "
            "--recipient backup.pub\n"
            "  custos provider confirm-backup disk prod.custos-backup --recipient-key backup.key");
}

} // namespace custos::cli
