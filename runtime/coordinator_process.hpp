#pragma once
// How the coordinator is put together: inventory, a proxy per node and host, fan-outs, HTTPS API.

#include "adapters/http/http.hpp"
#include "runtime/program.hpp"

#include <memory>
#include <string>
#include <vector>

namespace custos::runtime {

struct coordinator_options {
  common_options common;
  std::string data_dir = "/var/lib/custos-coordinator";
  std::string listen = "0.0.0.0:443";
  std::string name = "coordinator";
  std::vector<std::string> addresses{"127.0.0.1"}; ///< for a certificate made here
  std::string tls_certificate; ///< PEM chain; empty: made here, DATA_DIR/coordinator.crt
  std::string tls_key;
  std::string client_ca; ///< PEM: issuer of the callers' certificates
  std::vector<std::string> administrators{"admin"};
  std::vector<std::string> auditors;
  std::string client_certificate; ///< PEM: what nodes and hosts know this coordinator by
  std::string client_key;
  std::uint32_t fan_out_window = 64;
  std::uint32_t fan_out_s = 30;
};

class coordinator_process {
public:
  static result<std::unique_ptr<coordinator_process>> start(const coordinator_options& options);
  ~coordinator_process();
  coordinator_process(const coordinator_process&) = delete;
  coordinator_process& operator=(const coordinator_process&) = delete;
  /// Graceful: requests in hand end, then everything stops, within the drain time.
  void stop();

private:
  struct impl;
  explicit coordinator_process(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace custos::runtime
