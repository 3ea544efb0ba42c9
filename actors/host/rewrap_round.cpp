#include "actors/host/rewrap_round.hpp"

namespace custos::host {

void rewrap_round::problem(const std::filesystem::path& file, const error& e) {
  const auto name = file.string();
  // Messages of files name them already.
  const bool named = e.message.find(name) != std::string::npos;
  problems_.push_back({name, named ? e.message : name + ": " + e.message});
}

void rewrap_round::read(const std::vector<std::filesystem::path>& paths) {
  files_ = paths.size();
  for (const auto& path : paths) {
    auto file = read_ciphertext_file(path);
    if (file)
      read_.push_back(*std::move(file));
    else
      problem(path, file.failure());
  }
}

void rewrap_round::plan(const std::map<std::string, std::string>& primary_keys) {
  std::map<std::string, batch> open;
  std::map<std::string, std::size_t> sizes;
  for (auto& file : read_) {
    const auto present = primary_keys.find(file.provider);
    if (present == primary_keys.end()) {
      problem(file.path, make_error(errc::forbidden, "this host's token gives no provider " +
                                                         file.provider + ", or it has no key"));
      continue;
    }
    if (present->second == short_name_of_key(file.primary_key_id))
      continue;
    ++pending_;
    auto& b = open[file.provider];
    auto& size = sizes[file.provider];
    const auto more = file.ciphertext.size() + file.context.size();
    if (b.files.size() == rewrap_keys_max || (!b.files.empty() && size + more > rewrap_bytes_max)) {
      batches_.push_back(std::move(b));
      b = {};
      size = 0;
    }
    b.provider = file.provider;
    b.files.push_back(std::move(file));
    size += more;
  }
  for (auto& [provider, b] : open)
    batches_.push_back(std::move(b));
  read_.clear();
}

std::string rewrap_round::request_of(const batch& b) const {
  std::vector<wrapped_with> keys;
  keys.reserve(b.files.size());
  for (const auto& f : b.files)
    keys.push_back({f.ciphertext, f.context});
  return encode_rewrap(keys);
}

void rewrap_round::answered(std::string_view body) {
  const auto done = std::move(batches_.front());
  batches_.pop_front();
  const auto told = decode_rewrapped(body, done.files.size());
  for (std::size_t i = 0; i < done.files.size(); ++i)
    if (told)
      settle(done.files[i], (*told)[i]);
    else
      problem(done.files[i].path, told.failure());
}

void rewrap_round::settle(const ciphertext_file& file,
                          const std::variant<rewrapped_key, error>& told) {
  if (const auto* const failed = std::get_if<error>(&told))
    return problem(file.path, *failed);
  const auto& fresh = std::get<rewrapped_key>(told);
  // A node that does not know of the new primary key yet: the next round asks again.
  if (!fresh.changed)
    return;
  if (auto replaced = replace_ciphertext(file, fresh.ciphertext); !replaced)
    return problem(file.path, replaced.failure());
  ++rewrapped_;
  --pending_;
}

} // namespace custos::host
