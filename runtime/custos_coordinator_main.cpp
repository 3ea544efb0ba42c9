// custos-coordinator: one API for all nodes and hosts.

#include "runtime/coordinator_process.hpp"
#include "runtime/log.hpp"

int main(int argc, char** argv) {
  using namespace custos::runtime;
  coordinator_options options;
  program app(
      "custos-coordinator",
      "Configures trust authority clusters and trusted clusters: every call goes to every node or "
      "host. Holds no trust and no key of its own.",
      "  custos cluster certificate --name coordinator --out coordinator\n"
      "  custos-coordinator --config /etc/custos/coordinator.toml\n"
      "  custos-coordinator --data-dir ./c --listen 127.0.0.1:8440 --client-ca ca.pem \\\n"
      "      --client-certificate coordinator.pem --client-key coordinator.key\n"
      "  custos-coordinator --print-config > coordinator.toml\n");
  app.option("--data-dir", options.data_dir, "Data directory: inventory, audit log, certificate");
  app.option("--listen", options.listen, "Address:port of the HTTPS API");
  app.option("--name", options.name, "Common name of the certificate made at the first start");
  app.option("--addresses", options.addresses,
             "Names and addresses in the certificate made at the first start");
  app.option("--tls-certificate", options.tls_certificate,
             "PEM file: this server's certificate chain; without it one is made in the data "
             "directory");
  app.option("--tls-key", options.tls_key, "PEM file: its private key");
  app.option("--client-ca", options.client_ca, "PEM file: issuer of the callers' certificates");
  app.option("--administrators", options.administrators,
             "Common names of certificates that may change things");
  app.option("--auditors", options.auditors, "Common names of certificates that may read");
  app.option("--client-certificate", options.client_certificate,
             "PEM file: certificate shown to nodes and hosts");
  app.option("--client-key", options.client_key, "PEM file: its private key");
  app.option("--fan-out-window", options.fan_out_window, "Calls in flight of one fan-out")
      ->check(CLI::Range(1, 10000));
  app.option("--fan-out-s", options.fan_out_s, "Longest fan-out, seconds")
      ->check(CLI::Range(1, 3600));
  app.add_common(options.common);
  if (const auto code = app.parse(argc, argv))
    return *code;
  if (const auto code = start_process("custos-coordinator", options.common))
    return *code;
  auto coordinator = coordinator_process::start(options);
  if (!coordinator) {
    const auto& e = coordinator.failure();
    log_error("coordinator.start_failed", {{"field", e.field}, {"detail", e.message}});
    return exit_code_of_start(e);
  }
  wait_for_stop_signal();
  start_shutdown_watchdog(std::chrono::seconds(options.common.drain_s));
  (*coordinator)->stop();
  coordinator->reset();
  log_info("process.stopped");
  return exit_ok;
}
