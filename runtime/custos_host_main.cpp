// custos-host: the agent on every trusted host, and the way local consumers get keys from it.

#include "runtime/consumer/agent_client.hpp"
#include "runtime/consumer/commands.hpp"
#include "runtime/host_process.hpp"
#include "runtime/log.hpp"

#include <iostream>

namespace {

using namespace custos;
using namespace custos::runtime;
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

bool is_attested(json::object& answer) {
  auto state = answer.string("state", 64);
  return state && *state == "attested";
}

bool is_rewrapped(json::object& answer) {
  auto pending = answer.integer("pending", 0, INT64_MAX);
  auto failed = answer.integer("failed", 0, INT64_MAX);
  auto why = answer.string("error", 65536);
  return pending && *pending == 0 && failed && *failed == 0 && why && why->empty();
}

/// The commands of local consumers.
class commands {
public:
  explicit commands(program& app) : app_(app) {
    add_get_key();
    add_put_key();
    add_exec();
    status_ = command("status", "What the running agent says; exit 0 if attested");
    attest_ = command("attest", "Attests again, now; exit 0 if attested");
    rewrap_ = command("rewrap", "Brings the ciphertext files of --rewrap under the present primary "
                                "keys, now; exit 0 if all are");
  }

  /// The exit code of the command that was given, if one was.
  std::optional<int> run(const std::string& socket) {
    if (status_->parsed())
      return print_answer(socket, "status", is_attested);
    if (attest_->parsed())
      return print_answer(socket, "attest", is_attested);
    if (rewrap_->parsed())
      return print_answer(socket, "rewrap", is_rewrapped);
    if (!get_->parsed() && !put_->parsed() && !exec_->parsed())
      return std::nullopt;
    prepare_for_keys();
    if (exec_->parsed())
      return exec_with_keys({socket, wait_s_}, for_exec_);
    if (get_context_->count() != 0)
      for_get_.from.context = get_text_;
    for_get_.to.format = *key_format_of(get_format_);
    if (get_->parsed())
      return get_key({socket, wait_s_}, for_get_);
    if (put_context_->count() != 0)
      for_put_.to.context = put_text_;
    for_put_.format = *key_format_of(put_format_);
    return put_key({socket, wait_s_}, for_put_);
  }

private:
  CLI::App* command(const char* name, const char* description) {
    return app_.app().add_subcommand(name, description)->fallthrough()->configurable(false);
  }

  void add_wait(CLI::App* to) {
    to->add_option("--wait-seconds", wait_s_,
                   "How long to wait for the agent, the host's attestation, and a node")
        ->check(CLI::Range(0, 3600))
        ->capture_default_str();
  }

  void add_get_key() {
    get_ = command("get-key", "Opens the key of a ciphertext file through the running agent, or "
                              "makes a new one");
    get_->add_option("--provider", for_get_.from.provider,
                     "Trusted key provider of a new key; a ciphertext names its own");
    auto* const file =
        get_->add_option("--ciphertext", for_get_.from.ciphertext, "File with the ciphertext");
    get_->add_flag("--create", for_get_.create,
                   "Makes a new key if the ciphertext file is not there")
        ->needs(file);
    get_->add_option("--ciphertext-out", for_get_.ciphertext_out,
                     "Makes a new key; its ciphertext goes there, and over nothing")
        ->excludes(file);
    get_context_ = get_->add_option("--context", get_text_,
                                    "Text bound to the key: the same is needed to open it; kept in "
                                    "FILE.context when a key is made, and read from there");
    get_->add_option("--bytes", for_get_.key_bytes, "Length of a new key")
        ->check(CLI::Range(16, 64))
        ->capture_default_str();
    get_->add_option("--out", for_get_.to.out,
                     "Where the key goes: a file on tmpfs (mode 0400), - for standard output")
        ->capture_default_str();
    get_->add_option(
            "--format", get_format_,
            "Form of the key; systemd-credential: raw, --out being FOLDER/NAME, the folder "
            "is made")
        ->check(CLI::IsMember({"raw", "hex", "base64", "systemd-credential"}))
        ->capture_default_str();
    add_wait(get_);
    get_->add_flag("--force", for_get_.to.force, "A terminal or a file on a disk all the same");
  }

  void add_put_key() {
    put_ =
        command("put-key", "Makes the ciphertext of a key of your own, through the running agent");
    put_->add_option("--provider", for_put_.to.provider, "Trusted key provider")->required();
    put_->add_option("--ciphertext", for_put_.to.ciphertext,
                     "Where the ciphertext goes, and over nothing")
        ->required();
    put_->add_option("--in", for_put_.in, "File with the key, - for standard input")
        ->capture_default_str();
    put_->add_option("--format", put_format_, "Form of the key there")
        ->check(CLI::IsMember({"raw", "hex", "base64"}))
        ->capture_default_str();
    put_context_ =
        put_->add_option("--context", put_text_, "Text bound to the key; kept in FILE.context");
  }

  void add_exec() {
    exec_ =
        command("exec", "Runs a program with keys in files that are in memory only: {NAME} in "
                        "its arguments, and CUSTOS_KEY_NAME in its environment, are their paths");
    exec_->add_option("--key", for_exec_.keys, "NAME=FILE: a ciphertext file; may be repeated")
        ->allow_extra_args(false) // or it would eat the --
        ->take_all()
        ->required();
    add_wait(exec_);
    exec_->add_option("program", for_exec_.command, "Program and arguments, after --")
        ->required()
        ->take_all();
  }

  program& app_;
  CLI::App* get_ = nullptr;
  CLI::App* put_ = nullptr;
  CLI::App* exec_ = nullptr;
  CLI::App* status_ = nullptr;
  CLI::App* attest_ = nullptr;
  CLI::App* rewrap_ = nullptr;
  CLI::Option* get_context_ = nullptr;
  CLI::Option* put_context_ = nullptr;
  unsigned wait_s_ = 0;
  get_key_options for_get_;
  put_key_options for_put_;
  exec_options for_exec_;
  std::string get_text_;
  std::string put_text_;
  std::string get_format_ = "raw";
  std::string put_format_ = "raw";
};

} // namespace

int main(int argc, char** argv) try {
  host_options options;
  program app("custos-host",
              "The Custos agent of a trusted host: attests through the TPM, keeps the token fresh, "
              "hands keys to local consumers.",
              "  custos-host --config /etc/custos/host.toml\n"
              "  custos-host --name web-1 --management-ca ca.pem --listen 0.0.0.0:443\n"
              "  custos-host get-key --ciphertext volume.ckek --create --provider disk | "
              "cryptsetup luksFormat --key-file - ...\n"
              "  custos-host get-key --ciphertext volume.ckek | cryptsetup open --key-file - ...\n"
              "  custos-host put-key --provider disk --ciphertext db.ckek --in db.key\n"
              "  custos-host exec --key db=db.ckek -- server --key-file {db}\n"
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
  app.option("--allowed-gids", options.allowed_gids, "Groups whose members may, too");
  app.option("--credential-socket", options.credential_socket,
             "Unix socket for LoadCredential= of units; empty: none");
  app.option("--credentials", options.credentials,
             "Folder with the ciphertexts of units' credentials: UNIT/NAME.ckek");
  app.option("--rewrap", options.rewrap,
             "Ciphertext files to bring under a new primary key: patterns, folders of .ckek files");
  app.option("--rewrap-check-seconds", options.rewrap_check_s,
             "Seconds between two looks for a new primary key")
      ->check(CLI::Range(1, 86400));
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
  commands consumer(app);
  if (const auto code = app.parse(argc, argv))
    return *code;
  if (const auto code = consumer.run(options.socket))
    return *code;
  return run(options);
} catch (const std::exception& e) {
  std::cerr << "custos-host: " << e.what() << "\n";
  return exit_internal;
}
