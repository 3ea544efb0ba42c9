#pragma once
// How a node is put together: data directory, audit log, actors, gateway; and how it is taken apart
// again, in this order: gateway drained, bridge, actors, audit log flushed, sockets.

#include "adapters/http/http.hpp"
#include "runtime/program.hpp"

#include <memory>
#include <string>

namespace custos::runtime {

struct node_options {
  common_options common;
  std::string data_dir = "/var/lib/custos-node";
  std::string listen = "0.0.0.0:443";
  std::string node_key_passphrase_file;    ///< or a pipe; empty: the node key has no passphrase
  std::string tcti = "device:/dev/tpmrm0"; ///< of the node key, if a TPM seals it
  std::string cluster_listen = "0.0.0.0:7443";
  std::string cluster_address; ///< empty: as it was when the node was made
  std::uint32_t attestations_in_flight = 256;
  std::uint32_t key_requests_in_flight = 1024;
  std::uint32_t admin_requests_in_flight = 64;
};

class node_process {
public:
  /// Starts everything; the gateway listens when this returns. Errors name the option or file.
  static result<std::unique_ptr<node_process>> start(const node_options& options);
  ~node_process();
  node_process(const node_process&) = delete;
  node_process& operator=(const node_process&) = delete;
  /// Graceful: requests in hand end, then everything stops, within the drain time.
  void stop();
  /// The node ended by itself: its disk failed, or its identity is in use elsewhere.
  [[nodiscard]] bool gave_up() const;

private:
  struct impl;
  explicit node_process(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace custos::runtime
