#pragma once
// How the host's daemon is put together: store, TPM actor, agent, management API, local socket.

#include "adapters/http/http.hpp"
#include "runtime/program.hpp"

#include <memory>
#include <string>
#include <vector>

namespace custos::runtime {

struct host_options {
  common_options common;
  std::string name;
  std::string data_dir = "/var/lib/custos-host";
  std::string listen = "0.0.0.0:443";
  std::string management_ca;                        ///< PEM file: who may configure this host
  std::vector<std::string> managers{"coordinator"}; ///< CNs of certificates of that CA
  std::vector<std::string> addresses{"127.0.0.1"};  ///< of this host, for its certificate
  std::string socket = "/run/custos-host/agent.sock";
  std::vector<unsigned> allowed_uids;
  std::vector<unsigned> allowed_gids;
  std::string credential_socket; ///< for LoadCredential= of units; empty: none
  std::string credentials = "/etc/custos/credentials"; ///< folder: UNIT/NAME.ckek
  std::vector<std::string> rewrap;                     ///< ciphertext files: patterns, folders
  std::uint32_t rewrap_check_s = 300;
  std::string tcti = "device:/dev/tpmrm0";
  std::string event_log = "/sys/kernel/security/tpm0/binary_bios_measurements";
  /// Empty: none is sent.
  std::string ima_log = "/sys/kernel/security/ima/binary_runtime_measurements";
  std::string ek = "auto";
  std::string ak_algorithm = "ecdsa-p256";
  std::string ak_handle = "0x81010010"; ///< or "none"
  std::vector<unsigned> pcrs{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15};
  std::string reporting_token; ///< file; empty: none is asked for
};

class host_process {
public:
  static result<std::unique_ptr<host_process>> start(const host_options& options);
  ~host_process();
  host_process(const host_process&) = delete;
  host_process& operator=(const host_process&) = delete;
  void stop();

private:
  struct impl;
  explicit host_process(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace custos::runtime
