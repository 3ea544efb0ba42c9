#include "cluster/node_store.hpp"

#include "cluster/config_storage.hpp"
#include "cluster/replica/raft_store.hpp"
#include "cluster/secret_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace custos::cluster {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view node_folder = "node";
constexpr std::string_view db_folder = "db";
constexpr std::string_view unfinished_prefix = ".node-";
constexpr std::string_view lock_file = ".node.lock";
constexpr std::string_view format_at = "format";

error disk_error(const std::string& doing, const std::error_code& why) {
  return make_error(errc::storage_failure, doing + ": " + why.message());
}

std::error_code last_error() {
  return {errno, std::generic_category()};
}

/// Only one process makes a node in a data directory. The lock goes with the process.
class directory_lock {
public:
  directory_lock() = default;
  directory_lock(const directory_lock&) = delete;
  directory_lock& operator=(const directory_lock&) = delete;
  ~directory_lock() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  result<void> take(const fs::path& data_dir) {
    const auto file = data_dir / lock_file;
    fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd_ < 0)
      return disk_error("opening " + file.string(), last_error());
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0)
      return make_error(errc::unavailable,
                        "another process is making a node in " + data_dir.string());
    return {};
  }

private:
  int fd_ = -1;
};

/// A folder that is removed unless it was finished.
class unfinished_folder {
public:
  unfinished_folder() = default;
  unfinished_folder(const unfinished_folder&) = delete;
  unfinished_folder& operator=(const unfinished_folder&) = delete;
  ~unfinished_folder() {
    std::error_code ignored;
    if (!path_.empty())
      fs::remove_all(path_, ignored);
  }
  result<void> make(const fs::path& data_dir) {
    std::string pattern = (data_dir / unfinished_prefix).string() + "XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) // mode 0700
      return disk_error("making a folder in " + data_dir.string(), last_error());
    path_ = pattern;
    return {};
  }
  result<void> finish(const fs::path& as) {
    if (::rename(path_.c_str(), as.c_str()) != 0)
      return disk_error("renaming " + path_.string(), last_error());
    path_.clear();
    return {};
  }
  /// Another folder comes into this one, to be removed with it.
  result<void> take(const fs::path& other) {
    if (::rename(other.c_str(), (path_ / "replaced").c_str()) != 0)
      return disk_error("renaming " + other.string(), last_error());
    return {};
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

private:
  fs::path path_;
};

result<void> remove_unfinished(const fs::path& data_dir) {
  std::error_code failed;
  std::vector<fs::path> found;
  for (fs::directory_iterator i(data_dir, failed), end; !failed && i != end; i.increment(failed))
    if (i->path().filename().string().starts_with(unfinished_prefix) && i->is_directory(failed))
      found.push_back(i->path());
  for (const auto& folder : found)
    if (!failed)
      fs::remove_all(folder, failed);
  if (failed)
    return disk_error("cleaning " + data_dir.string(), failed);
  return {};
}

/// A node that is to be replaced must not run. Whatever else is wrong with it is why it goes.
result<void> check_stopped(const fs::path& data_dir) {
  const auto opened = rocksdb::open_store(data_dir / node_folder / db_folder);
  if (!opened && opened.failure().code == errc::unavailable)
    return make_error(errc::unavailable,
                      "a node runs in " + data_dir.string() + ": stop it before it is replaced");
  return {};
}

result<void> prepare(const fs::path& data_dir, bool replaces, directory_lock& lock) {
  std::error_code failed;
  const bool made = fs::create_directories(data_dir, failed);
  if (failed)
    return disk_error("making " + data_dir.string(), failed);
  if (made)
    fs::permissions(data_dir, fs::perms::owner_all, failed);
  if (failed)
    return disk_error("closing " + data_dir.string() + " to others", failed);
  CUSTOS_CHECK(lock.take(data_dir));
  if (is_initialized(data_dir) && !replaces)
    return make_error(errc::already_exists, data_dir.string() + " holds a node already");
  if (is_initialized(data_dir))
    CUSTOS_CHECK(check_stopped(data_dir));
  return remove_unfinished(data_dir);
}

result<void> fill(const fs::path& folder, const new_node& node, const node_key_request& how) {
  CUSTOS_TRY(const auto under, make_node_key(folder, how));
  rocksdb::write_batch batch;
  batch.put(std::string(format_at), store_format);
  CUSTOS_CHECK(add_keys(batch, node.keys, node.data_keys, node.identity, under));
  if (node.configuration != nullptr) {
    auto first = *node.configuration;
    first.set_applied(raft::bootstrap_base({}).index);
    add_everything(batch, first);
    replica::add_first_replica(batch,
                               write_member_info(member_info_of(node.identity, node.address)));
  } else {
    replica::add_joining_replica(batch, node.replica, node.introduction);
  }
  CUSTOS_TRY(const auto store, rocksdb::open_store(folder / db_folder, {true}));
  return store->write(batch);
}

result<std::shared_ptr<rocksdb::kv_store>> open_database(const fs::path& folder) {
  auto store = rocksdb::open_store(folder / db_folder);
  if (!store && store.failure().code == errc::not_found)
    return make_error(errc::corrupted, folder.string() + ": the store is missing");
  if (!store)
    return store;
  CUSTOS_TRY(const auto format, (*store)->get(format_at));
  if (!format)
    return make_error(errc::corrupted, folder.string() + ": the store names no format");
  if (as_text(*format) != store_format)
    return make_error(errc::unsupported, folder.string() + " has format " +
                                             std::string(as_text(*format)) +
                                             "; this version reads " + std::string(store_format));
  return store;
}

/// The node key that the store names.
result<node_key> open_node_key(const fs::path& folder, const rocksdb::kv_store& store,
                               const node_key_access& access) {
  CUSTOS_TRY(const auto committed, stored_node_key_id(store));
  CUSTOS_CHECK(settle_node_key(folder, committed));
  CUSTOS_TRY(auto key, read_node_key(folder, access));
  if (!key.id.empty() && key.id != committed)
    return field_error(errc::crypto_failure, "node_key",
                       folder.string() + ": node-key.json is not that of the store: it belongs to "
                                         "another node, or to an earlier node key");
  return key;
}

} // namespace

bool is_initialized(const fs::path& data_dir) {
  std::error_code ignored;
  return fs::exists(data_dir / node_folder, ignored);
}

replica::member_info member_info_of(const node_identity& identity,
                                    const replica::link_address& address) {
  replica::member_info out;
  out.name = identity.name;
  out.host = address.host;
  out.port = address.port;
  out.certificates = {identity.certificate.fingerprint()};
  out.public_key = identity.tls_key.spki_der();
  return out;
}

result<void> create_node_store(const fs::path& data_dir, const new_node& node,
                               const node_key_request& how) {
  directory_lock lock;
  CUSTOS_CHECK(prepare(data_dir, node.replaces, lock));
  unfinished_folder folder;
  CUSTOS_CHECK(folder.make(data_dir));
  CUSTOS_CHECK(fill(folder.path(), node, how));
  CUSTOS_CHECK(sync_folder(folder.path() / db_folder));
  CUSTOS_CHECK(sync_folder(folder.path()));
  unfinished_folder replaced;
  if (is_initialized(data_dir)) {
    CUSTOS_CHECK(replaced.make(data_dir));
    CUSTOS_CHECK(replaced.take(data_dir / node_folder));
  }
  CUSTOS_CHECK(folder.finish(data_dir / node_folder));
  return sync_folder(data_dir);
}

result<std::shared_ptr<node_store>> node_store::open(const fs::path& data_dir,
                                                     const node_key_access& access) {
  if (!is_initialized(data_dir))
    return make_error(errc::not_found, data_dir.string() +
                                           " holds no node: make the first node of a cluster with "
                                           "\"custos cluster init\" or join one with \"custos "
                                           "cluster join\"");
  const auto folder = data_dir / node_folder;
  CUSTOS_TRY(auto store, open_database(folder));
  CUSTOS_TRY(auto key, open_node_key(folder, *store, access));
  CUSTOS_TRY(auto loaded, load_keys(*store, key));
  const std::shared_ptr<node_store> out(new node_store);
  out->keys_ = std::make_shared<const cluster_keys>(std::move(loaded.keys));
  out->identity_ = std::move(loaded.identity);
  out->node_key_ = std::move(key);
  out->seals_ = std::make_shared<sealer>(std::move(loaded.data_keys));
  out->store_ = std::move(store);
  return out;
}

result<void> node_store::replace_identity(const node_identity& next) {
  rocksdb::write_batch batch;
  CUSTOS_CHECK(add_identity(batch, next, node_key_));
  CUSTOS_CHECK(store_->write(batch));
  const std::lock_guard guard(identity_mutex_);
  identity_ = next;
  return {};
}

namespace {

/// Files that another user makes are files that the node cannot read.
result<void> check_owner(const fs::path& folder) {
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0)
    return disk_error("looking at " + folder.string(), last_error());
  if (found.st_uid != ::geteuid())
    return field_error(errc::forbidden, "node_key",
                       folder.string() + " belongs to another user: run this as that user, as with "
                                         "runuser -u custos-node");
  return {};
}

result<void> pass(const node_key_gate& gate, node_key_step step) {
  return gate ? gate(step) : result<void>();
}

} // namespace

result<void> rotate_node_key(const fs::path& data_dir, const node_key_access& present,
                             const node_key_request& next, const node_key_gate& gate) {
  const auto folder = data_dir / node_folder;
  if (is_initialized(data_dir))
    CUSTOS_CHECK(check_owner(folder));
  CUSTOS_TRY(const auto node, node_store::open(data_dir, present));
  CUSTOS_CHECK(pass(gate, node_key_step::make_key));
  const auto beside = next_node_key_folder(folder);
  std::error_code failed;
  fs::create_directory(beside, failed);
  if (failed)
    return disk_error("making " + beside.string(), failed);
  CUSTOS_TRY(const auto key, make_node_key(beside, next));
  CUSTOS_CHECK(sync_folder(folder));
  CUSTOS_CHECK(pass(gate, node_key_step::rewrap));
  rocksdb::write_batch batch;
  CUSTOS_CHECK(add_rewrapped(batch, node->seals()->ring(), node->identity(), key));
  CUSTOS_CHECK(node->store()->write(batch));
  CUSTOS_CHECK(pass(gate, node_key_step::install));
  return settle_node_key(folder, key.id);
}

} // namespace custos::cluster
