#pragma once
// One run of the command line: who calls, whom, and how answers are shown. One thread.

#include "adapters/http/http.hpp"
#include "messages/error.hpp"

#include <boost/json/fwd.hpp>
#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace custos::cli {

/// The options every command has.
struct global_options {
  std::string coordinator; ///< https://host:port
  std::string ca;          ///< PEM file: issuer of the servers' certificates, or they themselves
  std::string certificate; ///< PEM file: the caller's client certificate
  std::string key;         ///< PEM file: its private key
  std::string cluster;     ///< empty: the only one of the kind that is needed
  std::string output = "text";
  std::uint32_t timeout_s = 60;
  bool as_task = false; ///< changes answer with the id of a task
};

enum class cluster_kind : std::uint8_t { trust_authority, trusted };

/// The names of files are given as they were typed; errors name the flag or file.
class session {
public:
  explicit session(const global_options& options);
  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  [[nodiscard]] const global_options& options() const { return options_; }

  /// A call to the coordinator; `path` from "/api" on. Null if the answer is empty. Changes become
  /// tasks with --task. Errors: the answer's, or errc::unavailable and errc::timeout.
  result<boost::json::value> ask(const std::string& method, const std::string& path);
  result<boost::json::value> ask(const std::string& method, const std::string& path,
                                 const boost::json::value& body);
  /// The same to a node, at its https://host:port.
  result<boost::json::value> ask_node(const std::string& node, const std::string& method,
                                      const std::string& path, const boost::json::value& body);
  /// The same for a text body and answer.
  result<std::string> exchange(const std::string& node, const std::string& method,
                               const std::string& path, std::string body);

  /// A large answer of a node as it is, with `local` of what that node has without asking the
  /// others; of the coordinator if `node` is empty. The first call of a session.
  result<std::string> download(const std::string& node, const std::string& path,
                               const boost::json::value& body, std::size_t bytes_max, bool local);

  /// --cluster, or the only cluster of that kind in the inventory.
  result<std::string> cluster(cluster_kind kind);

  /// Shows an answer on standard output in the form asked for. Nothing for null.
  void show(const boost::json::value& v) const;
  /// A sentence for people on standard error; nothing with --output json.
  void say(const std::string& text) const;
  /// The error was what a server answered, not what was found here.
  [[nodiscard]] bool refused_by_server() const { return refused_; }

private:
  result<std::shared_ptr<http::client>> connect();
  result<http::response> send(http::call call);

  const global_options& options_;
  std::unique_ptr<http::io_pool> pool_;
  std::shared_ptr<http::client> client_;
  std::optional<std::size_t> answer_bytes_max_; ///< empty: what the HTTP client has
  bool refused_ = false;
};

using action = std::function<result<void>(session&)>;

/// The commands, each with what it does. Filled by the add_*_commands functions.
class command_set {
public:
  explicit command_set(CLI::App& root) : root_(root) {}
  /// A group of commands ("cluster"); the same one for the same name.
  CLI::App* group(const std::string& name, const std::string& description);
  CLI::App* command(CLI::App* group, const std::string& name, const std::string& description,
                    action what);
  /// The action of the command that was given.
  [[nodiscard]] const action* given() const;

private:
  CLI::App& root_;
  std::vector<std::pair<CLI::App*, action>> actions_;
};

void add_cluster_commands(command_set& commands);
void add_trust_commands(command_set& commands);
void add_image_commands(command_set& commands);
void add_provider_commands(command_set& commands);
void add_inventory_commands(command_set& commands);
void add_host_commands(command_set& commands);
void add_evidence_commands(command_set& commands);
void add_kmip_decode_command(command_set& commands);
void add_token_commands(command_set& commands);
void add_backup_commands(command_set& commands);

/// One segment of a path: what is not unreserved is percent-encoded (RFC 3986, 2.1).
std::string segment(const std::string& text);

/// Exit code of a failed command (runtime/exit_codes.hpp).
int exit_code_of(const error& e, bool refused_by_server);

/// "custos: field: message (check pcr-digest, PCR 9, event 31)".
std::string complaint_of(const error& e);

/// Runs the program; returns its exit code.
int run(int argc, const char* const* argv);

} // namespace custos::cli
