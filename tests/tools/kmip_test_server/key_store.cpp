#include "tests/tools/kmip_test_server/key_store.hpp"

#include "adapters/crypto/crypto.hpp"

#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

namespace custos::kmip_test_server {

namespace {

/// Held while one server reads, changes and writes the file.
class file_lock {
public:
  explicit file_lock(const std::string& file)
      : handle_(::open((file + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)) {
    locked_ = handle_ >= 0 && ::flock(handle_, LOCK_EX) == 0;
  }
  ~file_lock() {
    if (handle_ >= 0)
      ::close(handle_);
  }
  file_lock(const file_lock&) = delete;
  file_lock& operator=(const file_lock&) = delete;
  [[nodiscard]] bool locked() const { return locked_; }

private:
  int handle_ = -1;
  bool locked_ = false;
};

} // namespace

key_store::key_store(std::string file) : file_(std::move(file)) {}

void key_store::refresh() {
  struct ::stat now {};
  if (file_.empty() || ::stat(file_.c_str(), &now) != 0)
    return;
  if (now.st_ino == seen_.st_ino && now.st_mtim.tv_sec == seen_.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec && now.st_size == seen_.st_size)
    return;
  seen_ = now;
  read();
}

/// One key a line: id, state, usage, material, name; tabs between.
void key_store::read() {
  keys_.clear();
  std::ifstream in(file_);
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    stored_key key;
    std::uint32_t state = 0;
    std::string material;
    fields >> key.id >> state >> key.usage >> material;
    fields.get();
    std::getline(fields, key.name);
    key.state = static_cast<kmip::state>(state);
    if (auto octets = crypto::from_hex(material == "-" ? "" : material))
      key.material = *std::move(octets);
    const auto id = key.id;
    keys_[id] = std::make_shared<const stored_key>(std::move(key));
  }
}

result<void> key_store::write() const {
  const auto next = file_ + ".new";
  {
    std::ofstream out(next, std::ios::trunc);
    for (const auto& [id, key] : keys_)
      out << id << '\t' << static_cast<std::uint32_t>(key->state) << '\t' << key->usage << '\t'
          << (key->material.empty() ? "-" : crypto::hex(key->material)) << '\t' << key->name
          << '\n';
    if (!out.flush())
      return make_error(errc::io_failure, "writing " + next + " failed");
  }
  if (std::rename(next.c_str(), file_.c_str()) != 0)
    return make_error(errc::io_failure, "replacing " + file_ + " failed");
  return {};
}

result<void> key_store::update(const std::function<result<void>(keys&)>& how) {
  const std::scoped_lock lock(mutex_);
  if (file_.empty())
    return how(keys_);
  const file_lock others(file_);
  if (!others.locked())
    return make_error(errc::io_failure, "the key file cannot be locked");
  seen_ = {};
  refresh();
  CUSTOS_CHECK(how(keys_));
  CUSTOS_CHECK(write());
  seen_ = {};
  return {};
}

key_ptr key_store::find(std::string_view id) {
  const std::scoped_lock lock(mutex_);
  refresh();
  const auto found = keys_.find(id);
  return found == keys_.end() || hidden_.contains(id) ? nullptr : found->second;
}

key_ptr key_store::other_than(std::string_view id) {
  const std::scoped_lock lock(mutex_);
  refresh();
  for (const auto& [other, key] : keys_)
    if (other != id)
      return key;
  return nullptr;
}

std::vector<std::string> key_store::locate(std::string_view name, std::uint32_t state) {
  const std::scoped_lock lock(mutex_);
  refresh();
  std::vector<std::string> out;
  for (const auto& [id, key] : keys_)
    if (!hidden_.contains(id) && !key->material.empty() && (name.empty() || key->name == name) &&
        (state == 0 || static_cast<std::uint32_t>(key->state) == state))
      out.push_back(id);
  return out;
}

result<std::string> key_store::add(stored_key key) {
  if (key.id.empty())
    key.id = crypto::hex(crypto::random_bytes(8));
  std::string id = key.id;
  CUSTOS_CHECK(update([&](keys& all) -> result<void> {
    all[id] = std::make_shared<const stored_key>(std::move(key));
    return {};
  }));
  return id;
}

result<void> key_store::change(std::string_view id, const std::function<void(stored_key&)>& how) {
  return update([&](keys& all) -> result<void> {
    const auto found = all.find(id);
    if (found == all.end())
      return make_error(errc::not_found, "there is no key " + std::string(id));
    auto changed = std::make_shared<stored_key>(*found->second);
    how(*changed);
    found->second = std::move(changed);
    return {};
  });
}

void key_store::hide(const std::string& id, bool hidden) {
  const std::scoped_lock lock(mutex_);
  if (hidden)
    hidden_.insert(id);
  else
    hidden_.erase(id);
}

} // namespace custos::kmip_test_server
