// custos backup: makes, inspects, verifies and restores backups of a trust authority cluster and of
// a coordinator. What is secret in them is opened on this machine only where a command needs it.

#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"
#include "cluster/backup/restore.hpp"
#include "cluster/bootstrap.hpp"
#include "runtime/cli/backup_files.hpp"
#include "runtime/cli/credentials.hpp"
#include "runtime/cli/inputs.hpp"
#include "runtime/cli/node_key_options.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/files.hpp"
#include "runtime/program.hpp"

#include <boost/json.hpp>
#include <filesystem>

namespace custos::cli {

namespace bj = boost::json;

namespace {

// ---- create -------------------------------------------------------------------------------------

struct create_arguments {
  std::string node;
  bool from_coordinator = false;
  bool local = false;
  std::string out;
  std::string passphrase_file;
  std::string recipient;
};

/// What came must be what was asked for, before it is kept for the day it is needed.
result<void> check_answer(const backup::header& head, const crypto::key& recipient,
                          backup::content_kind kind) {
  CUSTOS_TRY(const auto thumbprint, jose::thumbprint(recipient));
  const bool ours = head.recipients.size() == 1 && head.recipients.front().thumbprint == thumbprint;
  if (!ours || head.about.kind != kind)
    return make_error(errc::malformed, "the server answered with another backup than asked for");
  return {};
}

/// The header line under which the file is kept: for a passphrase the content key changes hands
/// here, and the file is opened once to see that it can be.
result<std::string> kept_header(const backup::opened_file& file, const crypto::key& recipient,
                                const crypto::secret_ptr& passphrase) {
  if (!passphrase)
    return backup::write_header(file.head);
  CUSTOS_TRY(const auto key, backup::content_key_of(file.head, recipient));
  CUSTOS_TRY(const auto content, open_backup(file, key));
  static_cast<void>(content); // that it reads was the question
  return backup::readdressed(file.head, key, {passphrase});
}

result<void> create(session& s, const create_arguments& a) {
  if (a.node.empty() != a.from_coordinator)
    return field_error(errc::invalid_argument, "--node",
                       "expected either --node or --from-coordinator");
  if (a.local && a.from_coordinator)
    return field_error(errc::invalid_argument, "--local", "expected only with --node");
  if (a.passphrase_file.empty() == a.recipient.empty())
    return field_error(errc::invalid_argument, "--passphrase-file",
                       "expected either --passphrase-file or --recipient");
  std::error_code failed;
  if (std::filesystem::exists(a.out, failed))
    return field_error(errc::already_exists, a.out, "the file exists and is not overwritten");
  crypto::key recipient;
  crypto::secret_ptr passphrase;
  if (!a.recipient.empty()) {
    CUSTOS_TRY(recipient, read_public_key(a.recipient));
  } else {
    CUSTOS_TRY(passphrase, read_passphrase(a.passphrase_file));
    CUSTOS_CHECK(backup::check_passphrase(*passphrase));
    CUSTOS_TRY(recipient, crypto::generate_p256());
  }
  CUSTOS_TRY(const auto octets,
             s.download(a.node, a.from_coordinator ? "/api/custos/v1/backup" : "/cluster/v1/backup",
                        bj::object{{"recipient", recipient.public_pem()}}, backup::file_bytes_max,
                        a.local));
  CUSTOS_TRY(const auto file, backup::read_file(as_bytes(octets)));
  CUSTOS_CHECK(check_answer(file.head, recipient,
                            a.from_coordinator ? backup::content_kind::coordinator
                                               : backup::content_kind::cluster));
  CUSTOS_TRY(const auto line, kept_header(file, recipient, passphrase));
  const std::array parts{as_bytes(line), file.sealed};
  CUSTOS_CHECK(runtime::write_new_file(a.out, parts, 0600));
  CUSTOS_TRY(const auto head,
             backup::parse_header(std::string_view(line).substr(0, line.size() - 1)));
  auto shown = summary_of(head);
  shown["file"] = a.out;
  s.show(shown);
  return {};
}

// ---- look and verify ----------------------------------------------------------------------------

result<void> inspect(session& s, const std::string& file) {
  CUSTOS_TRY(const auto read, read_backup(file));
  auto shown = summary_of(read->parts.head);
  shown["signature"] = "good";
  s.show(shown);
  return {};
}

struct verify_arguments {
  std::string file;
  opener_arguments with;
};

result<void> verify(session& s, const verify_arguments& a) {
  if (!a.with.given()) {
    CUSTOS_TRY(const auto read, read_backup(a.file));
    s.show(bj::object{{"id", read->parts.head.about.id},
                      {"signature", "good"},
                      {"digest", "good"},
                      {"content", "not opened: give --passphrase-file or --recipient-key"}});
    return {};
  }
  CUSTOS_TRY(const auto opened, open_backup(a.file, a.with));
  s.show(bj::object{{"id", opened.head.about.id},
                    {"signature", "good"},
                    {"digest", "good"},
                    {"content", "good"},
                    {"fingerprint", opened.head.about.fingerprint}});
  return {};
}

// ---- one object ---------------------------------------------------------------------------------

struct object_arguments {
  std::string file;
  std::string object;
  std::string node;
  opener_arguments with;
};

struct object_address {
  object_kind kind = object_kind::tpm_ca;
  std::string name;
};

result<object_address> address_of(const std::string& text) {
  const auto slash = text.find('/');
  const auto kind = object_kind_of(text.substr(0, slash));
  if (slash == std::string::npos || !kind)
    return field_error(errc::invalid_argument, "KIND/NAME",
                       "expected a kind and a name, as in key-providers/disk");
  return object_address{*kind, text.substr(slash + 1)};
}

result<const cluster::stored_object*> find_object(const backup::cluster_content& content,
                                                  const std::string& text) {
  CUSTOS_TRY(const auto address, address_of(text));
  const auto* const found = content.state.find(address.kind, address.name);
  if (found == nullptr)
    return field_error(errc::not_found, text, "there is no such object in the backup");
  return found;
}

result<void> show_object(session& s, const object_arguments& a) {
  CUSTOS_TRY(const auto opened, open_backup(a.file, a.with));
  std::string document;
  if (const auto* const content = std::get_if<backup::cluster_content>(&opened.content)) {
    CUSTOS_TRY(const auto* const found, find_object(*content, a.object));
    document = found->document;
  } else {
    for (const auto& entry : std::get_if<backup::coordinator_content>(&opened.content)->entries)
      if (entry.key == a.object)
        document = as_text(entry.value);
    if (document.empty())
      return field_error(errc::not_found, a.object, "there is no such entry in the backup");
  }
  CUSTOS_TRY(const auto parsed, json::parse_any(document));
  s.show(parsed);
  return {};
}

result<std::string> cluster_id_of(session& s, const std::string& node) {
  CUSTOS_TRY(const auto status, s.ask_node(node, "GET", "/config/v1/status", bj::value()));
  const auto* const id =
      status.is_object() ? status.get_object().if_contains("cluster_id") : nullptr;
  if (id == nullptr || !id->is_string())
    return make_error(errc::malformed, "the node answered without the id of its cluster");
  return std::string(id->get_string());
}

result<void> restore_object(session& s, const object_arguments& a) {
  CUSTOS_TRY(const auto opened, open_backup(a.file, a.with));
  const auto* const content = std::get_if<backup::cluster_content>(&opened.content);
  if (content == nullptr)
    return field_error(errc::invalid_argument, a.file,
                       "expected the backup of a trust authority cluster");
  CUSTOS_TRY(const auto address, address_of(a.object));
  CUSTOS_TRY(const auto* const found, find_object(*content, a.object));
  CUSTOS_TRY(const auto id, cluster_id_of(s, a.node));
  if (id != opened.head.about.cluster_id && backup::holds_sealed_values(found->value))
    return field_error(errc::forbidden, a.object,
                       "it holds secrets that are sealed for cluster " +
                           opened.head.about.cluster_id + ", and the node is of cluster " + id +
                           ": create the object there anew, or restore the whole backup");
  CUSTOS_TRY(const auto document, json::parse_any(found->document));
  CUSTOS_TRY(const auto answer, s.ask_node(a.node, "PUT",
                                           "/config/v1/" + std::string(to_string(address.kind)) +
                                               "/" + segment(address.name),
                                           document));
  s.show(answer);
  return {};
}

// ---- restore ------------------------------------------------------------------------------------

struct restore_arguments {
  std::string file;
  opener_arguments with;
  std::string data_dir;
  std::string node_name;
  std::vector<std::string> addresses;
  std::string cluster_address;
  node_key_arguments node_key;
  std::string admin_dir;
  std::string admin_name{cluster::first_administrator};
};

/// A certificate opens what its principal may do: there must be one.
result<void> check_administrator(const backup::cluster_content& content, const std::string& name) {
  std::string known;
  for (const auto& object : content.state.all(object_kind::principal)) {
    if (std::get<principal>(object->value).may != role::administrator)
      continue;
    if (object->name == name)
      return {};
    known.append(known.empty() ? "" : ", ").append(object->name);
  }
  return field_error(errc::invalid_argument, "--admin-name",
                     "expected an administrator of the backup: " + known);
}

result<void> restore_whole_cluster(session& s, const restore_arguments& a,
                                   const backup::cluster_content& content) {
  if (a.node_name.empty() || a.addresses.empty())
    return field_error(errc::invalid_argument, a.node_name.empty() ? "--node-name" : "--addresses",
                       "expected a value: the backup is of a trust authority cluster");
  backup::restore_options options;
  options.data_dir = a.data_dir;
  options.node.name = a.node_name;
  options.node.cluster_address = a.cluster_address;
  CUSTOS_TRY(options.node_key, node_key_request_of(a.node_key));
  options.now = runtime::system_clock_source()();
  sort_addresses(a.addresses, options.node.dns_names, options.node.ip_addresses);
  if (!a.admin_dir.empty()) {
    CUSTOS_CHECK(check_administrator(content, a.admin_name));
    CUSTOS_CHECK(prepare_folder(a.admin_dir, a.admin_name));
  }
  CUSTOS_TRY(const auto keys, backup::restore_cluster(options, content));
  warn_of_key_file(s, options.node_key.choice);
  bj::object shown{{"cluster_id", keys.cluster_id},
                   {"earlier_cluster_id", content.keys.cluster_id},
                   {"node", a.node_name},
                   {"data_dir", a.data_dir},
                   {"revision", content.state.revision()},
                   {"fingerprint", content.state.fingerprint()}};
  if (!a.admin_dir.empty()) {
    CUSTOS_TRY(const auto issued,
               cluster::issue_client_certificate(keys, {a.admin_name, ""}, options.now));
    CUSTOS_CHECK(write_credentials(a.admin_dir, a.admin_name, issued.certificate_pem,
                                   issued.private_key_pem));
    CUSTOS_CHECK(runtime::write_file(a.admin_dir + "/ca.crt", as_bytes(issued.ca_pem), 0644));
    shown["administrator"] = a.admin_dir + "/" + a.admin_name + ".crt";
    shown["private_key"] = a.admin_dir + "/" + a.admin_name + ".key";
    shown["ca"] = a.admin_dir + "/ca.crt";
  }
  s.show(shown);
  return {};
}

result<void> restore(session& s, const restore_arguments& a) {
  CUSTOS_TRY(const auto opened, open_backup(a.file, a.with));
  if (const auto* const content = std::get_if<backup::cluster_content>(&opened.content))
    return restore_whole_cluster(s, a, *content);
  if (!a.node_name.empty() || !a.addresses.empty() || !a.cluster_address.empty() ||
      !a.admin_dir.empty())
    return field_error(errc::invalid_argument, "--node-name",
                       "expected --data-dir only: the backup is of a coordinator");
  const auto& content = *std::get_if<backup::coordinator_content>(&opened.content);
  CUSTOS_CHECK(restore_coordinator(a.data_dir, content));
  s.show(bj::object{{"data_dir", a.data_dir},
                    {"entries", content.entries.size()},
                    {"certificate", content.certificate_pem.empty()
                                        ? bj::value("not in the backup: it came from a file")
                                        : bj::value(a.data_dir + "/coordinator.crt")}});
  return {};
}

// ---- the commands -------------------------------------------------------------------------------

void add_create(command_set& commands, CLI::App* group) {
  auto a = std::make_shared<create_arguments>();
  auto* c = commands.command(group, "create", "A backup of a running cluster or coordinator",
                             [a](session& s) { return create(s, *a); });
  c->add_option("--node", a->node, "Any node of the cluster, https://host:port");
  c->add_flag("--from-coordinator", a->from_coordinator,
              "Of the coordinator itself, the one of --coordinator");
  c->add_flag("--local", a->local,
              "What that node has, even if it lacks the latest changes: for a cluster without a "
              "majority");
  c->add_option("--out", a->out, "The file, mode 0600; never overwritten")->required();
  c->add_option("--passphrase-file", a->passphrase_file,
                "File with the passphrase that opens the backup");
  c->add_option("--recipient", a->recipient,
                "PEM file: public key (P-256) of whoever shall be able to open the backup");
}

void add_readers(command_set& commands, CLI::App* group) {
  auto i = std::make_shared<std::string>();
  auto* c = commands.command(group, "inspect", "What a backup says of itself, without a key",
                             [i](session& s) { return inspect(s, *i); });
  c->add_option("file", *i, "The backup")->required();

  auto v = std::make_shared<verify_arguments>();
  c = commands.command(group, "verify", "Whether a backup is whole; with a key, all that is in it",
                       [v](session& s) { return verify(s, *v); });
  c->add_option("file", v->file, "The backup")->required();
  v->with.add_to(c);

  auto o = std::make_shared<object_arguments>();
  c = commands.command(group, "show", "One object of a backup",
                       [o](session& s) { return show_object(s, *o); });
  c->add_option("file", o->file, "The backup")->required();
  c->add_option("object", o->object, "KIND/NAME, as in base-images/web")->required();
  o->with.add_to(c);
}

void add_restorers(command_set& commands, CLI::App* group) {
  auto r = std::make_shared<restore_arguments>();
  auto* c = commands.command(group, "restore",
                             "Makes the first node of a new cluster, or a coordinator, offline",
                             [r](session& s) { return restore(s, *r); });
  c->add_option("file", r->file, "The backup")->required();
  r->with.add_to(c);
  c->add_option("--data-dir", r->data_dir, "Data directory to make")->required();
  c->add_option("--node-name", r->node_name, "Name of the node");
  c->add_option("--addresses", r->addresses, "DNS names and IP addresses of the node")
      ->delimiter(',');
  c->add_option("--cluster-address", r->cluster_address,
                "host:port at which other nodes will reach it; default: the first address, port "
                "7443");
  add_node_key_choice(c, r->node_key);
  c->add_option("--admin-dir", r->admin_dir,
                "Where a new certificate of an administrator goes; none is made without");
  c->add_option("--admin-name", r->admin_name, "Which administrator")->capture_default_str();

  auto o = std::make_shared<object_arguments>();
  c = commands.command(group, "restore-object", "Puts one object of a backup into a cluster",
                       [o](session& s) { return restore_object(s, *o); });
  c->add_option("file", o->file, "The backup")->required();
  c->add_option("object", o->object, "KIND/NAME, as in base-images/web")->required();
  o->with.add_to(c);
  c->add_option("--node", o->node, "Any node of the cluster, https://host:port")->required();
}

} // namespace

void add_backup_commands(command_set& commands) {
  auto* const group = commands.group("backup", "Backups of the cluster and of the coordinator");
  add_create(commands, group);
  add_readers(commands, group);
  add_restorers(commands, group);
}

} // namespace custos::cli
