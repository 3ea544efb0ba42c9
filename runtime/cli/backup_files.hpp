#pragma once
// Backups as files of the command line: read, opened, shown. Errors name the file or the flag.

#include "cluster/backup/content.hpp"

#include <boost/json/fwd.hpp>
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <variant>

namespace custos::cli {

/// With what a backup is opened.
struct opener_arguments {
  std::string passphrase_file;
  std::string recipient_key;

  void add_to(CLI::App* command);
  [[nodiscard]] bool given() const { return !passphrase_file.empty() || !recipient_key.empty(); }
  /// errc::invalid_argument unless exactly one was given.
  [[nodiscard]] result<backup::opener> read() const;
};

/// Without the line end that editors leave.
result<crypto::secret_ptr> read_passphrase(const std::string& file);

/// A file in memory. Not copied or moved once it is made: `parts` looks into `octets`.
struct backup_file {
  std::string octets;
  backup::opened_file parts;
};
/// Everything that can be known without a key is verified.
result<std::unique_ptr<backup_file>> read_backup(const std::string& file);

/// What is readable in it, as JSON.
boost::json::object summary_of(const backup::header& head);

/// The content, every object of it read and verified.
using backup_content = std::variant<backup::cluster_content, backup::coordinator_content>;
result<backup_content> open_backup(const backup::opened_file& file,
                                   const crypto::secret_bytes& content_key);
/// The same of a file, with the key that the flags name.
struct opened_backup {
  backup::header head;
  backup_content content;
};
result<opened_backup> open_backup(const std::string& file, const opener_arguments& with);

/// A coordinator's data directory made of a backup; its TLS identity too if it is in there.
/// errc::already_exists if there is one.
result<void> restore_coordinator(const std::string& data_dir,
                                 const backup::coordinator_content& content);

} // namespace custos::cli
