// custos-host: the agent on every trusted host, and the way local consumers get keys from it.

#include "adapters/json/json.hpp"
#include "messages/keys.hpp"
#include "runtime/files.hpp"
#include "runtime/host_process.hpp"
#include "runtime/local_socket.hpp"
#include "runtime/log.hpp"

#include <boost/json.hpp>
#include <iostream>

namespace {

using namespace custos;
using namespace custos::runtime;
namespace bj = boost::json;

constexpr unsigned local_timeout_s = 100;
constexpr std::size_t local_text_bytes_max = 4096;

int run(const host_options& options) {
  if (const auto code = start_process("custos-host", options.common))
    return *code;
  if (options.name.empty() || options.management_ca.empty()) {
    log_error("host.start_failed", {{"field", options.name.empty() ? "--name" : "--management-ca"},
                                    {"detail", "expected a value"}});
    return exit_configuration;
  }
  auto host = host_process::start(options);
  if (!host) {
    const auto& e = host.failure();
    log_error("host.start_failed", {{"field", e.field}, {"detail", e.message}});
    return exit_code_of_start(e);
  }
  wait_for_stop_signal();
  start_shutdown_watchdog(std::chrono::seconds(options.common.drain_s));
  (*host)->stop();
  host->reset();
  log_info("process.stopped");
  return exit_ok;
}

int complain(const error& e) {
  std::cerr << "custos-host: " << (e.field.empty() ? "" : e.field + ": ") << e.message << "\n";
  switch (e.code) {
  case errc::unavailable:
  case errc::timeout:
    return exit_unavailable;
  case errc::forbidden:
    return exit_denied;
  case errc::not_found:
    return exit_no_input;
  case errc::storage_failure:
    return exit_cannot_create;
  default:
    return exit_bad_data;
  }
}

/// One question to the daemon; its refusals are printed and become the exit code.
std::optional<int> ask(const std::string& socket, const bj::object& question,
                       crypto::secret_bytes& out) {
  auto answer = ask_local(socket, bj::serialize(question), local_timeout_s);
  if (!answer)
    return complain(answer.failure());
  auto parsed = json::parse_object(as_text(answer->reveal_secret()));
  if (!parsed)
    return complain(parsed.failure());
  if (question.at("op") != "status" && question.at("op") != "attest" && parsed->has("error")) {
    auto refusal = make_error(errc::internal, "the agent refused without a reason");
    if (auto told = parsed->string("message", local_text_bytes_max); told)
      refusal.message = *std::move(told);
    if (auto field = parsed->optional_string("field", local_text_bytes_max); field && *field)
      refusal.field = **std::move(field);
    const auto code = parsed->string("error", local_text_bytes_max);
    const int as_complained = complain(refusal);
    return code && (*code == "unavailable" || *code == "timeout") ? exit_unavailable
           : code && *code == "forbidden"                         ? exit_denied
           : code                                                 ? exit_failure
                                                                  : as_complained;
  }
  out = *std::move(answer);
  return std::nullopt;
}

struct key_options {
  std::string provider;
  std::string ciphertext; ///< file to decrypt
  std::string ciphertext_out;
  std::string context; ///< text, bound to the key
  std::string out = "-";
  unsigned key_bytes = 32;
};

int get_key(const std::string& socket, const key_options& o) {
  bj::object question{{"op", o.ciphertext.empty() ? "generate" : "decrypt"},
                      {"provider", o.provider}};
  if (!o.context.empty())
    question["context"] = crypto::base64url(as_bytes(o.context));
  if (o.ciphertext.empty()) {
    if (o.ciphertext_out.empty())
      return complain(field_error(errc::invalid_argument, "--ciphertext-out",
                                  "expected a file: without its ciphertext a new key is lost"));
    question["bytes"] = o.key_bytes;
  } else {
    auto file = read_text_file(o.ciphertext, kek_ciphertext_bytes_max);
    if (!file)
      return complain(file.failure());
    question["ciphertext"] = crypto::base64url(as_bytes(*file));
  }
  crypto::secret_bytes answer;
  if (const auto code = ask(socket, question, answer))
    return *code;
  auto parsed = json::parse_object(as_text(answer.reveal_secret()));
  auto key = parsed ? parsed->base64url("key", kek_bytes_max) : result<bytes>(parsed.failure());
  if (!key)
    return complain(key.failure());
  const crypto::secret_bytes secret(*key);
  crypto::wipe(key->data(), key->size());
  if (o.ciphertext.empty()) {
    auto ciphertext = parsed->base64url("ciphertext", kek_ciphertext_bytes_max);
    if (!ciphertext)
      return complain(ciphertext.failure());
    if (auto written = write_file(o.ciphertext_out, *ciphertext, 0644); !written)
      return complain(written.failure());
  }
  if (o.out != "-") {
    if (auto written = write_file(o.out, secret.reveal_secret(), 0600); !written)
      return complain(written.failure());
    return exit_ok;
  }
  const auto raw = secret.reveal_secret();
  std::cout
      .write(reinterpret_cast<const char*>(raw.data()), static_cast<std::streamsize>(raw.size()))
      .flush();
  return std::cout ? exit_ok : exit_cannot_create;
}

int print_answer(const std::string& socket, const char* op) {
  crypto::secret_bytes answer;
  if (const auto code = ask(socket, {{"op", op}}, answer))
    return *code;
  std::cout << as_text(answer.reveal_secret());
  auto parsed = json::parse_object(as_text(answer.reveal_secret()));
  auto state = parsed ? parsed->string("state", 64) : result<std::string>(parsed.failure());
  return state && *state == "attested" ? exit_ok : exit_failure;
}

} // namespace

int main(int argc, char** argv) try {
  host_options options;
  key_options key;
  program app("custos-host",
              "The Custos agent of a trusted host: attests through the TPM, keeps the token fresh, "
              "hands keys to local consumers.",
              "  custos-host --config /etc/custos/host.toml\n"
              "  custos-host --name web-1 --management-ca ca.pem --listen 0.0.0.0:443\n"
              "  custos-host get-key --provider disk --ciphertext-out volume.kek --out volume.key\n"
              "  custos-host get-key --provider disk --ciphertext volume.kek | cryptsetup open "
              "--key-file - ...\n"
              "  custos-host status\n");
  app.option("--name", options.name, "Host id, as it will be in tokens");
  app.option("--data-dir", options.data_dir, "Data directory");
  app.option("--listen", options.listen, "Address:port of the management API");
  app.option("--management-ca", options.management_ca,
             "PEM file: issuer of the coordinator's client certificate");
  app.option("--managers", options.managers,
             "Common names of certificates that may configure this host");
  app.option("--addresses", options.addresses, "Names and addresses in this host's certificate");
  app.option("--socket", options.socket, "Unix socket for local consumers");
  app.option("--allowed-uids", options.allowed_uids,
             "Users beside root and the agent's own that may ask for keys");
  app.option("--tcti", options.tcti, "The TPM, as tss2-tctildr takes it");
  app.option("--event-log", options.event_log, "Boot event log of the kernel");
  app.option("--ima-log", options.ima_log,
             "IMA log of the kernel, binary or ASCII; empty: none is sent");
  app.option("--ek", options.ek, "Endorsement key; auto: the first whose certificate is in the TPM")
      ->check(CLI::IsMember({"auto", "rsa-2048", "ecc-p256", "rsa-3072", "ecc-p384"}));
  app.option("--ak-algorithm", options.ak_algorithm, "Kind of attestation key that is made")
      ->check(CLI::IsMember({"ecdsa-p256", "ecdsa-p384", "rsassa-2048", "rsapss-2048",
                             "rsassa-3072", "rsapss-3072"}));
  app.option("--ak-handle", options.ak_handle,
             "Persistent handle of the attestation key in the TPM, or none: in its file only");
  app.option("--pcrs", options.pcrs,
             "PCRs that are quoted, in every active bank; 10 too where there is an IMA log");
  app.option("--reporting-token", options.reporting_token,
             "File for a token to show to others; it gives access to no key");
  app.add_common(options.common);
  auto* const get =
      app.app()
          .add_subcommand("get-key",
                          "Generates a key, or opens a ciphertext, through the running agent")
          ->fallthrough()
          ->configurable(false);
  get->add_option("--provider", key.provider, "Trusted key provider")->required();
  get->add_option("--ciphertext", key.ciphertext,
                  "File with the ciphertext to open; without it a new key is generated");
  get->add_option("--ciphertext-out", key.ciphertext_out, "Where the ciphertext of a new key goes");
  get->add_option("--context", key.context, "Text bound to the key: the same is needed to open it");
  get->add_option("--bytes", key.key_bytes, "Length of a new key")
      ->check(CLI::Range(16, 64))
      ->capture_default_str();
  get->add_option("--out", key.out, "Where the key goes (mode 0600), - for standard output")
      ->capture_default_str();
  auto* const status =
      app.app()
          .add_subcommand("status", "What the running agent says; exit 0 if attested")
          ->fallthrough()
          ->configurable(false);
  auto* const attest = app.app()
                           .add_subcommand("attest", "Attests again, now; exit 0 if attested")
                           ->fallthrough()
                           ->configurable(false);
  if (const auto code = app.parse(argc, argv))
    return *code;
  if (get->parsed())
    return get_key(options.socket, key);
  if (status->parsed())
    return print_answer(options.socket, "status");
  if (attest->parsed())
    return print_answer(options.socket, "attest");
  return run(options);
} catch (const std::exception& e) {
  std::cerr << "custos-host: " << e.what() << "\n";
  return exit_internal;
}
