#include "runtime/cli/node_key_options.hpp"

#include "cluster/node_store.hpp"
#include "runtime/node_key_environment.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace {

struct rotate_arguments {
  std::string data_dir;
  std::string present_passphrase_file;
  node_key_arguments next;
};

result<void> rotate(session& s, const rotate_arguments& a) {
  CUSTOS_TRY(const auto next, node_key_request_of(a.next));
  auto present = next.access;
  present.passphrase_file = a.present_passphrase_file;
  CUSTOS_CHECK(cluster::rotate_node_key(a.data_dir, present, next));
  warn_of_key_file(s, next.choice);
  s.show(boost::json::object{{"data_dir", a.data_dir}, {"node_key", text_of(next.choice)}});
  return {};
}

} // namespace

void add_node_key_access(CLI::App* command, node_key_arguments& a) {
  command->add_option("--node-key-passphrase-file", a.passphrase_file,
                      "File or pipe with the passphrase of the node key, if it has one");
  command->add_option("--tcti", a.tcti, "The TPM of the node key, as tss2-tctildr takes it")
      ->capture_default_str();
}

void add_node_key_choice(CLI::App* command, node_key_arguments& a) {
  command
      ->add_option("--node-key", a.source,
                   "What protects the node's secrets: tpm, credential:NAME, passphrase, or file: "
                   "who has the disk then has everything")
      ->capture_default_str();
  command->add_option("--node-key-pcrs", a.pcrs,
                      "With tpm: PCRs (SHA-256) that must stay as they are now, as in 0,7");
  add_node_key_access(command, a);
}

cluster::node_key_access node_key_access_of(const node_key_arguments& a) {
  return runtime::node_key_access_of(a.tcti, a.passphrase_file);
}

result<cluster::node_key_request> node_key_request_of(const node_key_arguments& a) {
  cluster::node_key_request out;
  auto choice = cluster::parse_node_key_choice(a.source, a.pcrs);
  if (!choice) {
    choice.failure().field = "--node-key";
    return std::move(choice).failure();
  }
  out.choice = *std::move(choice);
  out.access = node_key_access_of(a);
  return out;
}

void warn_of_key_file(const session& s, const cluster::node_key_choice& choice) {
  if (choice.source == cluster::node_key_source::file)
    s.say(std::string("warning: ") + std::string(runtime::key_file_warning));
}

void add_node_key_commands(command_set& commands, CLI::App* group) {
  auto r = std::make_shared<rotate_arguments>();
  auto* const c = commands.command(group, "rotate-node-key",
                                   "Another node key, perhaps kept otherwise, for a stopped node",
                                   [r](session& s) { return rotate(s, *r); });
  c->add_option("--data-dir", r->data_dir, "Data directory of the node")->required();
  add_node_key_choice(c, r->next);
  c->get_option("--node-key")->required();
  c->add_option("--present-passphrase-file", r->present_passphrase_file,
                "File or pipe with the passphrase it has now, if it has one");
}

} // namespace custos::cli
