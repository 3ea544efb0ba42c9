#include "runtime/cli/session.hpp"

#include "actors/coordinator/contract.hpp"
#include "adapters/json/json.hpp"
#include "runtime/cli/render.hpp"
#include "runtime/files.hpp"
#include "runtime/program.hpp"

#include <boost/json.hpp>
#include <cassert>
#include <iostream>

namespace custos::cli {

namespace bj = boost::json;

session::session(const global_options& options) : options_(options) {}

session::~session() {
  client_.reset();
  if (pool_)
    pool_->stop();
}

result<std::shared_ptr<http::client>> session::connect() {
  if (client_)
    return client_;
  if (options_.ca.empty())
    return field_error(errc::invalid_argument, "--ca",
                       "expected the PEM file of the servers' certificate authority");
  if (options_.certificate.empty() != options_.key.empty())
    return field_error(errc::invalid_argument, options_.key.empty() ? "--key" : "--cert",
                       "expected --cert and --key together");
  http::client_options o;
  CUSTOS_TRY(o.trusted_pem, runtime::read_text_file(options_.ca, runtime::pem_file_bytes_max));
  if (auto anchors = crypto::certificates_from_pem(as_bytes(o.trusted_pem)); !anchors)
    return field_error(errc::invalid_argument, options_.ca, anchors.failure().message);
  if (!options_.certificate.empty()) {
    CUSTOS_TRY(o.identity, runtime::load_identity(options_.certificate, options_.key));
  }
  if (answer_bytes_max_)
    o.body_bytes_max = *answer_bytes_max_;
  pool_ = std::make_unique<http::io_pool>(1);
  CUSTOS_TRY(client_, http::client::create(*pool_, std::move(o)));
  return client_;
}

result<http::response> session::send(http::call call) {
  refused_ = false;
  CUSTOS_TRY(const auto client, connect());
  call.timeout = std::chrono::seconds(options_.timeout_s);
  const auto url = call.url;
  auto answer = client->send_wait(std::move(call));
  if (!answer)
    return field_error(answer.failure().code, url, answer.failure().message);
  refused_ = answer->status >= 300;
  return answer;
}

namespace {

result<bj::value> value_of(const std::string& body) {
  if (body.empty())
    return bj::value();
  auto parsed = json::parse_any(body);
  if (!parsed)
    return make_error(errc::malformed, "the answer is no JSON: " + parsed.failure().message);
  return parsed;
}

} // namespace

result<bj::value> session::ask(const std::string& method, const std::string& path) {
  return ask(method, path, bj::value());
}

result<bj::value> session::ask(const std::string& method, const std::string& path,
                               const bj::value& body) {
  if (options_.coordinator.empty())
    return field_error(errc::invalid_argument, "--coordinator", "expected https://host:port");
  http::call call;
  call.method = method;
  call.url = options_.coordinator + path;
  if (options_.as_task && method != "GET" && path.find('?') == std::string::npos)
    call.url += "?vmw-task=true";
  if (!body.is_null())
    call.body = bj::serialize(body);
  CUSTOS_TRY(auto answer, send(std::move(call)));
  if (refused_)
    return coordinator::error_of_contract(answer);
  return value_of(answer.body);
}

result<std::string> session::exchange(const std::string& node, const std::string& method,
                                      const std::string& path, std::string body) {
  http::call call;
  call.method = method;
  call.url = node + path;
  call.body = std::move(body);
  CUSTOS_TRY(auto answer, send(std::move(call)));
  if (refused_)
    return http::error_of(answer);
  return std::move(answer.body);
}

result<std::string> session::download(const std::string& node, const std::string& path,
                                      const bj::value& body, std::size_t bytes_max, bool local) {
  if (node.empty() && options_.coordinator.empty())
    return field_error(errc::invalid_argument, "--coordinator", "expected https://host:port");
  assert(!client_);
  answer_bytes_max_ = bytes_max;
  http::call call;
  call.method = "POST";
  call.url = (node.empty() ? options_.coordinator : node) + path;
  call.body = bj::serialize(body);
  if (local)
    call.headers.push_back({"Custos-Consistency", "local"});
  CUSTOS_TRY(auto answer, send(std::move(call)));
  if (refused_)
    return node.empty() ? coordinator::error_of_contract(answer) : http::error_of(answer);
  return std::move(answer.body);
}

result<bj::value> session::ask_node(const std::string& node, const std::string& method,
                                    const std::string& path, const bj::value& body) {
  CUSTOS_TRY(const auto answer,
             exchange(node, method, path, body.is_null() ? std::string() : bj::serialize(body)));
  return value_of(answer);
}

result<std::string> session::cluster(cluster_kind kind) {
  if (!options_.cluster.empty())
    return segment(options_.cluster);
  const std::string wanted = kind == cluster_kind::trusted ? "trusted" : "trust-authority";
  CUSTOS_TRY(const auto known, ask("GET", "/api/custos/v1/clusters"));
  std::vector<std::string> found;
  if (known.is_array())
    for (const auto& one : known.get_array()) {
      const auto* const o = one.if_object();
      const auto* const id = o == nullptr ? nullptr : o->if_contains("id");
      const auto* const type = o == nullptr ? nullptr : o->if_contains("type");
      if (id != nullptr && id->is_string() && type != nullptr && type->is_string() &&
          type->get_string() == wanted)
        found.emplace_back(id->get_string());
    }
  if (found.size() == 1)
    return segment(found.front());
  return field_error(errc::invalid_argument, "--cluster",
                     found.empty()
                         ? "the coordinator knows no " + wanted +
                               " cluster: add one with `custos inventory add-cluster`"
                         : "expected a value: there is more than one " + wanted + " cluster");
}

void session::show(const bj::value& v) const {
  if (v.is_null())
    return;
  std::cout << (options_.output == "json" ? as_indented_json(v) : as_text_block(v));
}

void session::say(const std::string& text) const {
  if (options_.output != "json")
    std::cerr << text << "\n";
}

CLI::App* command_set::group(const std::string& name, const std::string& description) {
  const auto known =
      root_.get_subcommands([&name](const CLI::App* g) { return g->get_name() == name; });
  if (!known.empty())
    return known.front();
  auto* const g = root_.add_subcommand(name, description);
  g->fallthrough()->configurable(false)->require_subcommand(1);
  return g;
}

CLI::App* command_set::command(CLI::App* group, const std::string& name,
                               const std::string& description, action what) {
  auto* const c = group->add_subcommand(name, description);
  c->fallthrough()->configurable(false);
  actions_.emplace_back(c, std::move(what));
  return c;
}

const action* command_set::given() const {
  for (const auto& [app, what] : actions_)
    if (app->parsed())
      return &what;
  return nullptr;
}

std::string segment(const std::string& text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved)
      out += c;
    else
      out.append({'%', digits[octet >> 4U], digits[octet & 15U]});
  }
  return out;
}

int exit_code_of(const error& e, bool refused_by_server) {
  switch (e.code) {
  case errc::unauthenticated:
  case errc::forbidden:
  case errc::token_invalid:
    return runtime::exit_denied;
  case errc::unavailable:
  case errc::timeout:
  case errc::overloaded:
  case errc::rate_limited:
    return runtime::exit_unavailable;
  case errc::internal:
    return runtime::exit_internal;
  default:
    break;
  }
  if (refused_by_server)
    return runtime::exit_failure;
  switch (e.code) {
  case errc::not_found:
    return runtime::exit_no_input;
  case errc::attestation_failed:
    return runtime::exit_failure;
  case errc::storage_failure:
  case errc::already_exists:
    return runtime::exit_cannot_create;
  case errc::io_failure:
    return runtime::exit_unavailable;
  case errc::invalid_argument:
    return e.field.rfind("--", 0) == 0 ? runtime::exit_usage : runtime::exit_bad_data;
  default:
    return runtime::exit_bad_data;
  }
}

std::string complaint_of(const error& e) {
  std::string out = "custos: ";
  if (!e.field.empty())
    out += e.field + ": ";
  out += e.message;
  std::string details;
  const auto add = [&details](const std::string& text) {
    details += (details.empty() ? "" : ", ") + text;
  };
  if (!e.check.empty())
    add("check " + e.check);
  if (e.pcr)
    add("PCR " + std::to_string(*e.pcr));
  if (e.event)
    add("event " + std::to_string(*e.event));
  if (e.retry_after_s)
    add("try again in " + std::to_string(*e.retry_after_s) + " s");
  return details.empty() ? out : out + " (" + details + ")";
}

int run(int argc, const char* const* argv) {
  global_options o;
  runtime::program app(
      "custos", "The command line of Custos: sets up clusters, trust, base images and providers.",
      "  custos cluster init --data-dir /var/lib/custos --name prod --node-name n1 \\\n"
      "      --addresses n1.example.org --admin-dir ~/custos\n"
      "  custos inventory add-cluster prod --type trust-authority\n"
      "  custos trust add-ca maker --file maker-ca.pem\n"
      "  custos image export --event-log log.bin --name web --image-version 12.8\n"
      "  custos image import web-12.8.custos-image.tgz\n"
      "  custos provider create disk --server kms1.example.org:5696\n"
      "  custos host status\n");
  app.option("--coordinator", o.coordinator, "The coordinator, https://host:port");
  app.option("--ca", o.ca, "PEM file: issuer of the servers' certificates, or the server's own");
  app.option("--cert", o.certificate, "PEM file: your client certificate");
  app.option("--key", o.key, "PEM file: its private key");
  app.option("--cluster", o.cluster, "Which cluster; may be left out if there is only one");
  app.option("--output", o.output, "Form of answers")->check(CLI::IsMember({"text", "json"}));
  app.option("--timeout-seconds", o.timeout_s, "Longest wait for an answer")
      ->check(CLI::Range(1, 600));
  app.app().add_flag_callback(
      "--json", [&o] { o.output = "json"; }, "The same as --output json");
  app.app().add_flag("--task", o.as_task, "Do not wait for a change: print the id of its task");
  command_set commands(app.app());
  add_cluster_commands(commands);
  add_inventory_commands(commands);
  add_host_commands(commands);
  add_trust_commands(commands);
  add_image_commands(commands);
  add_provider_commands(commands);
  add_evidence_commands(commands);
  add_kmip_decode_command(commands);
  add_token_commands(commands);
  add_backup_commands(commands);
  app.app().require_subcommand(0, 1);
  if (const auto code = app.parse(argc, argv))
    return *code;
  const auto* const what = commands.given();
  if (what == nullptr) {
    std::cerr << app.app().help();
    return runtime::exit_usage;
  }
  session s(o);
  const auto outcome = (*what)(s);
  std::cout.flush();
  if (outcome)
    return std::cout ? runtime::exit_ok : runtime::exit_cannot_create;
  std::cerr << complaint_of(outcome.failure()) << "\n";
  return exit_code_of(outcome.failure(), s.refused_by_server());
}

} // namespace custos::cli
