#include "runtime/cli/backup_files.hpp"

#include "actors/coordinator/inventory.hpp"
#include "runtime/cli/inputs.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>

namespace custos::cli {

namespace bj = boost::json;
namespace fs = std::filesystem;

namespace {

/// "ab:cd:..." is for people; this is for comparing, too.
std::string fingerprint_of(const crypto::certificate& c) {
  return crypto::hex(c.fingerprint());
}

rocksdb::write_batch batch_of(const backup::coordinator_content& content) {
  rocksdb::write_batch out;
  for (const auto& entry : content.entries)
    out.put(entry.key, entry.value);
  return out;
}

/// The coordinator must be able to read what it will find.
result<void> check_entries(const backup::coordinator_content& content) {
  const auto store = rocksdb::make_memory_store();
  if (!content.entries.empty())
    CUSTOS_CHECK(store->write(batch_of(content)));
  if (auto opened = coordinator::inventory::open(store); !opened)
    return opened.failure();
  return {};
}

/// Removed with all that is in it.
struct temporary_folder {
  std::string path;
  temporary_folder() = default;
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    if (!path.empty())
      fs::remove_all(path, ignored);
  }
};

} // namespace

void opener_arguments::add_to(CLI::App* command) {
  command->add_option("--passphrase-file", passphrase_file, "File with the passphrase");
  command->add_option("--recipient-key", recipient_key,
                      "PEM file: private key of the recipient, P-256");
}

result<crypto::secret_ptr> read_passphrase(const std::string& file) {
  CUSTOS_TRY(auto text, runtime::read_text_file(file, backup::passphrase_bytes_max + 2));
  std::string_view phrase(text);
  for (const char end : {'\n', '\r'})
    if (phrase.ends_with(end))
      phrase.remove_suffix(1);
  auto out = std::make_shared<const crypto::secret_bytes>(as_bytes(phrase));
  crypto::wipe(text.data(), text.size());
  return crypto::secret_ptr(std::move(out));
}

result<backup::opener> opener_arguments::read() const {
  if (passphrase_file.empty() == recipient_key.empty())
    return field_error(errc::invalid_argument, "--passphrase-file",
                       "expected either --passphrase-file or --recipient-key");
  if (!recipient_key.empty()) {
    CUSTOS_TRY(auto key, read_private_key(recipient_key));
    return backup::opener(std::move(key));
  }
  CUSTOS_TRY(auto phrase, read_passphrase(passphrase_file));
  return backup::opener(std::move(phrase));
}

result<std::unique_ptr<backup_file>> read_backup(const std::string& file) {
  auto out = std::make_unique<backup_file>();
  CUSTOS_TRY(out->octets, runtime::read_text_file(file, backup::file_bytes_max));
  auto parts = backup::read_file(as_bytes(out->octets));
  if (!parts) {
    auto e = std::move(parts).failure();
    e.message = (e.field.empty() ? "" : e.field + ": ") + e.message;
    e.field = file;
    return e;
  }
  out->parts = *std::move(parts);
  return out;
}

bj::object summary_of(const backup::header& head) {
  const auto& about = head.about;
  bj::object objects;
  for (const auto& [kind, count] : about.objects)
    objects[kind] = count;
  bj::array recipients;
  for (const auto& r : head.recipients)
    recipients.push_back(r.how == backup::recipient::way::passphrase
                             ? bj::object{{"type", "passphrase"}}
                             : bj::object{{"type", "p256"}, {"thumbprint", r.thumbprint}});
  bj::object out{{"kind", std::string(to_string(about.kind))},
                 {"id", about.id},
                 {"name", about.name},
                 {"created", about.created},
                 {"program", about.program}};
  if (about.kind == backup::content_kind::cluster) {
    out["cluster_id"] = about.cluster_id;
    out["revision"] = about.revision;
  }
  out["fingerprint"] = about.fingerprint;
  out["objects"] = std::move(objects);
  out["signer"] =
      bj::object{{"subject", about.signer.subject()}, {"sha256", fingerprint_of(about.signer)}};
  out["recipients"] = std::move(recipients);
  out["sealed_bytes"] = head.sealed.bytes;
  return out;
}

result<backup_content> open_backup(const backup::opened_file& file,
                                   const crypto::secret_bytes& content_key) {
  CUSTOS_TRY(const auto octets, backup::open_content(file, content_key));
  if (file.head.about.kind == backup::content_kind::cluster) {
    CUSTOS_TRY(auto content, backup::read_cluster_content(file.head.about, octets));
    return backup_content(std::move(content));
  }
  CUSTOS_TRY(auto content, backup::read_coordinator_content(file.head.about, octets));
  CUSTOS_CHECK(check_entries(content));
  return backup_content(std::move(content));
}

result<opened_backup> open_backup(const std::string& file, const opener_arguments& with) {
  CUSTOS_TRY(const auto opener, with.read());
  CUSTOS_TRY(const auto read, read_backup(file));
  CUSTOS_TRY(const auto key, backup::content_key_of(read->parts.head, opener));
  CUSTOS_TRY(auto content, open_backup(read->parts, key));
  return opened_backup{read->parts.head, std::move(content)};
}

result<void> restore_coordinator(const std::string& data_dir,
                                 const backup::coordinator_content& content) {
  CUSTOS_CHECK(check_entries(content));
  std::error_code failed;
  if (fs::create_directories(data_dir, failed))
    fs::permissions(data_dir, fs::perms::owner_all, failed);
  if (failed)
    return field_error(errc::storage_failure, "--data-dir", failed.message());
  const auto folder = data_dir + "/";
  for (const auto* name : {"db", "coordinator.crt", "coordinator.key"})
    if (fs::exists(folder + name, failed))
      return field_error(errc::already_exists, folder + name,
                         "the data directory holds a coordinator already");
  temporary_folder fresh;
  auto pattern = folder + ".restore-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr)
    return field_error(errc::storage_failure, data_dir, "no folder can be made there");
  fresh.path = pattern;
  {
    CUSTOS_TRY(const auto store, rocksdb::open_store(fresh.path + "/db", {true}));
    if (!content.entries.empty())
      CUSTOS_CHECK(store->write(batch_of(content)));
  }
  CUSTOS_CHECK(runtime::sync_folder(fresh.path + "/db"));
  if (!content.certificate_pem.empty()) {
    const std::array key{content.private_key.reveal_secret()};
    CUSTOS_CHECK(runtime::write_new_file(folder + "coordinator.key", key, 0600));
    const std::array certificate{as_bytes(content.certificate_pem)};
    CUSTOS_CHECK(runtime::write_new_file(folder + "coordinator.crt", certificate, 0644));
  }
  fs::rename(fresh.path + "/db", folder + "db", failed);
  if (failed)
    return field_error(errc::storage_failure, data_dir, failed.message());
  return runtime::sync_folder(data_dir);
}

} // namespace custos::cli
