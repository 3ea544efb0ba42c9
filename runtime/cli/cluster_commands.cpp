// custos cluster: how a trust authority cluster begins, grows, and who may administer it.
// init, join and recover work on the data directory of a node that does not run.

#include "adapters/json/json.hpp"
#include "cluster/bootstrap.hpp"
#include "runtime/cli/credentials.hpp"
#include "runtime/cli/node_key_options.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/files.hpp"
#include "runtime/program.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;
using runtime::read_text_file;
using runtime::write_file;

namespace {

constexpr std::size_t token_bytes_max = 4096;

struct init_arguments {
  cluster::init_options init;
  std::string data_dir;
  std::vector<std::string> addresses;
  std::string admin_dir = ".";
  node_key_arguments node_key;
};

result<void> init(session& s, init_arguments& a) {
  const std::string admin(cluster::first_administrator);
  a.init.data_dir = a.data_dir;
  a.init.now = runtime::system_clock_source()();
  sort_addresses(a.addresses, a.init.dns_names, a.init.ip_addresses);
  CUSTOS_TRY(a.init.node_key, node_key_request_of(a.node_key));
  CUSTOS_CHECK(prepare_folder(a.admin_dir, admin));
  CUSTOS_TRY(const auto made, cluster::init_cluster(a.init));
  CUSTOS_CHECK(write_credentials(a.admin_dir, admin, made.administrator.certificate_pem,
                                 made.administrator.private_key_pem));
  CUSTOS_CHECK(write_file(a.admin_dir + "/ca.crt", as_bytes(made.administrator.ca_pem), 0644));
  warn_of_key_file(s, a.init.node_key.choice);
  s.show(bj::object{{"cluster_id", made.cluster_id},
                    {"administrator", a.admin_dir + "/" + admin + ".crt"},
                    {"private_key", a.admin_dir + "/" + admin + ".key"},
                    {"ca", a.admin_dir + "/ca.crt"}});
  return {};
}

struct recover_arguments {
  std::string data_dir;
  std::string name{cluster::first_administrator};
  std::string out_dir = ".";
  node_key_arguments node_key;
};

result<void> recover(session& s, const recover_arguments& a) {
  CUSTOS_CHECK(prepare_folder(a.out_dir, a.name));
  CUSTOS_TRY(const auto node,
             cluster::node_store::open(a.data_dir, node_key_access_of(a.node_key)));
  CUSTOS_CHECK(cluster::leave_command(
      *node, cluster::principal_command(a.name, role::administrator, "offline")));
  CUSTOS_TRY(const auto issued, cluster::issue_client_certificate(
                                    *node->keys(), {a.name, ""}, runtime::system_clock_source()()));
  CUSTOS_CHECK(
      write_credentials(a.out_dir, a.name, issued.certificate_pem, issued.private_key_pem));
  s.show(bj::object{{"certificate", a.out_dir + "/" + a.name + ".crt"},
                    {"private_key", a.out_dir + "/" + a.name + ".key"},
                    {"next", "start the node: the certificate counts as soon as the cluster has a "
                             "majority"}});
  return {};
}

struct token_arguments {
  std::string node;
  std::uint32_t life_s = 3600;
  std::string out;
};

result<void> token(session& s, const token_arguments& a) {
  CUSTOS_TRY(const auto answer, s.ask_node(a.node, "POST", "/cluster/v1/tokens",
                                           bj::object{{"life_s", a.life_s}, {"url", a.node}}));
  const auto* const text = answer.is_object() ? answer.get_object().if_contains("token") : nullptr;
  if (text == nullptr || !text->is_string())
    return make_error(errc::malformed, "the node answered without a token");
  if (a.out.empty()) {
    s.show(*text);
    return {};
  }
  return write_file(a.out, as_bytes(std::string_view(text->get_string())), 0600);
}

struct join_arguments {
  std::string data_dir;
  std::string token_file;
  std::string node_name;
  std::vector<std::string> addresses;
  std::string cluster_address;
  bool replace = false;
  node_key_arguments node_key;
};

result<void> join(session& s, const join_arguments& a) {
  CUSTOS_TRY(const auto how, node_key_request_of(a.node_key));
  CUSTOS_TRY(auto text, read_text_file(a.token_file, token_bytes_max));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  cluster::node_request request;
  request.name = a.node_name;
  request.cluster_address = a.cluster_address;
  sort_addresses(a.addresses, request.dns_names, request.ip_addresses);
  auto attempt = cluster::make_join_request(a.data_dir, text, request, a.replace);
  crypto::wipe(text.data(), text.size());
  if (!attempt)
    return attempt.failure();
  // The token says which authority it is of; asking another one would only spend the token's
  // secret on a stranger.
  CUSTOS_TRY(const auto pem, read_text_file(s.options().ca.empty() ? "ca.crt" : s.options().ca,
                                            runtime::pem_file_bytes_max));
  CUSTOS_TRY(const auto ca, crypto::certificate_from_pem(as_bytes(pem)));
  if (ca.fingerprint() != attempt->token.ca_fingerprint)
    return field_error(errc::invalid_argument, "--ca",
                       "expected the certificate authority that the token names");
  CUSTOS_TRY(const auto answer,
             s.exchange(attempt->token.url, "POST", "/cluster/v1/join", attempt->request));
  CUSTOS_CHECK(cluster::accept_join_answer(a.data_dir, *attempt, answer,
                                           runtime::system_clock_source()(), how));
  warn_of_key_file(s, how.choice);
  s.show(bj::object{{"node", a.node_name}, {"data_dir", a.data_dir}});
  return {};
}

result<void> show_cluster(session& s, const std::string& node, const std::string& method,
                          const std::string& path, const bj::value& body = {}) {
  CUSTOS_TRY(const auto answer, s.ask_node(node, method, path, body));
  s.show(answer);
  return {};
}

struct member_arguments {
  std::string node;
  std::string name;
};

result<void> status(session& s, const member_arguments& a) {
  if (!a.node.empty())
    return show_cluster(s, a.node, "GET", "/cluster/v1/status");
  CUSTOS_TRY(const auto id, s.cluster(cluster_kind::trust_authority));
  CUSTOS_TRY(const auto answer, s.ask("GET", "/api/custos/v1/clusters/" + id + "/status"));
  s.show(answer);
  return {};
}

void add_member_commands(command_set& commands, CLI::App* group) {
  constexpr auto any_node = "A running node, https://host:port";
  const auto add = [&](const char* name, const char* what, const char* node_help,
                       std::function<result<void>(session&, const member_arguments&)> run) {
    auto a = std::make_shared<member_arguments>();
    auto* const c = commands.command(group, name, what,
                                     [a, run = std::move(run)](session& s) { return run(s, *a); });
    c->add_option("--node", a->node, node_help)->required();
    return std::pair(c, a);
  };
  auto st = std::make_shared<member_arguments>();
  commands
      .command(group, "status",
               "With --node: members, roles, leader and how far each is, as that node sees it; "
               "without: what every node says of itself to the coordinator",
               [st](session& s) { return status(s, *st); })
      ->add_option("--node", st->node, any_node);
  add("leave", "A running node leaves the cluster; stop it then", "The node that leaves",
      [](session& s, const member_arguments& a) {
        return show_cluster(s, a.node, "POST", "/cluster/v1/leave", bj::object{});
      });
  add("renew-certificate", "A new key and certificate for a running node, without restart",
      "The node", [](session& s, const member_arguments& a) {
        return show_cluster(s, a.node, "POST", "/cluster/v1/certificate/renew", bj::object{});
      });
  add("rotate-data-key", "A new data key: every secret is then sealed anew, on all nodes", any_node,
      [](session& s, const member_arguments& a) {
        return show_cluster(s, a.node, "POST", "/cluster/v1/data-key/rotate", bj::object{});
      });
  const auto [remove, removed] =
      add("remove", "Removes a node that is lost; its certificate is worth nothing any more",
          any_node, [](session& s, const member_arguments& a) {
            return show_cluster(s, a.node, "DELETE", "/cluster/v1/members/" + segment(a.name));
          });
  remove->add_option("NAME", removed->name, "The node to remove")->required();
  const auto [transfer, next] = add(
      "transfer", "Makes another node the leader", any_node,
      [](session& s, const member_arguments& a) {
        return show_cluster(s, a.node, "POST", "/cluster/v1/transfer", bj::object{{"to", a.name}});
      });
  transfer->add_option("NAME", next->name, "The node that shall lead")->required();
}

struct certificate_arguments {
  std::string name;
  std::string role = "administrator";
  std::string node;
  std::string out_dir = ".";
};

result<void> certificate(session& s, const certificate_arguments& a) {
  CUSTOS_CHECK(prepare_folder(a.out_dir, a.name));
  CUSTOS_TRY(const auto key, crypto::generate_p256());
  crypto::certificate_request request;
  request.common_name = a.name;
  CUSTOS_TRY(const auto csr, crypto::make_csr_pem(request, key));
  CUSTOS_TRY(const auto answer, s.ask_node(a.node, "POST", "/cluster/v1/certificates",
                                           bj::object{{"csr", csr}, {"name", a.name}}));
  const auto* const pem =
      answer.is_object() ? answer.get_object().if_contains("certificate") : nullptr;
  if (pem == nullptr || !pem->is_string())
    return make_error(errc::malformed, "the node answered without a certificate");
  CUSTOS_TRY(const auto put, s.ask_node(a.node, "PUT", "/config/v1/principals/" + segment(a.name),
                                        bj::object{{"role", a.role}}));
  static_cast<void>(put); // its revision: of no use here
  CUSTOS_CHECK(write_credentials(a.out_dir, a.name, std::string(pem->get_string()),
                                 cluster::private_key_pem(key)));
  s.show(bj::object{{"certificate", a.out_dir + "/" + a.name + ".crt"},
                    {"private_key", a.out_dir + "/" + a.name + ".key"},
                    {"role", a.role}});
  return {};
}

void add_offline_commands(command_set& commands, CLI::App* group) {
  auto i = std::make_shared<init_arguments>();
  auto* c = commands.command(group, "init", "Makes the first node of a new cluster, offline",
                             [i](session& s) { return init(s, *i); });
  c->add_option("--data-dir", i->data_dir, "Data directory of the node")->required();
  c->add_option("--name", i->init.cluster_name, "Name of the cluster")->required();
  c->add_option("--node-name", i->init.node_name, "Name of the node")->required();
  c->add_option("--addresses", i->addresses, "DNS names and IP addresses of the node")
      ->required()
      ->delimiter(',');
  c->add_option("--cluster-address", i->init.cluster_address,
                "host:port at which other nodes will reach this one; default: the first address, "
                "port 7443");
  c->add_option("--issuer", i->init.issuer,
                "Issuer of tokens, an https URL; default: the first address");
  c->add_option("--admin-dir", i->admin_dir, "Where admin.crt, admin.key and ca.crt go")
      ->capture_default_str();
  add_node_key_choice(c, i->node_key);

  auto j = std::make_shared<join_arguments>();
  c = commands.command(group, "join",
                       "Makes another node, offline, with a token and the cluster's --ca",
                       [j](session& s) { return join(s, *j); });
  c->add_option("--data-dir", j->data_dir, "Data directory of the new node")->required();
  c->add_option("--token-file", j->token_file, "File with the join token")->required();
  c->add_option("--node-name", j->node_name, "Name of the new node")->required();
  c->add_option("--addresses", j->addresses, "DNS names and IP addresses of the new node")
      ->required()
      ->delimiter(',');
  c->add_option("--cluster-address", j->cluster_address,
                "host:port at which other nodes will reach this one; default: the first address, "
                "port 7443");
  c->add_flag("--replace", j->replace,
              "It takes the place of the node of that name, which is lost or damaged; what is in "
              "the data directory goes");
  add_node_key_choice(c, j->node_key);

  auto r = std::make_shared<recover_arguments>();
  c = commands.command(group, "recover",
                       "A new administrator's certificate from the data directory of a stopped "
                       "node; on every node",
                       [r](session& s) { return recover(s, *r); });
  c->add_option("--data-dir", r->data_dir, "Data directory of the node")->required();
  c->add_option("--name", r->name, "Name of the administrator")->capture_default_str();
  c->add_option("--out-dir", r->out_dir, "Where NAME.crt and NAME.key go")->capture_default_str();
  add_node_key_access(c, r->node_key);
  add_node_key_commands(commands, group);
}

} // namespace

void add_cluster_commands(command_set& commands) {
  auto* const group = commands.group("cluster", "Nodes of the trust authority cluster");
  add_offline_commands(commands, group);
  auto t = std::make_shared<token_arguments>();
  auto* c = commands.command(group, "token", "A one-time token with which a node joins",
                             [t](session& s) { return token(s, *t); });
  c->add_option("--node", t->node, "A running node, https://host:port; the new one asks it")
      ->required();
  c->add_option("--life-seconds", t->life_s, "How long the token is good")
      ->check(CLI::Range(cluster::join_token_life_s_min, cluster::join_token_life_s_max))
      ->capture_default_str();
  c->add_option("--out", t->out, "File for the token, mode 0600; default: standard output");

  auto i = std::make_shared<certificate_arguments>();
  c = commands.command(group, "certificate",
                       "A client certificate for an administrator, auditor or coordinator",
                       [i](session& s) { return certificate(s, *i); });
  c->add_option("--name", i->name, "Whose: the certificate's common name")->required();
  c->add_option("--role", i->role, "What it may do")
      ->check(CLI::IsMember({"administrator", "auditor"}))
      ->capture_default_str();
  c->add_option("--node", i->node, "A running node, https://host:port")->required();
  c->add_option("--out-dir", i->out_dir, "Where NAME.crt and NAME.key go")->capture_default_str();

  add_member_commands(commands, group);
}

} // namespace custos::cli
