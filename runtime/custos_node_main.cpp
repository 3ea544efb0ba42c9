// custos-node: one node of the trust authority cluster.

#include "runtime/log.hpp"
#include "runtime/node_process.hpp"

#include <iostream>

int main(int argc, char** argv) {
  using namespace custos::runtime;
  node_options options;
  program app(
      "custos-node",
      "One node of a Custos trust authority cluster: Attestation Service, Key Provider Service and "
      "ConfigStore behind one HTTPS gateway.",
      "  custos cluster init --data-dir /var/lib/custos-node --name prod \\\n"
      "      --node-name n1 --addresses n1.example.org\n"
      "  custos-node --config /etc/custos/node.toml\n"
      "  custos-node --data-dir ./node-1 --listen 127.0.0.1:8443 --ops-listen 127.0.0.1:9100\n"
      "  custos-node --print-config > node.toml\n");
  app.option("--data-dir", options.data_dir,
             "Data directory, made by `custos cluster init` or `custos cluster join`");
  app.option("--listen", options.listen, "Address:port of the HTTPS gateway");
  app.option("--cluster-listen", options.cluster_listen,
             "Address:port of the link to the other nodes");
  app.option("--cluster-address", options.cluster_address,
             "Host:port at which the other nodes reach that link; default: as it was when the node "
             "was made");
  app.option("--node-key-passphrase-file", options.node_key_passphrase_file,
             "File or pipe with the passphrase of the node key, if it has one");
  app.option("--tcti", options.tcti,
             "The TPM that seals the node key, as tss2-tctildr takes it; asked only then");
  app.option("--attestations-in-flight", options.attestations_in_flight,
             "Attestation requests in hand; beyond it 503")
      ->check(CLI::Range(1, 1000000));
  app.option("--key-requests-in-flight", options.key_requests_in_flight,
             "Key requests in hand; beyond it 503")
      ->check(CLI::Range(1, 1000000));
  app.option("--admin-requests-in-flight", options.admin_requests_in_flight,
             "Administrative requests in hand; beyond it 503")
      ->check(CLI::Range(1, 100000));
  app.add_common(options.common);
  if (const auto code = app.parse(argc, argv))
    return *code;
  if (const auto code = start_process("custos-node", options.common))
    return *code;
  auto node = node_process::start(options);
  if (!node) {
    const auto& e = node.failure();
    log_error("node.start_failed", {{"field", e.field}, {"detail", e.message}});
    return exit_code_of_start(e);
  }
  wait_for_stop_signal();
  start_shutdown_watchdog(std::chrono::seconds(options.common.drain_s));
  (*node)->stop();
  const bool gave_up = (*node)->gave_up();
  node->reset();
  log_info("process.stopped");
  return gave_up ? exit_unavailable : exit_ok;
}
